"""Where a run took place, and of what."""

import os
import platform
import re
import subprocess
from pathlib import Path

from bench.child import CORES, run_child

ROOT = Path(__file__).parents[1]


def hold_to_cores():
    """Lets this process and all it starts run on the first cores only, as many for the server as for its peers."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def machine():
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    return {"cpu": cpu.group(1) if cpu else platform.machine(), "cores": len(os.sched_getaffinity(0)),
            "memory_gib": memory, "kernel": platform.release()}


def versions():
    return {**run_child("versions")[1], "Python": platform.python_version()}


def commit():
    """The commit measured, marked when the tree differs from it."""
    described = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=10"], cwd=ROOT, text=True,
                               capture_output=True)
    return described.stdout.strip() or "unknown"
