"""The audit log: who called what, on what, and how it ended, and never a secret or a value of a record."""

import base64
import json
import os
import re
import signal
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from support import raw
from support.clients import Clients
from support.schemas import INTERACTIONS, ITEMS
from support.server import REGION, ROOT_KEY, Server
from support.workshop import Workshop

ROOT = "arn:aws:iam::000000000000:root"
CANARY = "c4n4ry"


def lines(server, name="audit.log"):
    """Whole ones, without what is being written at this moment; names may hold what Unicode takes for line ends."""
    return [json.loads(line) for line in (server.data_dir / name).read_text().split("\n")[:-1]]


def find(server, within_s=20, **members):
    """The lines that have these members, as soon as there is one."""
    deadline = time.monotonic() + within_s
    while not (found := [line for line in lines(server) if members.items() <= line.items()]):
        assert time.monotonic() < deadline, (members, lines(server)[-5:])
        time.sleep(0.02)
    return found


def request_id(answer):
    return answer["ResponseMetadata"]["RequestId"]


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response


def test_a_call_leaves_a_line(server, workshop):
    created = workshop.personalize.create_dataset_group(name=f"audited-{os.getpid()}")
    (line,) = find(server, requestID=request_id(created))
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line.pop("eventTime"))
    assert line == {
        "requestID": request_id(created), "sourceIPAddress": "127.0.0.1", "eventSource": "personalize",
        "eventName": "CreateDatasetGroup", "userIdentity": {"arn": ROOT, "accessKeyId": ROOT_KEY},
        "resources": [created["datasetGroupArn"]], "status": 200, "errorCode": None,
    }


def test_calls_of_all_services_say_on_what_they_were(server, workshop):
    bucket = workshop.source
    key = workshop.kms.create_key()["KeyMetadata"]
    group = workshop.make_group(interactions=INTERACTIONS, items=ITEMS, tracker=True)
    user = f"watched-{os.getpid()}"
    for service, name, resource, call in [
        ("s3", "PutObject", f"arn:aws:s3:::{bucket}/a b", lambda: workshop.s3.put_object(Bucket=bucket, Key="a b")),
        ("s3", "ListObjectsV2", f"arn:aws:s3:::{bucket}", lambda: workshop.s3.list_objects_v2(Bucket=bucket)),
        ("iam", "CreateUser", f"arn:aws:iam::000000000000:user/{user}", lambda: workshop.iam.create_user(UserName=user)),
        ("sts", "GetCallerIdentity", None, workshop.sts.get_caller_identity),
        ("kms", "DescribeKey", key["Arn"], lambda: workshop.kms.describe_key(KeyId=key["KeyId"])),
        ("personalize", "PutEvents", group.tracking_id, lambda: workshop.put_event(group.tracking_id, "u", "i", "k", 1)),
        ("personalize", "PutItems", group.items,
         lambda: workshop.put_items(group.items, ("i", {"price": 1.0, "categoryL1": "a"}))),
    ]:
        (line,) = find(server, requestID=request_id(call()))
        assert (line["eventSource"], line["eventName"], line["status"]) == (service, name, 200), line
        assert line["resources"] == ([resource] if resource else []), line


def test_refusals_leave_lines_with_their_codes(server, workshop):
    name = f"limited-{os.getpid()}"
    user = workshop.iam.create_user(UserName=name)["User"]
    made = workshop.iam.create_access_key(UserName=name)["AccessKey"]
    limited = Clients(server.endpoint, made["AccessKeyId"], made["SecretAccessKey"])
    for answer, arn, key, code in [
        (refused(workshop.personalize.describe_schema, schemaArn=workshop.make_schema("ITEMS", ITEMS) + "x"),
         ROOT, ROOT_KEY, "ResourceNotFoundException"),
        (refused(limited.personalize.list_schemas), user["Arn"], made["AccessKeyId"], "AccessDeniedException"),
        (refused(limited.s3.get_object, Bucket=workshop.source, Key="k"), user["Arn"], made["AccessKeyId"], "AccessDenied"),
        (refused(workshop.s3.head_object, Bucket=workshop.source, Key="absent"), ROOT, ROOT_KEY, "NoSuchKey"),
        (refused(Clients(server.endpoint, secret="wrong").personalize.list_schemas), None, ROOT_KEY,
         "InvalidSignatureException"),
        (refused(Clients(server.endpoint, key="AKIANOBODY").iam.list_users), None, "AKIANOBODY", "InvalidClientTokenId"),
    ]:
        (line,) = find(server, requestID=request_id(answer))
        assert line["userIdentity"] == {"arn": arn, "accessKeyId": key}, line
        assert (line["status"], line["errorCode"]) == (answer["ResponseMetadata"]["HTTPStatusCode"], code), line


