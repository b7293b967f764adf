"""The data disk is full, at any stage: nothing is acknowledged that is not kept, and all goes on once there is space again.

The data folder lies on a small file system of its own; to mount it takes root. More sizes, in MiB:

    LADE_DISK_MIB=96,128,256 pytest tests/test_disk_full.py
"""

import errno
import os
import subprocess
import threading
import time
from collections import Counter

import pytest
from botocore.exceptions import ClientError

from support.catalog import rows
from support.schemas import INTERACTIONS, ITEMS
from support.server import Server
from support.workshop import Workshop, wait

SIZES_MIB = [int(size) for size in os.environ.get("LADE_DISK_MIB", "96").split(",")]
AGAIN_S = 10
CSV = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n"


class Disk:
    """A small file system that can be filled up and cleared."""

    def __init__(self, folder, size_mib):
        folder.mkdir()
        self.folder, self.filler = folder, folder / "filler"
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "lade-tests", str(folder)],
                                 capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"can't mount a small file system: {mounted.stderr.strip()}")

    def free_bytes(self):
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def fill(self, leave_bytes=0):
        with open(self.filler, "ab") as filler:
            while (need := self.free_bytes() - leave_bytes) > 0:
                try:
                    return os.posix_fallocate(filler.fileno(), filler.tell(), need)
                except OSError as failure:
                    # The server took some of it between the look and the grab.
                    if failure.errno != errno.ENOSPC:
                        raise

    def clear(self):
        self.filler.unlink(missing_ok=True)

    def unmount(self):
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture(params=SIZES_MIB, ids=lambda size: f"{size}MiB")
def disk(request, tmp_path):
    disk = Disk(tmp_path / "disk", request.param)
    yield disk
    disk.unmount()


@pytest.fixture
def server(disk, tmp_path):
    server = Server(tmp_path / "own", env={"LADE_FLUSH_AFTER_S": "1", "LADE_JOB_MEMORY": "16MiB"})
    server.data_dir = disk.folder / "data"
    server.start()
    yield server
    if server.process.poll() is None:
        server.kill()


def refused(error):
    """Whether a call was refused for want of space, which tells no path."""
    answer = error.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503, error
    assert "/" not in answer["Error"]["Message"].replace("s3://", ""), error
    return True


class Puts:
    """Calls of ten events by one writer; knows what was acknowledged."""

    def __init__(self, workshop, tracking_id):
        self.workshop, self.tracking_id = workshop, tracking_id
        self.number, self.acknowledged, self.refusals = 0, set(), 0

    def put(self, pad=0):
        self.number += 1
        events = [{"eventType": "e" + "x" * pad, "itemId": f"c{self.number}", "sentAt": n} for n in range(10)]
        try:
            self.workshop.events.put_events(trackingId=self.tracking_id, userId="u", sessionId="s", eventList=events)
            self.acknowledged.add(self.number)
            return True
        except ClientError as error:
            self.refusals += refused(error)
            return False

    def check(self, exported):
        calls = Counter(int(row[1][1:]) for row in exported.rows if row[0] == "u")
        assert set(calls.values()) <= {10}, "a call is torn"
        lost = self.acknowledged - set(calls)
        assert not lost, f"lost: {sorted(lost)[:5]}"
        assert max(calls, default=0) <= self.number


