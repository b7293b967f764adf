"""All records of one user, read at once."""

import json
import urllib.error
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.lade import lade
from support.policies import allow
from support.server import REGION, ROOT_KEY, ROOT_SECRET
from support.workshop import unique

CLICKS = "USER_ID:string ITEM_ID:string TIMESTAMP:long"
PEOPLE = "USER_ID:string AGE:int?"


def read(endpoint, body, key=ROOT_KEY, secret=ROOT_SECRET):
    data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    request = AWSRequest("POST", f"{endpoint}/lade/v1/user-records", data=data, headers=headers)
    SigV4Auth(Credentials(key, secret), "personalize", REGION).add_auth(request)
    plain = urllib.request.Request(request.url, data=data, headers=dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(plain) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


@pytest.fixture(scope="module")
def group(workshop):
    group = workshop.make_group(interactions=CLICKS, users=PEOPLE, items="ITEM_ID:string PRICE:float", tracker=True)
    rows = "".join(f"u{n % 50},i{n},{n}\n" for n in range(500))
    workshop.import_csv(group.interactions, f"USER_ID,ITEM_ID,TIMESTAMP\n{rows}" + '"a,b",i,7\n"a,b",i,7\n')
    workshop.import_csv(group.users, 'USER_ID,AGE\nu1,30\n"a,b",\n')
    workshop.put_event(group.tracking_id, "a,b", "late", "click", 1_700_000_000)
    workshop.put_users(group.users, ("a,b", {"age": 44}))
    return group


def test_all_distinct_records_of_a_user_are_read_wherever_they_are(server, group):
    status, text = read(server.endpoint, {"datasetArn": group.interactions, "userId": "a,b"})
    assert status == 200
    assert text.splitlines() == ["USER_ID,ITEM_ID,TIMESTAMP", '"a,b",i,7', '"a,b",late,1700000000']
    # Also what a newer record supersedes is held, and so it is told.
    status, text = read(server.endpoint, {"datasetArn": group.users, "userId": "a,b"})
    assert sorted(text.splitlines()) == ['"a,b",', '"a,b",44', "USER_ID,AGE"]
    status, text = read(server.endpoint, {"datasetArn": group.interactions, "userId": "u1"})
    assert sorted(text.splitlines()[1:]) == sorted(f"u1,i{n},{n}" for n in range(1, 500, 50))
    assert read(server.endpoint, {"datasetArn": group.users, "userId": "nobody"}) == (200, "USER_ID,AGE\n")


def test_the_permission_is_that_to_export_on_the_dataset(server, workshop, group):
    user = workshop.make_user("reader")
    created = workshop.iam.create_access_key(UserName=user.name)["AccessKey"]
    key = created["AccessKeyId"], created["SecretAccessKey"]
    body = {"datasetArn": group.users, "userId": "u1"}
    status, refusal = read(server.endpoint, body, *key)
    assert (status, refusal["__type"]) == (403, "AccessDeniedException")
    workshop.set_policy(user, allow("personalize:CreateDatasetExportJob", group.users))
    assert read(server.endpoint, body, *key) == (200, "USER_ID,AGE\nu1,30\n")
    assert read(server.endpoint, {**body, "datasetArn": group.interactions}, *key)[0] == 403


@pytest.mark.parametrize("change, status", [
    ({"datasetArn": "items"}, 400), ({"datasetArn": "x"}, 404), ({"more": 1}, 400), ({"userId": 7}, 400),
    ({"datasetArn": "arn:aws:personalize:us-east-1:000000000000:dataset/none/USERS"}, 404),
])
def test_what_can_not_be_read_is_refused(server, group, change, status):
    change = {name: group.items if value == "items" else value for name, value in change.items()}
    assert read(server.endpoint, {"datasetArn": group.users, "userId": "u1", **change})[0] == status


def test_the_command_writes_a_file_for_each_dataset_of_users(server, group, tmp_path):
    folder = tmp_path / unique("user")
    done = lade(server, "export", "--user", "a,b", group.arn, str(folder))
    assert done.returncode == 0, done
    assert sorted(path.name for path in folder.iterdir()) == ["INTERACTIONS.csv", "USERS.csv"]
    assert (folder / "INTERACTIONS.csv").read_text().count("\n") == 3
    one = lade(server, "export", "--user", "u1", group.users)
    assert (one.returncode, one.stdout) == (0, "USER_ID,AGE\nu1,30\n")
    assert lade(server, "export", "--user", "u1", group.users, "s3://b/k").returncode == 1
    assert lade(server, "export", group.users).returncode == 2
