"""The real proxies with the files of deploy/: only addresses and certificates are others."""

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from support import ports
from support.server import bare_environment

DEPLOY = Path(__file__).parents[2] / "deploy"
READY_S = 20


def installed():
    """Those of `KINDS` that this machine has."""
    return [name for name, kind in KINDS.items() if kind.command()]


def replaced(text, *pairs):
    """The shipped text with other words in some places, each of which must be there."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


class Proxy:
    """A proxy in a folder that ends TLS with a certificate and asks the server at `backend`, HOST:PORT."""

    program = ""

    def __init__(self, folder, backend, certificate, key):
        self.folder, self.backend, self.certificate, self.key = folder, backend, certificate, key
        folder.mkdir(parents=True)
        self.port = ports.free(1)
        self.endpoint = f"https://127.0.0.1:{self.port}"
        self.process = None

    @classmethod
    def command(cls):
        return shutil.which(cls.program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

    def start(self):
        self.configure()
        env = {**bare_environment(), "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder),
               "XDG_CONFIG_HOME": str(self.folder)}
        with open(self.folder / "said", "wb") as said:
            self.process = subprocess.Popen([self.command(), *self.arguments()], env=env, cwd=self.folder,
                                            stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        deadline = time.monotonic() + READY_S
        while not self._listens():
            assert self.process.poll() is None and time.monotonic() < deadline, (self.folder / "said").read_text()
            time.sleep(0.02)
        return self

    def _listens(self):
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        """Connections that a test left open are no reason to wait."""
        self.process.terminate()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def configure(self):
        raise NotImplementedError

    def arguments(self):
        raise NotImplementedError


class Nginx(Proxy):
    program = "nginx"

    def configure(self):
        self.plain_port = ports.free(1)
        (self.folder / "lade.conf").write_text(replaced(
            (DEPLOY / "nginx.conf").read_text(),
            ("server 127.0.0.1:8080;", f"server {self.backend};"), ("listen 80;", f"listen 127.0.0.1:{self.plain_port};"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("/etc/lade/fullchain.pem", str(self.certificate)), ("/etc/lade/privkey.pem", str(self.key))))
        temporary = "".join(f"    {kind}_temp_path {self.folder}/{kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;\n" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(
            f"{user}daemon off;\nworker_processes 1;\npid {self.folder}/pid;\nerror_log {self.folder}/error.log;\n"
            f"events {{ worker_connections 512; }}\n"
            f"http {{\n    access_log off;\n{temporary}    include {self.folder}/lade.conf;\n}}\n")

    def arguments(self):
        return ["-c", str(self.folder / "nginx.conf"), "-p", str(self.folder), "-e", str(self.folder / "error.log")]


class Caddy(Proxy):
    program = "caddy"

    def configure(self):
        shipped = replaced((DEPLOY / "Caddyfile").read_text(), ("127.0.0.1:8080", self.backend), (
            "lade.example {", f"{self.endpoint} {{\n\ttls {self.certificate} {self.key}"))
        own = "{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n\tservers {\n\t\tprotocols h1 h2\n\t}\n}\n"
        (self.folder / "Caddyfile").write_text(own + shipped)

    def arguments(self):
        return ["run", "--config", str(self.folder / "Caddyfile"), "--adapter", "caddyfile"]


class HAProxy(Proxy):
    program = "haproxy"

    def configure(self):
        both = self.folder / "both.pem"
        both.write_text(Path(self.certificate).read_text() + Path(self.key).read_text())
        text = (DEPLOY / "haproxy.cfg").read_text()
        others = re.findall(r"^ *server node[23] .*\n", text, re.M)
        assert len(others) == 2
        (self.folder / "haproxy.cfg").write_text(replaced(
            text, *((other, "") for other in others), ("node1:8080", self.backend),
            ("bind :8080", f"bind 127.0.0.1:{self.port} ssl crt {both}")))

    def arguments(self):
        return ["-db", "-f", str(self.folder / "haproxy.cfg")]


KINDS = {"nginx": Nginx, "caddy": Caddy, "haproxy": HAProxy}
