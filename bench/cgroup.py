"""A memory cgroup made by hand: version 2 where it has the controller, else version 1."""

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


class MemoryLimit:
    """A group with a limit in bytes; needs the right to make groups, else `OSError`."""

    def __init__(self, size_bytes):
        controllers = ROOT / "cgroup.controllers"
        if controllers.exists() and "memory" in controllers.read_text().split():
            self.top, limit = ROOT, "memory.max"
        elif (ROOT / "memory").is_dir():
            self.top, limit = ROOT / "memory", "memory.limit_in_bytes"
        else:
            raise FileNotFoundError("no memory cgroups")
        self.group = self.top / f"lade-bench-{os.getpid()}"
        self.group.mkdir()
        (self.group / limit).write_text(str(size_bytes))

    def start(self, start):
        """Calls `start` from within the group: a process that it starts finds itself there, and stays."""
        before = self._own_group()
        self._enter(self.group)
        try:
            start()
        finally:
            self._enter(before)

    def remove(self):
        """After the process has ended."""
        self.group.rmdir()

    def _own_group(self):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(",") or (not controllers and self.top == ROOT):
                return self.top / path.lstrip("/")
        return self.top

    @staticmethod
    def _enter(group):
        (group / "cgroup.procs").write_text(str(os.getpid()))
