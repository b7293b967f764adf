"""Some records of a dataset under /lade/v1/records: of one id, or a few that show what it holds."""

import json
import urllib.error
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.lade import lade
from support.policies import allow
from support.server import REGION, ROOT_KEY, ROOT_SECRET, Server
from support.workshop import Workshop

CLICKS = "USER_ID:string ITEM_ID:string PLACE:string? TIMESTAMP:long"
CLICK = json.dumps({"place": "click"})
PRICED = "ITEM_ID:string PRICE:float NEW:boolean?"


def read(endpoint, body, key=ROOT_KEY, secret=ROOT_SECRET):
    data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    request = AWSRequest("POST", f"{endpoint}/lade/v1/records", data=data, headers=headers)
    SigV4Auth(Credentials(key, secret), "personalize", REGION).add_auth(request)
    plain = urllib.request.Request(request.url, data=data, headers=dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(plain) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


def found(endpoint, dataset, **more):
    status, answer = read(endpoint, {"datasetArn": dataset, **more})
    assert status == 200, answer
    return answer


def lines(answer):
    return [(record["origin"], *record["values"]) for record in answer["records"]]


@pytest.fixture(scope="module")
def group(workshop):
    group = workshop.make_group(interactions=CLICKS, users="USER_ID:string AGE:int?", items=PRICED, tracker=True)
    rows = "".join(f"u{n % 50},i{n},view,{n}\n" for n in range(500))
    more = '"a,b",i,,7\n"a,b",i,,7\ni7,both,,8\n'
    workshop.import_csv(group.interactions, f"USER_ID,ITEM_ID,PLACE,TIMESTAMP\n{rows}{more}")
    workshop.import_csv(group.items, "ITEM_ID,PRICE,NEW\nx,1.5,true\ny,2,\n")
    workshop.put_event(group.tracking_id, "a,b", "late", "click", 1_700_000_000, properties=CLICK)
    workshop.put_event(group.tracking_id, "other", "i7", "click", 1_700_000_001, properties=CLICK)
    workshop.put_items(group.items, ("x", {"price": 2.25}), ("z", {"price": 1e21, "new": False}))
    return group


def test_records_of_a_user_are_found_in_runs_and_in_the_log(server, group):
    answer = found(server.endpoint, group.interactions, id="a,b")
    assert answer["columns"] == ["USER_ID", "ITEM_ID", "PLACE", "TIMESTAMP"]
    assert lines(answer) == [("PUT", "a,b", "late", "click", "1700000000"), ("BULK", "a,b", "i", None, "7")]
    assert answer["hasMore"] is False
    sequences = [record["sequence"] for record in answer["records"]]
    assert sequences == sorted(sequences, reverse=True)


def test_records_are_found_by_either_id(server, group):
    expected = [("PUT", "other", "i7", "click", "1700000001"), ("BULK", "i7", "both", None, "8"),
                ("BULK", "u7", "i7", "view", "7")]
    assert sorted(lines(found(server.endpoint, group.interactions, id="i7"))) == sorted(expected)
    assert lines(found(server.endpoint, group.interactions, id="nobody")) == []


def test_an_item_is_found_with_all_its_versions_newest_first(server, group):
    assert lines(found(server.endpoint, group.items, id="x")) == [("PUT", "x", "2.25", None), ("BULK", "x", "1.5", "true")]
    assert lines(found(server.endpoint, group.items, id="z")) == [("PUT", "z", "1.0e21", "false")]
    for origin, prices in (("BULK", ["1.5"]), ("PUT", ["2.25"]), ("ALL", ["2.25", "1.5"])):
        answer = found(server.endpoint, group.items, id="x", origin=origin)
        assert [record["values"][1] for record in answer["records"]] == prices, origin


def test_a_limit_cuts_and_says_so(server, group):
    for limit, more in ((1, True), (2, True), (10, False), (9, True), (1000, False)):
        answer = found(server.endpoint, group.interactions, id="u3", limit=limit)
        assert (len(answer["records"]), answer["hasMore"]) == (min(limit, 10), more), limit
    assert found(server.endpoint, group.interactions, id="i7", limit=2)["hasMore"] is True


def test_a_preview_shows_the_newest_put_ones_and_some_imported_ones(server, group):
    answer = found(server.endpoint, group.interactions, limit=4)
    assert lines(answer)[:2] == [("PUT", "other", "i7", "click", "1700000001"), ("PUT", "a,b", "late", "click", "1700000000")]
    assert [line[0] for line in lines(answer)[2:]] == ["BULK", "BULK"] and answer["hasMore"]
    assert len(found(server.endpoint, group.interactions)["records"]) == 20
    whole = found(server.endpoint, group.items)
    assert len(whole["records"]) == 4 and not whole["hasMore"]
    assert lines(found(server.endpoint, group.items, origin="PUT", limit=1)) == [("PUT", "z", "1.0e21", "false")]
    assert found(server.endpoint, group.users) == {"columns": ["USER_ID", "AGE"], "records": [], "hasMore": False}
    everything = found(server.endpoint, group.interactions, limit=1000)
    assert len(everything["records"]) == 504 and not everything["hasMore"]


def test_put_records_are_found_in_their_runs_as_well(tmp_path):
    server = Server(tmp_path, arguments=["--flush-after-s", "0"]).start()
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(items=PRICED)
    for n in range(3):
        workshop.put_items(group.items, *((f"i{10 * n + m}", {"price": n}) for m in range(10)))
        workshop.put_items(group.items, ("same", {"price": 1}))
        newest = [f"i{10 * n + m}" for m in reversed(range(10))]
        answer = found(server.endpoint, group.items, limit=11)
        assert [record["values"][0] for record in answer["records"]] == ["same", *newest], n
    assert lines(found(server.endpoint, group.items, id="i7")) == [("PUT", "i7", "0.0", None)]
    assert lines(found(server.endpoint, group.items, id="same")) == [("PUT", "same", "1.0", None)]
    assert server.stop() == 0, server.tail()


def test_records_from_before_a_schema_was_replaced_have_the_new_column_empty(server, workshop):
    group = workshop.make_group(items="ITEM_ID:string PRICE:float")
    workshop.import_csv(group.items, "ITEM_ID,PRICE\na,1\n")
    workshop.put_items(group.items, ("a", {"price": 2}))
    workshop.replace_schema(group.items, "ITEM_ID:string COLOR:string? PRICE:float")
    workshop.put_items(group.items, ("a", {"price": 3, "color": "red"}))
    answer = found(server.endpoint, group.items, id="a")
    assert answer["columns"] == ["ITEM_ID", "COLOR", "PRICE"]
    assert lines(answer) == [("PUT", "a", "red", "3.0"), ("PUT", "a", None, "2.0"), ("BULK", "a", None, "1.0")]


def test_the_permission_is_that_to_export_on_the_dataset(server, workshop, group):
    user = workshop.make_user("reader")
    created = workshop.iam.create_access_key(UserName=user.name)["AccessKey"]
    key = created["AccessKeyId"], created["SecretAccessKey"]
    body = {"datasetArn": group.items, "id": "y"}
    status, refusal = read(server.endpoint, body, *key)
    assert (status, refusal["__type"]) == (403, "AccessDeniedException")
    workshop.set_policy(user, allow("personalize:CreateDatasetExportJob", group.items))
    assert lines(read(server.endpoint, body, *key)[1]) == [("BULK", "y", "2.0", None)]
    assert read(server.endpoint, {**body, "datasetArn": group.interactions}, *key)[0] == 403


@pytest.mark.parametrize("change, status", [
    ({"datasetArn": "x"}, 404), ({"more": 1}, 400), ({"id": 7}, 400), ({"limit": 0}, 400), ({"limit": 1001}, 400),
    ({"origin": "put"}, 400), ({"datasetArn": "arn:aws:personalize:us-east-1:000000000000:dataset/none/USERS"}, 404),
    ({"datasetArn": "arn:aws:personalize:us-east-1:111111111111:dataset/none/USERS"}, 404),
])
def test_what_can_not_be_read_is_refused(server, group, change, status):
    assert read(server.endpoint, {"datasetArn": group.users, **change})[0] == status


def test_a_deleted_dataset_shows_nothing(server, workshop):
    group = workshop.make_group(items=PRICED)
    workshop.put_items(group.items, ("a", {"price": 1}))
    workshop.personalize.delete_dataset(datasetArn=group.items)
    assert read(server.endpoint, {"datasetArn": group.items})[0] == 404


def test_the_command_prints_csv_or_json(server, group):
    done = lade(server, "records", group.items, "--id", "x")
    assert (done.returncode, done.stdout) == (0, "ITEM_ID,PRICE,NEW,_ORIGIN\nx,2.25,,PUT\nx,1.5,true,BULK\n"), done
    done = lade(server, "records", group.items, "--limit", "1", "--origin", "BULK")
    assert done.stdout.count("\n") == 2 and "more" in done.stderr
    done = lade(server, "records", group.items, "--id", "x", "--json")
    assert lines(json.loads(done.stdout)) == [("PUT", "x", "2.25", None), ("BULK", "x", "1.5", "true")]
    assert lade(server, "records", "arn:aws:personalize:us-east-1:000000000000:dataset/none/ITEMS").returncode == 1
