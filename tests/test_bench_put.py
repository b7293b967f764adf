"""`lade bench put`: load over the real wire, and the proof by export that nothing acknowledged was lost."""

import http.client
import http.server
import json
import subprocess
import threading
from urllib.parse import urlsplit

import pytest

from support.schemas import EVENTS, ITEMS, USERS
from support.server import REGION, ROOT_KEY, ROOT_SECRET, bare_environment, binary
from support.workshop import unique

WIDE = EVENTS + " LIKED:boolean SHARE:double?"


def bench(endpoint, *arguments, key=ROOT_KEY, secret=ROOT_SECRET):
    env = {**bare_environment(), "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": key,
           "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": REGION}
    return subprocess.run([binary(), "bench", "put", *arguments], env=env, capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL)


def report(result):
    """The JSON of the last line."""
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def group(workshop):
    return workshop.make_group(items=ITEMS, users=USERS, interactions=WIDE, tracker=True)


class Forgetful(http.server.BaseHTTPRequestHandler):
    """Passes every request on to the real server, but answers the first call of events itself and stores nothing."""

    protocol_version = "HTTP/1.1"
    forgotten = 0

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/events" and not self.server.has_forgotten.is_set():
            self.server.has_forgotten.set()
            return self.reply(200, {"Content-Type": "application/json"}, b"")
        connection = http.client.HTTPConnection(self.server.real, timeout=60)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        answer = connection.getresponse()
        self.reply(answer.status, dict(answer.getheaders()), answer.read())
        connection.close()

    def reply(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = handle_any

    def log_message(self, *_):
        pass


@pytest.fixture
def forgetful(server):
    front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forgetful)
    front.daemon_threads = True
    front.real, front.has_forgotten = urlsplit(server.endpoint).netloc, threading.Event()
    threading.Thread(target=front.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{front.server_port}"
    front.shutdown()


def test_what_is_acknowledged_is_proven_by_an_export(server, workshop, group):
    buckets = len(workshop.s3.list_buckets()["Buckets"])
    result = bench(server.endpoint, "--tracking-id", group.tracking_id, "--seconds", "2", "--json", "--verify")
    assert result.returncode == 0, result.stdout + result.stderr
    told = report(result)
    assert told["events_acknowledged"] == 10 * told["calls_acknowledged"] > 0
    assert told["events_per_second"] > 0 < told["p50_ms"] <= told["p99_ms"] <= told["max_ms"]
    assert (told["verified"], told["missing"], told["unexpected"], told["failed"]) == (True, 0, 0, 0)
    assert told["found"] == told["events_acknowledged"]
    assert len(workshop.s3.list_buckets()["Buckets"]) == buckets, "what was made for the proof is removed"
    rows = workshop.export(group.interactions, "PUT").rows
    assert len(rows) == told["found"]
    assert all(row[4] != "" for row in rows), "columns without a member are sent as properties"


@pytest.mark.parametrize("kind", ["items", "users"])
def test_items_and_users_are_put_to_a_bucket_of_ones_own(server, workshop, group, kind):
    prefix = unique("proof")
    result = bench(server.endpoint, "--dataset-arn", getattr(group, kind), "--seconds", "1", "--per-call", "3", "--verify",
                   "--to", f"s3://{workshop.target}/{prefix}/", "--role-arn", workshop.export_role, "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    assert report(result)["found"] == report(result)["events_acknowledged"] > 0
    assert workshop.s3.list_objects_v2(Bucket=workshop.target, Prefix=prefix)["KeyCount"] > 0


def test_a_lost_record_is_told_and_exits_with_one(forgetful, group):
    result = bench(forgetful, "--tracking-id", group.tracking_id, "--seconds", "1", "--clients", "4", "--verify", "--json")
    assert result.returncode == 1, result.stdout + result.stderr
    told = report(result)
    assert (told["verified"], told["missing"], told["unexpected"]) == (False, 10, 0)
    assert told["found"] == told["events_acknowledged"] - 10


def test_a_rate_is_kept(server, group):
    result = bench(server.endpoint, "--tracking-id", group.tracking_id, "--seconds", "2", "--rate", "500", "--json")
    assert result.returncode == 0, result.stderr
    assert report(result)["events_acknowledged"] == 1000


def test_calls_that_do_nothing_store_nothing(server, workshop):
    group = workshop.make_group(interactions=EVENTS, tracker=True)
    result = bench(server.endpoint, "--tracking-id", group.tracking_id, "--seconds", "1", "--no-op", "--json")
    assert result.returncode == 0, result.stderr
    assert report(result)["calls_per_second"] > 0 == report(result)["events_acknowledged"]
    assert workshop.export(group.interactions, "PUT").rows == []


def test_a_key_that_may_only_put_events_is_enough(server, workshop, group):
    user = workshop.make_user("putter", {"Effect": "Allow", "Action": "personalize:PutEvents", "Resource": "*"})
    key = workshop.iam.create_access_key(UserName=user.name)["AccessKey"]
    own = {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    result = bench(server.endpoint, "--tracking-id", group.tracking_id, "--seconds", "1", "--json", **own)
    assert result.returncode == 0, result.stderr
    assert "without properties" in result.stderr
    assert report(result)["events_acknowledged"] > 0


def test_throttled_calls_are_counted_and_tried_again(tmp_path):
    from support.server import Server
    from support.workshop import Workshop

    server = Server(tmp_path / "strict", arguments=["--quotas", "aws"]).start()
    try:
        workshop = Workshop(server.endpoint)
        items = workshop.make_group(items=ITEMS).items
        result = bench(server.endpoint, "--dataset-arn", items, "--seconds", "1", "--clients", "20", "--json", "--verify")
        assert result.returncode == 0, result.stdout + result.stderr
        assert report(result)["throttled"] > 0 == report(result)["failed"]
    finally:
        server.kill()


@pytest.mark.parametrize("arguments", [["--json"], ["--verify"]])
def test_a_server_that_is_not_there_exits_with_one(arguments):
    result = bench("http://127.0.0.1:9", "--tracking-id", "t", "--seconds", "1", *arguments)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "127.0.0.1:9" in result.stderr or "connect" in result.stderr.lower()


def test_refused_calls_exit_with_one_and_say_why(server):
    result = bench(server.endpoint, "--tracking-id", "no-such-id", "--seconds", "1", "--clients", "2", "--json")
    assert result.returncode == 1
    assert "does not exist: no-such-id" in result.stderr
    assert report(result)["failed"] > 0 == report(result)["events_acknowledged"]


@pytest.mark.parametrize("arguments", [
    [], ["--tracking-id", "t", "--dataset-arn", "a"], ["--tracking-id", "t", "--seconds", "0"],
    ["--tracking-id", "t", "--per-call", "11"], ["--tracking-id", "t", "--to", "s3://b/p/"],
    ["--tracking-id", "t", "--no-op", "--verify"],
])
def test_wrong_options_exit_with_two(arguments):
    assert bench("http://127.0.0.1:9", *arguments).returncode == 2
