"""Many callers at once: one of them wins, the others are told why not, and what is there afterwards is whole."""

import itertools
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from support.schemas import INTERACTIONS, ITEMS, avro
from support.workshop import unique

CALLERS = 16
EXISTS, IN_USE, INVALID = "ResourceAlreadyExistsException", "ResourceInUseException", "InvalidInputException"
NOT_FOUND = "ResourceNotFoundException"
HEADER = "ITEM_ID,PRICE,CATEGORY_L1\n"


def outcome(call):
    """`ok`, or the error's code; a fault of the server is a failure of the test."""
    try:
        call()
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] < 500, error
        return error.response["Error"]["Code"]
    return "ok"


def race(*calls):
    """Makes all calls at the same moment; their outcomes, in order."""
    start = threading.Barrier(len(calls))

    def run(call):
        start.wait()
        return outcome(call)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture(scope="module")
def group(workshop):
    group = workshop.make_group(items=ITEMS)
    group.location = workshop.upload(HEADER + "i1,1,A\n")
    group.schema = workshop.make_schema("ITEMS", ITEMS)
    return group


# What is created → a function from workshop, group and an empty group to the call that CALLERS make.
CREATES = {
    "schema": lambda w, g, empty, name: w.personalize.create_schema(name=name, schema=avro("ITEMS", ITEMS)),
    "dataset-group": lambda w, g, empty, name: w.personalize.create_dataset_group(name=name),
    "dataset": lambda w, g, empty, name: w.personalize.create_dataset(
        name=unique(name), schemaArn=g.schema, datasetGroupArn=empty, datasetType="Items"),
    "event-tracker": lambda w, g, empty, name: w.personalize.create_event_tracker(
        name=unique(name), datasetGroupArn=empty),
    "dataset-import-job": lambda w, g, empty, name: w.start_import(g.items, g.location, name=name),
    "dataset-export-job": lambda w, g, empty, name: w.start_export(g.items, "ALL", name=name),
}


@pytest.mark.parametrize("kind", CREATES)
def test_one_of_many_creates_succeeds(workshop, group, kind):
    name, empty = unique("race"), workshop.make_group().arn
    outcomes = race(*[lambda: CREATES[kind](workshop, group, empty, name)] * CALLERS)
    assert Counter(outcomes) == {"ok": 1, EXISTS: CALLERS - 1}


def deletable(workshop, kind):
    """Makes a thing; the call that deletes it."""
    personalize, group = workshop.personalize, workshop.make_group(items=ITEMS).arn
    if kind == "schema":
        arn = workshop.make_schema("ITEMS", ITEMS)
        return lambda: personalize.delete_schema(schemaArn=arn)
    if kind == "dataset-group":
        arn = workshop.make_group().arn
        return lambda: personalize.delete_dataset_group(datasetGroupArn=arn)
    if kind == "dataset":
        arn = workshop.make_group(items=ITEMS).items
        return lambda: personalize.delete_dataset(datasetArn=arn)
    arn, _ = workshop.make_tracker(group)
    return lambda: personalize.delete_event_tracker(eventTrackerArn=arn)


@pytest.mark.parametrize("kind", ["schema", "dataset-group", "dataset", "event-tracker"])
def test_one_of_many_deletes_succeeds(workshop, kind):
    outcomes = race(*[deletable(workshop, kind)] * CALLERS)
    assert outcomes.count("ok") == 1
    assert set(outcomes) <= {"ok", NOT_FOUND, IN_USE}, outcomes


def delete_as_soon_as_possible(workshop, dataset):
    """Asks until the dataset is deleted; how often it was refused because it is in use."""
    for refusals in itertools.count():
        answer = outcome(lambda: workshop.personalize.delete_dataset(datasetArn=dataset))
        if answer == "ok":
            return refusals
        assert answer == IN_USE


MANY_ROWS = HEADER + "".join(f"i{n},{n},A\n" for n in range(30_000))


def test_a_dataset_is_not_deleted_under_its_import(workshop):
    location, refusals = workshop.upload(MANY_ROWS), 0
    for _ in range(3):
        items = workshop.make_group(items=ITEMS).items
        arn = workshop.start_import(items, location)
        refusals += delete_as_soon_as_possible(workshop, items)
        job = workshop.personalize.describe_dataset_import_job(datasetImportJobArn=arn)["datasetImportJob"]
        assert job["status"] == "ACTIVE", job
    assert refusals > 0


def test_a_dataset_is_not_deleted_under_its_export(workshop):
    location, refusals = workshop.upload(MANY_ROWS), 0
    for _ in range(3):
        items = workshop.make_group(items=ITEMS).items
        workshop.wait_import(workshop.start_import(items, location))
        arn = workshop.start_export(items, "BULK")
        refusals += delete_as_soon_as_possible(workshop, items)
        job = workshop.personalize.describe_dataset_export_job(datasetExportJobArn=arn)["datasetExportJob"]
        assert job["status"] == "ACTIVE", job
        assert len(workshop.read_export(arn).rows) == 30_000
    assert refusals > 0