def test_what_jobs_do_in_buckets_leaves_lines_too(server, workshop):
    dataset = workshop.make_group(interactions=INTERACTIONS).interactions
    location = workshop.upload("USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\nu1,i1,click,1\n")
    job = workshop.start_import(dataset, location)
    assert workshop.wait_import(job)["status"] == "ACTIVE"
    role = workshop.import_role.rpartition("/")[2]
    for line in find(server, eventName="GetObject", resources=[location.replace("s3://", "arn:aws:s3:::")]):
        assert line["userIdentity"]["arn"].startswith(f"arn:aws:sts::000000000000:assumed-role/{role}/"), line


def test_health_checks_and_anonymous_requests(server):
    before = len(lines(server))
    assert raw.send(server.endpoint, "GET", "/health/live", sign=False).status == 200
    nobody = raw.send(server.endpoint, "GET", "/bucket/key", sign=False)
    (line,) = find(server, requestID=nobody.headers["x-amz-request-id"])
    assert line["userIdentity"] == {"arn": None, "accessKeyId": None} and line["errorCode"] == "AccessDenied"
    assert not [line for line in lines(server)[before:] if line["status"] == 200 and not line["eventSource"]]


def test_at_the_usual_level_a_call_has_one_line_in_the_log_and_a_put_none(own_server):
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    calls = [workshop.personalize.list_schemas(), workshop.iam.list_users(), workshop.kms.list_keys(),
             workshop.s3.list_buckets(), refused(workshop.personalize.describe_schema, schemaArn=group.arn)]
    puts = [workshop.put_event(group.tracking_id, "u", "i", "k", 1),
            refused(workshop.events.put_events, trackingId="none", sessionId="s", eventList=[{"eventType": "k", "sentAt": 1}])]
    assert own_server.stop() == 0
    log = (own_server.folder / "stderr").read_text()
    assert [log.count(request_id(call)) for call in calls] == [1] * len(calls)
    assert [log.count(request_id(put)) for put in puts] == [0] * len(puts)


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(**env):
        servers.append(Server(tmp_path / f"own-{len(servers)}", env=env).start())
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.kill()


def test_a_stop_loses_no_line(serve):
    server = serve()
    clients = Clients(server.endpoint)
    ids = [request_id(clients.sts.get_caller_identity()) for _ in range(20)]
    assert server.stop() == 0
    assert [line["requestID"] for line in lines(server)] == ids
    assert (server.data_dir / "audit.log").stat().st_mode & 0o777 == 0o600


def test_it_can_be_elsewhere_or_off(serve, tmp_path):
    off = serve(LADE_AUDIT_LOG="off")
    Clients(off.endpoint).sts.get_caller_identity()
    assert off.stop() == 0 and not (off.data_dir / "audit.log").exists()
    elsewhere = serve(LADE_AUDIT_LOG=str(tmp_path / "calls"))
    Clients(elsewhere.endpoint).sts.get_caller_identity()
    assert elsewhere.stop() == 0 and len((tmp_path / "calls").read_text().splitlines()) == 1


def test_a_full_file_makes_room_for_the_next(serve):
    server = serve(LADE_AUDIT_LOG_SIZE_MAX="64KiB")
    line = raw.Line(server.endpoint)
    ids = [line.control("ListSchemas", {}).headers["x-amzn-requestid"] for _ in range(400)]
    assert server.stop() == 0
    names = sorted((path.name for path in server.data_dir.glob("audit.log*")), reverse=True)
    assert [each["requestID"] for name in names for each in lines(server, name)] == ids
    assert len(names) > 1


