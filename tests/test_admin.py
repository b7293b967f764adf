"""`lade admin doctor`: well where all is well, and each thing that is wrong is told with what to do."""

import json
import os
import time

import pytest

from support import catalog
from support.backup import admin, state
from support.policies import EXPORT, IMPORT, allow
from support.schemas import INTERACTIONS, ITEMS
from support.server import Server
from support.workshop import Workshop

pytestmark = catalog.of_a_file


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A server with records in runs and in the log, and objects in buckets, that was stopped."""
    server = Server(tmp_path_factory.mktemp("stopped"), arguments=["--flush-after-s", "1"]).start()
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(items=ITEMS, interactions=INTERACTIONS, tracker=True)
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\n" + "".join(f"b{n},{n},A\n" for n in range(500)))
    workshop.put_event(group.tracking_id, "u1", "i1", "click", 1)
    deadline = time.monotonic() + 10
    while len(list((server.data_dir / "runs").iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for n in range(5):
        workshop.put_event(group.tracking_id, "u1", "i1", "click", n)
    server.kill()
    return server


@pytest.fixture
def folder(stopped):
    """Its data folder, of which a test may damage files."""
    folder = Folder(stopped.data_dir)
    yield folder
    folder.mend()


class Folder:
    def __init__(self, path):
        self.path, self.kept = path, {}

    def change(self, path, change):
        self.kept[path] = path.read_bytes(), path.stat()
        change(path)

    def mend(self):
        for path, (content, about) in self.kept.items():
            path.write_bytes(content)
            path.chmod(about.st_mode)


def doctor(server, *arguments, env=None, data_dir=None):
    """The exit code, and the findings by their checks."""
    done = admin(server, "doctor", "--data-dir", data_dir or server.data_dir, "--json", *arguments, env=env)
    found = {}
    for line in done.stdout.splitlines():
        finding = json.loads(line)
        found.setdefault(finding["check"], []).append(finding)
    return done.returncode, found


def levels(found, check):
    return [finding["level"] for finding in found.get(check, [])]


def failure(found, check):
    failed = [finding for finding in found.get(check, []) if finding["level"] == "fail"]
    assert failed and all(finding["advice"] for finding in failed), found
    return failed[0]["finding"]


def flip(at):
    def change(path):
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)
    return change


@pytest.mark.parametrize("deep", [(), ("--deep",)], ids=["ends", "deep"])
def test_all_is_well_with_a_server_that_runs_and_nothing_is_changed(own_server, deep):
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(items=ITEMS)
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\na,1,A\n")
    workshop.put_items(group.items, ("p", {"price": 1, "categoryL1": "P"}))
    moving = ("audit.log", "catalog.db", "catalog.db-wal", "catalog.db-shm", "index.db", "index.db-wal", "index.db-shm")
    before = state(own_server.data_dir, moving)
    code, found = doctor(own_server, *deep)
    assert code == 0, found
    assert state(own_server.data_dir, moving) == before
    assert {"settings", "listen", "permissions", "space", "fsync", "catalog", "master key", "log", "runs"} <= set(found)
    assert "a server runs on it" in found["folder"][0]["finding"]
    plain = admin(own_server, "doctor", "--data-dir", own_server.data_dir)
    assert plain.returncode == 0 and " 0 wrong" in plain.stdout
    assert workshop.export(group.items, "ALL").lines == ["a,1.0,A", "p,1.0,P"]


def test_all_is_well_with_a_server_that_was_killed(stopped):
    code, found = doctor(stopped, "--deep")
    assert code == 0, found
    assert "no server runs on it" in found["folder"][0]["finding"]
    assert "2 files of records are whole" in found["runs"][0]["finding"]


def test_each_damage_is_told(stopped, folder):
    runs = sorted((folder.path / "runs").iterdir(), key=lambda path: path.stat().st_size)
    log = next((folder.path / "log").glob("*.log"))
    blob = next(path for path in (folder.path / "s3" / "blobs").rglob("*") if path.is_file())
    small = runs[0]
    for path, change, arguments, check in (
        (small, flip(-20), (), "runs"),
        (small, lambda path: path.write_bytes(path.read_bytes()[:-1]), (), "runs"),
        (runs[-1], flip(200), ("--deep",), "runs"),
        (log, flip(60), (), "log"),
        (blob, lambda path: path.write_bytes(b""), (), "objects"),
        (folder.path / "catalog.db", lambda path: path.write_bytes(b"x" * 8192), (), "catalog"),
        (folder.path / "master_key", flip(3), (), "master key"),
        (folder.path / "master_key", lambda path: path.write_bytes(b"short"), (), "master key"),
        (folder.path / "realm.json", lambda path: path.write_bytes(b"{"), (), "folder"),
    ):
        folder.change(path, change)
        code, found = doctor(stopped, *arguments)
        assert code == 1, (check, found)
        assert failure(found, check), found
        folder.mend()
    assert doctor(stopped, "--deep")[0] == 0


def test_what_others_can_read_and_what_takes_room_is_told(stopped, folder):
    folder.change(folder.path / "master_key", lambda path: path.chmod(0o644))
    code, found = doctor(stopped)
    assert code == 1 and "other users of this machine can read" in failure(found, "permissions")
    assert any("chmod 600" in (finding["advice"] or "") for finding in found["permissions"])
    (folder.path / "master_key").chmod(0o600)
    orphans = [folder.path / "runs" / "left.parquet", folder.path / "s3" / "blobs" / "aa" / ("a" * 32)]
    for orphan in orphans:
        orphan.write_bytes(b"x")
        os.utime(orphan, (1, 1))
    code, found = doctor(stopped)
    assert code == 0 and levels(found, "orphans") == ["warn", "warn"], found
    for orphan in orphans:
        orphan.unlink()


def test_settings_that_make_no_sense_or_are_open_to_all_are_told(stopped, tmp_path):
    code, found = doctor(stopped, env={"LADE_FLUSH_SIZE": "1KiB"})
    assert code == 1 and "flush_size" in failure(found, "settings")
    assert levels(found, "catalog") == ["ok"], "the rest is looked at all the same"
    code, found = doctor(stopped, "--listen", "0.0.0.0:0", "--allow-plain-http")
    assert code == 0 and levels(found, "listen") == ["warn"], found
    code, found = doctor(stopped, env={"LADE_MASTER_KEY_FILE": str(tmp_path / "none")})
    assert code == 1 and "is missing" in failure(found, "master key")
    code, found = doctor(stopped, data_dir=tmp_path / "none")
    assert code == 1 and "no server was ever started" in failure(found, "folder")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "restore_unfinished").touch()
    code, found = doctor(stopped, data_dir=tmp_path / "half")
    assert code == 1 and "not restored to its end" in failure(found, "folder")
    code, found = doctor(stopped, env={"LADE_CATALOG": "postgres://user:secret@h/d"})
    assert levels(found, "catalog") == ["warn"] and "secret" not in json.dumps(found), found


def test_real_services_are_asked_and_a_role_of_jobs_is_tried(workshop, stopped, tmp_path):
    """The server of all tests is the real S3 and STS here."""
    service = workshop.make_user("lade")
    secret = tmp_path / "secret"
    secret.write_text(service.session.get_credentials().secret_key)
    secret.chmod(0o600)
    env = {"LADE_S3_ENDPOINT": workshop.endpoint, "LADE_STS_ENDPOINT": workshop.endpoint,
           "LADE_SERVICE_ACCESS_KEY_ID": service.key, "LADE_SERVICE_SECRET_ACCESS_KEY_FILE": str(secret)}
    bucket = workshop.make_bucket("jobs", policy="")
    objects = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = lambda *all: json.dumps({"Version": "2012-10-17", "Statement": all})
    trust = statement({"Effect": "Allow", "Principal": {"AWS": service.arn}, "Action": "sts:AssumeRole"})
    both = workshop.make_role("both", bucket, trust=trust, policy=statement(
        allow(list(IMPORT), objects), allow([*EXPORT, "s3:AbortMultipartUpload"], objects)))
    reader = workshop.make_role("reader", bucket, trust=trust, policy=statement(allow(list(IMPORT), objects)))
    closed = workshop.make_role("closed", bucket, trust=statement(
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:user/other"}, "Action": "sts:AssumeRole"}))
    place = ("--location", f"s3://{bucket}/some/")
    code, found = doctor(stopped, "--role-arn", both, *place, env=env)
    assert code == 0 and levels(found, "role") == ["ok"] * 3 and levels(found, "services") == ["ok"] * 2, found
    code, found = doctor(stopped, "--role-arn", reader, *place, env=env)
    assert levels(found, "role") == ["ok", "ok", "warn"] and "s3:PutObject" in found["role"][2]["finding"], found
    code, found = doctor(stopped, "--role-arn", closed, *place, env=env)
    assert code == 1 and "sts:AssumeRole" in failure(found, "role"), found
    code, found = doctor(stopped, env=env | {"LADE_S3_ENDPOINT": "http://127.0.0.1:9"})
    assert code == 1 and "s3_endpoint" in failure(found, "services"), found
