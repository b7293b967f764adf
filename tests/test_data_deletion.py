"""Data deletion jobs: listed users leave every dataset of the group and every file of the server, and nobody else does."""

import json
import os
import random
import re
import secrets
import threading
import time
from collections import Counter

import pyarrow.parquet as parquet
import pytest

from support.catalog import rows
from support.lade import job as lade_job
from support.schemas import INTERACTIONS, ITEMS, USERS
from support.server import Server
from support.workshop import Workshop, unique, wait

MODES = ("BULK", "PUT", "ALL")
ENDS = ("COMPLETED", "FAILED")
ACTION_INTERACTIONS = ("USER_ID", "ACTION_ID", "EVENT_TYPE", "TIMESTAMP")


def person(name):
    """An id that no byte on the disk resembles by chance."""
    return f"{name}-{secrets.token_hex(12)}"


@pytest.fixture
def own_server(tmp_path):
    """A server that leaves its files plain, so that what they hold can be looked for."""
    server = Server(tmp_path / "own", arguments=["--at-rest", "plain"]).start()
    yield server
    if server.process.poll() is None:
        server.kill()


def listing(*ids):
    return "USER_ID\n" + "".join(key + "\n" for key in ids)


def start(workshop, group, location, **more):
    more = {"roleArn": workshop.import_role, "jobName": unique("deletion"), **more}
    created = workshop.personalize.create_data_deletion_job(
        datasetGroupArn=group.arn, dataSource={"dataLocation": location}, **more)
    return created["dataDeletionJobArn"]


def describe(workshop, arn):
    return workshop.personalize.describe_data_deletion_job(dataDeletionJobArn=arn)["dataDeletionJob"]


def end_of(workshop, arn):
    return wait(lambda: describe(workshop, arn), ENDS)


def delete(workshop, group, *ids):
    """Deletes and waits; the number of records that went."""
    job = end_of(workshop, start(workshop, group, workshop.upload(listing(*ids))))
    assert job["status"] == "COMPLETED", job
    return job["numDeleted"]


def places_of(server, *ids):
    """The files of the server that hold one of the ids; the buckets of the embedded S3 are the user's."""
    found = []
    for path in server.data_dir.rglob("*"):
        if path.is_dir() or path.relative_to(server.data_dir).parts[0] == "s3":
            continue
        try:
            held = path.read_bytes()
        except FileNotFoundError:
            continue  # upkeep clears files away at any time
        if path.suffix == ".parquet":
            table = parquet.read_table(path)
            held += "\n".join(str(v) for name in table.column_names for v in table[name].unique().to_pylist()).encode()
        found += [path.name for key in ids if key.encode() in held]
    return found


def users_in(exported):
    return {row[exported.header.index("USER_ID")] for row in exported.rows}


