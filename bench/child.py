"""Work done in a process of its own, so that its memory and CPU time are its own: the peers, and checking answers.

`run_child(NAME, …)` runs the function NAME of bench.peers in a fresh interpreter. Only the work is timed, not the
start of the interpreter or the loading of libraries.
"""

import importlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from bench.measure import Sample

CORES = 2


def run_child(name, **arguments):
    """The sample of one run, and what the function returned."""
    environment = {**os.environ, "POLARS_MAX_THREADS": str(CORES), "BENCH_THREADS": str(CORES)}
    done = subprocess.run([sys.executable, "-B", "-m", "bench.child", name, json.dumps(arguments)], text=True,
                          env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"{name} ended with {done.returncode}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return Sample(**answer["sample"]), answer["result"]


def peak_rss_mib(pid="self"):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


def main(name, arguments):
    work = getattr(importlib.import_module("bench.peers"), name)
    begin, cpu = time.perf_counter(), time.process_time()
    result = work(**json.loads(arguments))
    sample = {"seconds": time.perf_counter() - begin, "cpu_s": time.process_time() - cpu,
              "peak_mib": peak_rss_mib()}
    print(json.dumps({"sample": sample, "result": result}))


if __name__ == "__main__":
    main(*sys.argv[1:])