def test_jobs_and_a_deletion_at_the_same_moment(workshop):
    """Whichever comes first: a job that was accepted ends well, and a deleted dataset has no job."""
    for _ in range(5):
        items = workshop.make_group(items=ITEMS).items
        workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}))
        location, jobs = workshop.upload(HEADER + "i1,1,A\n"), []
        export = lambda: jobs.append(("export", workshop.start_export(items, "PUT")))
        import_ = lambda: jobs.append(("import", workshop.start_import(items, location)))
        delete = lambda: workshop.personalize.delete_dataset(datasetArn=items)
        outcomes = race(delete, export, delete, import_, export, delete, import_, delete)
        assert outcomes.count("ok") == len(jobs) + any(outcomes[n] == "ok" for n in (0, 2, 5, 7))
        assert set(outcomes) <= {"ok", NOT_FOUND, IN_USE}, outcomes
        for kind, arn in jobs:
            ended = workshop.wait_export(arn) if kind == "export" else workshop.wait_import(arn)
            assert ended["status"] == "ACTIVE", ended


def test_groups_come_and_go_side_by_side(workshop):
    def loop(_):
        for _ in range(4):
            group = workshop.make_group(items=ITEMS, interactions=INTERACTIONS)
            workshop.put_items(group.items, ("i1", {"price": 1, "categoryL1": "A"}))
            for dataset in (group.items, group.interactions):
                workshop.personalize.delete_dataset(datasetArn=dataset)
            delete = lambda: workshop.personalize.delete_dataset_group(datasetGroupArn=group.arn)
            while (answer := outcome(delete)) != "ok":
                assert answer == IN_USE
            gone.append(group)

    gone = []
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(loop, range(8)))
    assert len(gone) == 32
    assert all(workshop.personalize.list_datasets(datasetGroupArn=group.arn)["datasets"] == [] for group in gone)
    pages = workshop.personalize.get_paginator("list_dataset_groups").paginate()
    left = {found["datasetGroupArn"]: found["status"] for page in pages for found in page["datasetGroups"]}
    assert {left.get(group.arn, "gone") for group in gone} <= {"gone", "DELETE PENDING"}


def test_puts_while_the_dataset_is_deleted(workshop):
    """Each is taken or refused as documented, and none of them turns up in the dataset made anew."""
    group = workshop.make_group(items=ITEMS, interactions=INTERACTIONS, tracker=True)
    stop, answers = threading.Event(), {"item": [], "event": []}
    item = lambda: workshop.put_items(group.items, ("i1", {"price": 1, "categoryL1": "A"}))
    event = lambda: workshop.put_event(group.tracking_id, "u1", "i1", "click", 100)

    def put(kind, call):
        while not stop.is_set():
            answers[kind].append(outcome(call))

    writers = [threading.Thread(target=put, args=task) for task in [("item", item), ("event", event)] * 4]
    for writer in writers:
        writer.start()
    try:
        wait_until(lambda: len(answers["item"]) > 20 and len(answers["event"]) > 20)
        workshop.personalize.delete_event_tracker(eventTrackerArn=group.tracker)
        for dataset in (group.items, group.interactions):
            while outcome(lambda: workshop.personalize.delete_dataset(datasetArn=dataset)) != "ok":
                pass
        wait_until(lambda: answers["item"][-1] != "ok" and answers["event"][-1] != "ok")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert set(answers["item"]) <= {"ok", NOT_FOUND, IN_USE} and "ok" in answers["item"]
    assert set(answers["event"]) == {"ok", INVALID}
    for dataset, kind, fields in ((group.items, "ITEMS", ITEMS), (group.interactions, "INTERACTIONS", INTERACTIONS)):
        assert workshop.make_dataset(group.arn, kind, fields) == dataset
        assert workshop.export(dataset, "ALL").rows == []


def wait_until(condition):
    """Polls; the test's own time limit ends it."""
    while not condition():
        threading.Event().wait(0.005)


def test_a_list_repeats_nothing_while_things_are_created(workshop):
    before = {workshop.make_schema("ITEMS", ITEMS) for _ in range(30)}

    def listed():
        pages = workshop.personalize.get_paginator("list_schemas").paginate(PaginationConfig={"PageSize": 20})
        return [schema["schemaArn"] for page in pages for schema in page["schemas"]]

    with ThreadPoolExecutor(3) as pool:
        made = [pool.submit(workshop.make_schema, "ITEMS", ITEMS) for _ in range(200)]
        while not all(one.done() for one in made):
            found = listed()
            assert len(found) == len(set(found)) and before <= set(found)
    assert {one.result() for one in made} <= set(listed())
