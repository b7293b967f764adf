"""Jobs against Ceph's radosgw: roles, their sessions and bucket policies of a real store, changed while it runs.

What it can't express: conditions on aws:PrincipalArn, denials by NotAction, trust in a service with aws:SourceArn, a
caller's own right to a key, and session policies that name actions of KMS, which it refuses as a whole.
"""

import json
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support.clients import Clients
from support.export import Export
from support.policies import allow
from support.radosgw import ACCOUNT, KEY, SERVICE, SERVICE_ARN, Radosgw, compact
from support.schemas import INTERACTIONS
from support.server import Server
from support.workshop import Workshop, unique

BUCKET = "retail"
BUCKET_ARN, OBJECTS = f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"
CSV = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "".join(f"user{n},item{n % 7},click,{n}\n" for n in range(500))
LIST = allow(["s3:ListBucket"], [BUCKET_ARN])
PUT, GET = allow(["s3:PutObject"], [OBJECTS]), allow(["s3:GetObject"], [OBJECTS])


class Outside(Workshop):
    """A workshop whose bucket and roles are those of the store."""

    def __init__(self, endpoint, store):
        Clients.__init__(self, endpoint)
        self.store = store
        self.import_role = store.make_role("importer", GET, LIST)
        self.export_role = store.make_role("exporter", PUT, LIST)

    def rows_of(self, job):
        job = self.wait_export(job)
        assert job["status"] == "ACTIVE", job
        return Export(self.reader(), job["jobOutput"]["s3DataDestination"]["path"], job["jobName"]).check().rows

    def reader(self):
        """A client that reads what jobs wrote: it belongs to the server's user, so the bucket's owner can list it only."""
        given = Clients(self.store.endpoint, *SERVICE).sts.assume_role(
            RoleArn=self.import_role, RoleSessionName="reader")["Credentials"]
        return Clients(self.store.endpoint, given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]).s3


@pytest.fixture(scope="module")
def store():
    # Sockets lie in it, whose paths have to be short.
    folder = Path(tempfile.mkdtemp(prefix="rgw"))
    store = Radosgw(folder)
    try:
        store.start().s3.create_bucket(Bucket=BUCKET)
        store.s3.put_object(Bucket=BUCKET, Key="in/data.csv", Body=CSV.encode())
        yield store
    finally:
        store.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def outside(tmp_path_factory, store):
    env = {"LADE_S3_ENDPOINT": store.endpoint, "LADE_STS_ENDPOINT": store.endpoint, "LADE_ACCOUNT_ID": ACCOUNT,
           "LADE_SERVICE_ACCESS_KEY_ID": SERVICE[0], "LADE_SERVICE_SECRET_ACCESS_KEY": SERVICE[1],
           "LADE_SERVICE_ARN": SERVICE_ARN}
    server = Server(tmp_path_factory.mktemp("outside"), env=env).start()
    yield Outside(server.endpoint, store)
    assert server.stop() == 0, server.tail()


@pytest.fixture(scope="module")
def dataset(outside):
    dataset = outside.make_group(interactions=INTERACTIONS).interactions
    job = outside.wait_import(outside.start_import(dataset, f"s3://{BUCKET}/in/"))
    assert job["status"] == "ACTIVE", job
    return dataset


@pytest.fixture
def bucket_policy(store):
    """Sets the bucket's policy until the test's end."""
    yield lambda *statements: store.s3.put_bucket_policy(Bucket=BUCKET, Policy=compact(*statements))
    store.s3.delete_bucket_policy(Bucket=BUCKET)


def start(outside, dataset, folder, role, key=None):
    destination = {"path": f"s3://{BUCKET}/{folder}", **({"kmsKeyArn": key} if key else {})}
    return outside.personalize.create_dataset_export_job(
        jobName=unique("export"), datasetArn=dataset, ingestionMode="ALL", roleArn=role,
        jobOutput={"s3DataDestination": destination})["datasetExportJobArn"]


def check_denied(outside, call, role, action):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidInputException", error
    who = rf"User: arn:aws:sts::{ACCOUNT}:assumed-role/{role}/\S+, assumed by {SERVICE_ARN},"
    assert re.search(rf"{who} is not authorized to perform: {action} on resource: {BUCKET_ARN}", error["Message"]), error
    assert f"Add this statement to a policy of the role {role}: " in error["Message"], error
    assert f"look for what denies {action} in the policy of the bucket {BUCKET}" in error["Message"], error


