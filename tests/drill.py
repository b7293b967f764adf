"""The drill on the command line, `cargo xtask drill`: starts a whole cluster, breaks it for as long as jobs run, sums up.

A store, a PostgreSQL and all nodes run on this machine's loopback, in a folder that is removed when all was right.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from support import trouble
from support.drill import Drill
from support.nodes import Cluster
from support.server import binary, has_cluster

SETTINGS = {"LADE_FLUSH_AFTER_S": "1", "LADE_FILE_SIZE_MAX": "1MiB"}


def arguments():
    parser = argparse.ArgumentParser(prog="cargo xtask drill", description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100, help="imports and exports to end (default 100)")
    parser.add_argument("--nodes", type=int, default=3, help="nodes (default 3)")
    parser.add_argument("--executors", type=int, default=0,
                        help="run tasks on so many executors, with a scheduler (default none: on the nodes)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="repeats the faults of a run")
    parser.add_argument("--folder", type=Path, help="where all of it lies, and stays (default: one that is removed)")
    return parser.parse_args()


def main():
    given = arguments()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="lade-drill-"))
    machines, services = trouble.MANY
    if given.executors:
        if not has_cluster():
            sys.exit(f"{binary()} was built without executors: cargo build --release --features cluster")
        machines = machines + trouble.OF_EXECUTORS
    print(f"{given.nodes} nodes, {given.executors} executors, {os.cpu_count()} cores, seed {given.seed}, in {folder}", flush=True)
    begun = time.monotonic()
    cluster = Cluster(folder, given.nodes, given.executors, env=SETTINGS)
    try:
        cluster.start()
        print(f"all parts run after {time.monotonic() - begun:.1f} s", flush=True)
        lines = Drill(cluster, given.seed, given.jobs, trouble.Trouble(given.seed, machines, services)).run()
        cluster.stop()
    except AssertionError as wrong:
        print(f"WRONG: {wrong}\nwhat the parts said stays in {folder}")
        return 1
    finally:
        cluster.close()
    print("\n".join(lines))
    if not given.folder:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
