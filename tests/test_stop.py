"""SIGTERM under load: what was accepted is answered, what was acknowledged is kept, jobs go on at the next start.

    LADE_STOP_CYCLES=200 pytest tests/test_stop.py
"""

import os
import random
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from support.scenario import House
from support.schemas import INTERACTIONS, ITEMS
from support.workshop import unique

CYCLES = int(os.environ.get("LADE_STOP_CYCLES") or (3 if os.environ.get("LADE_TESTS_FAST") else 10))
WRITERS = 4
RUN_S = (0.1, 0.8)
STOP_S = 30
ROWS = "ITEM_ID,PRICE,CATEGORY_L1\n" + "".join(f"i{n},{n},A\n" for n in range(40_000))


class Load:
    """Writers of events, and jobs of which some are running at any time, until the server lets nobody in."""

    def __init__(self, workshop, group, location):
        self.workshop, self.group, self.location = workshop, group, location
        self.acknowledged, self.refusals, self.jobs = set(), [], []
        self.numbers = dict.fromkeys(range(WRITERS), 0)

    def start(self):
        tasks = [(self.put, n) for n in range(WRITERS)] + [(self.import_items,), (self.export_items,)]
        self.threads = [threading.Thread(target=self.loop, args=task) for task in tasks]
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join(STOP_S)
            assert not thread.is_alive(), "a client hangs after the stop"

    def loop(self, step, *arguments):
        while True:
            try:
                step(*arguments)
            except ClientError as error:
                self.refusals.append(str(error))
                return
            except (BotoCoreError, OSError):
                return

    def put(self, writer):
        self.numbers[writer] += 1
        key = f"w{writer}-{self.numbers[writer]}"
        self.workshop.put_event(self.group.tracking_id, "u", key, "e", 1)
        self.acknowledged.add(key)

    def import_items(self):
        arn = self.workshop.start_import(self.group.items, self.location, name=unique("import"))
        self.jobs.append((self.workshop.wait_import, arn))
        self.workshop.wait_import(arn)

    def export_items(self):
        arn = self.workshop.start_export(self.group.items, "BULK", name=unique("export"))
        self.jobs.append((self.workshop.wait_export, arn))
        self.workshop.wait_export(arn)


@pytest.mark.timeout(3600)
def test_a_stop_under_load_breaks_nothing_off(tmp_path, note):
    seed = int(os.environ.get("LADE_TEST_SEED") or random.randrange(1 << 32))
    note(f"test_stop: LADE_TEST_SEED={seed}")
    chance = random.Random(seed)
    house = House(tmp_path).prepare()
    workshop = house.workshop
    house.server.start()
    group = workshop.make_group(items=ITEMS, interactions=INTERACTIONS, tracker=True)
    load, stops, running = Load(workshop, group, workshop.upload(ROWS)), [], 0
    for cycle in range(CYCLES):
        load.start()
        time.sleep(chance.uniform(*RUN_S))
        begin = time.monotonic()
        assert house.server.stop(STOP_S) == 0
        stops.append(time.monotonic() - begin)
        load.join()
        assert not load.refusals, load.refusals
        house.server.start()
        running += any(is_running(workshop, arn) for _, arn in load.jobs)
        for wait, arn in load.jobs:
            assert wait(arn)["status"] == "ACTIVE"
        load.jobs.clear()
        put = [row[1] for row in workshop.export(group.interactions, "PUT").rows]
        # What is in was answered: no call was taken and then left without an answer.
        assert len(put) == len(set(put)) and set(put) == load.acknowledged
    assert running, "no job was running at any stop"
    assert "panicked" not in house.said()
    assert house.server.stop(STOP_S) == 0
    note(f"test_stop: {CYCLES} stops took at most {max(stops):.2f} s, jobs were running at {running} of them, "
         f"{len(load.acknowledged)} events acknowledged")


def is_running(workshop, arn):
    if "import" in arn:
        job = workshop.personalize.describe_dataset_import_job(datasetImportJobArn=arn)["datasetImportJob"]
    else:
        job = workshop.personalize.describe_dataset_export_job(datasetExportJobArn=arn)["datasetExportJob"]
    return job["status"] != "ACTIVE"
