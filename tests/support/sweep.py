"""Goes through numbered faults of the scenario, a few at a time on houses of their own, and gathers what went wrong."""

import os
import queue
import random
import time
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError

from support.faults import NOTHING
from support.scenario import House

HOUSES = 4


class Broken(Exception):
    """The scenario could not go on: the server is gone, or answers with errors of its own."""


class Sweep:
    """Houses made alike, the number of calls that the scenario makes, and a seed."""

    def __init__(self, folder, note, name):
        self.seed = int(os.environ.get("LADE_TEST_SEED") or random.randrange(1 << 32))
        self.chance = random.Random(self.seed)
        self.note, self.name = note, name
        note(f"{name}: LADE_TEST_SEED={self.seed}")
        with ThreadPoolExecutor(HOUSES) as pool:
            self.houses = list(pool.map(lambda n: House(folder / f"house{n}").prepare(), range(HOUSES)))
        self.free = queue.Queue()
        for house in self.houses:
            self.free.put(house)

    def count(self, **arm):
        """How many calls an undisturbed run makes, start included."""
        house = self.houses[0]
        scenario = house.put_back()
        house.arm(NOTHING, 0, **arm)
        house.server.start()
        scenario.run()
        total = house.faults.count
        scenario.check_rows()
        house.end()
        return total

    def spread(self, total, points):
        """`points` numbers from 1 to `total`, evenly spread from a random start; all of them where there are fewer."""
        if points >= total:
            return list(range(1, total + 1))
        first = self.chance.random()
        return sorted({1 + int((first + k) * total / points) % total for k in range(points)})

    def each(self, test, faults):
        """Calls `test(house, fault)` for each fault; fails with the first failures, each with its fault."""
        failed, took, start = [], {}, time.monotonic()

        def one(fault):
            house = self.free.get()
            begin = time.monotonic()
            try:
                test(house, fault)
            except Exception as error:  # whatever it is, the sweep goes on, and it is told at the end
                failed.append(f"{fault}: {type(error).__name__}: {error}\n{tail(house)}")
            finally:
                house.end()
                took[fault] = time.monotonic() - begin
                self.free.put(house)

        with ThreadPoolExecutor(HOUSES) as pool:
            list(pool.map(one, faults))
        slowest = max(took, key=took.get)
        self.note(f"{self.name}: {len(faults)} points in {time.monotonic() - start:.0f} s, {len(failed)} failed; "
                  f"{slowest} took {took[slowest]:.0f} s")
        assert not failed, f"LADE_TEST_SEED={self.seed}, {len(failed)} of {len(faults)} failed:\n" + "\n".join(failed[:5])

    def end(self):
        for house in self.houses:
            house.end()


def tail(house):
    lines = [line for line in house.said().splitlines() if " INFO " not in line]
    return "\n".join("    " + line for line in lines[-8:])


def begin(house):
    """Starts the server; `Broken` when it ends before it listens."""
    try:
        house.server.start()
    except AssertionError as error:
        raise Broken("the server ended before it listened") from error


def go(house, scenario):
    """Runs the scenario on; `Broken` when the server is gone or could not do what was asked."""
    try:
        scenario.run()
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert status >= 500, error
        raise Broken(f"answered {status}") from error
    except (BotoCoreError, OSError) as error:
        deadline = time.monotonic() + 10
        while house.is_running:
            assert time.monotonic() < deadline, f"the connection broke, but the server goes on: {error}"
            time.sleep(0.01)
        raise Broken("the server is gone") from error


def check_again(house, scenario):
    """After a fault, on a sound disk: everything promised is there, the rest can be done, nothing is torn or doubled."""
    house.faults.disarm()
    begun = time.monotonic()
    house.server.start()
    assert time.monotonic() - begun < 10, "not ready soon"
    scenario.check_done()
    scenario.run()
    scenario.check_rows()
    assert "panicked" not in house.said()
    assert house.server.stop() == 0
