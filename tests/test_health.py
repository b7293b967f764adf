"""`lade health`: the exit code tells whether a server can work, with and without TLS, and before it has started."""

import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.certificates import Authority
from support.server import Server, bare_environment, binary


def health(*arguments, env=None):
    done = subprocess.run([binary(), "health", *map(str, arguments)], env={**bare_environment(), **(env or {})},
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def sick():
    """An address that says why it can't work."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, text = (503, b"catalog") if self.path == "/health/ready" else (200, b"ok\n")
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_server_is_found_by_its_data_folder_or_its_address(server):
    assert health("--data-dir", server.data_dir) == (0, "ok\n")
    assert health(env={"LADE_DATA_DIR": str(server.data_dir)}) == (0, "ok\n")
    assert health("--endpoint-url", server.endpoint + "/") == (0, "ok\n")
    assert health("--live", "--endpoint-url", server.endpoint) == (0, "ok\n")
    # As all commands do, and a folder that is named goes before what the environment says.
    assert health(env={"AWS_ENDPOINT_URL": server.endpoint}) == (0, "ok\n")
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    assert health(env=nobody)[0] == 1 and health("--data-dir", server.data_dir, env=nobody) == (0, "ok\n")
    assert health("--wait-s", 2 ** 64 - 1, "--endpoint-url", server.endpoint) == (0, "ok\n")


def test_of_a_server_with_tls_no_certificate_is_asked_for(tmp_path):
    # A certificate names what others reach the server by, and here an authority that nobody trusts vouches for it.
    certificate, key = Authority(tmp_path).server("lade", tmp_path / "server")
    flags = ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    server = Server(tmp_path / "secure", arguments=flags).start()
    try:
        assert server.endpoint.startswith("https://")
        assert health("--data-dir", server.data_dir) == (0, "ok\n")
        # Elsewhere, certificates are checked.
        code, said = health("--endpoint-url", server.endpoint)
        assert code == 1 and "ertificate" in said, said
        trusted = ("--endpoint-url", server.endpoint.replace("127.0.0.1", "localhost"), "--ca-file", certificate)
        assert "ertificate" in health(*trusted)[1], "it names another host, and that is looked at, too"
    finally:
        server.stop()


def test_the_reason_is_told(sick):
    code, said = health("--endpoint-url", sick)
    assert code == 1 and "says 503: catalog" in said, said
    assert health("--endpoint-url", sick, "--live")[0] == 0


def test_where_nobody_answers_it_fails_in_time(tmp_path):
    assert health("--data-dir", tmp_path)[0] == 1
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begin = time.monotonic()
        code, said = health("--endpoint-url", f"http://127.0.0.1:{silent.getsockname()[1]}", "--timeout-s", 1)
        assert code == 1 and "no answer within 1 s" in said and time.monotonic() - begin < 10, said


def test_it_waits_for_a_server_that_starts(tmp_path):
    server = Server(tmp_path / "late")
    waiting = subprocess.Popen([binary(), "health", "--wait-s", "30", "--data-dir", server.data_dir],
                               env=bare_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        time.sleep(0.5)
        assert waiting.poll() is None
        server.start()
        assert waiting.wait(20) == 0
    finally:
        waiting.kill()
        waiting.communicate()
        server.stop()
