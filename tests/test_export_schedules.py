"""Export schedules: each instant brings one job, on however many nodes and whenever they die; older exports go, the rest stays.

Clocks of servers are moved so that instants come: a schedule of each minute gets one whenever the clock steps to the next.
"""

import json
import time
from datetime import datetime, timedelta, timezone

import pytest
from botocore import auth

from support.catalog import of_a_file
from support.faults import KILL, Faults
from support.lade import ask, lade
from support.nodes import Cluster
from support.policies import EXPORT, allow, bucket_policy, role_policy
from support.schemas import ITEMS
from support.server import Server
from support.workshop import Workshop

MINUTE = 60
CLEARING = (*EXPORT, "s3:DeleteObject")


class Clock:
    """The clock of servers and of the clients that sign for them."""

    def __init__(self, folder, monkeypatch):
        self.faults, self.offset_s = Faults(folder), 0
        self.minute = int(time.time()) // MINUTE
        monkeypatch.setattr(auth, "get_current_datetime", self.now)

    def now(self, remove_tzinfo=True):
        now = datetime.now(timezone.utc) + timedelta(seconds=self.offset_s)
        return now.replace(tzinfo=None) if remove_tzinfo else now

    def step(self, minutes=1):
        """To shortly behind the beginning of a later minute; there is most of it left then."""
        self.minute += minutes
        self.offset_s = self.minute * MINUTE + 2 - time.time()
        self.faults.shift_clock(self.offset_s)


@pytest.fixture
def clock(tmp_path, monkeypatch):
    clock = Clock(tmp_path, monkeypatch)
    clock.step()
    return clock


@pytest.fixture
def moved(clock, tmp_path):
    """A server that goes by the clock."""
    server = Server(tmp_path / "own", env=clock.faults.env).start()
    yield server
    if server.process.poll() is None:
        server.kill()


@pytest.fixture
def work(moved):
    work = Workshop(moved.endpoint)
    work.items = work.make_group(items=ITEMS).items
    work.import_csv(work.items, "ITEM_ID,PRICE,CATEGORY_L1\na,1,A\nb,2,B\n")
    return work


def plan(work, **more):
    return {"datasetArn": work.items, "ingestionMode": "ALL", "roleArn": work.export_role, "cron": "* * * * *",
            "jobOutput": {"s3DataDestination": {"path": f"s3://{work.target}/out"}}, **more}


def put(work, name, key=(), **more):
    return ask(work.endpoint, "PUT", f"/schedules/{name}", *key, body=plan(work, **more))


def shown(work, name):
    status, schedule = ask(work.endpoint, "GET", f"/schedules/{name}")
    assert status == 200, schedule
    return schedule


def jobs(work, name):
    """The jobs of a schedule by their instants."""
    pages = work.personalize.get_paginator("list_dataset_export_jobs").paginate()
    found = [job for page in pages for job in page["datasetExportJobs"] if job["jobName"].startswith(f"{name}-2")]
    return {instant(job["jobName"]): job for job in found}


def instant(job_name):
    return int(datetime.strptime(job_name.rsplit("-", 1)[1], "%Y%m%dT%H%M%S%z").timestamp())


def until(found, what, within_s=15):
    deadline = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return value


def ended(work, name, count):
    """The jobs of a schedule, once there are so many and all of them are good."""
    good = lambda: [job for job in jobs(work, name).values() if job["status"] == "ACTIVE"]
    until(lambda: len(good()) >= count, f"{count} exports of {name} are good: {jobs(work, name)}")
    found = jobs(work, name)
    assert len(found) == count, found
    return found


def audited(server):
    """The lines of the audit log, which come within a tenth of a second."""
    time.sleep(0.3)
    return [json.loads(line) for line in (server.data_dir / "audit.log").read_text().splitlines()]


def folders(work):
    listed = work.s3.list_objects_v2(Bucket=work.target, Prefix="out/").get("Contents", [])
    return {entry["Key"].split("/")[1] for entry in listed}