def soon(call, within_s=AGAIN_S):
    """Calls again until it succeeds."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if (found := call()) is not False:
                return found
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503, error
        assert time.monotonic() < deadline, "not done though there is space again"
        time.sleep(0.1)


def check_no_rubbish(server):
    """Nothing is left of what could not be finished."""

    def is_clean():
        named = {name for [name] in rows(server, "SELECT object FROM run")}
        return rows(server, "SELECT count(*) FROM attempt") == [["0"]] and {path.name for path in (server.data_dir / "runs").iterdir()} == named

    soon(is_clean)


def check_all_works(workshop, group, puts, before):
    """Puts, imports and exports succeed, and so do the jobs that met the full disk; nothing is missing."""
    begin = time.monotonic()
    soon(puts.put)
    text = CSV + "".join(f"n{n},i,e,{n}\n" for n in range(100))
    location = soon(lambda: workshop.upload(text))
    for arn in before:
        job = workshop.wait_import(arn, AGAIN_S)
        assert job["status"] == "ACTIVE", job
    imported = soon(lambda: workshop.start_import(group.interactions, location))
    assert workshop.wait_import(imported, AGAIN_S)["status"] == "ACTIVE"
    exported = workshop.read_export(soon(lambda: workshop.start_export(group.interactions, "ALL")), AGAIN_S)
    took_s = time.monotonic() - begin
    puts.check(exported)
    assert sum(row[0].startswith("n") for row in exported.rows) == 100
    return took_s


def check_after_a_restart(server, workshop, group, puts):
    assert server.stop() == 0
    assert "panicked" not in server.tail(1_000_000)
    server.start()
    puts.check(workshop.at(server.endpoint).export(group.interactions, "PUT"))


@pytest.mark.timeout(300)
def test_a_disk_filled_by_puts_and_imports(server, disk, note):
    """Two writers, one with large events, and imports that fill what is left; then space is made."""
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(interactions=INTERACTIONS, items=ITEMS, tracker=True)
    puts, jobs, failed = Puts(workshop, group.tracking_id), [], []
    for _ in range(50):
        assert puts.put()
    text = CSV + "".join(f"b{n},item-{n * 7919},click,{n}\n" for n in range(200_000))
    location = workshop.upload(text)
    workshop.import_csv(group.interactions, CSV + "first,i,e,1\n")
    full = threading.Event()

    def write():
        for _ in range(400):
            puts.put(pad=200)
            if full.is_set() and puts.refusals:
                return

    writer = threading.Thread(target=write)
    writer.start()
    for leave_bytes in (6 << 20, 1 << 20, 64 << 10, 0):
        disk.fill(leave_bytes)
        try:
            jobs.append(workshop.start_import(group.interactions, location, mode="INCREMENTAL"))
        except ClientError as error:
            failed.append(refused(error))
        check_reads(workshop, group)
    full.set()
    writer.join()
    for arn in jobs:
        job = workshop.personalize.describe_dataset_import_job(datasetImportJobArn=arn)["datasetImportJob"]
        assert job["status"] != "CREATE FAILED", job
    check_reads(workshop, group)
    disk.clear()
    took_s = check_all_works(workshop, group, puts, jobs)
    check_no_rubbish(server)
    note(f"test_disk_full: all worked again {took_s:.1f} s after there was space; {puts.refusals} puts and "
         f"{len(failed)} imports had been refused, {len(jobs)} imports waited")
    check_after_a_restart(server, workshop, group, puts)


def check_reads(workshop, group):
    described = workshop.personalize.describe_dataset_group(datasetGroupArn=group.arn)["datasetGroup"]
    assert described["status"] == "ACTIVE"
    workshop.personalize.list_dataset_import_jobs()
    workshop.s3.list_buckets()


@pytest.mark.timeout(300)
def test_a_disk_without_any_space_from_one_moment_on(server, disk):
    """Catalog, log, flush and compaction all meet it; each create is refused or kept."""
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(interactions=INTERACTIONS, items=ITEMS, tracker=True)
    puts = Puts(workshop, group.tracking_id)
    for _ in range(20):
        assert puts.put()
    disk.fill()
    made, answers = set(), Counter()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        answers["put", puts.put(pad=100)] += 1
        name = f"g{len(made)}-{answers.total()}"
        try:
            workshop.personalize.create_dataset_group(name=name)
            made.add(name)
        except ClientError as error:
            answers["create", not refused(error)] += 1
        check_reads(workshop, group)
    assert answers["create", False] and server.process.poll() is None
    disk.clear()
    check_all_works(workshop, group, puts, [])
    check_no_rubbish(server)
    names = set()
    for page in workshop.personalize.get_paginator("list_dataset_groups").paginate():
        names |= {found["name"] for found in page["datasetGroups"]}
    assert made <= names
    check_after_a_restart(server, workshop, group, puts)


@pytest.mark.timeout(300)
def test_an_export_that_meets_a_full_disk_waits(server, disk):
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(interactions=INTERACTIONS, items=ITEMS, tracker=True)
    text = CSV + "".join(f"b{n},item-{n * 7919},click,{n}\n" for n in range(200_000))
    workshop.import_csv(group.interactions, text)
    disk.fill(1 << 20)
    exported = workshop.start_export(group.interactions, "BULK")
    describe = lambda: workshop.personalize.describe_dataset_export_job(datasetExportJobArn=exported)["datasetExportJob"]
    while "tried again later" not in server.tail(1_000_000):
        assert describe()["status"] in ("CREATE PENDING", "CREATE IN_PROGRESS")
        time.sleep(0.05)
    disk.clear()
    assert wait(describe, within_s=AGAIN_S)["status"] == "ACTIVE"
    assert len(workshop.read_export(exported).rows) == 200_000
