"""Changes of jobs pushed: server-sent events to whoever may describe them, webhooks that lose nothing."""

import hashlib
import hmac
import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.lade import ask, job
from support.policies import allow
from support.server import REGION, ROOT_KEY, ROOT_SECRET, Server
from support.workshop import Workshop, unique, wait

PRICED = "ITEM_ID:string PRICE:float"
SECRET = "sixteen-characters-at-least"
STATES = ["CREATE PENDING", "CREATE IN_PROGRESS", "ACTIVE"]
WITHIN_S = 30


class Stream:
    """What a caller that watches has been told so far."""

    def __init__(self, endpoint, last=None, key=ROOT_KEY, secret=ROOT_SECRET):
        request = AWSRequest("GET", f"{endpoint}/lade/v1/events")
        SigV4Auth(Credentials(key, secret), "personalize", REGION).add_auth(request)
        self.connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=WITHIN_S)
        headers = {**dict(request.headers), **({"Last-Event-ID": str(last)} if last is not None else {})}
        self.connection.request("GET", "/lade/v1/events", headers=headers)
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.events = []

    def until(self, is_last):
        """Reads until an event is the one; all events."""
        deadline, event = time.monotonic() + WITHIN_S, {}
        while time.monotonic() < deadline:
            line = self.answer.readline().decode().rstrip("\n")
            if line and not line.startswith(":"):
                name, value = line.split(": ", 1)
                event[name] = value
            elif event:
                event["data"] = json.loads(event["data"])
                self.events.append(event)
                if is_last(event):
                    return self.events
                event = {}
        raise AssertionError(self.events)

    def states(self, arn):
        self.until(lambda e: e["event"] == "state" and e["data"]["resources"] == [arn]
                   and e["data"]["detail"]["status"] in ("ACTIVE", "CREATE FAILED", "COMPLETED"))
        return [e for e in self.events if e["event"] == "state" and e["data"]["resources"] == [arn]]

    def close(self):
        self.connection.close()


class Receiver:
    """Takes what a webhook sends; `answers` are the statuses of the first requests, then 200."""

    def __init__(self, *answers):
        self.answers, self.taken, self.refused = list(answers), [], []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                status = receiver.answers.pop(0) if receiver.answers else 200
                (receiver.taken if status == 200 else receiver.refused).append((dict(self.headers), body))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"{receiver.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, arn):
        found = [json.loads(body) for _, body in self.taken]
        return [event for event in found if event["resources"] == [arn]]

    def wait(self, arn, count):
        deadline = time.monotonic() + WITHIN_S
        while len({event["id"] for event in self.of(arn)}) < count:
            assert time.monotonic() < deadline, self.taken
            time.sleep(0.05)
        return self.of(arn)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def hooked(folder, url):
    return Server(folder, env={"LADE_WEBHOOK_URL": url, "LADE_WEBHOOK_SECRET": SECRET})


