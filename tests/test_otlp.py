"""Traces: spans of requests and jobs reach a collector, which nobody waits for."""

import json
import secrets
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import ClientError

from support import ports
from support.server import ROOT_SECRET, Server, bare_environment, binary
from support.workshop import Workshop, unique


class Collector:
    """Takes spans, as long as it is told to, and keeps them."""

    def __init__(self, status=200, delay_s=0):
        self.spans, self.status, self.paths = [], status, set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                time.sleep(delay_s)
                collector.paths.add((self.path, self.headers["content-type"]))
                if collector.status == 200:
                    for resource in body["resourceSpans"]:
                        about = {one["key"]: value(one) for one in resource["resource"]["attributes"]}
                        assert about["service.name"] == "lade"
                        collector.spans += [span for scope in resource["scopeSpans"] for span in scope["spans"]]
                self.send_response(collector.status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def find(self, name, within_s=10, **attributes):
        deadline = time.monotonic() + within_s
        while True:
            found = [span for span in list(self.spans)
                     if span["name"] == name and attributes.items() <= about(span).items()]
            if found:
                return found
            assert time.monotonic() < deadline, (name, attributes, [span["name"] for span in self.spans])
            time.sleep(0.02)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def value(attribute):
    (kind, found), = attribute["value"].items()
    return int(found) if kind == "intValue" else found


def about(span):
    return {one["key"].replace(".", "_"): value(one) for one in span["attributes"]}


@pytest.fixture
def traced(tmp_path):
    """Starts servers that send to a collector."""
    open_ones = []

    def start(**how):
        collector = Collector(**how)
        server = Server(tmp_path / "own", env={"LADE_OTLP_ENDPOINT": collector.url + "/"}).start()
        open_ones.extend([collector, server])
        return collector, server

    yield start
    for one in open_ones:
        if isinstance(one, Collector):
            one.close()
        elif one.process.poll() is None:
            one.kill()


def test_requests_and_jobs_have_spans(traced):
    collector, server = traced()
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(items="ITEM_ID:string PRICE:float")
    made = workshop.personalize.list_dataset_groups()
    with pytest.raises(ClientError):
        workshop.personalize.describe_dataset_group(datasetGroupArn=group.arn + "x")
    workshop.import_csv(group.items, "ITEM_ID,PRICE\na,1\n")
    failed = workshop.start_import(group.items, workshop.upload("ITEM_ID,PRICE\na,dear\n"))
    assert workshop.wait_import(failed)["status"] == "CREATE FAILED"
    (span,) = collector.find("ListDatasetGroups", aws_request_id=made["ResponseMetadata"]["RequestId"])
    assert span["kind"] == 2 and "parentSpanId" not in span and "status" not in span
    assert len(span["traceId"]) == 32 and len(span["spanId"]) == 16
    assert about(span) == {
        "http_request_method": "POST", "url_path": "/", "http_response_status_code": 200, "rpc_service": "personalize",
        "aws_request_id": made["ResponseMetadata"]["RequestId"], "enduser_id": "arn:aws:iam::000000000000:root",
        "client_address": "127.0.0.1"}
    took_s = (int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e9
    assert 0 < took_s < 5 and abs(int(span["endTimeUnixNano"]) / 1e9 - time.time()) < 60
    (refused,) = collector.find("DescribeDatasetGroup", error_type="ResourceNotFoundException")
    assert "status" not in refused, "the server did nothing wrong"
    jobs = collector.find("DatasetImportJob", lade_job_arn=failed)
    assert jobs[0]["status"]["code"] == 2 and "dear" not in json.dumps(collector.spans)
    (done,) = collector.find("DatasetImportJob", lade_job_status="ACTIVE")
    assert about(done)["lade_job_rows_done"] == 1 and about(done)["lade_job_attempts"] == 1
    assert collector.paths == {("/v1/traces", "application/json")}
    assert ROOT_SECRET not in json.dumps(collector.spans)


def live(server, **headers):
    request = urllib.request.Request(server.endpoint + "/health/live", headers=headers)
    assert urllib.request.urlopen(request, timeout=10).status == 200


def test_a_trace_that_a_request_names_goes_on_and_one_that_nobody_keeps_does_not(traced):
    collector, server = traced()
    trace, unkept, caller = secrets.token_hex(16), secrets.token_hex(16), secrets.token_hex(8)
    live(server, traceparent=f"00-{unkept}-{caller}-00")
    live(server, traceparent=f"00-{trace}-{caller}-01")
    live(server, traceparent="nonsense")
    # What waits is sent when the server stops.
    assert server.stop() == 0
    found = [(span["traceId"], span.get("parentSpanId")) for span in collector.find("GET")]
    assert (trace, caller) in found and len(found) == 2 and unkept not in dict(found)


@pytest.mark.parametrize("how", [{"status": 503}, {"delay_s": 30}, None])
def test_nobody_waits_for_a_collector(tmp_path, how):
    collector = Collector(**how) if how else None
    url = collector.url if collector else f"http://127.0.0.1:{ports.free(1)}"
    server = Server(tmp_path / "own", env={"LADE_OTLP_ENDPOINT": url}).start()
    try:
        for _ in range(20):
            start = time.monotonic()
            live(server)
            assert time.monotonic() - start < 1
        if how != {"delay_s": 30}:
            deadline = time.monotonic() + 10
            while "spans were dropped so far" not in server.tail():
                assert time.monotonic() < deadline
                time.sleep(0.05)
        start = time.monotonic()
        assert server.stop() == 0 and time.monotonic() - start < 15
    finally:
        if server.process.poll() is None:
            server.kill()
        if collector:
            collector.close()


def test_an_address_that_is_none_is_refused(tmp_path):
    for wrong in ("collector:4318", "ftp://collector", "http://user:secret@collector"):
        done = subprocess.run([binary(), "serve", "--data-dir", tmp_path / unique("d"), "--otlp-endpoint", wrong],
                              env=bare_environment(), capture_output=True, text=True, timeout=20)
        assert done.returncode == 1 and "otlp_endpoint must be" in done.stderr, done.stderr
