"""Records put one by one: how events, items and users become rows, and what is refused."""

import json

import pytest

from support import raw
from support.schemas import EVENTS, INTERACTIONS, ITEMS, ITEMS_NULLABLE, USERS

RATED = "USER_ID:string ITEM_ID:string EVENT_TYPE:string NUM_RATINGS:int TIMESTAMP:long"


@pytest.fixture
def rated(workshop):
    return workshop.make_group(interactions=RATED, tracker=True)


def put(workshop, group, *events, user="u1", session="s1"):
    who = {"userId": user} if user else {}
    return workshop.events.put_events(trackingId=group.tracking_id, sessionId=session, eventList=list(events), **who)


def event(kind="click", at=100, item="i1", properties=None, **more):
    event = {"eventType": kind, "sentAt": at, **more}
    if item:
        event["itemId"] = item
    if properties is not None:
        event["properties"] = properties if isinstance(properties, str) else json.dumps(properties)
    return event


def refused(workshop, group, *events, user="u1"):
    """The text of the refusal, after checking that nothing of the call was stored."""
    with pytest.raises(workshop.events.exceptions.InvalidInputException) as caught:
        put(workshop, group, *events, user=user)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert workshop.export(group.interactions, "PUT").rows == []
    return caught.value.response["Error"]["Message"]


def test_from_event_to_row(workshop):
    group = workshop.make_group(interactions=EVENTS, tracker=True)
    e1 = event("like", 1553631760, item=None, eventId="event1",
               properties={"itemId": "choc-panama", "eventValue": 4, "numRatings": 0})
    e2 = event("rating", 1553631782.9, item="movie_ten", eventId="event2", eventValue=3,
               properties={"numRatings": "13", "device": "Phone", "color": "red"},
               impression=["a", "b", "movie_ten"], recommendationId="RID-1")
    answer = put(workshop, group, e1, e2, user="user555", session="session1")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    exported = workshop.export(group.interactions, "PUT")
    assert exported.header == ["USER_ID", "ITEM_ID", "EVENT_TYPE", "EVENT_VALUE", "NUM_RATINGS", "DEVICE",
                               "TIMESTAMP", "IMPRESSION", "RECOMMENDATION_ID"]
    assert exported.rows == [
        ("user555", "choc-panama", "like", "4.0", "0", "", "1553631760", "", ""),
        ("user555", "movie_ten", "rating", "3.0", "13", "Phone", "1553631782", "a|b|movie_ten", "RID-1"),
    ]


def test_camel_case_names_find_their_fields(workshop):
    group = workshop.make_group(items=ITEMS)
    workshop.put_items(group.items, ("i1", {"price": 1, "categoryL1": "A"}), ("i2", {"PRICE": 2, "CATEGORY_L1": "B"}))
    assert workshop.export(group.items).lines == ["i1,1.0,A", "i2,2.0,B"]


def test_a_number_may_come_as_text(workshop, rated):
    put(workshop, rated, event(properties={"numRatings": "12"}))
    assert workshop.export(rated.interactions).lines == ["u1,i1,click,12,100"]


def test_text_that_is_no_number_refuses_the_whole_call(workshop, rated):
    message = refused(workshop, rated, event(properties={"numRatings": 1}), event(properties={"numRatings": "twelve"}))
    assert "NUM_RATINGS" in message or "numRatings" in message


@pytest.mark.parametrize("key", ["Timestamp", "userId", "sessionId", "EVENTTYPE", "recommendationId", "impression"])
def test_reserved_property_keys_are_refused(workshop, rated, key):
    refused(workshop, rated, event(properties={key: "1"}))


def test_the_item_may_stand_in_the_properties(workshop, rated):
    put(workshop, rated, event(item=None, properties={"itemId": "inside"}))
    put(workshop, rated, event(item="outside", at=101, properties={"itemId": "inside"}))
    assert workshop.export(rated.interactions).lines == ["u1,inside,click,,100", "u1,outside,click,,101"]


def test_an_event_without_item_is_refused(workshop, rated):
    assert "item" in refused(workshop, rated, event(item=None, properties={"numRatings": 1})).lower()


@pytest.mark.parametrize("text", ["nonsense", '"a string"', "[1]", '"{\\"numRatings\\": 1}"', '{"numRatings":'])
def test_properties_have_to_be_a_json_object(workshop, rated, text):
    assert "Error parsing properties json" in refused(workshop, rated, event(properties=text))


@pytest.mark.parametrize("value", [[1], {"a": 1}])
def test_nested_property_values_are_refused(workshop, rated, value):
    refused(workshop, rated, event(properties={"numRatings": value}))


def test_eleven_events_are_refused(workshop, rated):
    refused(workshop, rated, *[event(at=n) for n in range(11)])