def left(store, folder):
    listed = store.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{folder}/").get("Contents", [])
    return listed + store.s3.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{folder}/").get("Uploads", [])


def test_what_was_imported_is_exported(outside, dataset):
    rows = outside.rows_of(start(outside, dataset, "plain", outside.export_role))
    assert sorted(rows) == sorted(tuple(line.split(",")) for line in CSV.split()[1:])


def test_an_export_under_a_key_is_encrypted(outside, store, dataset):
    assert len(outside.rows_of(start(outside, dataset, "sealed", outside.export_role, KEY))) == 500
    for entry in store.s3.list_objects_v2(Bucket=BUCKET, Prefix="sealed/")["Contents"]:
        head = outside.reader().head_object(Bucket=BUCKET, Key=entry["Key"])
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", KEY)


@pytest.mark.parametrize("name, statements, action", [
    ("no-put", [LIST], "s3:PutObject"),
    ("no-list", [PUT], "s3:ListBucket"),
    ("other-folder", [allow(["s3:PutObject"], [f"{BUCKET_ARN}/elsewhere/*"]), LIST], "s3:PutObject"),
])
def test_an_export_needs_its_actions_in_its_folder(outside, store, dataset, name, statements, action):
    role = store.make_role(name, *statements)
    check_denied(outside, lambda: start(outside, dataset, name, role), name, action)
    assert left(store, name) == []
    store.set_policy(name, PUT, LIST)
    assert len(outside.rows_of(start(outside, dataset, name, role))) == 500


@pytest.mark.parametrize("name, statements, action", [
    ("no-get", [LIST], "s3:GetObject"),
    ("get-no-list", [GET], "s3:ListBucket"),
    ("get-elsewhere", [allow(["s3:GetObject"], [f"{BUCKET_ARN}/elsewhere/*"]), LIST], "s3:GetObject"),
])
def test_an_import_needs_its_actions_in_its_folder(outside, store, dataset, name, statements, action):
    role = store.make_role(name, *statements)
    check_denied(outside, lambda: outside.start_import(dataset, f"s3://{BUCKET}/in/", roleArn=role), name, action)
    store.set_policy(name, GET, LIST)
    assert outside.wait_import(outside.start_import(dataset, f"s3://{BUCKET}/in/", roleArn=role))["status"] == "ACTIVE"


def test_a_bucket_policy_that_denies_the_role_wins(outside, store, dataset, bucket_policy):
    role = store.make_role("denied", PUT, LIST)
    bucket_policy({"Effect": "Deny", "Principal": {"AWS": [role]}, "Action": ["s3:PutObject"], "Resource": [OBJECTS]})
    check_denied(outside, lambda: start(outside, dataset, "denied", role), "denied", "s3:PutObject")
    assert left(store, "denied") == []


def test_a_bucket_policy_that_allows_the_role_is_enough(outside, store, dataset, bucket_policy):
    role = store.make_role("bare")
    check_denied(outside, lambda: start(outside, dataset, "bare", role), "bare", "s3:ListBucket")
    bucket_policy({"Effect": "Allow", "Principal": {"AWS": [role]}, "Action": ["s3:PutObject", "s3:ListBucket"],
                   "Resource": [BUCKET_ARN, OBJECTS]})
    assert len(outside.rows_of(start(outside, dataset, "bare", role))) == 500


def test_a_role_that_does_not_trust_the_server_is_not_assumed(outside, store, dataset):
    stranger = store.make_role("stranger", PUT, LIST, trusted=f"arn:aws:iam::{ACCOUNT}:user/root")
    for role in (stranger, f"arn:aws:iam::{ACCOUNT}:role/missing"):
        with pytest.raises(ClientError, match="is not authorized to perform: sts:AssumeRole") as caught:
            start(outside, dataset, "stranger", role)
        message = caught.value.response["Error"]["Message"]
        assert json.loads(message[message.rindex('{"Effect"'):])["Principal"] == {"AWS": SERVICE_ARN}
    assert left(store, "stranger") == []