def test_listed_users_are_in_no_export_and_no_file(own_server):
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(items=ITEMS, users=USERS, interactions=INTERACTIONS, tracker=True)
    gone, stays = person("gone"), person("stays")
    workshop.import_csv(group.items, f"ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n{gone},2,B\n")
    workshop.import_csv(group.users, f"USER_ID,AGE,GENDER\n{gone},1,F\n{gone},1,F\n{stays},2,M\n{gone},3,F\n")
    workshop.put_users(group.users, (gone, {"age": 4}), (stays, {"age": 5}))
    rows = "".join(f"{user},i{n % 3},click,{n % 7}\n" for user in (gone, stays) for n in range(50))
    workshop.import_csv(group.interactions, "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + rows)
    for _ in range(3):
        workshop.put_event(group.tracking_id, gone, "i1", "click", 1)
    workshop.put_event(group.tracking_id, stays, gone, "click", 2)
    before = {(d, m): workshop.export(d, m).multiset for d in (group.items, group.users, group.interactions) for m in MODES}

    # Bulk users 3 and put 1, bulk events 50 and put 3: each as often as it arrived.
    assert delete(workshop, group, gone, person("unknown"), gone) == 3 + 1 + 50 + 3

    for (dataset, mode), rows in before.items():
        is_of_users = dataset != group.items
        expected = {row: n for row, n in rows.items() if not (is_of_users and row[0] == gone)}
        after = workshop.export(dataset, mode)
        assert after.multiset == expected, (dataset, mode)
    assert delete(workshop, group, gone) == 0


def test_the_ids_are_nowhere_on_the_disk(own_server):
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(users=USERS, interactions=INTERACTIONS, tracker=True)
    other = workshop.make_group(users=USERS)
    gone, stays, foreign = person("gone"), person("stays"), person("foreign")
    workshop.import_csv(group.users, f"USER_ID,AGE,GENDER\n{gone},1,F\n{stays},2,M\n")
    for user in (gone, stays):
        workshop.put_event(group.tracking_id, user, "i1", "click", 1)
    # A record of another group, in the same segment of the log: it moves on, and stays.
    workshop.put_users(other.users, (foreign, {"age": 1}), (gone, {"age": 2}))
    assert len(places_of(own_server, gone)) >= 2 and places_of(own_server, stays)
    assert delete(workshop, group, gone) == 2
    assert delete(workshop, other, gone) == 1
    assert places_of(own_server, gone) == []
    assert places_of(own_server, stays) and places_of(own_server, foreign)
    assert own_server.restart() and places_of(own_server, gone) == []
    workshop = workshop.at(own_server.endpoint)
    assert users_in(workshop.export(group.interactions, "PUT")) == {stays}
    assert users_in(workshop.export(other.users, "PUT")) == {foreign}


def test_action_interactions_go_too(own_server):
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group()
    fields = [{"name": name, "type": "long" if name == "TIMESTAMP" else "string"} for name in ACTION_INTERACTIONS]
    schema = workshop.personalize.create_schema(name=unique("schema"), schema=json.dumps({
        "type": "record", "name": "ActionInteractions", "namespace": "com.amazonaws.personalize.schema",
        "fields": fields, "version": "1.0"}))["schemaArn"]
    dataset = workshop.personalize.create_dataset(
        name=unique("dataset"), schemaArn=schema, datasetGroupArn=group.arn, datasetType="ACTION_INTERACTIONS",
    )["datasetArn"]
    gone, stays = person("gone"), person("stays")
    workshop.import_csv(dataset, ",".join(ACTION_INTERACTIONS) + f"\n{gone},a,Taken,1\n{stays},a,Taken,1\n{gone},a,Viewed,2\n")
    assert delete(workshop, group, gone) == 2
    assert places_of(own_server, gone) == [] and places_of(own_server, stays)


def test_a_folder_is_read_with_its_sub_folders(workshop):
    group = workshop.make_group(users=USERS)
    ids = [person(name) for name in "abcdef"]
    workshop.import_csv(group.users, "USER_ID,AGE,GENDER\n" + "".join(f"{user},1,F\n" for user in ids))
    folder = unique("folder")
    for name, user in zip(("a.csv", "sub/b.csv", "sub/deeper/C.CSV", "sub/_d.csv", "notes.txt"), ids):
        workshop.upload(listing(user), f"{folder}/{name}")
    job = end_of(workshop, start(workshop, group, f"s3://{workshop.source}/{folder}"))
    assert (job["status"], job["numDeleted"]) == ("COMPLETED", 3), job
    assert users_in(workshop.export(group.users, "BULK")) == set(ids[3:])


def test_what_comes_later_is_new_data(workshop):
    group = workshop.make_group(users=USERS, interactions=INTERACTIONS, tracker=True)
    user = person("back")
    rows = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + f"{user},i1,click,1\n"
    workshop.import_csv(group.interactions, rows)
    workshop.put_event(group.tracking_id, user, "i2", "click", 2)
    assert delete(workshop, group, user) == 2
    workshop.put_event(group.tracking_id, user, "i2", "click", 2)
    assert workshop.export(group.interactions, "ALL").lines == [f"{user},i2,click,2"]
    workshop.import_csv(group.interactions, rows, "INCREMENTAL")
    assert workshop.export(group.interactions, "BULK").lines == [f"{user},i1,click,1"]
    assert delete(workshop, group, user) == 2


def test_anonymous_events_go_by_their_session(workshop):
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    user, session = person("user"), person("session")
    workshop.put_event(group.tracking_id, None, "i1", "click", 1, session=session)
    workshop.put_event(group.tracking_id, user, "i2", "click", 2, session=session)
    assert delete(workshop, group, user) == 1
    assert workshop.export(group.interactions, "PUT").lines == [f"{session},i1,click,1"]
    assert delete(workshop, group, session) == 1
    assert workshop.export(group.interactions, "PUT").lines == []


def test_jobs_are_described_listed_and_tagged(workshop):
    group = workshop.make_group(users=USERS)
    location = workshop.upload(listing("nobody"))
    name = unique("deletion")
    arn = start(workshop, group, location, jobName=name, tags=[{"tagKey": "why", "tagValue": "asked"}])
    assert arn == f"arn:aws:personalize:us-east-1:000000000000:data-deletion-job/{name}"
    tags = workshop.personalize.list_tags_for_resource(resourceArn=arn)["tags"]
    assert tags == [{"tagKey": "why", "tagValue": "asked"}]
    job = end_of(workshop, arn)
    times = {job.pop("creationDateTime") <= job.pop("lastUpdatedDateTime")}
    assert times == {True} and job == {
        "jobName": name, "dataDeletionJobArn": arn, "datasetGroupArn": group.arn, "roleArn": workshop.import_role,
        "dataSource": {"dataLocation": location}, "status": "COMPLETED", "numDeleted": 0}
    second = start(workshop, group, location)
    end_of(workshop, second)
    page = workshop.personalize.list_data_deletion_jobs(datasetGroupArn=group.arn, maxResults=1)
    rest = workshop.personalize.list_data_deletion_jobs(datasetGroupArn=group.arn, nextToken=page["nextToken"])
    jobs = page["dataDeletionJobs"] + rest["dataDeletionJobs"]
    assert [job["dataDeletionJobArn"] for job in jobs] == [second, arn]
    assert {job["status"] for job in jobs} == {"COMPLETED"} and all("numDeleted" not in job for job in jobs)
    with pytest.raises(workshop.personalize.exceptions.ResourceAlreadyExistsException):
        start(workshop, group, location, jobName=name)


@pytest.mark.parametrize("text, told", [
    ("ID\nu\n", "Input csv is missing the following columns: [USER_ID]"),
    ("USER_ID,AGE\nu,1\n", "Input csv may have the columns [USER_ID] only, and has also: [AGE]"),
    ("", "Input csv is missing the following columns: [USER_ID]"),
])
def test_a_header_is_told_at_create(workshop, text, told):
    group = workshop.make_group(users=USERS)
    with pytest.raises(workshop.personalize.exceptions.InvalidInputException) as caught:
        start(workshop, group, workshop.upload(text))
    assert caught.value.response["Error"]["Message"] == told


def test_a_place_without_files_or_rights_is_told_at_create(workshop):
    group = workshop.make_group(users=USERS)
    invalid = workshop.personalize.exceptions.InvalidInputException
    with pytest.raises(invalid, match="Invalid Data location."):
        start(workshop, group, f"s3://{workshop.source}/{unique('none')}/")
    with pytest.raises(invalid, match="Insufficient privileges for accessing data in S3."):
        start(workshop, group, workshop.upload(listing("u")), roleArn=workshop.export_role)
    with pytest.raises(workshop.personalize.exceptions.ResourceNotFoundException):
        workshop.personalize.create_data_deletion_job(
            jobName=unique("deletion"), datasetGroupArn=group.arn + "x", roleArn=workshop.import_role,
            dataSource={"dataLocation": workshop.upload(listing("u"))})


@pytest.mark.parametrize("row, told", [
    ('""', "line 3, column USER_ID: a value is required"),
    ("u" * 257, "line 3, column USER_ID"),
    ("u,v", "line 3: 2 values where the header has 1"),
    ('"u', "unclosed quote"),
])
def test_a_bad_row_fails_the_job_and_nothing_is_deleted(workshop, row, told):
    group = workshop.make_group(users=USERS)
    user = person("user")
    workshop.import_csv(group.users, f"USER_ID,AGE,GENDER\n{user},1,F\n")
    workshop.put_users(group.users, (user, {"age": 2}))
    job = end_of(workshop, start(workshop, group, workshop.upload(listing(user, row))))
    assert job["status"] == "FAILED" and "numDeleted" not in job, job
    assert "data.csv" in job["failureReason"] and told in job["failureReason"], job
    assert len(workshop.export(group.users, "BULK").rows) == len(workshop.export(group.users, "PUT").rows) == 1


def stall(server):
    """The embedded S3 takes no bytes until the server starts again: exports meet a passing fault and are tried again."""
    (server.data_dir / "s3" / "temp").rename(server.data_dir / "s3" / "away")


def until(found, what, within_s=60):
    deadline = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
        time.sleep(0.02)
    return value


def has_deleted(server):
    """Whether the server has said that a job took records out of a list of runs."""
    return bool(re.search(r"deleted [1-9]\d* records", (server.folder / "stderr").read_text()))


def is_waiting(workshop, arn):
    """Waits until the job was taken up twice more, and given back."""
    for _ in range(2):
        last = describe(workshop, arn)["lastUpdatedDateTime"]
        until(lambda: describe(workshop, arn)["lastUpdatedDateTime"] > last, "the job is taken up again")
    return describe(workshop, arn)["status"] == "IN_PROGRESS"


def test_an_export_from_before_keeps_its_snapshot_and_the_job_waits_for_it(own_server):
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(users=USERS, interactions=INTERACTIONS, tracker=True)
    gone, stays = person("gone"), person("stays")
    workshop.import_csv(group.users, f"USER_ID,AGE,GENDER\n{gone},1,F\n{stays},2,M\n")
    back = person("back")
    for user in (gone, stays, back):
        workshop.put_event(group.tracking_id, user, "i1", "click", 1)
    location = workshop.upload(listing(gone, back))
    stall(own_server)
    before = [workshop.start_export(dataset, "ALL") for dataset in (group.users, group.interactions)]
    job = start(workshop, group, location)
    until(lambda: has_deleted(own_server), "records are deleted")
    assert is_waiting(workshop, job)
    after = [workshop.start_export(dataset, "ALL") for dataset in (group.users, group.interactions)]
    for refused in (lambda: workshop.personalize.delete_dataset(datasetArn=group.users),
                    lambda: workshop.personalize.delete_dataset_group(datasetGroupArn=group.arn)):
        with pytest.raises(workshop.personalize.exceptions.ResourceInUseException):
            refused()
    workshop.put_event(group.tracking_id, back, "i1", "click", 1)
    own_server.kill()
    assert places_of(own_server, gone), "the exports from before still need it"
    own_server.start()
    workshop = workshop.at(own_server.endpoint)
    assert [users_in(workshop.read_export(arn)) for arn in before] == [{gone, stays}, {gone, stays, back}]
    assert [users_in(workshop.read_export(arn)) for arn in after] == [{stays}] * 2
    ended = end_of(workshop, job)
    assert (ended["status"], ended["numDeleted"]) == ("COMPLETED", 3), ended
    assert places_of(own_server, gone) == []
    assert users_in(workshop.export(group.interactions, "PUT")) == {stays, back}


def test_a_job_ends_with_evidence_that_nothing_is_left(own_server):
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(users=USERS, interactions=INTERACTIONS, tracker=True)
    gone, stays = person("gone"), person("stays")
    workshop.import_csv(group.users, f"USER_ID,AGE,GENDER\n{gone},1,F\n{stays},2,M\n")
    workshop.put_event(group.tracking_id, gone, "i1", "click", 1)
    workshop.put_event(group.tracking_id, stays, "i1", "click", 1)
    arn = start(workshop, group, workshop.upload(listing(gone, person("unknown"))))
    assert end_of(workshop, arn)["status"] == "COMPLETED"
    evidence = lade_job(own_server.endpoint, arn)["evidence"]
    assert evidence.pop("checkedAt").startswith("20")
    assert evidence.pop("segmentsRead") >= 1
    assert evidence == {"usersChecked": 2, "runsRead": 2, "recordsFound": 0}
    assert places_of(own_server, gone) == []


def test_a_job_that_finds_a_listed_user_again_fails_and_says_where(own_server):
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(users=USERS)
    gone = person("gone")
    workshop.import_csv(group.users, f"USER_ID,AGE,GENDER\n{gone},1,F\nother,2,M\n")
    location = workshop.upload(listing(gone))
    stall(own_server)
    export = workshop.start_export(group.users, "ALL")
    arn = start(workshop, group, location)
    until(lambda: has_deleted(own_server), "records are deleted")
    assert is_waiting(workshop, arn)
    own_server.kill()
    # The run that the export still reads comes back to life.
    objects = [row[0] for row in rows(own_server, "SELECT object FROM run WHERE listed = 0")]
    assert len(objects) == 1
    rows(own_server, "UPDATE run SET listed = 1")
    own_server.start()
    workshop = workshop.at(own_server.endpoint)
    workshop.read_export(export)
    ended = end_of(workshop, arn)
    assert ended["status"] == "FAILED" and objects[0] in ended["failureReason"], ended
    assert str(own_server.data_dir) not in ended["failureReason"]
    evidence = lade_job(own_server.endpoint, arn)["evidence"]
    assert (evidence["recordsFound"], evidence["foundIn"]) == (1, [f"run {objects[0]}"])
    # To run it again helps.
    assert delete(workshop, group, gone) == 1
    assert places_of(own_server, gone) == []


def test_jobs_of_one_group_run_in_their_order(workshop):
    group = workshop.make_group(users=USERS)
    ids = [person(f"u{n}") for n in range(4)]
    workshop.import_csv(group.users, "USER_ID,AGE,GENDER\n" + "".join(f"{user},1,F\n" for user in ids))
    jobs = [start(workshop, group, workshop.upload(listing(*ids[:n]))) for n in (1, 3, 4)]
    assert [end_of(workshop, arn)["numDeleted"] for arn in jobs] == [1, 2, 1]


def test_beside_writers_each_record_is_kept_or_counted(tmp_path, note):
    seed = int(os.environ.get("LADE_TEST_SEED") or random.randrange(1 << 32))
    note(f"test_data_deletion: LADE_TEST_SEED={seed}")
    # Flushed all the time, so that flushes and compactions meet the jobs.
    server = Server(tmp_path / "own", env={"LADE_FLUSH_AFTER_S": "0"}).start()
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    users = [f"u{n}" for n in range(12)]
    stop, arrived, failed = threading.Event(), Counter(), []

    def repeat(name, step):
        chance = random.Random(f"{seed} {name}")
        try:
            while not stop.is_set():
                arrived[name] += step(chance)
        except Exception as error:  # the test's own thread tells of it
            failed.append(error)

    def put(chance):
        # Few different events, so that equal ones meet.
        events = [{"eventType": "e", "itemId": f"i{chance.randrange(3)}", "sentAt": n} for n in range(5)]
        workshop.events.put_events(
            trackingId=group.tracking_id, userId=chance.choice(users), sessionId="s", eventList=events)
        return len(events)

    def load(chance):
        rows = [f"{chance.choice(users)},b{chance.randrange(3)},e,{n}" for n in range(50)]
        workshop.import_csv(group.interactions, "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "\n".join(rows), "INCREMENTAL")
        return len(rows)

    workshop.import_csv(group.interactions, "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n")
    threads = [threading.Thread(target=repeat, args=task) for task in (("put a", put), ("put b", put), ("load", load))]
    for thread in threads:
        thread.start()
    chance = random.Random(seed)
    counts = [delete(workshop, group, *chance.sample(users, 4)) for _ in range(10)]
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed and any(counts), (seed, failed, counts)
    ledger = workshop.export(group.interactions, "ALL").ledger
    assert ledger["readBulk"] + ledger["readPut"] + sum(counts) == arrived.total(), (seed, ledger, counts, arrived)
    assert server.stop() == 0


@pytest.mark.timeout(600)
def test_kills_leave_the_right_count_and_nothing_half_deleted(tmp_path, note):
    seed = int(os.environ.get("LADE_TEST_SEED") or random.randrange(1 << 32))
    note(f"test_data_deletion: LADE_TEST_SEED={seed}")
    chance = random.Random(seed)
    server = Server(tmp_path / "own", arguments=["--job-memory", "16MiB", "--at-rest", "plain"]).start()
    try:
        workshop = Workshop(server.endpoint)
        group = workshop.make_group(users=USERS, interactions=INTERACTIONS, tracker=True)
        rounds = 4 if os.environ.get("LADE_TESTS_FAST") else 10
        lost = [[person(f"r{n}") for _ in range(20)] for n in range(rounds)]
        crowd = [f"c{n}" for n in range(1000)] + [user for ids in lost for user in ids]
        rows = [f"{chance.choice(crowd)},i{n % 90},click,{n % 1000}" for n in range(100_000)]
        workshop.import_csv(group.interactions, "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "\n".join(rows) + "\n")
        workshop.import_csv(group.users, "USER_ID,AGE,GENDER\n" + "".join(f"{user},1,F\n" for user in crowd))
        kills = 0
        for ids in lost:
            for user in ids:
                workshop.put_event(group.tracking_id, user, "i1", "click", 1)
            arn = start(workshop, group, workshop.upload(listing(*ids)))
            for _ in range(chance.randrange(1, 4)):
                time.sleep(chance.uniform(0, 0.03))
                kills += describe(workshop, arn)["status"] not in ENDS
                server.kill()
                server.start()
                workshop = workshop.at(server.endpoint)
            job = end_of(workshop, arn)
            held = sum(row.split(",")[0] in ids for row in rows)
            assert (job["status"], job.get("numDeleted")) == ("COMPLETED", held + 2 * len(ids)), (seed, job)
            assert places_of(server, *ids) == [], seed
        left = set(crowd[:1000])
        assert users_in(workshop.export(group.users, "ALL")) == left
        exported = workshop.export(group.interactions, "ALL")
        assert users_in(exported) <= left
        assert exported.ledger["readBulk"] == sum(row.split(",")[0] in left for row in rows)
        assert exported.ledger["readPut"] == 0
        note(f"test_data_deletion: {rounds} jobs met {kills} kills before their end")
    finally:
        if server.process.poll() is None:
            server.kill()
