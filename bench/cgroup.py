"""A memory cgroup for one process, made by hand: version 2 where it has the controller, else version 1."""

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


class MemoryLimit:
    """Puts a process into a group of its own with a limit in bytes; needs the right to make groups, else `OSError`."""

    def __init__(self, pid, size_bytes):
        controllers = ROOT / "cgroup.controllers"
        if controllers.exists() and "memory" in controllers.read_text().split():
            self.group, limit = ROOT / f"lade-bench-{os.getpid()}", "memory.max"
        elif (ROOT / "memory").is_dir():
            self.group, limit = ROOT / "memory" / f"lade-bench-{os.getpid()}", "memory.limit_in_bytes"
        else:
            raise FileNotFoundError("no memory cgroups")
        self.group.mkdir()
        (self.group / limit).write_text(str(size_bytes))
        (self.group / "cgroup.procs").write_text(str(pid))

    def remove(self):
        """After the process has ended."""
        self.group.rmdir()