def test_an_anonymous_event_bears_its_session(workshop, rated):
    put(workshop, rated, event(), user=None, session="session-9")
    assert workshop.export(rated.interactions).lines == ["session-9,i1,click,,100"]


def test_an_unknown_tracker_is_invalid_input(workshop, rated):
    with pytest.raises(workshop.events.exceptions.InvalidInputException):
        workshop.events.put_events(trackingId="00000000-0000-4000-8000-000000000000", sessionId="s",
                                   eventList=[event()])


def test_items_for_an_unknown_dataset_are_not_found(workshop):
    arn = "arn:aws:personalize:us-east-1:000000000000:dataset/nobody/ITEMS"
    with pytest.raises(workshop.events.exceptions.ResourceNotFoundException) as caught:
        workshop.put_items(arn, ("i1", {}))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_items_for_a_users_dataset_are_refused(workshop):
    group = workshop.make_group(users=USERS)
    with pytest.raises(workshop.events.exceptions.InvalidInputException):
        workshop.put_items(group.users, ("i1", {"age": 1}))


@pytest.mark.parametrize("sent, stored", [
    (1553631782.9, "1553631782"), (1553631782123, "1553631782"), ("1553631760", "1553631760"), (0, "0"),
    (99999999999, "99999999999"),
])
def test_times_are_whole_seconds(workshop, rated, sent, stored):
    """Sent below boto3, which would round them itself."""
    answer = put_raw(workshop, rated, sent)
    assert answer.status == 200 and answer.body == b""
    assert workshop.export(rated.interactions).lines == [f"u1,i1,click,,{stored}"]


@pytest.mark.parametrize("sent", [-1, "yesterday", None, [1]])
def test_times_that_are_none_are_refused(workshop, rated, sent):
    answer = put_raw(workshop, rated, sent)
    assert (answer.status, answer.code in ("InvalidInputException", "SerializationException")) == (400, True)
    assert answer.headers["x-amzn-errortype"] == answer.code and answer.headers["x-amzn-requestid"]
    assert workshop.export(rated.interactions).rows == []


def put_raw(workshop, group, sent_at):
    body = {"trackingId": group.tracking_id, "userId": "u1", "sessionId": "s1",
            "eventList": [{"eventType": "click", "sentAt": sent_at, "itemId": "i1"}]}
    return raw.events(workshop.endpoint, "/events", body)


def test_a_new_item_takes_the_place_of_the_whole_old_one(workshop):
    group = workshop.make_group(items=ITEMS_NULLABLE)
    workshop.put_items(group.items, ("i1", {"price": 5, "genres": "Horror|Action"}))
    workshop.put_items(group.items, ("i1", {"genres": "Comedy"}))
    assert workshop.export(group.items, "ALL").lines == ["i1,,Comedy,"]
    assert workshop.export(group.items, "PUT").rows == [
        ("i1", "5.0", "Horror|Action", ""), ("i1", "", "Comedy", "")]


def test_empty_text_is_null(workshop):
    group = workshop.make_group(items=ITEMS_NULLABLE)
    workshop.put_items(group.items, ("i1", {"price": 1, "genres": ""}), ("i1", {"price": 1, "genres": None}))
    assert workshop.export(group.items, "PUT").lines == ["i1,1.0,,"]


def test_items_and_users_are_held_to_their_schema(workshop):
    group = workshop.make_group(items=ITEMS, users=USERS)
    invalid = workshop.events.exceptions.InvalidInputException
    for properties in ({"price": 1}, {"price": 1, "categoryL1": "A", "colour": "red"}, {"price": "x", "categoryL1": "A"},
                       {"price": 1, "PRICE": 2, "categoryL1": "A"}, {"price": 1, "categoryL1": "A" * 1001}):
        with pytest.raises(invalid):
            workshop.put_items(group.items, ("good", {"price": 1, "categoryL1": "A"}), ("bad", properties))
    with pytest.raises(invalid):
        workshop.put_users(group.users, ("u1", {"gender": "F"}))
    assert workshop.export(group.items).rows == [] == workshop.export(group.users).rows


def test_ten_records_of_each_kind_in_one_call(workshop):
    group = workshop.make_group(items=ITEMS, users=USERS, interactions=INTERACTIONS, tracker=True)
    workshop.put_items(group.items, *[(f"i{n}", {"price": n, "categoryL1": "A"}) for n in range(10)])
    workshop.put_users(group.users, *[(f"u{n}", {"age": n, "gender": "F"}) for n in range(10)])
    put(workshop, group, *[event(at=n) for n in range(10)])
    assert workshop.export(group.items).lines == [f"i{n},{n}.0,A" for n in range(10)]
    assert workshop.export(group.users).lines == [f"u{n},{n},F" for n in range(10)]
    assert workshop.export(group.interactions).lines == [f"u1,i1,click,{n}" for n in range(10)]
