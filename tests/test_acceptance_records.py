"""Acceptance, records put one by one, and what takes records and resources away."""

import json

import pytest

from support import raw
from support.schemas import INTERACTIONS, ITEMS, ITEMS_NULLABLE, USERS
from support.workshop import unique, wait
from support.worked_examples import MODES

RATED = "USER_ID:string ITEM_ID:string EVENT_TYPE:string NUM_RATINGS:int TIMESTAMP:long"


@pytest.fixture
def rated(workshop):
    return workshop.make_group(interactions=RATED, tracker=True)


def event(at=100, item="i1", **more):
    return {"eventType": "click", "sentAt": at, **({"itemId": item} if item else {}), **more}


def put(workshop, group, *events, **who):
    return workshop.events.put_events(trackingId=group.tracking_id, sessionId="s1", eventList=list(events),
                                      **(who or {"userId": "u1"}))


def refused(workshop, group, *events):
    """The text of the refusal; nothing of the call is stored."""
    with pytest.raises(workshop.events.exceptions.InvalidInputException) as caught:
        put(workshop, group, *events)
    assert workshop.export(group.interactions).rows == []
    return caught.value.response["Error"]["Message"]


def test_53_camel_case(workshop, rated):
    put(workshop, rated, event(properties='{"numRatings": 12}'))
    assert workshop.export(rated.interactions).lines == ["u1,i1,click,12,100"]
    items = workshop.make_group(items=ITEMS).items
    workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}))
    assert workshop.export(items).lines == ["i1,1.0,A"]


def test_54_string_number(workshop, rated):
    refused(workshop, rated, event(at=1, properties='{"numRatings": "12"}'),
            event(at=2, properties='{"numRatings": "twelve"}'))
    put(workshop, rated, event(properties='{"numRatings": "12"}'))
    assert workshop.export(rated.interactions).lines == ["u1,i1,click,12,100"]


def test_55_refused_property(workshop, rated):
    refused(workshop, rated, event(properties='{"Timestamp": 1}'))


def test_56_item_in_properties(workshop, rated):
    put(workshop, rated, event(item=None, properties='{"itemId": "inside", "numRatings": 1}'))
    assert workshop.export(rated.interactions).lines == ["u1,inside,click,1,100"]


def test_57_properties_not_json(workshop, rated):
    for text in ("nonsense", json.dumps(json.dumps({"numRatings": 1}))):
        assert "Error parsing properties json" in refused(workshop, rated, event(properties=text))


def test_58_eleven_events(workshop, rated):
    refused(workshop, rated, *[event(at=n) for n in range(11)])
    put(workshop, rated, *[event(at=n) for n in range(10)])
    assert len(workshop.export(rated.interactions).rows) == 10


def test_59_anonymous(workshop, rated):
    workshop.events.put_events(trackingId=rated.tracking_id, sessionId="session-9", eventList=[event()])
    put(workshop, rated, event(at=101))
    assert workshop.export(rated.interactions).lines == ["session-9,i1,click,,100", "u1,i1,click,,101"]


def test_60_unknown_tracker(workshop):
    with pytest.raises(workshop.events.exceptions.InvalidInputException) as caught:
        workshop.events.put_events(trackingId="00000000-0000-4000-8000-000000000000", sessionId="s1",
                                   eventList=[event()])
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    nobody = "arn:aws:personalize:us-east-1:000000000000:dataset/nobody/ITEMS"
    with pytest.raises(workshop.events.exceptions.ResourceNotFoundException) as caught:
        workshop.put_items(nobody, ("i1", {}))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_61_fractional_sent_at(workshop, rated):
    """Below boto3, which sends whole seconds."""
    body = {"trackingId": rated.tracking_id, "userId": "u1", "sessionId": "s1", "eventList": [event(1553631782.9)]}
    assert raw.events(workshop.endpoint, "/events", body).status == 200
    assert workshop.export(rated.interactions).lines == ["u1,i1,click,,1553631782"]


