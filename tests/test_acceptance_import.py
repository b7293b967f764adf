"""Acceptance, bulk data: imports, the schemas they need, and the schema of a dataset replaced."""

import pytest

from support.schemas import INTERACTIONS, ITEMS, USERS, avro
from support.server import Server
from support.workshop import Workshop, unique, wait

ITEMS_HEADER = "ITEM_ID,PRICE,CATEGORY_L1\n"
HEADER = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n"


@pytest.fixture
def interactions(workshop):
    return workshop.make_group(interactions=INTERACTIONS).interactions


def refused(workshop, call):
    """The text of an InvalidInputException."""
    with pytest.raises(workshop.personalize.exceptions.InvalidInputException) as caught:
        call()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return caught.value.response["Error"]["Message"]


def test_43_missing_columns(workshop, interactions):
    name, location = unique("import"), workshop.upload("USER_ID,EVENT_TYPE,TIMESTAMP\nu1,click,1\n")
    text = refused(workshop, lambda: workshop.start_import(interactions, location, name=name))
    assert text.startswith("Input csv is missing the following columns: [ITEM_ID]")
    jobs = workshop.personalize.list_dataset_import_jobs(datasetArn=interactions)["datasetImportJobs"]
    assert jobs == []


def test_44_column_order(workshop, interactions):
    workshop.import_csv(interactions, "TIMESTAMP,EVENT_TYPE,ITEM_ID,USER_ID\n1,click,i1,u1\n")
    exported = workshop.export(interactions, "BULK")
    assert (exported.header, exported.lines) == (HEADER.strip().split(","), ["u1,i1,click,1"])


def test_45_bad_row(workshop, interactions):
    rows = [f"u{n},i1,click,{n}\n" for n in range(5_000)]
    location = workshop.upload(HEADER + "".join(rows) + "u,i,click,soon\n")
    job = workshop.wait_import(workshop.start_import(interactions, location))
    assert job["status"] == "CREATE FAILED"
    key = location.split("/", 3)[3]
    assert key in job["failureReason"] and "5002" in job["failureReason"] and "TIMESTAMP" in job["failureReason"]
    assert workshop.export(interactions, "ALL").rows == []


def test_46_folder_import(workshop):
    items, folder = workshop.make_group(items=ITEMS).items, unique("folder")
    for n, name in enumerate(["a.csv", "b.csv", "c.csv", "sub/d.csv"]):
        workshop.upload(f"{ITEMS_HEADER}i{n},{n},A\n", f"{folder}/{name}")
    job = workshop.wait_import(workshop.start_import(items, f"s3://{workshop.source}/{folder}/"))
    assert job["status"] == "ACTIVE", job
    assert workshop.export(items, "BULK").lines == ["i0,0.0,A", "i1,1.0,A", "i2,2.0,A"]


def test_47_incremental_first(workshop):
    items = workshop.make_group(items=ITEMS).items
    location = workshop.upload(ITEMS_HEADER + "i1,1,A\n")
    refused(workshop, lambda: workshop.start_import(items, location, "INCREMENTAL"))
    workshop.put_items(items, ("i2", {"price": 2, "categoryL1": "B"}))
    refused(workshop, lambda: workshop.start_import(items, location, "INCREMENTAL"))


def test_48_min_1000(tmp_path):
    """With the service's own quotas."""
    server = Server(tmp_path / "quotas", env={"LADE_QUOTAS": "aws"}).start()
    try:
        workshop = Workshop(server.endpoint)
        interactions = workshop.make_group(interactions=INTERACTIONS).interactions
        rows = [f"u{n},i1,click,{n}\n" for n in range(1_000)]
        # Equal records count once.
        for text in ("".join(rows[:999]), "".join(rows[:999]) + rows[0]):
            job = workshop.wait_import(workshop.start_import(interactions, workshop.upload(HEADER + text)))
            assert job["status"] == "CREATE FAILED"
            assert job["failureReason"] == "Dataset import job has fewer than 1000 interactions."
        workshop.import_csv(interactions, HEADER + "".join(rows))
        assert len(workshop.export(interactions, "BULK").rows) == 1_000
    finally:
        server.kill()


def test_49_vod_default_typo(workshop):
    schema = avro("ITEMS", "ITEM_ID:string GENRES_L1:string:categorical CREATION_TIMESTAMP:long")
    create = lambda: workshop.personalize.create_schema(name=unique("vod"), schema=schema, domain="VIDEO_ON_DEMAND")
    assert "[GENRES]" in refused(workshop, create)


def create_dataset(workshop, dataset_type, schema, group):
    return workshop.personalize.create_dataset(
        name=unique("dataset"), schemaArn=schema, datasetGroupArn=group.arn, datasetType=dataset_type)


def test_50_schema_type_mismatch(workshop):
    group, schema = workshop.make_group(), workshop.make_schema("ITEMS", ITEMS)
    text = refused(workshop, lambda: create_dataset(workshop, "Users", schema, group))
    assert schema in text and "USERS" in text


def test_51_second_dataset_same_type(workshop):
    group, schema = workshop.make_group(users=USERS), workshop.make_schema("USERS", USERS)
    with pytest.raises(workshop.personalize.exceptions.ResourceAlreadyExistsException):
        create_dataset(workshop, "users", schema, group)
    datasets = workshop.personalize.list_datasets(datasetGroupArn=group.arn)["datasets"]
    assert [dataset["datasetArn"] for dataset in datasets] == [group.users]


def updated(workshop, dataset):
    """Waits until the dataset's update has ended; the dataset."""
    describe = lambda: workshop.personalize.describe_dataset(datasetArn=dataset)["dataset"]
    wait(lambda: describe()["latestDatasetUpdate"], ends=("ACTIVE", "UPDATE FAILED"))
    return describe()


def test_52_update_schema(workshop):
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, ITEMS_HEADER + "i1,1,A\n")
    workshop.put_items(items, ("i2", {"price": 2, "categoryL1": "B"}))
    before = workshop.personalize.describe_dataset(datasetArn=items)["dataset"]
    not_nullable = workshop.make_schema("ITEMS", ITEMS + " COLOR:string:categorical")
    refused(workshop, lambda: workshop.personalize.update_dataset(datasetArn=items, schemaArn=not_nullable))
    assert workshop.personalize.describe_dataset(datasetArn=items)["dataset"] == before

    schema = workshop.make_schema("ITEMS", ITEMS + " COLOR:string?:categorical")
    assert workshop.personalize.update_dataset(datasetArn=items, schemaArn=schema)["datasetArn"] == items
    dataset = updated(workshop, items)
    assert (dataset["schemaArn"], dataset["latestDatasetUpdate"]["status"]) == (schema, "ACTIVE")
    workshop.put_items(items, ("i3", {"price": 3, "categoryL1": "C", "color": "red"}))
    exported = workshop.export(items, "ALL")
    assert exported.header == ["ITEM_ID", "PRICE", "CATEGORY_L1", "COLOR"]
    assert exported.lines == ["i1,1.0,A,", "i2,2.0,B,", "i3,3.0,C,red"]
