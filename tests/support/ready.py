"""Waits until all servers that the shell of a page has started answer, or ends them; a program for that shell to run."""

import http.client
import os
import re
import signal
import ssl
import sys
import time
from pathlib import Path

READY_S = 20


def of_session(leader):
    """The processes of a session, which is that of a page's shell."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "stat").read_text().rsplit(")", 1)[1].split()[3] == str(leader):
                found.append(int(entry.name))
        except (OSError, IndexError):
            pass
    return found


def servers(leader):
    """Those among them that serve."""
    found = []
    for pid in of_session(leader):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"lade") and words[1:2] == [b"serve"]:
            found.append(pid)
    return found


def listening(pid):
    """The ports of this machine that a process listens on."""
    try:
        targets = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []
    sockets = {match[1] for target in targets if (match := re.fullmatch(r"socket:\[(\d+)\]", target))}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [int(row[1].rsplit(":", 1)[1], 16) for row in rows if row[3] == "0A" and row[9] in sockets]


def answers(port):
    """Whether a server can do what it is asked, over TLS or without."""
    for connect in (http.client.HTTPConnection, _secure):
        try:
            connection = connect("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return True
        except (OSError, http.client.HTTPException):
            pass
    return False


def _secure(host, port, timeout):
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl._create_unverified_context())


def main(leader):
    deadline = time.monotonic() + READY_S
    while True:
        found = servers(leader)
        if found and all(any(map(answers, listening(pid))) for pid in found):
            # The address is written down right after the first answer.
            return time.sleep(0.05)
        if time.monotonic() > deadline:
            sys.exit(f"of the servers {found} one does not answer after {READY_S} s" if found else "no server runs")
        time.sleep(0.02)


def stop(leader):
    """Ends these servers in good order, and waits until they have ended."""
    for pid in servers(leader):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + READY_S
    while servers(leader):
        if time.monotonic() > deadline:
            sys.exit(f"a server does not end after {READY_S} s")
        time.sleep(0.02)


if __name__ == "__main__":
    stop(sys.argv[1]) if sys.argv[2:] == ["stop"] else main(sys.argv[1])
