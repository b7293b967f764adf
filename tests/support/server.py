"""Starts and ends the real server, and knows where it answers."""

import functools
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support import catalog

ROOT_KEY = "AKIAROOTROOTROOTROOT"
ROOT_SECRET = "root/secret+of=the/tests/40characters0000"
REGION = "us-east-1"
ACCOUNT = "000000000000"
READY_S = 20
# What `lade serve` says on standard output once it answers.
READY = r"(?:listening on|Address) +(https?://\S+)"


def binary():
    path = os.environ.get("LADE_BIN", "")
    if not path:
        target = os.environ.get("CARGO_TARGET_DIR") or Path(__file__).parents[2] / "target"
        path = str(Path(target) / "release" / "lade")
    assert os.access(path, os.X_OK), f"{path}: build the server first, or name it in LADE_BIN"
    return path


@functools.cache
def has_cluster():
    """Whether the server was built with the feature `cluster`."""
    told = subprocess.run([binary(), "--version"], env=bare_environment(), capture_output=True, text=True, check=True)
    return "cluster" in told.stdout


def require_cluster():
    if not has_cluster():
        pytest.skip("the server was built without the feature `cluster`")


def bare_environment():
    """The environment without anything that steers an AWS client or the server."""
    steering = re.compile(r"^(AWS_|LADE_(?!BIN$|RUST_SDK_FLOW$|TESTS_FAST$)|https?_proxy$|all_proxy$|no_proxy$)", re.I)
    return {name: value for name, value in os.environ.items() if not steering.match(name)}


class Server:
    """One data folder and the process that serves it; `start` and `stop` may alternate."""

    def __init__(self, folder, listen="127.0.0.1:0", arguments=(), env=None):
        self.folder = Path(folder)
        self.data_dir = self.folder / "data"
        self.listen = listen
        self.arguments = list(arguments)
        self.env = {
            **bare_environment(),
            "LADE_ROOT_ACCESS_KEY_ID": ROOT_KEY,
            "LADE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET,
            **(env or {}),
        }
        self.stderr = self.folder / "stderr"
        self.endpoint = None
        self.process = None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.env = {**catalog.environment(self.folder), **self.env}

    @property
    def pid(self):
        return self.process.pid

    def spawn(self):
        """Starts the process without waiting; its output is appended to two files beside the data folder."""
        self.out_start = self._size(self.folder / "stdout")
        with open(self.folder / "stdout", "ab") as out, open(self.stderr, "ab") as err:
            self.process = subprocess.Popen(
                [binary(), "serve", "--data-dir", str(self.data_dir), "--listen", self.listen, *self.arguments],
                env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )
        return self

    def start(self):
        self.spawn()
        deadline = time.monotonic() + READY_S
        while not (match := re.search(READY, self.new_output())):
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.tail()}")
            assert time.monotonic() < deadline, f"not listening after {READY_S} s:\n{self.tail()}"
            time.sleep(0.005)
        self.endpoint = match.group(1).rstrip("/")
        return self

    def stop(self, wait_s=30):
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(wait_s)

    def kill(self):
        """SIGKILL, as a power cut would."""
        self.process.kill()
        self.process.wait(30)

    def restart(self):
        self.stop()
        return self.start()

    def new_output(self):
        with open(self.folder / "stdout", "rb") as out:
            out.seek(self.out_start)
            return out.read().decode("utf-8", "replace")

    def tail(self, lines=40):
        text = ""
        for name in ("stdout", "stderr"):
            path = self.folder / name
            if path.exists():
                text += f"--- {name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) + "\n"
        return text

    def peak_rss_mib(self):
        """The largest resident set since the start or the last `forget_peak`."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024

    def forget_peak(self):
        """Lets `peak_rss_mib` count from now, where the kernel allows it."""
        try:
            Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        except OSError:
            pass

    def client_environment(self):
        """What a person sets to point stock clients here: the endpoint and credentials, nothing else."""
        return {
            **bare_environment(),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_PAGER": "",
        }

    @staticmethod
    def _size(path):
        return path.stat().st_size if path.exists() else 0