def test_each_instant_brings_one_export_as_it_was_asked_for(moved, clock, work):
    status, schedule = put(work, "each", tags=[{"tagKey": "team", "tagValue": "data"}, {"tagKey": "lade:format", "tagValue": "jsonl"}])
    assert status == 200, schedule
    assert schedule["nextAt"] == (clock.minute + 1) * MINUTE and schedule["lastJob"] is None
    assert schedule["createdBy"].endswith(":root") and schedule["timeZone"] == "UTC" and schedule["keep"] is None
    for n in range(1, 3):
        clock.step()
        found = ended(work, "each", n)
        assert clock.minute * MINUTE in found
    job = found[clock.minute * MINUTE]
    tags = work.personalize.list_tags_for_resource(resourceArn=job["datasetExportJobArn"])["tags"]
    assert {tag["tagKey"] for tag in tags} == {"team", "lade:format"}
    body = work.s3.get_object(Bucket=work.target, Key=f"out/{job['jobName']}/ITEMS-00000.jsonl")["Body"].read()
    assert sorted(json.loads(line)["ITEM_ID"] for line in body.splitlines()) == ["a", "b"]
    last = shown(work, "each")["lastJob"]
    assert (last["datasetExportJobArn"], last["status"]) == (job["datasetExportJobArn"], "ACTIVE")


def test_a_stop_over_many_instants_brings_one_export_or_none(moved, clock, work):
    assert put(work, "once")[0] == 200 and put(work, "skipped", missed="SKIP")[0] == 200
    moved.kill()
    clock.step(5)
    moved.start()
    again = work.at(moved.endpoint)
    # Named after the first that was missed.
    assert list(ended(again, "once", 1)) == [(clock.minute - 4) * MINUTE]
    assert until(lambda: shown(again, "skipped")["trouble"], "the skipped instants are told") == "an instant was missed"
    assert not jobs(again, "skipped")
    clock.step()
    assert clock.minute * MINUTE in ended(again, "once", 2) and clock.minute * MINUTE in ended(again, "skipped", 1)
    assert shown(again, "skipped")["trouble"] is None


@of_a_file
def test_a_server_that_is_killed_doubles_and_loses_no_instant(moved, clock, work):
    assert put(work, "killed")[0] == 200
    expected = []
    for at in (1, 3, 8):
        # It dies at a write of the catalog: before, within and behind the transaction that makes the job.
        clock.faults.arm(KILL, at, calls=("write", "pwrite64", "fsync", "fdatasync"), under=f"{moved.data_dir}/catalog.db")
        clock.step()
        expected.append(clock.minute * MINUTE)
        moved.process.wait(15)
        clock.faults.disarm()
        moved.start()
        again = work.at(moved.endpoint)
        until(lambda: expected[-1] in jobs(again, "killed"), "the instant has its job")
    assert sorted(ended(again, "killed", len(expected))) == expected


def test_a_clock_that_is_set_back_brings_no_instant_twice(moved, clock, work):
    # Fifteen minutes before an instant.
    clock.step((5 - clock.minute) % 20)
    assert put(work, "back", cron="*/20 * * * *")[0] == 200
    due = (clock.minute + 15) * MINUTE
    clock.step(21)
    assert list(ended(work, "back", 1)) == [due]
    clock.step(-21)
    # The schedule does not wait for the time by the clock that ran ahead.
    until(lambda: shown(work, "back")["nextAt"] == due, "it goes by the clock of now")
    clock.step(21)
    until(lambda: shown(work, "back")["nextAt"] == due + 20 * MINUTE, "it went on")
    assert list(jobs(work, "back")) == [due] and shown(work, "back")["trouble"] is None
    clock.step(20)
    assert set(ended(work, "back", 2)) == {due, due + 20 * MINUTE} and shown(work, "back")["trouble"] is None


