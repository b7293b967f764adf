"""Schemas, groups, datasets, trackers, jobs and tags: answers, errors, statuses and paging as boto3 sees them."""

import re
import time
from datetime import datetime, timezone

import pytest

from support.schemas import INTERACTIONS, ITEMS, USERS, avro
from support.workshop import unique

ARN = "arn:aws:personalize:us-east-1:000000000000:"


def error(call, exception):
    with pytest.raises(exception) as caught:
        call()
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["ResponseMetadata"]["RequestId"]
    return response["Error"]["Message"]


def check_times(description):
    """Both are times, and of the last minute."""
    for name in ("creationDateTime", "lastUpdatedDateTime"):
        assert isinstance(description[name], datetime)
        assert abs((datetime.now(timezone.utc) - description[name]).total_seconds()) < 60
    assert description["creationDateTime"] <= description["lastUpdatedDateTime"]


class TestSchemas:
    def test_a_schema_comes_back_byte_for_byte(self, workshop):
        name, text = unique("schema"), " " + avro("ITEMS", ITEMS) + "\n"
        arn = workshop.personalize.create_schema(name=name, schema=text)["schemaArn"]
        assert arn == f"{ARN}schema/{name}"
        schema = workshop.personalize.describe_schema(schemaArn=arn)["schema"]
        assert (schema["name"], schema["schemaArn"], schema["schema"]) == (name, arn, text)
        check_times(schema)
        again = lambda: workshop.personalize.create_schema(name=name, schema=text)
        error(again, workshop.personalize.exceptions.ResourceAlreadyExistsException)

    def test_an_unused_schema_can_be_deleted(self, workshop):
        arn = workshop.make_schema("ITEMS", ITEMS)
        workshop.personalize.delete_schema(schemaArn=arn)
        error(lambda: workshop.personalize.describe_schema(schemaArn=arn),
              workshop.personalize.exceptions.ResourceNotFoundException)

    @pytest.mark.parametrize("schema, text", [
        ("{", "JSON"),
        (avro("ITEMS", "PRICE:float"), "ITEM_ID"),
        (avro("ITEMS", "ITEM_ID:string"), "metadata"),
        (avro("INTERACTIONS", "USER_ID:string ITEM_ID:string TIMESTAMP:string"), "TIMESTAMP"),
        (avro("USERS", "USER_ID:string AGE:int A_GE:int"), "unique"),
        (avro("USERS", "USER_ID:string AGE:bytes"), "AGE"),
        (avro("USERS", USERS).replace('"Users"', '"People"'), "name"),
    ])
    def test_a_bad_schema_is_refused_with_the_reason(self, workshop, schema, text):
        create = lambda: workshop.personalize.create_schema(name=unique("bad"), schema=schema)
        assert text in error(create, workshop.personalize.exceptions.InvalidInputException)

    def test_a_domain_schema_needs_its_fields(self, workshop):
        schema = avro("ITEMS", "ITEM_ID:string GENRES_L1:string:categorical CREATION_TIMESTAMP:long")
        create = lambda: workshop.personalize.create_schema(
            name=unique("vod"), schema=schema, domain="VIDEO_ON_DEMAND")
        assert "GENRES" in error(create, workshop.personalize.exceptions.InvalidInputException)


