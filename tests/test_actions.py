"""Actions and what users do with them: puts and imports, checked in the runs, since no export takes them."""

import json
import re

import pytest
from botocore.exceptions import ClientError

from support import raw
from support.schemas import ACTION_INTERACTIONS, ACTIONS, INTERACTIONS, ITEMS, column_names
from support.server import Server
from support.workshop import Workshop, wait

ARN = "arn:aws:personalize:us-east-1:000000000000:"
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.fixture
def actions(workshop):
    return workshop.make_dataset(workshop.make_group().arn, "ACTIONS", ACTIONS)


@pytest.fixture
def tracking_id(workshop):
    return tracked(workshop, workshop.make_dataset(workshop.make_group().arn, "ACTION_INTERACTIONS", ACTION_INTERACTIONS))


def tracked(workshop, dataset):
    return workshop.personalize.describe_dataset(datasetArn=dataset)["dataset"]["trackingId"]


def put_actions(workshop, dataset, *actions):
    records = [{"actionId": key, "properties": json.dumps(values)} for key, values in actions]
    return workshop.events.put_actions(datasetArn=dataset, actions=records)


def interaction(action="a1", kind="Taken", at=100, properties=None, **more):
    more = {"sessionId": "s1", **more}
    if properties is not None:
        more["properties"] = properties if isinstance(properties, str) else json.dumps(properties)
    return {"actionId": action, "eventType": kind, "timestamp": at, **more}


def put(workshop, tracking_id, *interactions):
    return workshop.events.put_action_interactions(trackingId=tracking_id, actionInteractions=list(interactions))


def refused(call, code="InvalidInputException", status=400):
    """The text of a refusal."""
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), answer
    return answer["Error"]["Message"]


