"""quotas = "aws": the limits of an account of AWS; without it none of them holds."""

import pytest

from support.schemas import INTERACTIONS, ITEMS, avro
from support.server import Server
from support.workshop import Workshop, unique

HEADER = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n"


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A server under the quotas of AWS whose jobs run one at a time."""
    server = Server(tmp_path_factory.mktemp("quotas"), env={"LADE_QUOTAS": "aws", "LADE_JOBS_CONCURRENT": "1"}).start()
    yield Workshop(server.endpoint)
    assert server.stop() == 0, server.tail()


def refused(call, workshop):
    with pytest.raises(workshop.personalize.exceptions.LimitExceededException) as caught:
        call()
    return caught.value.response["Error"]["Message"]


def clicks(count):
    return HEADER + "".join(f"u{n},i1,click,{n}\n" for n in range(count))


def test_six_groups_are_one_too_many(limited):
    arns = [limited.make_group().arn for _ in range(5)]
    name = unique("sixth")
    create = lambda: limited.personalize.create_dataset_group(name=name)
    assert "5 dataset groups" in refused(create, limited)
    for arn in arns:
        limited.personalize.delete_dataset_group(datasetGroupArn=arn)
    limited.personalize.delete_dataset_group(datasetGroupArn=create()["datasetGroupArn"])


def test_an_account_holds_500_schemas(limited):
    text = avro("ITEMS", ITEMS)
    there = sum(len(page["schemas"]) for page in limited.personalize.get_paginator("list_schemas").paginate())
    made = [limited.personalize.create_schema(name=unique("s"), schema=text)["schemaArn"] for _ in range(500 - there)]
    assert "500 schemas" in refused(lambda: limited.personalize.create_schema(name="more", schema=text), limited)
    for arn in made:
        limited.personalize.delete_schema(schemaArn=arn)


@pytest.mark.parametrize("count, status", [(999, "CREATE FAILED"), (1000, "ACTIVE")])
def test_an_import_brings_a_thousand_interactions(limited, count, status):
    group = limited.make_group(interactions=INTERACTIONS)
    # A row that is there twice is one interaction.
    location = limited.upload(clicks(count) + "u0,i1,click,0\n")
    job = limited.wait_import(limited.start_import(group.interactions, location))
    assert job["status"] == status
    if count < 1000:
        assert job["failureReason"] == "Dataset import job has fewer than 1000 interactions."
    limited.personalize.delete_dataset(datasetArn=group.interactions)
    limited.personalize.delete_dataset_group(datasetGroupArn=group.arn)


def test_a_few_items_are_enough(limited):
    group = limited.make_group(items=ITEMS)
    limited.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")


def test_six_open_jobs_are_one_too_many(limited):
    group = limited.make_group(interactions=INTERACTIONS)
    location = limited.upload(clicks(400_000))
    imports = [limited.start_import(group.interactions, location) for _ in range(5)]
    start = lambda: limited.start_import(group.interactions, location)
    assert refused(start, limited) == "More than 5 resources with PENDING or IN_PROGRESS status."
    # The one worker is busy with the imports, so the exports wait.
    exports = [limited.start_export(group.interactions, "PUT") for _ in range(5)]
    more = lambda: limited.start_export(group.interactions, "PUT")
    assert refused(more, limited) == "More than 5 resources with PENDING or IN_PROGRESS status."
    assert {limited.wait_import(arn)["status"] for arn in imports} == {"ACTIVE"}
    assert {limited.wait_export(arn)["status"] for arn in exports} == {"ACTIVE"}
    limited.read_export(more())


def test_an_incremental_import_is_limited_in_size(limited):
    group = limited.make_group(items=ITEMS)
    limited.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
    key = f"{unique('large')}/data.csv"
    # A file of 1 GiB and a byte: parts that copy each other, so that little is sent.
    part = b"ITEM_ID,PRICE,CATEGORY_L1\n" + b"i1,1,A\n" * (((128 << 20) - 26) // 7)
    upload = limited.s3.create_multipart_upload(Bucket=limited.source, Key=key)["UploadId"]
    where = {"Bucket": limited.source, "Key": key, "UploadId": upload}
    limited.s3.put_object(Bucket=limited.source, Key="part", Body=part)
    tags = []
    for number in range(1, 10):
        copied = limited.s3.upload_part_copy(**where, PartNumber=number,
                                             CopySource={"Bucket": limited.source, "Key": "part"})
        tags.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    limited.s3.complete_multipart_upload(**where, MultipartUpload={"Parts": tags})
    location = f"s3://{limited.source}/{key}"
    assert "at most 1073741824" in refused(lambda: limited.start_import(group.items, location, "INCREMENTAL"), limited)


def test_put_items_is_limited_in_rate(limited):
    group = limited.make_group(items=ITEMS)
    put = lambda: limited.put_items(group.items, ("i1", {"price": 1, "categoryL1": "A"}))
    with pytest.raises(limited.events.exceptions.ClientError) as caught:
        for _ in range(1000):
            put()
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_without_quotas_nothing_of_this_is_limited(workshop):
    for _ in range(7):
        workshop.make_group()
    group = workshop.make_group(interactions=INTERACTIONS, items=ITEMS)
    workshop.import_csv(group.interactions, clicks(3))
    for _ in range(30):
        workshop.put_items(group.items, ("i1", {"price": 1, "categoryL1": "A"}))