def test_a_log_that_was_moved_away_is_made_anew_when_it_is_asked_for(serve):
    server = serve()
    clients = Clients(server.endpoint)
    find_first = request_id(clients.sts.get_caller_identity())
    find(server, requestID=find_first)
    (server.data_dir / "audit.log").rename(server.data_dir / "moved")
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while not (server.data_dir / "audit.log").exists():
        clients.sts.get_caller_identity()
        assert time.monotonic() < deadline
    assert server.stop() == 0


def test_a_disk_that_takes_no_line_stops_no_call(serve):
    server = serve(LADE_AUDIT_LOG="/dev/full")
    clients = Clients(server.endpoint)
    for _ in range(5):
        assert clients.sts.get_caller_identity()["Account"] == "000000000000"
    assert server.stop() == 0
    assert "of the audit log are lost" in (server.folder / "stderr").read_text()


def test_secrets_are_in_no_log_and_no_answer(serve):
    secret = f"{CANARY}/root+secret/0000000000000000000000000"
    server = serve(LADE_ROOT_SECRET_ACCESS_KEY=secret, LADE_LOG="trace,sqlx=info")
    workshop = Rooted(server.endpoint, secret)
    told = workshop.told
    key = workshop.kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = workshop.kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    workshop.put_event(group.tracking_id, f"{CANARY}-user", f"{CANARY}-item", "click", 1)
    workshop.s3.put_object(Bucket=workshop.source, Key="k", Body=f"{CANARY}-object".encode())
    user = workshop.iam.create_user(UserName="u")["User"]["UserName"]
    made = workshop.iam.create_access_key(UserName=user)["AccessKey"]
    presigned = workshop.presign("get_object", Bucket=workshop.source, Key="k")
    signature = re.search("X-Amz-Signature=([0-9a-f]{64})", presigned).group(1)
    address = presigned.removeprefix(server.endpoint)
    assert raw.send(server.endpoint, "GET", address, sign=False).status == 200
    told.append(raw.send(server.endpoint, "PUT", address, sign=False).body)
    told.append(raw.send(server.endpoint, "GET", address.replace("us-east-1", "us-west-1"), sign=False).body)
    told.append(raw.control(server.endpoint, "ListSchemas", {}, secret=secret, token=f"{CANARY}-token").body)
    dataset = workshop.import_csv(group.interactions, f"USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n{CANARY}-u,i,k,1\n")
    assert dataset["status"] == "ACTIVE"
    tokens = [sealed["Plaintext"], base64.b64encode(sealed["Plaintext"]), made["SecretAccessKey"].encode(), signature.encode(), CANARY.encode()]
    assert server.stop() == 0
    logs = [server.folder / "stderr", server.folder / "stdout", *server.data_dir.glob("audit.log*")]
    for log in logs:
        text = log.read_bytes()
        assert len(text) > 10 and not [token for token in tokens if token in text], log
    # What a caller is given once is in one answer; what it knows already, in none.
    answers = b"\n".join(told)
    assert answers.count(made["SecretAccessKey"].encode()) == 1
    assert CANARY.encode() not in answers and signature.encode() not in answers


class Rooted(Workshop):
    """A workshop of a root user with a secret of its own, which remembers what it is told."""

    def __init__(self, endpoint, secret):
        self.secret, self.told = secret, []
        super().__init__(endpoint)

    @property
    def session(self):
        return self._session

    @session.setter
    def session(self, _):
        self._session = boto3.Session(ROOT_KEY, self.secret, region_name=REGION)
        self._session.events.register("after-call", lambda http_response, **_: self.told.append(http_response.content))

    def presign(self, call, **parameters):
        s3 = self.client("s3", config=Config(signature_version="s3v4", proxies={}))
        return s3.generate_presigned_url(call, Params=parameters)
