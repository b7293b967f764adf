"""The system's clock steps back and forth under a running server: what is newest stays newest, and nothing waits for a clock."""

import time
from datetime import datetime, timedelta, timezone

import pytest
from botocore import auth

from support.catalog import rows
from support.faults import FAIL, FOREVER, Faults
from support.schemas import ITEMS
from support.server import Server
from support.workshop import Workshop

HOUR, YEARS = 3600, 10 * 365 * 24 * 3600
STEPS = {"an hour back": [-HOUR], "an hour on": [HOUR], "ten years back": [-YEARS],
         "back and forth": [HOUR, -HOUR, 0, -YEARS, HOUR]}
HEADER = "ITEM_ID,PRICE,CATEGORY_L1\n"


class Clock:
    """The clock of the server and of the clients that sign for it; both step together."""

    def __init__(self, folder, monkeypatch):
        self.faults, self.offset_s = Faults(folder), 0
        monkeypatch.setattr(auth, "get_current_datetime", self.now)

    def now(self, remove_tzinfo=True):
        now = datetime.now(timezone.utc) + timedelta(seconds=self.offset_s)
        return now.replace(tzinfo=None) if remove_tzinfo else now

    def step(self, offset_s):
        self.offset_s = offset_s
        self.faults.shift_clock(offset_s)


@pytest.fixture
def clock(tmp_path, monkeypatch):
    return Clock(tmp_path, monkeypatch)


@pytest.fixture
def server(clock, tmp_path):
    server = Server(tmp_path / "own", env={**clock.faults.env, "LADE_FLUSH_AFTER_S": "1"}).start()
    yield server
    if server.process.poll() is None:
        server.kill()


def records(count):
    return HEADER + "".join(f"b{n},{n},B\n" for n in range(count))


@pytest.mark.parametrize("steps", STEPS)
def test_the_newest_item_is_the_last_one_put(server, clock, steps):
    workshop = Workshop(server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    price = 0
    for offset_s in STEPS[steps]:
        for at in (offset_s, 0, offset_s):
            clock.step(at)
            price += 1
            workshop.put_items(items, ("i", {"price": price, "categoryL1": "A"}))
            assert workshop.export(items, "ALL").lines == [f"i,{price}.0,A"]
    history = [float(row[1]) for row in workshop.export(items, "PUT").rows]
    assert history == [float(n) for n in range(1, price + 1)]
    server.kill()
    server.start()
    assert workshop.at(server.endpoint).export(items, "ALL").lines == [f"i,{price}.0,A"]


@pytest.mark.parametrize("steps", STEPS)
def test_jobs_end_though_the_clock_steps_while_they_run(server, clock, steps):
    workshop = Workshop(server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    location = workshop.upload(records(60_000))
    jobs = []
    for offset_s in STEPS[steps]:
        imported = workshop.start_import(items, location)
        clock.step(offset_s)
        assert workshop.wait_import(imported)["status"] == "ACTIVE"
        exported = workshop.start_export(items, "BULK")
        clock.step(0)
        assert len(workshop.read_export(exported).rows) == 60_000
        jobs += [imported, exported]
    check_listing(workshop, jobs)


def check_listing(workshop, jobs):
    """Each job once, none ends before it began."""
    personalize = workshop.personalize
    listed = {job["datasetImportJobArn"]: job for job in personalize.list_dataset_import_jobs()["datasetImportJobs"]}
    listed |= {job["datasetExportJobArn"]: job for job in personalize.list_dataset_export_jobs()["datasetExportJobs"]}
    assert set(listed) == set(jobs)
    for job in listed.values():
        assert job["status"] == "ACTIVE" and job["lastUpdatedDateTime"] >= job["creationDateTime"], job


@pytest.mark.parametrize("offset_s", [-HOUR, HOUR, -YEARS])
def test_a_job_that_waits_to_be_tried_again_waits_no_longer(server, clock, offset_s):
    """The first attempts meet a disk that fails; then the clock steps, and the disk is well again."""
    workshop = Workshop(server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    location = workshop.upload(records(10))
    clock.faults.arm(FAIL, 1, calls=("write", "pwrite64"), under=f"{server.data_dir}/runs", to=FOREVER)
    imported = workshop.start_import(items, location)
    wait_for_a_retry(server, imported)
    clock.step(offset_s)
    clock.faults.disarm()
    assert workshop.wait_import(imported, within_s=15)["status"] == "ACTIVE"


def wait_for_a_retry(server, arn):
    """Until the job's row says that it is tried again in one or two seconds: its worker has let go."""
    while True:
        [[until_ms]] = rows(server, f"SELECT lease_until_ms FROM job WHERE arn = '{arn}'")
        if 500 < int(until_ms) - time.time() * 1000 < 5000:
            return
        time.sleep(0.01)


@pytest.mark.parametrize("offset_s", [-HOUR, HOUR, -YEARS])
def test_a_server_starts_and_works_at_another_time(server, clock, offset_s):
    workshop = Workshop(server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    workshop.put_items(items, ("i", {"price": 1, "categoryL1": "A"}))
    exported = workshop.start_export(items, "ALL")
    server.kill()
    clock.step(offset_s)
    server.start()
    again = workshop.at(server.endpoint)
    again.read_export(exported)
    again.put_items(items, ("i", {"price": 2, "categoryL1": "A"}))
    assert again.export(items, "ALL").lines == ["i,2.0,A"]
