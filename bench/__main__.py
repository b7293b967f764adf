"""The benchmarks' command line; `cargo xtask bench` builds the server and calls it.

Writes `last.json` into the bench folder after every section. Exit code 1 when an answer was wrong or a job failed;
times never fail a run.
"""

import argparse
import datetime
import fcntl
import json
import re
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

from bench import machine, report
from bench.sections import SECTIONS
from bench.workbench import Workbench

QUICK_ROWS, ROWS = 1_000_000, 20_400_000
UNITS = {"": 1, "k": 1_000, "m": 1_000_000}
BINARY_UNITS = {"K": 10, "M": 20, "G": 30}
PAGE = machine.ROOT / "docs" / "benchmarks.md"


def rows(text):
    """`20.4M`, `500k` or `1000`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([km]?)", text.lower())
    if not match:
        raise argparse.ArgumentTypeError(f"{text} is no number of rows such as 20.4M")
    return round(float(match[1]) * UNITS[match[2]])


def memory(text):
    """`256M` → bytes."""
    match = re.fullmatch(r"(\d+)([KMG])", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text} is no size such as 256M")
    return int(match[1]) << BINARY_UNITS[match[2]]


def sections(text):
    names = text.split(",")
    if unknown := set(names) - set(SECTIONS):
        unknown = ", ".join(sorted(unknown))
        raise argparse.ArgumentTypeError(f"no such section: {unknown}; there are {', '.join(SECTIONS)}")
    return names


def arguments():
    parser = argparse.ArgumentParser(prog="cargo xtask bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=rows, help=f"rows of interactions, such as 500k (default {ROWS:,})")
    parser.add_argument("--rounds", type=int, help="how often each contestant runs (default 3)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS:,} rows, one round")
    parser.add_argument("--only", type=sections, metavar="NAME,…", help=", ".join(SECTIONS))
    parser.add_argument("--scaling", type=lambda text: [rows(size) for size in text.split(",")], default=[],
                        metavar="ROWS,…", help="also measure these sizes, such as 1M,10M")
    parser.add_argument("--cgroup", type=memory, metavar="SIZE", help="also run held in this much memory, such as 256M")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--from", dest="source", type=Path, metavar="JSON", help="measure nothing, show an earlier run")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="the date to print (default today)")
    parser.add_argument("--folder", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen(given):
    """Names of the sections to run: those that need an argument only with it."""
    needs = {"scaling": given.scaling, "cgroup": given.cgroup}
    wanted = given.only or SECTIONS
    return [name for name in SECTIONS if needs.get(name, name in wanted)]


def measure(given):
    """Runs the sections; what was found, as JSON."""
    machine.hold_to_cores()
    given.folder.mkdir(parents=True, exist_ok=True)
    lock = open(given.folder / "lock", "w")  # held until the process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another run of the benchmarks uses {given.folder}")
    rounds = given.rounds or (1 if given.quick else 3)
    rows = given.rows or (QUICK_ROWS if given.quick else ROWS)
    bench = Workbench(given.folder, rows, rounds, given.scaling, given.cgroup)
    found = {"date": given.date, "command": command(), "commit": machine.commit(), "machine": machine.machine(),
             "versions": machine.versions(), "rounds": rounds}
    try:
        for name in chosen(given):
            run(bench, name)
            found |= {"sections": [asdict(section) for section in bench.sections if section.complete],
                      "failures": bench.failures, "checked": bench.checked}
            (given.folder / "last.json").write_text(json.dumps(found, indent=1))
    finally:
        bench.close()
    return found


def run(bench, name):
    """One entry of SECTIONS; when it fails, the others are still worth their time."""
    first = len(bench.sections)
    print(f"\n-- {name}", flush=True)
    try:
        SECTIONS[name](bench)
    except Exception as error:
        bench.failures.append(f"{name}: {error}")
        bench.stop_ours()
    for section in bench.sections[first:]:
        if section.complete:
            print(report.terminal(section), flush=True)


def command():
    """As it was typed, without what xtask adds."""
    words = sys.argv[1:]
    if "--folder" in words:
        del words[(at := words.index("--folder")):at + 2]
    return shlex.join(["cargo", "xtask", "bench", *words])


def main():
    given = arguments()
    found = json.loads(given.source.read_text()) if given.source else measure(given)
    if given.write:
        PAGE.write_text(report.markdown(found))
        print(f"\nwrote {PAGE}")
    elif given.source:
        print(report.markdown(found))
    print(f"\n{found['checked']} answers checked, {len(found['failures'])} wrong or failed")
    for failure in found["failures"]:
        print(f"FAILED {failure}")
    return 1 if found["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
