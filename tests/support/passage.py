"""A way to a server that a test can look into: TLS outside, plain inside, and all that clients send is kept."""

import socket
import socketserver
import ssl
import threading


class Passage:
    """Hands connections on to `target`; with `certificate` and `key` they come over TLS."""

    def __init__(self, target, certificate=None, key=None):
        self.target, self.tls, self.seen = target, None, bytearray()
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate, key)
        passage = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                passage.carry(self.request)

        class Listener(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address = True, True

        self.listener = Listener(("127.0.0.1", 0), Handler)
        scheme = "https" if self.tls else "http"
        self.endpoint = f"{scheme}://127.0.0.1:{self.listener.server_address[1]}"
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def carry(self, outside):
        try:
            outside = self.tls.wrap_socket(outside, server_side=True) if self.tls else outside
            with socket.create_connection(self.target) as inside:
                back = threading.Thread(target=pour, args=(inside, outside), daemon=True)
                back.start()
                pour(outside, inside, self.seen.extend)
                back.join()
        except OSError:
            pass  # whoever hung up, the other side notices

    def close(self):
        self.listener.shutdown()
        self.listener.server_close()


def pour(source, target, note=lambda piece: None):
    """Hands on what comes until it ends."""
    try:
        while piece := source.recv(65536):
            note(piece)
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()