def delivered(endpoint, count):
    """Waits until so many events were delivered; their lines."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        status, log = ask(endpoint, "GET", "/deliveries")
        assert status == 200
        found = [d for d in log["deliveries"] if d["delivery"] == "DELIVERED"]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, log
        time.sleep(0.05)


def run_import(workshop):
    group = workshop.make_group(items=PRICED)
    arn = workshop.start_import(group.items, workshop.upload("ITEM_ID,PRICE\na,1\nb,2\n"))
    return arn


def details(events):
    return [event["data"]["detail"]["status"] for event in events]


def test_state_changes_are_told_as_they_happen_and_again_after_the_last_one_seen(server, workshop):
    stream = Stream(server.endpoint)
    assert (stream.status, stream.answer.getheader("content-type")) == (200, "text/event-stream")
    arn = run_import(workshop)
    seen = stream.states(arn)
    assert details(seen) == STATES
    last = seen[-1]["data"]
    assert last["detail-type"] == "Personalize Dataset Import Job State Change"
    assert last["source"] == "aws.personalize" and last["version"] == "0" and last["region"] == REGION
    assert last["detail"]["ledger"] == {"rowsRead": 2, "exactDuplicates": 0, "rowsRejected": 0}
    assert last["detail"]["rowsDone"] == 2
    stream.close()
    again = Stream(server.endpoint, last=seen[0]["id"])
    assert details(again.states(arn)) == STATES[1:]
    assert [e["data"]["id"] for e in again.events if e["data"].get("resources") == [arn]] == [
        e["data"]["id"] for e in seen[1:]]
    again.close()


def test_progress_is_told_while_a_job_runs(server, workshop):
    group = workshop.make_group(items=PRICED)
    text = "ITEM_ID,PRICE\n" + "".join(f"item-{n},{n}.5\n" for n in range(700_000))
    location = workshop.upload(text)
    stream = Stream(server.endpoint)
    arn = workshop.start_import(group.items, location)
    stream.states(arn)
    told = [e["data"] for e in stream.events if e["event"] == "progress" and e["data"]["jobArn"] == arn]
    rows = [progress["progress"]["bytesDone"] for progress in told]
    assert rows == sorted(rows) and all(p["status"] == "CREATE IN_PROGRESS" for p in told)
    stream.close()


def test_a_caller_sees_only_jobs_that_it_may_describe(server, workshop):
    user = workshop.make_user("watcher")
    created = workshop.iam.create_access_key(UserName=user.name)["AccessKey"]
    name = unique("seen")
    workshop.set_policy(user, allow("personalize:DescribeDatasetImportJob", f"arn:aws:personalize:*:*:*/{name}"))
    stream = Stream(server.endpoint, key=created["AccessKeyId"], secret=created["SecretAccessKey"])
    hidden = run_import(workshop)
    wait(lambda: job(server.endpoint, hidden))
    group = workshop.make_group(items=PRICED)
    seen = workshop.start_import(group.items, workshop.upload("ITEM_ID,PRICE\na,1\n"), name=name)
    assert details(stream.states(seen)) == STATES
    assert hidden not in json.dumps([event["data"] for event in stream.events])
    stream.close()


@pytest.mark.parametrize("last", ["x", "-1"])
def test_an_id_that_no_event_has_is_refused(server, last):
    stream = Stream(server.endpoint, last=last)
    assert stream.status == 400
    stream.close()


def test_whoever_watches_does_not_keep_the_server_from_stopping(tmp_path):
    server = Server(tmp_path).start()
    streams = [Stream(server.endpoint) for _ in range(3)]
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 15
    for stream in streams:
        stream.answer.read()
        stream.close()


def test_a_webhook_gets_each_change_signed_and_once_its_refusals_are_over(tmp_path):
    receiver = Receiver(500, 302)
    server = hooked(tmp_path, receiver.url + "/hook").start()
    try:
        workshop = Workshop(server.endpoint)
        arn = run_import(workshop)
        assert wait(lambda: job(server.endpoint, arn))["status"] == "ACTIVE"
        events = receiver.wait(arn, 3)
        assert sorted(event["detail"]["status"] for event in events) == sorted(STATES)
        for headers, body in receiver.taken:
            headers = {name.lower(): value for name, value in headers.items()}
            assert abs(int(headers["lade-timestamp"]) - time.time()) < 60
            signed = headers["lade-timestamp"].encode() + b"." + body
            expected = "v1=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
            assert headers["lade-signature"] == expected
            assert headers["lade-event-id"] == json.loads(body)["id"]
        # Nobody followed the redirect, and the refused ones came again under their ids.
        assert len(receiver.refused) == 2
        ids = {json.loads(body)["id"] for _, body in receiver.taken}
        assert {json.loads(body)["id"] for _, body in receiver.refused} <= ids
        log = delivered(server.endpoint, 3)
        assert {d["eventId"] for d in log} == {event["id"] for event in events}
        assert {d["answer"] for d in log} == {"200 OK"}
        assert sorted(d["attempts"] for d in log) == [1, 2, 2]
    finally:
        assert server.stop() == 0
        receiver.close()


def test_what_a_dead_receiver_missed_it_gets_after_a_crash_and_no_job_waits_for_it(tmp_path):
    receiver = Receiver()
    port = receiver.server.server_port
    receiver.close()
    server = hooked(tmp_path, f"http://127.0.0.1:{port}/").start()
    try:
        workshop = Workshop(server.endpoint)
        arn = run_import(workshop)
        assert wait(lambda: job(server.endpoint, arn))["status"] == "ACTIVE"
        waiting = ask(server.endpoint, "GET", "/deliveries")[1]["deliveries"]
        assert {d["delivery"] for d in waiting} == {"WAITING"} and len(waiting) == 3
        server.kill()
        receiver = Receiver()
        server.env["LADE_WEBHOOK_URL"] = receiver.url
        server.start()
        assert len({e["id"] for e in receiver.wait(arn, 3)}) == 3
        assert {d["eventId"] for d in waiting} == {e["id"] for e in receiver.of(arn)}
    finally:
        server.stop()
        receiver.close()


def test_deliveries_are_shown_to_whoever_may_describe_their_jobs(tmp_path):
    receiver = Receiver()
    server = hooked(tmp_path, receiver.url).start()
    try:
        workshop = Workshop(server.endpoint)
        arn = run_import(workshop)
        receiver.wait(arn, 3)
        user = workshop.make_user("reader")
        created = workshop.iam.create_access_key(UserName=user.name)["AccessKey"]
        key = created["AccessKeyId"], created["SecretAccessKey"]
        assert ask(server.endpoint, "GET", "/deliveries", *key) == (200, {"deliveries": [], "nextBefore": None})
        workshop.set_policy(user, allow("personalize:DescribeDatasetImportJob", arn))
        assert len(ask(server.endpoint, "GET", "/deliveries", *key)[1]["deliveries"]) == 3
        assert ask(server.endpoint, "GET", "/deliveries?before=2")[1]["deliveries"][0]["number"] == 1
        assert ask(server.endpoint, "GET", "/deliveries?x=2")[0] == 400
    finally:
        server.stop()
        receiver.close()


@pytest.mark.parametrize("more, told", [
    ({"LADE_WEBHOOK_SECRET": ""}, "webhook_secret"),
    ({"LADE_WEBHOOK_SECRET": "short"}, "16 characters"),
    ({"LADE_WEBHOOK_URL": "hooks.example"}, "webhook_url"),
])
def test_settings_that_make_no_webhook_are_refused(tmp_path, more, told):
    server = hooked(tmp_path, "http://127.0.0.1:9/")
    server.env.update(more)
    server.spawn()
    assert server.process.wait(20) == 1
    assert told in server.stderr.read_text()