def test_62_replace_not_merge(workshop):
    items = workshop.make_group(items=ITEMS_NULLABLE).items
    workshop.put_items(items, ("i1", {"price": 5, "genres": "Horror"}))
    workshop.put_items(items, ("i1", {"genres": "Comedy"}))
    assert workshop.export(items, "ALL").lines == ["i1,,Comedy,"]


# Deletion and tags.


def delete_users(workshop, group, *users):
    """Runs a data deletion job to its end; its description."""
    arn = workshop.personalize.create_data_deletion_job(
        jobName=unique("forget"), datasetGroupArn=group.arn, roleArn=workshop.import_role,
        dataSource={"dataLocation": workshop.upload("USER_ID\n" + "".join(f"{user}\n" for user in users))},
    )["dataDeletionJobArn"]
    describe = workshop.personalize.describe_data_deletion_job
    return wait(lambda: describe(dataDeletionJobArn=arn)["dataDeletionJob"], ends=("COMPLETED", "FAILED"))


def test_63_data_deletion(workshop):
    group = workshop.make_group(items=ITEMS, users=USERS, interactions=INTERACTIONS, tracker=True)
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\nu1,1,A\n")
    workshop.put_items(group.items, ("i2", {"price": 2, "categoryL1": "B"}))
    workshop.import_csv(group.users, "USER_ID,AGE,GENDER\nu1,30,F\nu2,40,\n")
    workshop.put_users(group.users, ("u1", {"age": 31}), ("u3", {"age": 50}))
    workshop.import_csv(group.interactions, "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\nu1,i1,click,1\nu2,i1,click,2\n")
    workshop.put_event(group.tracking_id, "u1", "i1", "click", 3)
    workshop.put_event(group.tracking_id, "u4", "i1", "click", 4)
    items = {mode: workshop.export(group.items, mode).rows for mode in MODES}

    job = delete_users(workshop, group, "u1", "u4", "never-seen")
    assert (job["status"], job["numDeleted"]) == ("COMPLETED", 5), job
    lines = lambda dataset: {mode: workshop.export(dataset, mode).lines for mode in MODES}
    assert lines(group.users) == {"BULK": ["u2,40,"], "PUT": ["u3,50,"], "ALL": ["u2,40,", "u3,50,"]}
    assert lines(group.interactions) == {"BULK": ["u2,i1,click,2"], "PUT": [], "ALL": ["u2,i1,click,2"]}
    assert {mode: workshop.export(group.items, mode).rows for mode in MODES} == items
    workshop.put_event(group.tracking_id, "u1", "i1", "click", 5)
    assert workshop.export(group.interactions).lines == ["u1,i1,click,5"], "what comes later is new data"


def test_64_tags(workshop):
    arn, exceptions = workshop.make_group().arn, workshop.personalize.exceptions
    tag = lambda *keys: workshop.personalize.tag_resource(
        resourceArn=arn, tags=[{"tagKey": key, "tagValue": "1"} for key in keys])
    tag(*[f"k{n:02}" for n in range(50)])
    with pytest.raises(exceptions.TooManyTagsException):
        tag("k50")
    with pytest.raises(exceptions.InvalidInputException):
        tag("aws:x")
    tags = workshop.personalize.list_tags_for_resource(resourceArn=arn)["tags"]
    assert [entry["tagKey"] for entry in tags] == [f"k{n:02}" for n in range(50)]
    assert "tags" not in workshop.personalize.describe_dataset_group(datasetGroupArn=arn)["datasetGroup"]


def test_65_delete_order(workshop):
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    personalize, in_use = workshop.personalize, workshop.personalize.exceptions.ResourceInUseException
    schema = personalize.describe_dataset(datasetArn=group.interactions)["dataset"]["schemaArn"]
    for delete in (lambda: personalize.delete_dataset(datasetArn=group.interactions),
                   lambda: personalize.delete_dataset_group(datasetGroupArn=group.arn),
                   lambda: personalize.delete_schema(schemaArn=schema)):
        with pytest.raises(in_use):
            delete()
    assert personalize.describe_dataset(datasetArn=group.interactions)["dataset"]["status"] == "ACTIVE"