def test_an_instant_that_can_bring_no_job_is_passed_over_and_told(clock, work):
    assert put(work, "gone")[0] == 200
    work.personalize.delete_dataset(datasetArn=work.items)
    clock.step()
    told = until(lambda: shown(work, "gone")["trouble"], "it is told")
    assert told == f"The given dataset does not exist: {work.items}"
    assert shown(work, "gone")["nextAt"] == (clock.minute + 1) * MINUTE and not jobs(work, "gone")


def test_older_exports_are_deleted_but_for_what_is_not_theirs(moved, clock, work):
    status, refused = put(work, "kept", keep={"exports": 2})
    assert status == 400 and "s3:DeleteObject" in refused["message"], refused
    bucket = work.target
    work.s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, CLEARING))
    role = work.export_role.rsplit("/", 1)[1]
    work.iam.put_role_policy(RoleName=role, PolicyName="bucket-access", PolicyDocument=role_policy(bucket, CLEARING))
    by_hand = work.export(work.items, "ALL")
    status, schedule = put(work, "kept", keep={"exports": 2})
    assert status == 200 and schedule["keep"] == {"exports": 2}
    for n in range(1, 4):
        clock.step()
        found = ended(work, "kept", n)
        if n == 1:
            first = found[clock.minute * MINUTE]["jobName"]
            work.s3.put_object(Bucket=bucket, Key=f"out/{first}/note.txt", Body=b"mine")
    names = [found[at]["jobName"] for at in sorted(found)]
    until(lambda: work.s3.list_objects_v2(Bucket=bucket, Prefix=f"out/{first}/")["KeyCount"] == 1, "the first one's files are gone")
    assert work.s3.get_object(Bucket=bucket, Key=f"out/{first}/note.txt")["Body"].read() == b"mine"
    assert folders(work) == {*names, by_hand.folder.split("/")[1]}
    for name in names[1:]:
        assert lade(moved, "verify", f"s3://{bucket}/out/{name}/", env=clock.faults.env).returncode == 0
    # An export that fails makes no good one too old.
    work.iam.put_role_policy(RoleName=role, PolicyName="bucket-access", PolicyDocument=role_policy(bucket, ["s3:DeleteObject"]))
    clock.step()
    failed = until(lambda: jobs(work, "kept").get(clock.minute * MINUTE), "the instant came")
    assert work.wait_export(failed["datasetExportJobArn"])["status"] == "CREATE FAILED"
    time.sleep(1.5)
    assert set(names[1:]) <= folders(work)
    # Jobs are pruned without those that say which files are to be deleted later.
    left = lade(moved, "admin", "prune-jobs", "--older-than", "0s", "--json", env=clock.faults.env)
    exports = work.personalize.list_dataset_export_jobs()["datasetExportJobs"]
    assert json.loads(left.stdout)["jobs"]["export"] == len(exports) - len(names[1:]), left


def test_what_a_schedule_needs_is_asked_when_it_is_put(moved, work):
    create = allow("personalize:CreateDatasetExportJob", "arn:aws:personalize:*:*:dataset-export-job/mine-*")
    passing = allow("iam:PassRole", work.export_role)
    user = work.make_user("scheduler", create)
    secret = work.iam.create_access_key(UserName=user.name)["AccessKey"]
    key = (secret["AccessKeyId"], secret["SecretAccessKey"])
    status, refused = put(work, "mine", key)
    assert status in (400, 403) and "iam:PassRole" in refused["message"], refused
    work.set_policy(user, create, passing)
    status, refused = put(work, "other", key)
    assert status in (400, 403) and "personalize:CreateDatasetExportJob" in refused["message"], refused
    status, schedule = put(work, "mine", key)
    assert status == 200 and schedule["createdBy"] == user.arn, schedule
    for method, path in [("GET", ""), ("GET", "/mine"), ("POST", "/other/pause"), ("DELETE", "/other")]:
        status, refused = ask(work.endpoint, method, f"/schedules{path}", *key)
        assert status in (400, 403) and "not authorized" in refused["message"], (method, path)
    assert ask(work.endpoint, "POST", "/schedules/mine/pause", *key)[0] == 200
    [line] = [line for line in audited(moved) if line["eventName"] == "PutExportSchedule" and line["status"] == 200]
    assert line["userIdentity"]["arn"] == user.arn
    assert any(resource.endswith("dataset-export-job/mine-*") for resource in line["resources"])


