"""/metrics: what is told, to whom, that the numbers are right, and that rules, dashboard and docs speak of what there is."""

import calendar
import errno
import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from botocore.exceptions import ClientError

from support import raw
from support.certificates import self_signed
from support.faults import FAIL, FOREVER, Faults
from support.metrics import Metrics
from support.schemas import INTERACTIONS, ITEMS
from support.server import ROOT_KEY, ROOT_SECRET, Server, bare_environment, binary
from support.workshop import Workshop

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs" / "metrics.md").read_text()
NAME = re.compile(r"\b(?:lade|process)_[a-z0-9_]+[a-z0-9]\b")
# Only there with TLS, and only where datasets are asked for.
OF_TLS = {"lade_tls_certificate_end_timestamp_seconds"}
OF_DATASETS = {"lade_dataset_runs", "lade_dataset_log_records", "lade_dataset_log_bytes"}
CSV = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n"


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A server on which everything has happened once; it moves records to runs after a second."""
    server = Server(tmp_path_factory.mktemp("busy"), arguments=["--flush-after-s", "1", "--admin-listen", "127.0.0.1:0"])
    server.start()
    server.admin = re.search(r"Metrics +(http://\S+)/metrics", server.new_output()).group(1)
    yield server
    assert server.stop() == 0, server.tail()


@pytest.fixture(scope="module")
def shop(busy):
    return Workshop(busy.endpoint)


def until(true, within_s=15):
    deadline = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def base(name):
    return re.sub(r"_(bucket|sum|count)$", "", name)


def test_puts_requests_and_durations_are_counted_exactly(busy, shop):
    group = shop.make_group(interactions=INTERACTIONS, items=ITEMS, tracker=True)
    before = Metrics(busy.admin)
    for n in range(4):
        shop.put_event(group.tracking_id, "u", f"i{n}", "click", n + 1)
    events = [{"eventType": "click", "sentAt": n + 1, "itemId": "i"} for n in range(10)]
    shop.events.put_events(trackingId=group.tracking_id, sessionId="s", userId="u", eventList=events)
    with pytest.raises(ClientError):
        shop.events.put_events(trackingId="none", sessionId="s", eventList=events)
    for _ in range(3):
        shop.personalize.list_schemas()
    after = Metrics(busy.admin)
    more = lambda name, **labels: after.of(name, **labels) - before.of(name, **labels)
    assert (more("lade_put_calls_total"), more("lade_put_calls_total", type="interactions")) == (5, 5)
    assert (more("lade_put_records_total"), more("lade_put_records_total", type="interactions")) == (14, 14)
    puts = {"service": "personalize", "operation": "PutEvents"}
    assert [more("lade_requests_total", **puts, answer=answer) for answer in ("ok", "refused", "throttled", "failed")] == [5, 1, 0, 0]
    assert more("lade_request_duration_seconds_count", **puts) == 6
    assert 0 < more("lade_request_duration_seconds_sum", **puts) < 30
    assert after.of("lade_requests_total", service="personalize", operation="ListSchemas", answer="ok") >= 3
    assert more("lade_log_written_bytes_total") > 0 and 1 <= more("lade_log_fsync_duration_seconds_count") <= 5
    assert more("lade_received_bytes_total") > 1000 and more("lade_sent_bytes_total") > 1000
    assert after.of("lade_connections_open") >= 1 and after.of("lade_connections_max") >= 16
    assert after.of("lade_log_bytes") > 0 and after.of("lade_log_segments") >= 1


def test_records_in_the_log_are_told_until_they_are_in_runs(busy, shop):
    group = shop.make_group(interactions=INTERACTIONS, tracker=True)
    before = Metrics(busy.admin)
    shop.put_event(group.tracking_id, "u", "i", "click", 1)
    seen = until(lambda: (m := Metrics(busy.admin)).of("lade_log_unflushed_records") > 0 and m)
    assert 0 <= seen.of("lade_log_oldest_unflushed_age_seconds") < 5
    flushed = lambda m: m.of("lade_flush_records_total") > before.of("lade_flush_records_total")
    after = until(lambda: flushed(m := Metrics(busy.admin)) and m.of("lade_log_unflushed_records") == 0 and m)
    assert after.of("lade_log_oldest_unflushed_age_seconds") == 0
    assert after.of("lade_flushes_total", result="done") > before.of("lade_flushes_total", result="done")
    assert after.of("lade_flush_duration_seconds_count") == after.of("lade_flushes_total", result="done")
    assert until(lambda: Metrics(busy.admin).of("lade_datasets_by_runs", runs="1-4") >= 1)


def test_jobs_are_counted_by_how_they_ended(busy, shop):
    group = shop.make_group(interactions=INTERACTIONS)
    before = Metrics(busy.admin)
    shop.import_csv(group.interactions, CSV + "u,i,click,1\n")
    failed = shop.wait_import(shop.start_import(group.interactions, shop.upload(CSV + "u,i,click,never\n")))
    assert failed["status"] == "CREATE FAILED"
    shop.export(group.interactions, "ALL")
    # The row is changed before it is counted.
    ended = lambda m, kind, result: m.of("lade_jobs_ended_total", type=kind, result=result)
    more = lambda kind, result: ended(Metrics(busy.admin), kind, result) - ended(before, kind, result)
    assert until(lambda: (more("import", "done"), more("import", "failed"), more("export", "done")) == (1, 1, 1))
    after = Metrics(busy.admin)
    assert ended(after, "import", "cancelled") == 0 and after.of("lade_job_retries_total") == 0
    assert after.of("lade_job_duration_seconds_count", type="export") == ended(after, "export", "done")
    assert after.of("lade_job_duration_seconds_sum", type="import") > 0
    until(lambda: Metrics(busy.admin).of("lade_jobs") == 0)
    assert len([s for s in after.samples if s.name == "lade_jobs"]) == 10
    assert 0 <= after.of("lade_jobs_memory_used_bytes") < after.of("lade_jobs_memory_limit_bytes")


def test_a_server_tells_how_it_is(busy):
    metrics = Metrics(busy.admin)
    assert metrics.content_type.startswith("text/plain; version=0.0.4")
    assert metrics.of("lade_ready") == metrics.of("lade_catalog_up") == metrics.of("lade_nodes_alive") == 1
    assert metrics.of("lade_log_failed") == metrics.of("lade_log_refusing") == 0
    assert 0 < metrics.of("lade_catalog_answer_seconds") < 2
    assert 0 < metrics.of("lade_disk_free_bytes") <= metrics.of("lade_disk_size_bytes")
    resident = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{busy.pid}/status").read_text()).group(1)) * 1024
    assert 0.5 < metrics.of("process_resident_memory_bytes") / resident < 2
    assert abs(metrics.of("process_start_time_seconds") - time.time()) < 300
    assert metrics.of("process_cpu_seconds_total") > 0 and metrics.of("process_open_fds") > 5
    version = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    assert metrics.of("lade_build_info", version=version) == 1


def test_the_text_is_well_formed(busy):
    metrics = Metrics(busy.admin)
    assert all(family.documentation and family.type != "unknown" for family in metrics.families)
    keys = [(s.name, tuple(sorted(s.labels.items()))) for s in metrics.samples]
    assert len(keys) == len(set(keys))
    buckets = [s for s in metrics.samples if s.name == "lade_request_duration_seconds_bucket" and s.labels["operation"] == "PutEvents"]
    counts = [s.value for s in buckets]
    assert counts == sorted(counts) and buckets[-1].labels["le"] == "+Inf"
    assert len(metrics.text) < 400_000


def test_every_metric_is_described_and_every_one_described_is_told(busy):
    told = Metrics(busy.admin).names | OF_TLS | OF_DATASETS
    described = {name for line in DOCS.splitlines() if line.startswith("| `") for name in NAME.findall(line.split("|")[1])}
    assert told - described == set() and described - told == set()


def test_rules_and_dashboard_ask_for_what_there_is(busy):
    metrics = Metrics(busy.admin)
    told = metrics.names | OF_TLS
    rules = [rule for group in yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
    assert len(rules) == len({rule["alert"] for rule in rules}) >= 7
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"], rule
        assert rule["alert"] in DOCS, rule["alert"]
    board = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
    targets = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(targets) > 20 and len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        # Without thresholds Grafana colours from 80 on in red, whatever the unit.
        assert panel["type"] != "stat" or panel["fieldConfig"]["defaults"]["thresholds"]["steps"], panel["title"]
    for expression in targets + [rule["expr"] for rule in rules]:
        names = {base(name) for name in NAME.findall(expression)}
        assert (names or expression.startswith("up{")) and names <= told, expression
        # A label that no sample has would make a rule that never fires.
        for name, labels in re.findall(r"((?:lade|process)_\w+)\{([^}]*)\}", expression):
            for label, value in re.findall(r'(\w+)="([^"$]*)"', labels):
                if base(name) not in OF_TLS:
                    values = {s.labels.get(label) for s in metrics.samples if base(s.name) == base(name)}
                    assert value in values, (expression, label, values)


def test_no_client_makes_a_series(busy, shop):
    raw.control(busy.endpoint, "MadeUpOperation", {})
    raw.send(busy.endpoint, "GET", "/made-up-path", service="madeupservice")
    raw.send(busy.endpoint, "MADEUPMETHOD", "/made-up-path", sign=False)
    raw.send(busy.endpoint, "GET", "/made-up-bucket/made-up-key", service="s3")
    raw.send(busy.endpoint, "POST", "/", body=b"Action=MadeUpAction&Version=2010-05-08", service="iam")
    text = Metrics(busy.admin).text
    assert not re.search("made.?up", text, re.I)
    assert Metrics(busy.admin).of("lade_requests_total", service="other", operation="none", answer="refused") >= 1
    assert "arn:aws" not in text and "dataset=" not in text


def get(url, method="GET", **headers):
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def test_the_admin_address_has_metrics_and_health_and_nothing_else(busy, shop):
    assert get(f"{busy.admin}/health/live") == get(f"{busy.admin}/health/ready") == (200, "ok\n")
    assert get(f"{busy.admin}/metrics", "HEAD") == (200, "")
    for path in ("/", "/console/", "/lade/v1/jobs", "/metrics/", "/health", "/source"):
        assert get(f"{busy.admin}{path}")[0] == 404, path
    assert get(f"{busy.admin}/metrics", "POST")[0] == get(f"{busy.admin}/health/ready", "DELETE")[0] == 405
    assert raw.send(busy.admin, "GET", f"/{shop.source}", service="s3").status == 404
    # Then the main address tells none, and a bucket may have that name.
    status, text = get(f"{busy.endpoint}/metrics")
    assert status == 403 and "lade_" not in text
    shop.s3.create_bucket(Bucket="metrics")
    shop.s3.put_object(Bucket="metrics", Key="k", Body=b"v")
    assert [entry["Key"] for entry in shop.s3.list_objects_v2(Bucket="metrics")["Contents"]] == ["k"]


def test_commands_of_the_docs_run(busy):
    commands = [line for line in DOCS.splitlines() if line.startswith("curl ")]
    assert len(commands) == 2
    for command in commands:
        done = subprocess.run(["sh", "-c", command], env={**bare_environment(), "LADE_ADMIN": busy.admin}, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout, (command, done.stderr)


def test_many_may_ask_at_once(busy):
    answers = []
    ask = lambda: answers.append(Metrics(busy.admin).of("lade_ready"))
    threads = [threading.Thread(target=ask) for _ in range(60)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert answers == [1] * 60


def test_on_loopback_metrics_are_for_this_machine_as_itself(tmp_path):
    server = Server(tmp_path, env={"LADE_METRICS_DATASETS": "true"}).start()
    try:
        assert Metrics(server.endpoint).of("lade_ready") == 1
        address = server.endpoint.removeprefix("http://")
        assert get(f"{server.endpoint}/metrics", Host=address.replace("127.0.0.1", "localhost"))[0] == 200
        for headers in ({"Host": "lade.example"}, {"Host": "metrics.localhost"}, {"X-Forwarded-For": "10.0.0.7"}, {"Forwarded": "for=10.0.0.7"}):
            status, text = get(f"{server.endpoint}/metrics", **headers)
            assert status == 403 and "lade_" not in text, headers
        assert get(f"{server.endpoint}/metrics", "POST")[0] != 200
        assert get(f"{server.endpoint}/health/ready") == (200, "ok\n")
        # Datasets by name, as was asked for here.
        group = Workshop(server.endpoint).make_group(interactions=INTERACTIONS)
        until(lambda: group.interactions in (m := Metrics(server.endpoint)).text and OF_DATASETS <= m.names)
        assert Metrics(server.endpoint).of("lade_dataset_runs", dataset=group.interactions) == 0
    finally:
        assert server.stop() == 0, server.tail()


def test_beyond_loopback_metrics_are_on_the_admin_address_alone_and_tell_the_certificates_end(tmp_path):
    certificate, key = self_signed(tmp_path, "server", "/CN=localhost", "subjectAltName=IP:127.0.0.1")
    arguments = ["--tls-certificate", str(certificate), "--tls-key", str(key), "--admin-listen", "127.0.0.1:0"]
    server = Server(tmp_path, listen="0.0.0.0:0", arguments=arguments).start()
    try:
        admin = re.search(r"Metrics +(http://\S+)/metrics", server.new_output()).group(1)
        told = Metrics(admin)
        end_s = told.of("lade_tls_certificate_end_timestamp_seconds")
        said = subprocess.run(["openssl", "x509", "-enddate", "-noout", "-in", certificate], capture_output=True, text=True, check=True)
        end = time.strptime(said.stdout.strip(), "notAfter=%b %d %H:%M:%S %Y GMT")
        assert end_s == calendar.timegm(end)
        refused = subprocess.run(["curl", "-sk", f"{server.endpoint}/metrics"], capture_output=True, text=True)
        assert refused.returncode == 0 and "AccessDenied" in refused.stdout and "lade_" not in refused.stdout
        plain = subprocess.run(["curl", "-s", f"{server.endpoint.replace('https', 'http')}/metrics"], capture_output=True, text=True)
        assert "speaks TLS" in plain.stdout
        assert Metrics(admin).of("lade_connections_refused_total", reason="plain_http") == 1
    finally:
        assert server.stop() == 0, server.tail()


@pytest.mark.parametrize(("arguments", "said"), [
    (["--admin-listen", "0.0.0.0:0"], "say --allow-plain-http"),
    (["--admin-listen", "nowhere"], "the setting admin_listen must be HOST:PORT"),
])
def test_an_admin_address_that_can_not_be_used_is_refused(tmp_path, arguments, said):
    command = [binary(), "serve", "--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0", *arguments]
    done = subprocess.run(command, env=bare_environment(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and said in done.stderr, done.stderr


def test_a_log_that_has_failed_is_told(tmp_path):
    faults = Faults(tmp_path / "faults")
    server = Server(tmp_path, env=faults.env).start()
    try:
        workshop = Workshop(server.endpoint)
        group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
        workshop.put_event(group.tracking_id, "u", "i", "click", 1)
        assert Metrics(server.endpoint).of("lade_log_failed") == 0
        # A full disk is no failure: it passes.
        faults.arm(FAIL, 1, calls=("pwrite64",), under=server.data_dir / "log", to=FOREVER, error=errno.ENOSPC)
        with pytest.raises(ClientError):
            workshop.put_event(group.tracking_id, "u", "i", "click", 2)
        assert (Metrics(server.endpoint).of("lade_log_refusing"), Metrics(server.endpoint).of("lade_log_failed")) == (1, 0)
        faults.disarm()
        workshop.put_event(group.tracking_id, "u", "i", "click", 2)
        assert Metrics(server.endpoint).of("lade_log_refusing") == 0
        faults.arm(FAIL, 1, calls=("fdatasync", "fsync"), under=server.data_dir / "log", to=FOREVER, error=errno.EIO)
        with pytest.raises(ClientError):
            workshop.put_event(group.tracking_id, "u", "i", "click", 3)
        faults.disarm()
        failed = Metrics(server.endpoint)
        assert failed.of("lade_log_failed") == 1
        assert failed.of("lade_requests_total", operation="PutEvents", answer="failed") == 2
    finally:
        server.kill()


def test_a_log_in_a_bucket_is_told_of_by_its_steps(busy, shop, tmp_path):
    bucket = shop.make_bucket("objects")
    server = Server(tmp_path, env={
        "LADE_OBJECTS": f"s3://{bucket}/lade", "LADE_OBJECTS_ENDPOINT": busy.endpoint,
        "LADE_OBJECTS_ACCESS_KEY_ID": ROOT_KEY, "LADE_OBJECTS_SECRET_ACCESS_KEY": ROOT_SECRET,
    }).start()
    try:
        workshop = Workshop(server.endpoint)
        group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
        workshop.put_event(group.tracking_id, "u", "i", "click", 1)
        told = Metrics(server.endpoint)
        assert [told.of("lade_log_object_duration_seconds_count", step=step) for step in ("put", "place")] == [1, 1]
        assert told.of("lade_log_fsync_duration_seconds_count") == 0 and told.of("lade_log_segments") == 1
        assert told.of("lade_log_written_bytes_total") == told.of("lade_log_bytes") > 0
    finally:
        assert server.stop() == 0, server.tail()


class Hook(BaseHTTPRequestHandler):
    """A webhook that takes nothing at first."""

    answers = []

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answers.append(200 if self.answers else 500)
        self.send_response(self.answers[-1])
        self.end_headers()

    def log_message(self, *_):
        pass


def test_deliveries_to_the_webhook_are_counted(tmp_path):
    hook = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    server = Server(tmp_path, env={"LADE_WEBHOOK_URL": f"http://127.0.0.1:{hook.server_port}/", "LADE_WEBHOOK_SECRET": "s" * 16}).start()
    try:
        workshop = Workshop(server.endpoint)
        workshop.import_csv(workshop.make_group(interactions=INTERACTIONS).interactions, CSV + "u,i,click,1\n")
        deliveries = lambda result: Metrics(server.endpoint).of("lade_webhook_deliveries_total", result=result)
        until(lambda: deliveries("delivered") == Hook.answers.count(200) >= 2 and deliveries("retried") == 1)
        assert deliveries("given_up") == 0 and Hook.answers.count(500) == 1
    finally:
        assert server.stop() == 0, server.tail()
        hook.shutdown()


def test_a_stopping_server_tells_the_balancer_until_the_end(tmp_path):
    server = Server(tmp_path, arguments=["--admin-listen", "127.0.0.1:0"]).start()
    admin = re.search(r"Metrics +(http://\S+)/metrics", server.new_output()).group(1)
    request = raw.packed(server.endpoint, "POST", "/events", b"{}")
    with raw.connect(server.endpoint) as client:
        # A request that is on its way keeps the server from ending.
        client.sendall(request[:-1])
        time.sleep(0.3)
        server.process.terminate()
        assert until(lambda: get(f"{admin}/health/ready") == (503, "stopping"))
        assert Metrics(admin).of("lade_ready") == 0
        client.sendall(request[-1:])
        assert raw.receive(client).status == 400
    assert server.process.wait(30) == 0, server.tail()