def test_what_is_put_and_imported_is_in_the_runs(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    server = Server(tmp_path / "own", arguments=["--flush-after-s", "0", "--at-rest", "plain"]).start()
    try:
        workshop = Workshop(server.endpoint)
        group = workshop.make_group().arn
        actions = workshop.make_dataset(group, "ACTIONS", ACTIONS)
        interactions = workshop.make_dataset(group, "ACTION_INTERACTIONS", ACTION_INTERACTIONS)
        workshop.import_csv(actions, "VALUE,ACTION_ID,KIND\n7,a0,x|y\n,a00,z\n")
        workshop.import_csv(interactions, "USER_ID,ACTION_ID,EVENT_TYPE,TIMESTAMP,DEVICE,IMPRESSION,RECOMMENDATION_ID\n"
                                          "u0,a0,Viewed,1,,a0|a1,\n")
        put_actions(workshop, actions, ("a1", {"value": "100", "kind": "x"}), ("a2", {"KIND": "y"}))
        put(workshop, tracked(workshop, interactions),
            interaction(at=1553631782, userId="u1", properties={"device": "Phone", "color": "red"},
                        impression=["a1", "a2"], recommendationId="RID", eventId="e1"),
            interaction("a2", "NOT_TAKEN"))
        expected = {
            ("ACTIONS", ("a0", 7, "x|y")), ("ACTIONS", ("a00", None, "z")),
            ("ACTIONS", ("a1", 100, "x")), ("ACTIONS", ("a2", None, "y")),
            ("ACTION_INTERACTIONS", ("u0", "a0", "Viewed", 1, None, "a0|a1", None)),
            ("ACTION_INTERACTIONS", ("u1", "a1", "Taken", 1553631782, "Phone", "a1|a2", "RID")),
            ("ACTION_INTERACTIONS", ("s1", "a2", "NOT_TAKEN", 100, None, None, None)),
        }
        found = lambda: {"status": "ACTIVE" if stored(server, parquet) == expected else "not yet"}
        wait(found)
    finally:
        server.kill()


def stored(server, parquet):
    """All records in runs, each with the type of its dataset."""
    kinds = {tuple(column_names(ACTIONS)): "ACTIONS", tuple(column_names(ACTION_INTERACTIONS)): "ACTION_INTERACTIONS"}
    records = set()
    for path in (server.data_dir / "runs").glob("*.parquet"):
        table = parquet.read_table(path)
        names = [name for name in table.column_names if not name.startswith("_")]
        rows = zip(*(table[name].to_pylist() for name in names))
        records |= {(kinds[tuple(names)], row) for row in rows}
    return records


def test_a_dataset_of_action_interactions_has_a_tracking_id(workshop):
    group = workshop.make_group(interactions=INTERACTIONS)
    actions = workshop.make_dataset(group.arn, "ACTIONS", ACTIONS)
    dataset = workshop.make_dataset(group.arn, "ACTION_INTERACTIONS", ACTION_INTERACTIONS)
    first = tracked(workshop, dataset)
    assert re.fullmatch(UUID, first)
    for other in (actions, group.interactions):
        assert "trackingId" not in workshop.personalize.describe_dataset(datasetArn=other)["dataset"]
    listed = workshop.personalize.list_datasets(datasetGroupArn=group.arn)["datasets"]
    assert len(listed) == 3 and not any("trackingId" in entry for entry in listed)
    assert workshop.personalize.list_event_trackers(datasetGroupArn=group.arn)["eventTrackers"] == []
    put(workshop, first, interaction())
    workshop.personalize.delete_dataset(datasetArn=dataset)
    refused(lambda: put(workshop, first, interaction()), "ResourceNotFoundException", 404)
    again = tracked(workshop, workshop.make_dataset(group.arn, "ACTION_INTERACTIONS", ACTION_INTERACTIONS))
    assert again != first
    put(workshop, again, interaction())


def test_ten_of_each_in_one_call_and_no_more(workshop, actions, tracking_id):
    put_actions(workshop, actions, *[(f"a{n}", {"kind": "x"}) for n in range(10)])
    put(workshop, tracking_id, *[interaction(at=n) for n in range(10)])
    refused(lambda: put_actions(workshop, actions, *[(f"a{n}", {"kind": "x"}) for n in range(11)]))
    refused(lambda: put(workshop, tracking_id, *[interaction(at=n) for n in range(11)]))


def test_the_answers_are_empty(workshop, actions, tracking_id):
    for path, body in [
        ("/actions", {"datasetArn": actions, "actions": [{"actionId": "a", "properties": "{\"kind\":\"x\"}"}]}),
        ("/action-interactions", {"trackingId": tracking_id, "actionInteractions": [interaction()]}),
    ]:
        answer = raw.events(workshop.endpoint, path, body)
        assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("properties, text", [
    ({}, "required fields: [KIND]"),
    ({"kind": None}, "required fields: [KIND]"),
    ({"kind": "x", "value": "much"}, "value"),
    ({"kind": "x", "value": 1.5}, "value"),
    ({"kind": "x", "colour": "red"}, "colour"),
    ({"kind": "x", "KIND": "y"}, "twice"),
    ({"kind": "x", "actionId": "b"}, "ACTION_ID"),
    ({"kind": "x" * 1001}, "1000"),
])
def test_actions_are_held_to_their_schema(workshop, actions, properties, text):
    assert text in refused(lambda: put_actions(workshop, actions, ("good", {"kind": "x"}), ("bad", properties)))


def test_properties_of_actions_may_be_long(workshop):
    fields = "ACTION_ID:string VALUE:long? KIND:string"
    dataset = workshop.make_dataset(workshop.make_group().arn, "ACTIONS", fields)
    long = lambda n: {"actionId": "a", "properties": json.dumps({"kind": "x"}).ljust(n)}
    workshop.events.put_actions(datasetArn=dataset, actions=[long(32_000)])
    assert "32000" in refused(lambda: workshop.events.put_actions(datasetArn=dataset, actions=[long(32_001)]))


def test_actions_go_to_actions_only(workshop, actions):
    group = workshop.make_group(items=ITEMS)
    refused(lambda: put_actions(workshop, group.items, ("i1", {"price": 1})))
    refused(lambda: workshop.put_items(actions, ("a1", {"kind": "x"})))
    nobody = f"{ARN}dataset/nobody/ACTIONS"
    text = refused(lambda: put_actions(workshop, nobody, ("a", {})), "ResourceNotFoundException", 404)
    assert text == f"The given dataset does not exist: {nobody}"


@pytest.mark.parametrize("kind", ["Viewed", "Taken", "Not taken", "Not Taken", "TAKEN", "NOT_TAKEN", "viewed"])
def test_event_types_in_every_documented_spelling(workshop, tracking_id, kind):
    put(workshop, tracking_id, interaction(kind=kind))


@pytest.mark.parametrize("more, text", [
    ({"kind": "click"}, "Viewed, Taken, Not taken"),
    ({"properties": {"userId": "u"}}, "userId"),
    ({"properties": {"SESSION_ID": "s"}}, "SESSION_ID"),
    ({"properties": {"eventType": "Taken"}}, "eventType"),
    ({"properties": {"timestamp": 1}}, "timestamp"),
    ({"properties": {"recommendationId": "r"}}, "recommendationId"),
    ({"properties": {"impression": "a"}}, "impression"),
    ({"properties": {"device": [1]}}, "device"),
    ({"properties": "[]"}, "Error parsing properties json"),
    ({"properties": {"device": "x" * 1024}}, "1024"),
    ({"impression": ["a|b"]}, "vertical bar"),
    ({"impression": ["a"] * 26}, "25"),
    ({"recommendationId": "r" * 41}, "40"),
    ({"at": -1}, "timestamp"),
])
def test_action_interactions_that_are_refused(workshop, tracking_id, more, text):
    assert text in refused(lambda: put(workshop, tracking_id, interaction(), interaction(**more)))


def test_an_event_tracker_is_no_tracker_of_actions(workshop, tracking_id):
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    for _ in range(2):
        workshop.put_event(group.tracking_id, "u1", "i1", "click", 1)
        put(workshop, tracking_id, interaction())
        text = refused(lambda: put(workshop, group.tracking_id, interaction()), "ResourceNotFoundException", 404)
        assert text == f"The given tracking ID does not exist: {group.tracking_id}"
        refused(lambda: workshop.put_event(tracking_id, "u1", "i1", "click", 1))


def test_neither_can_be_exported_or_get_another_schema(workshop, actions):
    assert "ACTIONS" in refused(lambda: workshop.start_export(actions))
    schema = workshop.make_schema("ACTIONS", ACTIONS + " NEW:long?")
    refused(lambda: workshop.personalize.update_dataset(datasetArn=actions, schemaArn=schema))


def test_the_cli_knows_both(server, workshop, actions, tracking_id):
    from support.clients import aws
    aws(server, "personalize-events", "put-actions", "--dataset-arn", actions,
        "--actions", json.dumps([{"actionId": "a", "properties": "{\"kind\":\"x\"}"}]))
    aws(server, "personalize-events", "put-action-interactions", "--tracking-id", tracking_id,
        "--action-interactions", json.dumps([interaction()]))
