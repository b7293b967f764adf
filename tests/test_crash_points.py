"""The server is killed before the n-th call that touches its disk; what it acknowledged is there at the next start.

A sample of n runs by default. All of them, and more pairs of a crash and a fault in the start that follows it:

    LADE_CRASH_POINTS=100000 LADE_CRASH_PAIRS=200 pytest tests/test_crash_points.py
"""

import errno
import os
import shutil
import signal

import pytest

from support.faults import FAIL, KILL, NOTHING
from support.scenario import House
from support.sweep import Broken, Sweep, begin, check_again, go

FAST = os.environ.get("LADE_TESTS_FAST")
POINTS = int(os.environ.get("LADE_CRASH_POINTS") or (8 if FAST else 40))
PAIRS = int(os.environ.get("LADE_CRASH_PAIRS") or (3 if FAST else 10))
FIRST_STARTS = int(os.environ.get("LADE_CRASH_POINTS") or (4 if FAST else 24))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, note):
    sweep = Sweep(tmp_path_factory.mktemp("points"), note, "test_crash_points")
    yield sweep
    sweep.end()


def crash(house, number):
    """Runs the scenario from the template until the fault kills the server; the scenario as it stands then."""
    scenario = house.put_back()
    house.arm(KILL, number)
    try:
        begin(house)
        go(house, scenario)
    except Broken:
        pass
    # A run may need fewer calls than the one that was counted: then there is nothing to crash any more.
    if house.faults.hits:
        assert house.server.process.wait(10) == -signal.SIGKILL
    else:
        house.server.kill()
    return scenario


@pytest.mark.timeout(7200)
def test_a_kill_before_any_call_loses_nothing(sweep):
    total = sweep.count()
    sweep.note(f"test_crash_points: the scenario makes {total} calls")
    assert total > 200

    def kill(house, number):
        check_again(house, crash(house, number))

    sweep.each(kill, sweep.spread(total, POINTS))


@pytest.mark.timeout(7200)
def test_a_fault_in_the_start_after_a_crash_loses_nothing(sweep):
    total = sweep.count()

    def pair(house, fault):
        crashed, then, error, at, to = fault
        scenario = crash(house, crashed)
        house.arm(then, at, to=to, error=error)
        try:
            begin(house)
            go(house, scenario)
        except (Broken, AssertionError):
            pass
        if house.is_running:
            house.server.kill()
        assert "panicked" not in house.said()
        check_again(house, scenario)

    def fault():
        at = sweep.chance.randint(1, 45)
        then = sweep.chance.choice([(KILL, 0, at), (FAIL, errno.EIO, at), (FAIL, errno.EIO, 1 << 40)])
        return sweep.chance.randint(1, total), then[0], then[1], at, then[2]

    sweep.each(pair, [fault() for _ in range(PAIRS)])


@pytest.mark.timeout(7200)
def test_a_kill_in_the_very_first_start_leaves_a_folder_that_starts(sweep, tmp_path):
    house = House(tmp_path)
    house.arm(NOTHING, 0)
    house.server.start()
    total = house.faults.count
    house.end()
    for number in sweep.spread(total, FIRST_STARTS):
        shutil.rmtree(house.data)
        house.arm(KILL, number)
        with pytest.raises(Broken):
            begin(house)
        house.faults.disarm()
        house.server.start()
        house.server.kill()
