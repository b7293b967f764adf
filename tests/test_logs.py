"""The server's own log: how much of which area, the form of its lines, what each is about, and what is never in it."""

import json
import re
import shlex
import subprocess
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support.lade import job as describe
from support.schemas import INTERACTIONS
from support.server import Server, bare_environment, binary
from support.workshop import Workshop

DOCS = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text()
CANARY = "CANARY7f3a"
CSV = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a server says at its most talkative, in JSON, of good and bad requests and jobs."""
    server = Server(tmp_path_factory.mktemp("told"), arguments=["--log", "trace", "--log-format", "json"]).start()
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    listed = workshop.personalize.list_schemas()["ResponseMetadata"]
    put = workshop.put_event(group.tracking_id, f"{CANARY}-user", f"{CANARY}-item", "click", 1)["ResponseMetadata"]
    with pytest.raises(ClientError) as bad_put:
        workshop.put_event(group.tracking_id, "u", "i", "click", 1, properties=f'{{"NONE": "{CANARY}"')
    good = workshop.start_import(group.interactions, workshop.upload(CSV + f"{CANARY}-u,i,click,1\n"))
    assert workshop.wait_import(good)["status"] == "ACTIVE"
    bad = workshop.start_import(group.interactions, workshop.upload(CSV + f"u,i,click,{CANARY}-never\n"))
    reason = workshop.wait_import(bad)["failureReason"]
    export = workshop.start_export(group.interactions, "ALL")
    workshop.read_export(export)
    assert server.stop() == 0, server.tail()
    return {
        "text": server.stderr.read_text(), "listed": listed, "put": put, "bad_put": bad_put.value.response["ResponseMetadata"],
        "good": good, "bad": bad, "reason": reason, "export": export,
    }


@pytest.fixture(scope="module")
def lines(told):
    return [json.loads(line) for line in told["text"].splitlines()]


def test_each_line_is_an_object_of_the_same_form(lines):
    assert len(lines) > 50
    for line in lines:
        assert list(line) == ["time", "level", "area", "message", "fields"], line
        assert re.fullmatch(TIME, line["time"]) and line["level"] in ("error", "warn", "info", "debug", "trace")
        assert isinstance(line["message"], str) and isinstance(line["fields"], dict), line
    areas = {line["area"] for line in lines}
    assert {"requests", "jobs", "api", "log", "server"} <= areas, areas
    table = DOCS[DOCS.index("| area | what |"):].split("\n\n")[0]
    named = {word for row in table.splitlines()[2:] for word in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert areas - {"library"} <= named, areas - named


def test_a_line_of_a_request_has_the_id_that_the_client_knows(told, lines):
    of = lambda request: [line for line in lines if line["fields"].get("request.id") == request["HTTPHeaders"]["x-amzn-requestid"]]
    listed = of(told["listed"])
    assert {line["area"] for line in listed} >= {"requests", "api"}
    (answered,) = [line for line in listed if line["area"] == "requests"]
    assert (answered["level"], answered["message"], answered["fields"]["operation"]) == ("info", "POST /", "ListSchemas")
    assert answered["fields"]["status"] == 200 and isinstance(answered["fields"]["duration_ms"], int)
    # Of puts there are lines for whoever looks for a fault alone.
    assert {line["level"] for line in of(told["put"])} <= {"debug", "trace"} and of(told["put"]) and of(told["bad_put"])
    about_requests = [line for line in lines if line["area"] in ("requests", "api", "iam") and "http" not in line["message"]]
    assert all("request.id" in line["fields"] for line in about_requests if line["level"] != "trace"), about_requests


def test_a_line_of_a_job_has_its_arn(told, lines):
    for arn in (told["good"], told["bad"], told["export"]):
        own = [line for line in lines if line["fields"].get("job.arn") == arn]
        assert {line["area"] for line in own} & {"jobs"}, arn
    # What a job asks of a store is about both.
    both = [line for line in lines if "job.arn" in line["fields"] and "request.id" in line["fields"]]
    assert {line["fields"]["job.arn"] for line in both} >= {told["good"], told["export"]}
    (done,) = [line for line in lines if line["message"] == "the job is done" and line["fields"]["job.arn"] == told["good"]]
    assert done["fields"]["rows"] == 1 and done["level"] == "info"


def test_no_value_is_in_the_log(told, lines):
    # The caller is told, the log is not.
    assert CANARY in told["reason"] and CANARY not in told["text"]
    failed = [line for line in lines if line["fields"].get("job.arn") == told["bad"] and line["level"] == "warn"]
    assert ["the job failed for what it was given: its description says why"] == [line["message"] for line in failed]


def said(tmp_path, *arguments, env=None, file=None):
    """What a server logs that is asked for a few things, and has a job that fails."""
    if file is not None:
        (tmp_path / "lade.toml").write_text(file)
        arguments = [*arguments, "--config", str(tmp_path / "lade.toml")]
    server = Server(tmp_path, arguments=arguments, env=env).start()
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(interactions=INTERACTIONS)
    workshop.personalize.list_schemas()
    job = workshop.start_import(group.interactions, workshop.upload(CSV + "u,i,click,1\n"))
    assert workshop.wait_import(job)["status"] == "ACTIVE" and describe(server.endpoint, job)
    # The row is changed before the line is written.
    time.sleep(0.2)
    assert server.stop() == 0, server.tail()
    return job, server.stderr.read_text().splitlines()


def test_areas_have_levels_of_their_own(tmp_path):
    job, lines = said(tmp_path, "--log", "off,jobs=info")
    assert lines and all("POST /" not in line and "PUT /" not in line for line in lines)
    (done,) = [line for line in lines if "the job is done" in line]
    assert re.fullmatch(rf"{TIME}  INFO the job is done job.arn={re.escape(job)} rows=1", done), done


def test_the_file_counts_below_the_environment(tmp_path):
    job, lines = said(tmp_path, env={"LADE_LOG": "error,requests=info"}, file='log = "debug"\nlog_format = "json"\n')
    lines = [json.loads(line) for line in lines]
    assert {line["area"] for line in lines} == {"requests"} and {line["level"] for line in lines} == {"info"}


def test_directives_of_tracing_still_work(tmp_path):
    job, lines = said(tmp_path, "--log", "off,lade::serve::dispatch=info")
    assert lines and all(re.search(r" INFO (GET|PUT|POST|HEAD) /", line) and "request.id=" in line for line in lines)


@pytest.mark.parametrize(("log", "log_format", "text"), [
    ("loud", None, "the setting log has loud, and loud is no level: a level is off, error, warn, info, debug or trace"),
    ("info,jobs=loud", None, "jobs=loud"),
    ("info,job=debug", None, "job is no area: there are api, audit,"),
    ("jobs", None, "say jobs=debug"),
    ("jobs::upkeep=loud", None, "which is no directive of tracing"),
    (None, "xml", "the setting log_format must be text or json, and is xml"),
])
@pytest.mark.parametrize("way", ["environment", "flag"])
def test_a_bad_value_is_refused_in_a_sentence(tmp_path, log, log_format, text, way):
    given = {name: value for name, value in (("log", log), ("log-format", log_format)) if value}
    flags = [word for name, value in given.items() for word in (f"--{name}", value)] if way == "flag" else []
    env = {f"LADE_{name.upper().replace('-', '_')}": value for name, value in given.items()} if way == "environment" else {}
    command = [binary(), "serve", "--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0", *flags]
    done = subprocess.run(command, env={**bare_environment(), **env}, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and done.stderr.startswith("lade: ") and text in done.stderr, done.stderr
    assert not (tmp_path / "data").exists()


def test_commands_of_the_docs_are_taken(tmp_path):
    commands = re.findall(r"^lade serve (--log [^#\n]+)", DOCS, re.M)
    assert len(commands) == 3
    for number, command in enumerate(commands):
        server = Server(tmp_path / str(number), arguments=shlex.split(command)).start()
        assert server.stop() == 0, server.tail()
