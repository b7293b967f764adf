"""The n-th call that touches the disk fails, once or from then on: no acknowledged row is lost, and nothing hangs.

A sample of faults by default. Every n of each kind:

    LADE_ERROR_POINTS=100000 pytest tests/test_disk_errors.py
"""

import errno
import os

import pytest

from support.faults import FAIL, FOREVER, SHORT
from support.sweep import Broken, Sweep, begin, check_again, go

# Of each kind of fault below.
POINTS = int(os.environ.get("LADE_ERROR_POINTS") or (1 if os.environ.get("LADE_TESTS_FAST") else 3))
SYNCS, WRITES = ("fsync", "fdatasync"), ("write", "pwrite64")
# Calls, what happens to them, the error, and whether it stays.
KINDS = {
    "a sync fails once": (SYNCS, FAIL, errno.EIO, False),
    "syncs fail": (SYNCS, FAIL, errno.EIO, True),
    "a write fails once": (WRITES, FAIL, errno.EIO, False),
    "writes fail": (WRITES, FAIL, errno.EIO, True),
    "no space once": (WRITES, FAIL, errno.ENOSPC, False),
    "no space": (WRITES + SYNCS, FAIL, errno.ENOSPC, True),
    "a write is short once": (WRITES, SHORT, 0, False),
    "writes are short": (WRITES, SHORT, 0, True),
    "a rename, an unlink or a cut fails once": (("rename", "unlink", "ftruncate"), FAIL, errno.EIO, False),
}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, note):
    sweep = Sweep(tmp_path_factory.mktemp("errors"), note, "test_disk_errors")
    yield sweep
    sweep.end()


def go_on(house, scenario):
    """Runs the scenario, and on after errors, as a patient client would; gives up when nothing moves."""
    stuck = 0
    while stuck < 2:
        done = len(scenario.done)
        try:
            return go(house, scenario)
        except Broken:
            if not house.is_running:
                return None
            stuck = 0 if len(scenario.done) > done else stuck + 1
        except AssertionError as error:
            # A job that waits for the disk to get well.
            assert "not ended after" in str(error) or "stay in the log" in str(error), error
            return None


def steps(scenario):
    return [(name, *arguments) for name, _, *arguments in scenario.steps()]


def check_reads(house, scenario):
    """What needs no disk is answered while the disk is ill."""
    groups = scenario.workshop.personalize.list_dataset_groups()["datasetGroups"]
    assert ("group",) not in scenario.done or len(groups) == 1
    scenario.workshop.s3.list_buckets()


def check_exit(house):
    """It gave up with one line that says why."""
    assert house.server.process.returncode == 1
    assert len([line for line in house.said().splitlines() if line.startswith("lade: ")]) == 1


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_fails_costs_no_acknowledged_row(sweep, kind):
    calls, what, error, stays = KINDS[kind]
    total = sweep.count(calls=calls)

    def fail(house, number):
        scenario = house.put_back()
        scenario.job_s = 3 if stays else 20
        house.arm(what, number, calls=calls, to=FOREVER if stays else number, error=error)
        try:
            begin(house)
            go_on(house, scenario)
        except Broken:
            check_exit(house)
        if house.is_running:
            check_reads(house, scenario)
            # Only the log of put records does not trust a disk again that has failed.
            left = [step for step in steps(scenario) if step not in scenario.done]
            assert stays or not left, f"one error, and these can't be done any more: {left}"
            assert house.server.stop() in (0, 1)
        assert "panicked" not in house.said()
        scenario.job_s = 20
        check_again(house, scenario)

    sweep.each(fail, sweep.spread(total, POINTS))
