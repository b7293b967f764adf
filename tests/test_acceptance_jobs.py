"""Acceptance, jobs: their snapshot, their status, their lists, their quota, and what a stop or a deletion does to them."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.schemas import INTERACTIONS, ITEMS
from support.server import Server
from support.workshop import Workshop, unique

HEADER = "ITEM_ID,PRICE,CATEGORY_L1\n"


@pytest.fixture(scope="module")
def one_at_a_time(tmp_path_factory):
    """A server that runs one job after the other, so that a long one keeps the next waiting."""
    server = Server(tmp_path_factory.mktemp("one"), arguments=["--jobs-concurrent", "1"]).start()
    yield Workshop(server.endpoint)
    assert server.stop() == 0


@pytest.fixture(scope="module")
def long_import(one_at_a_time):
    """A function that starts an import which takes a while."""
    rows = "".join(f"i{n},{n},A\n" for n in range(400_000))
    location = one_at_a_time.upload(HEADER + rows)
    dataset = one_at_a_time.make_group(items=ITEMS).items
    return lambda: one_at_a_time.start_import(dataset, location)


def export_status(workshop, arn):
    return workshop.personalize.describe_dataset_export_job(datasetExportJobArn=arn)["datasetExportJob"]["status"]


def test_15_snapshot(one_at_a_time, long_import):
    group = one_at_a_time.make_group(interactions=INTERACTIONS, tracker=True)
    one_at_a_time.put_event(group.tracking_id, "u1", "i1", "click", 100)
    long_import()
    arn = one_at_a_time.start_export(group.interactions, "ALL")
    one_at_a_time.put_event(group.tracking_id, "u1", "i1", "click", 101)
    assert export_status(one_at_a_time, arn) == "CREATE PENDING"
    assert one_at_a_time.read_export(arn).lines == ["u1,i1,click,100"]
    assert one_at_a_time.export(group.interactions, "ALL").lines == ["u1,i1,click,100", "u1,i1,click,101"]


def test_37_sixth_job(tmp_path):
    server = Server(tmp_path / "quotas", arguments=["--jobs-concurrent", "1"], env={"LADE_QUOTAS": "aws"}).start()
    try:
        workshop = Workshop(server.endpoint)
        items, long_one = workshop.make_group(items=ITEMS).items, workshop.make_group(items=ITEMS).items
        rows = "".join(f"i{n},{n},A\n" for n in range(400_000))
        workshop.start_import(long_one, workshop.upload(HEADER + rows))
        arns, name = [workshop.start_export(items) for _ in range(5)], unique("sixth")
        with pytest.raises(workshop.personalize.exceptions.LimitExceededException) as refused:
            workshop.start_export(items, name=name)
        message = refused.value.response["Error"]["Message"]
        assert message == "More than 5 resources with PENDING or IN_PROGRESS status."
        assert {workshop.wait_export(arn)["status"] for arn in arns} == {"ACTIVE"}
        assert workshop.export(items, name=name).rows == []
    finally:
        server.kill()


def test_39_list_paging(own_server):
    workshop = Workshop(own_server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    with ThreadPoolExecutor(8) as pool:
        arns = list(pool.map(lambda _: workshop.start_export(items), range(205)))
    pages = list(workshop.personalize.get_paginator("list_dataset_export_jobs").paginate(
        datasetArn=items, PaginationConfig={"PageSize": 100}))
    assert [len(page["datasetExportJobs"]) for page in pages] == [100, 100, 5]
    jobs = [job for page in pages for job in page["datasetExportJobs"]]
    assert sorted(job["datasetExportJobArn"] for job in jobs) == sorted(arns)
    times = [job["creationDateTime"] for job in jobs]
    assert times == sorted(times, reverse=True)
    token = pages[0]["nextToken"]
    for broken in ("broken", token[:-4], token + "A"):
        with pytest.raises(workshop.personalize.exceptions.InvalidNextTokenException):
            workshop.personalize.list_dataset_export_jobs(datasetArn=items, nextToken=broken)


def test_40_status_walk(one_at_a_time, long_import):
    dataset = one_at_a_time.make_group(items=ITEMS).items
    long_import()
    arn, seen, times = one_at_a_time.start_export(dataset, "ALL"), [], []
    deadline = time.monotonic() + 60
    while seen[-1:] not in (["ACTIVE"], ["CREATE FAILED"]):
        assert time.monotonic() < deadline, seen
        job = one_at_a_time.personalize.describe_dataset_export_job(datasetExportJobArn=arn)["datasetExportJob"]
        times.append(job["lastUpdatedDateTime"])
        if job["status"] not in seen[-1:]:
            seen.append(job["status"])
    # The step between may be over before anyone asks.
    assert seen in (["CREATE PENDING", "CREATE IN_PROGRESS", "ACTIVE"], ["CREATE PENDING", "ACTIVE"])
    assert times == sorted(times)


def test_41_restart(own_server):
    workshop = Workshop(own_server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    rows = [(f"i{n}", f"{n}.0", "A") for n in range(100_000)]
    workshop.import_csv(items, HEADER + "".join(",".join(row) + "\n" for row in rows))
    arn = workshop.start_export(items, "BULK")
    while export_status(workshop, arn) == "CREATE PENDING":
        pass
    own_server.kill()
    again = workshop.at(own_server.start().endpoint)
    job = again.wait_export(arn)
    if job["status"] == "ACTIVE":
        assert sorted(again.read_export(arn).rows) == sorted(rows)
    else:
        assert job["failureReason"]


def test_42_delete_during_export(one_at_a_time, long_import):
    dataset = one_at_a_time.make_group(items=ITEMS).items
    one_at_a_time.put_items(dataset, ("i1", {"price": 1, "categoryL1": "A"}))
    long_import()
    arn = one_at_a_time.start_export(dataset, "ALL")
    with pytest.raises(one_at_a_time.personalize.exceptions.ResourceInUseException):
        one_at_a_time.personalize.delete_dataset(datasetArn=dataset)
    assert export_status(one_at_a_time, arn) == "CREATE PENDING"
    assert one_at_a_time.read_export(arn).lines == ["i1,1.0,A"]
