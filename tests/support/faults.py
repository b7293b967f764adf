"""Faults from outside the server: at a chosen call that touches the disk the process dies or the call fails; the clock is off.

A small library (faults.c) is preloaded into the real binary. It counts calls over all threads, which is what makes "the
n-th" mean the same in each run of a single client.
"""

import errno
import mmap
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from struct import calcsize, pack_into, unpack_from

CALLS = {"write": 1, "pwrite64": 2, "fsync": 4, "fdatasync": 8, "rename": 16, "unlink": 32, "ftruncate": 64}
NOTHING, KILL, FAIL, SHORT = range(4)
FOREVER = (1 << 64) - 1
HEAD = "=QQQQqIIII"
SIZE = calcsize(HEAD) + 256


@cache
def library():
    """The compiled library; the C compiler that links the server makes it."""
    built = Path(tempfile.mkdtemp(prefix="lade-faults-")) / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", str(built), str(source)], check=True)
    return built


class Faults:
    """What a server that is started with `env` does at which call; without `arm` it only counts."""

    def __init__(self, folder):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "faults"
        path.write_bytes(bytes(SIZE))
        with open(path, "r+b") as file:
            self.shared = mmap.mmap(file.fileno(), SIZE)
        self.env = {"LD_PRELOAD": str(library()), "LADE_FAULTS": str(path)}

    def arm(self, what, at, calls=tuple(CALLS), under="/", to=None, error=errno.EIO):
        """Counts from zero; the calls with the numbers `at` to `to` (only `at` by default) are hit."""
        mask = sum(CALLS[name] for name in calls)
        self.disarm()
        pack_into("256s", self.shared, calcsize(HEAD), str(under).encode())
        clock_ms = unpack_from("=q", self.shared, 32)[0]
        pack_into(HEAD, self.shared, 0, 0, 0, at, to or at, clock_ms, mask, what, error, 0)

    def disarm(self):
        pack_into("=II", self.shared, 40, 0, NOTHING)

    def shift_clock(self, seconds):
        pack_into("=q", self.shared, 32, int(seconds * 1000))

    @property
    def count(self):
        """How many calls matched since `arm`."""
        return unpack_from("=Q", self.shared, 0)[0]

    @property
    def hits(self):
        return unpack_from("=Q", self.shared, 8)[0]