@pytest.mark.parametrize(("change", "word"), [
    ({"cron": "* * *"}, "five fields"), ({"timeZone": "Mars/Olympus"}, "Mars/Olympus"), ({"cron": None}, "cron is missing"),
    ({"keep": {"exports": 0}}, "member keep"), ({"missed": "TWICE"}, "RUN_ONCE or SKIP"), ({"jobName": "j"}, "no member jobName"),
    ({"ingestionMode": "SOME"}, "ingestionMode"), ({"tags": [{"tagKey": "lade:format", "tagValue": "xml"}]}, "lade:format"),
    ({"tags": [{"tagKey": "lade:since", "tagValue": "j"}]}, "lade:since"), ({"roleArn": "x"}, "roleArn"),
    ({"datasetArn": "arn:aws:personalize:us-east-1:000000000000:dataset/none/ITEMS"}, "dataset/none/ITEMS"),
])
def test_what_is_no_schedule_is_refused(workshop, refusing, change, word):
    status, refused = put(refusing, "refused", **change)
    assert status in (400, 404) and word in refused["message"], refused
    assert ask(workshop.endpoint, "GET", "/schedules/refused")[0] in (400, 404)


@pytest.fixture(scope="module")
def refusing(workshop):
    workshop.items = workshop.make_group(items=ITEMS).items
    return workshop


def test_a_person_lists_runs_pauses_and_deletes_them(moved, clock, work):
    run = lambda *arguments: lade(moved, "schedules", *arguments, env=clock.faults.env)
    assert put(work, "nightly", cron="0 2 * * *", timeZone="Europe/Berlin")[0] == 200
    assert "nightly  0 2 * * * Europe/Berlin  next 20" in run().stdout and "no export yet" in run().stdout
    made = run("run-now", "nightly")
    assert made.returncode == 0, made.stderr
    assert work.wait_export(made.stdout.strip())["status"] == "ACTIVE"
    told = run("show", "nightly").stdout
    assert "ACTIVE" in told and f"to s3://{work.target}/out" in told and "all exports are kept" in told
    assert "paused" in run("pause", "nightly").stdout and json.loads(run("--json").stdout)["nextAt"] is None
    assert "next 20" in run("resume", "nightly").stdout
    assert "its exports stay" in run("delete", "nightly").stdout and run().stdout == ""
    gone = run("show", "nightly")
    assert gone.returncode == 1 and "There is no export schedule nightly" in gone.stderr
    assert run("show").returncode == 2
    assert folders(work)


def test_two_nodes_on_one_catalog_make_each_job_once(tmp_path, clock):
    cluster = Cluster(tmp_path / "nodes", nodes=2, env=clock.faults.env)
    try:
        work = cluster.start().workshop()
        items = work.make_group(items=ITEMS).items
        first, second = cluster.nodes
        body = {"datasetArn": items, "ingestionMode": "ALL", "roleArn": work.export_role, "cron": "* * * * *",
                "jobOutput": {"s3DataDestination": {"path": f"s3://{work.target}/out"}}}
        status, told = ask(first.endpoint, "PUT", "/schedules/both", body=body)
        assert status == 200, told
        made = lambda: cluster.query("SELECT name, status FROM job WHERE kind = 'EXPORT' ORDER BY number")
        expected = []
        for n in range(1, 3):
            clock.step()
            expected.append(clock.minute * MINUTE)
            until(lambda: [status for _, status in made()] == ["ACTIVE"] * n, f"{n} jobs are good: {made()}")
            if n == 1:
                first.kill()
        assert [instant(name) for name, _ in made()] == expected
    finally:
        cluster.close()
