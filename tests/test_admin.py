"""`lade admin doctor`: well where all is well, and each thing that is wrong is told with what to do."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import time

import pytest

from support import catalog
from support.backup import admin, back_up, restore, state
from support.policies import EXPORT, IMPORT, allow
from support.schemas import INTERACTIONS, ITEMS
from support.server import Server
from support.workshop import Workshop
from test_upgrade import log_header

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


def advice(found):
    """All that is advised where something is wrong."""
    return [finding["advice"] for findings in found.values() for finding in findings if finding["level"] == "fail"]


@contextlib.contextmanager
def mounted(*arguments, on):
    done = subprocess.run(["mount", *map(str, arguments), str(on)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"to mount takes root: {done.stderr.strip()}")
    try:
        yield on
    finally:
        subprocess.run(["umount", "-l", str(on)], check=True)


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


def test_a_restored_folder_without_objects_is_well(tmp_path):
    server = Server(tmp_path / "first").start()
    assert server.stop() == 0
    back_up(server, tmp_path / "backup")
    restored = restore(server, tmp_path / "backup", tmp_path / "second")
    blobs = restored.data_dir / "s3" / "blobs"
    assert (restored.data_dir / "s3" / "index.db").exists() and not blobs.exists()
    code, found = doctor(restored)
    assert code == 0 and levels(found, "objects") == ["ok"], found
    blobs.mkdir()
    (blobs / ".DS_Store").write_bytes(b"x")
    code, found = doctor(restored)
    assert code == 0 and levels(found, "objects") == ["ok"], found


@pytest.fixture
def copied(stopped, tmp_path):
    """A copy of the data folder, for good and all."""
    return shutil.copytree(stopped.data_dir, tmp_path / "copied")


def test_a_change_of_the_master_key_that_broke_off_is_no_damage(stopped, copied):
    key, following = copied / "master_key", copied / "master_key.next"
    old = key.read_bytes()
    # As a kill leaves it before the catalog is changed.
    following.write_bytes(os.urandom(32))
    code, found = doctor(stopped, data_dir=copied)
    assert code == 0 and levels(found, "master key") == ["warn"] and levels(found, "runs") == ["ok"], found
    assert "changed nothing" in found["master key"][0]["finding"]
    done = admin(stopped, "rotate-master-key", "--data-dir", copied)
    assert done.returncode == 0 and not following.exists(), done.stderr
    new = key.read_bytes()
    # And between the catalog's change and that of the file.
    key.rename(following)
    key.write_bytes(old)
    key.chmod(0o600)
    code, found = doctor(stopped, "--deep", data_dir=copied)
    assert code == 0 and levels(found, "master key") == ["warn"] and levels(found, "runs") == ["ok"], found
    assert str(following) in found["master key"][0]["finding"]
    assert "start the server" in found["master key"][0]["advice"] and "do not delete" in found["master key"][0]["advice"]
    assert (key.read_bytes(), following.read_bytes()) == (old, new), "doctor changes nothing"
    key.unlink()
    code, found = doctor(stopped, data_dir=copied)
    assert code == 0 and levels(found, "master key") == ["warn"], found
    # Without the new key nothing opens it, and the first key is of no use.
    following.unlink()
    for content in (old, None):
        if content:
            key.write_bytes(content)
        else:
            key.unlink()
        code, found = doctor(stopped, data_dir=copied)
        assert code == 1 and failure(found, "master key"), found
        assert "in use last" in found["master key"][0]["advice"] and "first start" not in found["master key"][0]["advice"]


def test_a_first_start_that_was_cut_off_before_the_master_key_is_no_damage(tmp_path):
    server = Server(tmp_path / "first").start()
    assert server.stop() == 0
    (server.data_dir / "master_key").unlink()
    code, found = doctor(server)
    assert code == 1 and "is missing" in failure(found, "master key"), found
    with contextlib.closing(sqlite3.connect(server.data_dir / "catalog.db", isolation_level=None)) as file:
        file.execute("DELETE FROM master_key_mark")
    code, found = doctor(server)
    assert code == 0 and levels(found, "master key") == ["warn"], found
    assert "first start was cut off" in found["master key"][0]["finding"] and not (server.data_dir / "master_key").exists()
    code, found = doctor(server, env={"LADE_MASTER_KEY_FILE": str(tmp_path / "none")})
    assert code == 1 and "is missing" in failure(found, "master key"), "no server starts so"


@pytest.mark.parametrize("part", ["catalog.db", "s3/index.db"])
def test_a_backup_is_restored_for_damage_and_a_newer_version_taken_for_its_folder(stopped, copied, part):
    check = "catalog" if part == "catalog.db" else "objects"
    with contextlib.closing(sqlite3.connect(copied / part, isolation_level=None)) as file:
        before = file.execute("PRAGMA user_version").fetchone()[0]
        file.execute("PRAGMA user_version = 99")
    code, found = doctor(stopped, data_dir=copied)
    assert code == 1 and "99" in failure(found, check)
    assert "newer version" in found[check][0]["advice"] and "restore" not in found[check][0]["advice"], found
    with contextlib.closing(sqlite3.connect(copied / part, isolation_level=None)) as file:
        file.execute(f"PRAGMA user_version = {before}")
    with (copied / part).open("r+b") as file:
        file.write(b"garbage!")
    code, found = doctor(stopped, data_dir=copied)
    assert code == 1 and "not a database" in failure(found, check)
    assert "restore the last backup" in found[check][0]["advice"] and "newer" not in found[check][0]["advice"], found


def test_a_newer_log_is_not_called_damaged(stopped, copied):
    segment = next((copied / "log").glob("*.log"))
    content = segment.read_bytes()
    segment.write_bytes(log_header(int(segment.stem), 99) + content[32:])
    code, found = doctor(stopped, data_dir=copied)
    assert code == 1 and "has format 99" in failure(found, "log")
    assert [text for text in advice(found) if "restore" in text] == [], found


def unread(code, found, check):
    """That a check failed for what surrounds the folder: nothing advises to throw anything away."""
    assert code == 1 and failure(found, check), found
    assert not [text for text in advice(found) if "restore" in text or "newer" in text], found


def test_a_temporary_folder_that_is_missing_or_full_is_told_and_the_rest_is_looked_at(stopped, tmp_path):
    code, found = doctor(stopped, env={"TMPDIR": str(tmp_path / "none")})
    unread(code, found, "copy")
    assert "TMPDIR" in found["copy"][0]["advice"]
    assert [levels(found, check) for check in ("settings", "catalog", "objects")] == [["ok"]] * 3, found
    assert levels(found, "log")[0] == "ok"
    (tmp_path / "small").mkdir()
    with mounted("-t", "tmpfs", "-o", "size=64k", "lade-tests", on=tmp_path / "small") as small:
        code, found = doctor(stopped, env={"TMPDIR": str(small)})
        unread(code, found, "copy")
        assert levels(found, "catalog") == ["ok"] and "make room" in found["copy"][0]["advice"], found
        assert not list(small.iterdir())


def test_a_folder_that_can_only_be_read_is_not_called_damaged(stopped, copied):
    # Without a log of changes beside it SQLite makes one, to read.
    for part in ("catalog.db", "s3/index.db"):
        with contextlib.closing(sqlite3.connect(copied / part)) as file:
            file.execute("SELECT count(*) FROM sqlite_master").fetchone()
    assert not list(copied.rglob("*-wal"))
    with mounted("--bind", copied, on=copied):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(copied)], check=True)
        code, found = doctor(stopped, data_dir=copied)
    unread(code, found, "catalog")
    assert levels(found, "objects") == ["fail"] and "disk" in found["catalog"][0]["advice"], found
    assert doctor(stopped, data_dir=copied)[0] == 0


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