class TestGroupsAndDatasets:
    def test_a_group(self, workshop):
        name = unique("group")
        created = workshop.personalize.create_dataset_group(name=name)
        arn = created["datasetGroupArn"]
        assert arn == f"{ARN}dataset-group/{name}" and "domain" not in created
        group = workshop.wait_group(arn)
        assert (group["name"], group["status"]) == (name, "ACTIVE") and "domain" not in group
        check_times(group)
        again = lambda: workshop.personalize.create_dataset_group(name=name)
        error(again, workshop.personalize.exceptions.ResourceAlreadyExistsException)
        workshop.personalize.delete_dataset_group(datasetGroupArn=arn)
        describe = lambda: workshop.personalize.describe_dataset_group(datasetGroupArn=arn)
        text = error(describe, workshop.personalize.exceptions.ResourceNotFoundException)
        assert text == f"The given dataset group does not exist: {arn}"

    def test_a_domain_group(self, workshop):
        created = workshop.personalize.create_dataset_group(name=unique("group"), domain="ECOMMERCE")
        assert created["domain"] == "ECOMMERCE"
        assert workshop.wait_group(created["datasetGroupArn"])["domain"] == "ECOMMERCE"

    def test_a_dataset(self, workshop):
        group = workshop.make_group(items=ITEMS)
        name = group.arn.rsplit("/", 1)[1]
        assert group.items == f"{ARN}dataset/{name}/ITEMS"
        dataset = workshop.personalize.describe_dataset(datasetArn=group.items)["dataset"]
        assert (dataset["datasetType"], dataset["status"]) == ("ITEMS", "ACTIVE")
        assert dataset["datasetGroupArn"] == group.arn and "latestDatasetUpdate" not in dataset
        check_times(dataset)
        listed = workshop.personalize.list_datasets(datasetGroupArn=group.arn)["datasets"]
        assert [(d["datasetArn"], d["datasetType"]) for d in listed] == [(group.items, "ITEMS")]

    def test_what_a_dataset_cannot_be(self, workshop):
        group = workshop.make_group(items=ITEMS)
        exceptions = workshop.personalize.exceptions
        schema = workshop.make_schema("ITEMS", ITEMS)
        domain_schema = workshop.make_schema("INTERACTIONS", INTERACTIONS, "ECOMMERCE")

        def create(dataset_type, schema=schema, group=group.arn):
            return lambda: workshop.personalize.create_dataset(
                name=unique("d"), schemaArn=schema, datasetGroupArn=group, datasetType=dataset_type)

        error(create("Items"), exceptions.ResourceAlreadyExistsException)
        error(create("Users"), exceptions.InvalidInputException)
        error(create("Cinemas"), exceptions.InvalidInputException)
        error(create("Interactions", domain_schema), exceptions.InvalidInputException)
        error(create("Items", f"{ARN}schema/nobody"), exceptions.ResourceNotFoundException)
        error(create("Items", schema, f"{ARN}dataset-group/nobody"), exceptions.ResourceNotFoundException)

    def test_deletion_goes_from_the_leaves(self, workshop):
        group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
        personalize, in_use = workshop.personalize, workshop.personalize.exceptions.ResourceInUseException
        schema = personalize.describe_dataset(datasetArn=group.interactions)["dataset"]["schemaArn"]
        error(lambda: personalize.delete_schema(schemaArn=schema), in_use)
        error(lambda: personalize.delete_dataset_group(datasetGroupArn=group.arn), in_use)
        error(lambda: personalize.delete_dataset(datasetArn=group.interactions), in_use)
        personalize.delete_event_tracker(eventTrackerArn=group.tracker)
        gone(lambda: personalize.describe_event_tracker(eventTrackerArn=group.tracker))
        personalize.delete_dataset(datasetArn=group.interactions)
        gone(lambda: personalize.describe_dataset(datasetArn=group.interactions))
        personalize.delete_schema(schemaArn=schema)
        personalize.delete_dataset_group(datasetGroupArn=group.arn)
        gone(lambda: personalize.describe_dataset_group(datasetGroupArn=group.arn))

    def test_a_dataset_made_again_is_empty(self, workshop):
        group = workshop.make_group(items=ITEMS)
        workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
        workshop.put_items(group.items, ("i2", {"price": 2, "categoryL1": "B"}))
        workshop.personalize.delete_dataset(datasetArn=group.items)
        gone(lambda: workshop.personalize.describe_dataset(datasetArn=group.items))
        again = workshop.make_dataset(group.arn, "ITEMS", ITEMS)
        assert again == group.items and workshop.export(again, "ALL").rows == []


