"""deploy/lade.service: systemd finds nothing wrong with it, and what it starts, waits for, reloads and stops works."""

import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.server import bare_environment, binary

DEPLOY = Path(__file__).parents[1] / "deploy"
ANALYZE = shutil.which("systemd-analyze")
# How exposed a service may be that `systemd-analyze security` calls well protected, in tenths: 10 is 1.0 of 10.
EXPOSURE_MAX = 20
INSTALLED = "/usr/local/bin/lade"


def entries(text):
    """The settings of the unit: each name with all that it is set to, in order."""
    found = {}
    for line in text.splitlines():
        if "=" in line and not line.startswith(("#", ";", "[")):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def unit(tmp_path):
    """The shipped unit with this binary in place of the installed one."""
    text = (DEPLOY / "lade.service").read_text()
    assert len(re.findall(rf"^Exec\w+={INSTALLED} ", text, re.M)) == 2
    path = tmp_path / "lade.service"
    path.write_text(text.replace(INSTALLED + " ", f"{binary()} "))
    return path


@pytest.mark.skipif(not ANALYZE, reason="no systemd-analyze: apt-get install systemd")
def test_systemd_finds_nothing_wrong(unit):
    done = subprocess.run([ANALYZE, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60)
    # Other units of the machine may be wrong, too.
    assert done.returncode == 0 and "lade.service" not in done.stderr, done.stderr


@pytest.mark.skipif(not ANALYZE, reason="no systemd-analyze: apt-get install systemd")
def test_it_is_well_protected(unit):
    done = subprocess.run([ANALYZE, "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager", str(unit)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def test_it_stops_in_the_time_that_the_server_takes(unit):
    found = {name: values[-1] for name, values in entries(unit.read_text()).items()}
    assert found["KillSignal"] == "SIGTERM" and int(found["TimeoutStopSec"]) > 30
    assert found["Restart"] == "always" and int(found["LimitNOFILE"]) >= 2 * 1024
    assert found["DynamicUser"] == "yes" and found["StateDirectory"] == "lade"


def test_what_it_runs_starts_reloads_and_stops(unit, tmp_path):
    found = entries(unit.read_text())
    credentials, state = tmp_path / "credentials", tmp_path / "state"
    credentials.mkdir()
    (state / "lade").mkdir(parents=True)
    [credential] = found["LoadCredential"]
    assert credential == "lade.toml:/etc/lade/lade.toml"
    settings = (DEPLOY / "lade.toml").read_text()
    assert "127.0.0.1:8080" in settings
    (credentials / "lade.toml").write_text(settings.replace("127.0.0.1:8080", "127.0.0.1:0"))

    def words(name):
        [line] = found[name]
        return shlex.split(line.replace("%d", str(credentials)).replace("%S", str(state)))

    variables = dict(word.split("=", 1) for word in words("Environment"))
    env = {**bare_environment(), **variables}
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(words("ExecStart"), env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        done = subprocess.run(words("ExecStartPost"), env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr + (tmp_path / "log").read_text()
        assert (state / "lade" / "catalog.db").exists()
        reload = words("ExecReload")
        assert reload[-1] == "$MAINPID"
        subprocess.run([*reload[:-1], str(server.pid)], check=True)
        time.sleep(0.2)
        assert server.poll() is None
        server.send_signal(getattr(signal, found["KillSignal"][0]))
        assert server.wait(int(found["TimeoutStopSec"][0])) == 0
    finally:
        if server.poll() is None:
            server.kill()


@pytest.mark.skipif(not ANALYZE or not shutil.which("strace"), reason="no strace or systemd: apt-get install strace systemd")
def test_no_call_of_a_working_server_is_one_that_it_forbids(unit, tmp_path):
    allowed = filtered(entries(unit.read_text())["SystemCallFilter"])
    assert {"openat", "fdatasync", "epoll_wait"} <= allowed and "mount" not in allowed
    trace = tmp_path / "calls"
    # A server with imports, puts and exports, which ends by itself.
    env = {**bare_environment(), "TMPDIR": str(tmp_path)}
    subprocess.run(["strace", "-f", "-qq", "-c", "-o", trace, binary(), "demo"], env=env, stdin=subprocess.DEVNULL,
                   capture_output=True, check=True, timeout=120)
    used = set(re.findall(r"(\w+)$", trace.read_text(), re.M)) - {"syscall", "total"}
    assert used and used <= allowed, used - allowed


def filtered(lines):
    """The calls that `SystemCallFilter=` lets through, groups and all, as this systemd knows them."""
    told = subprocess.run([ANALYZE, "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True).stdout
    groups, name = {}, None
    for line in told.splitlines():
        word = re.sub(r"\x1b\[[0-9;]*m", "", line).strip()
        if word.startswith("@") and not line.startswith(" "):
            name = word
            groups[name] = set()
        elif name and word and not word.startswith("#"):
            groups[name].add(word)

    def calls(words):
        found = set()
        for word in words:
            found |= calls(groups[word]) if word.startswith("@") else {word}
        return found

    allowed = set()
    for line in lines:
        if line.startswith("~"):
            allowed -= calls(line[1:].split())
        else:
            allowed |= calls(line.split())
    return allowed
