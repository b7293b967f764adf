"""A PostgreSQL of our own: on loopback, with a password, sorting by the rules of a language, as many a real one does."""

import atexit
import itertools
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from support import ports

INSTALL = "sudo apt-get install --no-install-recommends postgresql"
USER = "postgres"
READY_S = 30
VERSION_MIN = 15
_numbers = itertools.count(1)


def programs():
    """The folder of the server's programs, the newest where there are several; none where there is none."""
    debian = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    newest = sorted(debian, key=lambda path: int(path.parent.name))[-1:]
    on_path = shutil.which("initdb")
    return next((path for path in [*newest, *([Path(on_path).parent] if on_path else [])] if is_new_enough(path)), None)


def is_new_enough(folder):
    try:
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True).stdout
    except OSError:
        return False
    version = re.search(r"\d+", said)
    return bool(version) and int(version.group()) >= VERSION_MIN


def require():
    """Leaves a test out where there is no PostgreSQL, but for CI: there it fails."""
    if programs() is None:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say(f"no PostgreSQL {VERSION_MIN} or newer; to install it: {INSTALL}")


class Postgres:
    """One server; `start`, and `stop` or `kill`, may alternate. It won't run as root, and so runs as `postgres` then."""

    def __init__(self, folder):
        self.bin = programs()
        assert self.bin, f"no PostgreSQL {VERSION_MIN} or newer; to install it: {INSTALL}"
        self.account = {"user": USER, "group": USER, "extra_groups": []} if os.getuid() == 0 else {}
        self.folder = self._folder(Path(folder))
        self.data = self.folder / "data"
        self.port = ports.free(1)
        self.password = secrets.token_hex(16)
        self.process = None

    def _folder(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not self.account:
            return folder
        # What pytest makes is closed to all users but root.
        ours = Path(tempfile.mkdtemp(prefix="lade-postgres-"))
        atexit.register(shutil.rmtree, ours, ignore_errors=True)
        shutil.chown(ours, USER, USER)
        return ours

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def url(self, database):
        return f"postgres://{USER}:{self.password}@{self.address}/{database}"

    def start(self):
        if not self.data.exists():
            self._make()
        self._spawn()
        deadline = time.monotonic() + READY_S
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.02)
        return self

    def _make(self):
        word = self.folder / "password"
        word.write_text(self.password)
        # Text sorts by a language, so that who relies on the order of bytes without saying so is found out.
        self._run("initdb", "-D", self.data, "-U", USER, "--pwfile", word, "--auth=scram-sha-256", "--encoding=UTF8",
                  "--locale=C", "--locale-provider=icu", "--icu-locale=en-US", "--no-sync")

    def _spawn(self):
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "",
                    "fsync": "on", "synchronous_commit": "on", "max_connections": 200}
        arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([self.bin / "postgres", "-D", self.data, *arguments], cwd=self.folder,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.account)

    def answers(self):
        """Whether it takes queries: while it recovers, it takes connections and refuses them."""
        return self._query("select 1", check=False).returncode == 0

    def stop(self, wait_s=30):
        """An end in good order, that doesn't wait for clients to leave."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(wait_s)

    def restart(self):
        self.stop()
        return self.start()

    def kill(self):
        """All its processes at once, as a power cut would."""
        children = self._children()
        self.process.kill()
        self.process.wait(30)
        for child in children:
            _signal(child, signal.SIGKILL)

    def pause(self):
        """Stops all its processes, as a machine that swaps or is being moved; connections stay open and unanswered."""
        for pid in [self.process.pid, *self._children()]:
            _signal(pid, signal.SIGSTOP)

    def resume(self):
        for pid in [*self._children(), self.process.pid]:
            _signal(pid, signal.SIGCONT)

    def _children(self):
        try:
            return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except OSError:
            return []  # It has ended.

    def database(self):
        """The URL of a new, empty database."""
        name = f"lade_{os.getpid()}_{next(_numbers)}"
        self._query(f"create database {name}")
        return self.url(name)

    def query(self, url, text):
        """The rows that a query answers, each a list of texts."""
        lines = self._query(text, url.rsplit("/", 1)[1]).stdout.splitlines()
        return [line.split("\x1f") for line in lines]

    def drop_connections(self, url):
        """Ends all sessions of a database, as a failover or an administrator does."""
        name = url.rsplit("/", 1)[1]
        self._query(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")

    def _query(self, text, database="postgres", check=True):
        return self._run("psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-d", self.url(database),
                         "-c", text, check=check)

    def _run(self, program, *arguments, check=True):
        done = subprocess.run([self.bin / program, *arguments], cwd=self.folder, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, **self.account)
        assert not check or done.returncode == 0, f"{program}: {done.stdout}\n{done.stderr}"
        return done

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-4000:]


def _signal(pid, number):
    try:
        os.kill(int(pid), number)
    except ProcessLookupError:
        pass
