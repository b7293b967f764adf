"""The API call beside each form does what the form would: it is copied into a shell, and the stock AWS CLI runs it."""

import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.clients import AWS
from support.schemas import INTERACTIONS, ITEMS, avro
from support.server import Server
from support.workshop import Workshop, wait

# What a shell, JSON and the AWS CLI's own short form would each like to read otherwise.
VALUE = "a=b/c:d @ e+f"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("calls")).start()
    try:
        workshop = Workshop(server.endpoint)
        workshop.server = server
        workshop.group = workshop.make_group(items=ITEMS, interactions=INTERACTIONS)
        workshop.name = workshop.group.arn.rsplit("/", 1)[1]
        yield workshop
    finally:
        assert server.stop() == 0, server.tail()


@pytest.fixture
def visitor(visitors, place):
    return visitors(place.endpoint).sign_in()


def run(visitor, place, box="cli-command"):
    """Copies what the box of a form shows into a shell."""
    visitor.page.locator("summary", has_text="API call").click()
    shown = visitor.page.locator(f"#{box}")
    expect(shown).to_be_visible()
    visitor.page.wait_for_timeout(300)  # what the server fills in follows what is typed after a moment
    command = shown.inner_text()
    environment = place.server.client_environment()
    environment["PATH"] = f"{Path(AWS).parent}:{environment['PATH']}"
    done = subprocess.run(["bash", "-euc", command], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return command


def tag(visitor, key="team", value=VALUE):
    visitor.page.get_by_label("Key", exact=True).first.fill(key)
    visitor.page.get_by_label("Value", exact=True).first.fill(value)


def tags_of(place, arn):
    tags = place.personalize.list_tags_for_resource(resourceArn=arn)["tags"]
    return {tag["tagKey"]: tag["tagValue"] for tag in tags}


def test_a_dataset_group_with_a_domain_and_tags(visitor, place):
    visitor.go("/console/groups/create")
    visitor.fill("Name", "by-call")
    visitor.choose("E-commerce")
    tag(visitor)
    run(visitor, place)
    arn = place.group.arn.replace(place.name, "by-call")
    found = place.personalize.describe_dataset_group(datasetGroupArn=arn)["datasetGroup"]
    assert found["domain"] == "ECOMMERCE" and tags_of(place, arn) == {"team": VALUE}


def test_a_dataset_with_its_schema(visitor, place):
    name = place.make_group().arn.rsplit("/", 1)[1]
    visitor.go(f"/console/groups/{name}/create-dataset?type=ITEMS")
    visitor.fill("Dataset name", "items-by-call")
    visitor.fill("New schema name", "schema-by-call")
    visitor.fill("JSON schema code", avro("ITEMS", ITEMS))
    run(visitor, place)
    arn = f"{place.group.arn.replace('dataset-group', 'dataset').replace(place.name, name)}/ITEMS"
    assert place.personalize.describe_dataset(datasetArn=arn)["dataset"]["name"] == "items-by-call"


def test_an_import_and_an_export(visitor, place):
    location = place.upload("ITEM_ID,PRICE,CATEGORY_L1\ni1,1.5,it's \"new\"\n", "in it's/data.csv")
    path = f"/console/groups/{place.name}/datasets/ITEMS"
    visitor.go(f"{path}/import")
    visitor.fill("Dataset import job name", "import-by-call")
    visitor.fill("S3 Location", location)
    choose_role(visitor, place.import_role)
    run(visitor, place, "call-command")
    arn = place.group.items.replace(f"dataset/{place.name}/ITEMS", "dataset-import-job/import-by-call")
    assert place.wait_import(arn)["status"] == "ACTIVE"
    visitor.go(f"{path}/export")
    visitor.fill("Dataset export job name", "export-by-call")
    choose_role(visitor, place.export_role)
    visitor.fill("Amazon S3 data output path", f"s3://{place.target}/it's out")
    visitor.choose("Bulk")
    tag(visitor)
    run(visitor, place, "call-command")
    arn = arn.replace("dataset-import-job/import", "dataset-export-job/export")
    assert place.wait_export(arn)["ingestionMode"] == "BULK" and tags_of(place, arn) == {"team": VALUE}


def test_a_tracker_and_the_tags_that_it_gets_and_loses(visitor, place):
    visitor.go(f"/console/groups/{place.name}/trackers/create")
    visitor.fill("Tracker name", "by-call")
    run(visitor, place)
    [tracker] = place.personalize.list_event_trackers(datasetGroupArn=place.group.arn)["eventTrackers"]
    arn = tracker["eventTrackerArn"]
    place.personalize.tag_resource(resourceArn=arn, tags=[{"tagKey": "old key", "tagValue": "1"}, {"tagKey": "kept", "tagValue": "2"}])
    visitor.go(f"/console/tags/{arn.replace('/', '%2F')}/manage")
    row = visitor.page.locator(".tag-row").filter(has=visitor.page.locator("input[value='old key']"))
    row.get_by_label("Key", exact=True).fill("new key")
    command = run(visitor, place)
    assert "untag-resource" in command and tags_of(place, arn) == {"new key": "1", "kept": "2"}


def test_a_metric_attribution(visitor, place):
    visitor.go(f"/console/groups/{place.name}/metrics/create")
    visitor.fill("Name", "by-call")
    visitor.fill("Amazon S3 data output path", f"s3://{place.target}/reports")
    choose_role(visitor, place.export_role)
    visitor.button("Next")
    visitor.fill("Event type", "view")
    visitor.fill("Metric name", "views")
    visitor.page.get_by_label("Expression").first.select_option("SAMPLECOUNT()")
    visitor.button("Next")
    run(visitor, place)
    [found] = place.personalize.list_metric_attributions(datasetGroupArn=place.group.arn)["metricAttributions"]
    assert found["name"] == "by-call"


def test_a_data_deletion_job(visitor, place):
    visitor.go(f"/console/groups/{place.name}/deletions/create")
    visitor.fill("Job name", "by-call")
    visitor.fill("S3 location", place.upload("USER_ID\nu1\n"))
    choose_role(visitor, place.import_role)
    run(visitor, place)
    arn = place.group.arn.replace(f"dataset-group/{place.name}", "data-deletion-job/by-call")
    describe = lambda: place.personalize.describe_data_deletion_job(dataDeletionJobArn=arn)["dataDeletionJob"]
    assert wait(describe, ("COMPLETED", "FAILED"))["status"] == "COMPLETED"


def choose_role(visitor, arn):
    visitor.page.get_by_label("IAM service role", exact=True).select_option(arn.rsplit("/", 1)[1])