def gone(describe, within_s=30):
    """Waits until a description says ResourceNotFoundException."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            found = next(value for key, value in describe().items() if key != "ResponseMetadata")
            assert found["status"].startswith("DELETE"), found
        except Exception as caught:
            assert getattr(caught, "response", {}).get("Error", {}).get("Code") == "ResourceNotFoundException", caught
            return
        time.sleep(0.05)
    raise AssertionError("it is still there")


class TestTrackers:
    def test_a_tracker(self, workshop):
        group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
        assert re.fullmatch(re.escape(ARN) + "event-tracker/[0-9a-f]{8}", group.tracker)
        assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", group.tracking_id)
        tracker = workshop.personalize.describe_event_tracker(eventTrackerArn=group.tracker)["eventTracker"]
        assert (tracker["status"], tracker["accountId"]) == ("ACTIVE", "000000000000")
        assert tracker["trackingId"] == group.tracking_id and tracker["datasetGroupArn"] == group.arn
        listed = workshop.personalize.list_event_trackers(datasetGroupArn=group.arn)["eventTrackers"]
        assert [t["eventTrackerArn"] for t in listed] == [group.tracker]
        error(lambda: workshop.make_tracker(group.arn), workshop.personalize.exceptions.ResourceAlreadyExistsException)

    def test_events_outlive_their_tracker(self, workshop):
        group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
        workshop.put_event(group.tracking_id, "u1", "i1", "click", 1)
        workshop.personalize.delete_event_tracker(eventTrackerArn=group.tracker)
        gone(lambda: workshop.personalize.describe_event_tracker(eventTrackerArn=group.tracker))
        _, tracking_id = workshop.make_tracker(group.arn)
        workshop.put_event(tracking_id, "u1", "i1", "click", 2)
        assert workshop.export(group.interactions).lines == ["u1,i1,click,1", "u1,i1,click,2"]


class TestJobs:
    def test_an_import_job_describes_itself(self, workshop):
        group = workshop.make_group(items=ITEMS)
        location = workshop.upload("ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
        name = unique("import")
        arn = workshop.start_import(group.items, location, name=name)
        assert arn == f"{ARN}dataset-import-job/{name}"
        job = workshop.wait_import(arn)
        assert (job["status"], job["importMode"], job["dataSource"]) == ("ACTIVE", "FULL", {"dataLocation": location})
        assert (job["roleArn"], job["datasetArn"]) == (workshop.import_role, group.items)
        assert "failureReason" not in job and "publishAttributionMetricsToS3" not in job
        check_times(job)
        listed = workshop.personalize.list_dataset_import_jobs(datasetArn=group.items)["datasetImportJobs"]
        assert [(j["datasetImportJobArn"], j["importMode"]) for j in listed] == [(arn, "FULL")]
        error(lambda: workshop.start_import(group.items, location, name=name),
              workshop.personalize.exceptions.ResourceAlreadyExistsException)

    def test_jobs_outlive_their_dataset(self, workshop):
        group = workshop.make_group(items=ITEMS)
        arn = workshop.start_export(group.items)
        workshop.wait_export(arn)
        workshop.personalize.delete_dataset(datasetArn=group.items)
        gone(lambda: workshop.personalize.describe_dataset(datasetArn=group.items))
        assert workshop.wait_export(arn)["status"] == "ACTIVE"

    def test_unknown_resources_are_not_found(self, workshop):
        personalize = workshop.personalize
        for describe, arn in [
            (lambda a: personalize.describe_schema(schemaArn=a), "schema/x"),
            (lambda a: personalize.describe_dataset(datasetArn=a), "dataset/x/ITEMS"),
            (lambda a: personalize.describe_dataset_import_job(datasetImportJobArn=a), "dataset-import-job/x"),
            (lambda a: personalize.describe_dataset_export_job(datasetExportJobArn=a), "dataset-export-job/x"),
            (lambda a: personalize.describe_event_tracker(eventTrackerArn=a), "event-tracker/00000000"),
        ]:
            text = error(lambda: describe(ARN + arn), personalize.exceptions.ResourceNotFoundException)
            assert ARN + arn in text
            elsewhere = ARN.replace("us-east-1", "eu-west-1") + arn
            error(lambda: describe(elsewhere), personalize.exceptions.ResourceNotFoundException)


class TestPaging:
    def test_pages_of_jobs_newest_first(self, workshop):
        group = workshop.make_group(items=ITEMS)
        arns = [workshop.start_export(group.items) for _ in range(25)]
        pages = list(workshop.personalize.get_paginator("list_dataset_export_jobs").paginate(
            datasetArn=group.items, PaginationConfig={"PageSize": 10}))
        assert [len(page["datasetExportJobs"]) for page in pages] == [10, 10, 5]
        jobs = [job for page in pages for job in page["datasetExportJobs"]]
        assert sorted(job["datasetExportJobArn"] for job in jobs) == sorted(arns)
        times = [job["creationDateTime"] for job in jobs]
        assert times == sorted(times, reverse=True)
        for arn in arns:
            assert workshop.wait_export(arn)["status"] == "ACTIVE"

    @pytest.mark.parametrize("operation", [
        "list_schemas", "list_dataset_groups", "list_datasets", "list_event_trackers", "list_dataset_import_jobs",
        "list_dataset_export_jobs",
    ])
    def test_a_token_of_one_s_own_making_is_refused(self, workshop, operation):
        call = lambda: getattr(workshop.personalize, operation)(nextToken="of-my-own-making")
        error(call, workshop.personalize.exceptions.InvalidNextTokenException)

    def test_a_token_belongs_to_its_operation(self, workshop):
        for _ in range(2):
            workshop.make_schema("ITEMS", ITEMS)
        token = workshop.personalize.list_schemas(maxResults=1)["nextToken"]
        error(lambda: workshop.personalize.list_dataset_groups(nextToken=token),
              workshop.personalize.exceptions.InvalidNextTokenException)

    def test_a_filter_that_names_nothing_gives_nothing(self, workshop):
        nothing = workshop.personalize.list_datasets(datasetGroupArn=f"{ARN}dataset-group/nobody")
        assert nothing["datasets"] == [] and "nextToken" not in nothing


class TestTags:
    def test_tags_are_kept_replaced_and_removed(self, workshop):
        arn = workshop.personalize.create_dataset_group(
            name=unique("tagged"), tags=[{"tagKey": "b", "tagValue": "1"}, {"tagKey": "a", "tagValue": ""}],
        )["datasetGroupArn"]
        assert "tags" not in workshop.wait_group(arn)
        workshop.personalize.tag_resource(resourceArn=arn, tags=[{"tagKey": "b", "tagValue": "2"}])
        workshop.personalize.untag_resource(resourceArn=arn, tagKeys=["a", "was-never-there"])
        tags = workshop.personalize.list_tags_for_resource(resourceArn=arn)["tags"]
        assert tags == [{"tagKey": "b", "tagValue": "2"}]

    def test_what_a_tag_cannot_be(self, workshop):
        arn = workshop.make_group().arn
        exceptions = workshop.personalize.exceptions

        def tag(*tags):
            return lambda: workshop.personalize.tag_resource(
                resourceArn=arn, tags=[{"tagKey": key, "tagValue": value} for key, value in tags])

        error(tag(*[(f"k{n}", "") for n in range(51)]), exceptions.TooManyTagsException)
        error(tag(("aws:x", "1")), exceptions.InvalidInputException)
        error(tag(("a", "1"), ("a", "2")), exceptions.InvalidInputException)
        schema = workshop.make_schema("ITEMS", ITEMS)
        error(lambda: workshop.personalize.list_tags_for_resource(resourceArn=schema), exceptions.InvalidInputException)
