"""Backups of a server that serves, and of one that doesn't: whole, of one moment, or none at all."""

import fcntl
import json
import os
import random
import re
import shutil
import subprocess
import threading
import time

import pytest

from support import catalog
from support.backup import admin, back_up, restore
from support.schemas import INTERACTIONS, ITEMS, USERS
from support.server import Server, binary
from support.workshop import Workshop, wait

pytestmark = catalog.of_a_file
MODES = ("BULK", "PUT", "ALL")


@pytest.fixture
def serve(tmp_path):
    """Starts servers, and kills those that a test left running."""
    servers = []

    def start(name, *arguments, of=None):
        server = of or Server(tmp_path / name, arguments=arguments)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.kill()


def fill(workshop):
    """Datasets with bulk and put records, some of them in runs and some in the log, and an object of its own."""
    group = workshop.make_group(items=ITEMS, users=USERS, interactions=INTERACTIONS, tracker=True)
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\n" + "".join(f"b{n},{n},A\n" for n in range(2000)))
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\nb1,5,B\nc,1,C\n", mode="INCREMENTAL")
    workshop.put_items(group.items, ("b1", {"price": 7, "categoryL1": "D"}), ("p", {"price": 1, "categoryL1": "P"}))
    workshop.put_users(group.users, ("u1", {"age": 3, "gender": "f"}), ("u2", {"age": 4}))
    for n in range(20):
        workshop.put_event(group.tracking_id, f"u{n % 3}", "i1", "click", n)
    workshop.s3.put_object(Bucket=workshop.source, Key="kept", Body=b"kept" * 1000)
    return group


def exports(workshop, group):
    """The files of all exports of all datasets, by dataset, mode and file."""
    found = {}
    for dataset in (group.items, group.users, group.interactions):
        for mode in MODES:
            export = workshop.export(dataset, mode)
            found |= {(dataset, mode, key.rsplit("/", 1)[1]): export.bodies[key] for key in export.data_keys}
    return found


@pytest.mark.parametrize("serving", [True, False], ids=["serving", "stopped"])
def test_a_restored_folder_gives_the_same_bytes_keys_and_jobs(serve, tmp_path, serving):
    server = serve("first", "--flush-after-s", "1")
    workshop = Workshop(server.endpoint)
    group = fill(workshop)
    user = workshop.make_user("reader")
    time.sleep(1.5)
    workshop.put_items(group.items, ("late", {"price": 9, "categoryL1": "L"}))
    before = exports(workshop, group)
    jobs = workshop.personalize.list_dataset_export_jobs()["datasetExportJobs"]
    if not serving:
        server.kill()
    told = json.loads(back_up(server, tmp_path / "backup", "--json"))
    assert told["filesLinked"] > 0 and not told["hasMasterKey"]

    again = serve("", of=restore(server, tmp_path / "backup", tmp_path / "second"))
    restored = workshop.at(again.endpoint)
    assert exports(restored, group) == before
    listed = restored.personalize.list_dataset_export_jobs()["datasetExportJobs"]
    assert [job for job in listed if job in jobs] == jobs
    assert restored.s3.get_object(Bucket=workshop.source, Key="kept")["Body"].read() == b"kept" * 1000
    key = user.session.get_credentials()
    mine = type(user)(again.endpoint, key.access_key, key.secret_key)
    assert mine.sts.get_caller_identity()["Arn"] == user.arn
    # It goes on from there, and the backup stays as it was.
    restored.put_items(group.items, ("later", {"price": 1, "categoryL1": "L"}))
    assert "later,1.0,L" in restored.export(group.items, "PUT").lines
    assert admin(server, "restore", tmp_path / "backup", "--check").returncode == 0


class Writers:
    """Puts, imports and exports for as long as it lasts; it knows what was acknowledged when."""

    def __init__(self, server, workshop):
        self.server, self.stop = server, threading.Event()
        self.group = workshop.make_group(items=ITEMS, users=USERS)
        self.sent, self.acknowledged, self.imported, self.exported, self.failures = [0, 0], [[], []], [], [], []
        workshop.import_csv(self.group.users, "USER_ID,AGE,GENDER\nfirst,1,f\n")
        doing = [lambda: self.put(workshop, 0), lambda: self.put(workshop, 1), lambda: self.bring(workshop),
                 lambda: self.take(workshop), lambda: self.churn(workshop)]
        self.threads = [threading.Thread(target=self.repeat, args=(do,)) for do in doing]
        for thread in self.threads:
            thread.start()

    def repeat(self, do):
        while not self.stop.is_set():
            try:
                do()
            except Exception as failure:
                self.failures.append(failure)
                return

    def put(self, workshop, who):
        n = self.sent[who] = self.sent[who] + 1
        three = [(f"w{who}-{n}-{part}", {"price": n, "categoryL1": f"c{n}"}) for part in range(3)]
        workshop.put_items(self.group.items, *three)
        self.acknowledged[who].append(n)

    def bring(self, workshop):
        n = len(self.imported)
        text = "USER_ID,AGE,GENDER\n" + "".join(f"i{n}-{row},{n},f\n" for row in range(50))
        workshop.import_csv(self.group.users, text, mode="INCREMENTAL")
        self.imported.append(n)

    def take(self, workshop):
        arn = workshop.start_export(self.group.users, "ALL")
        workshop.read_export(arn)
        self.exported.append(arn)

    def churn(self, workshop):
        """Objects that come and go."""
        workshop.s3.put_object(Bucket=workshop.source, Key="churn", Body=random.randbytes(20_000))
        workshop.s3.put_object(Bucket=workshop.source, Key=f"churn-{random.randrange(20)}", Body=b"x" * 5000)

    def known(self):
        return [len(self.acknowledged[0]), len(self.acknowledged[1])], len(self.imported), list(self.exported)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures


def test_a_backup_under_load_holds_what_was_acknowledged_before_and_nothing_half(serve, tmp_path, note):
    server = serve("first", "--flush-after-s", "1")
    workshop = Workshop(server.endpoint)
    writers = Writers(server, workshop)
    time.sleep(2)
    backups = []
    for n in range(2):
        before = writers.known()
        begun = time.monotonic()
        told = json.loads(back_up(server, tmp_path / f"backup{n}", "--json"))
        note(f"writers of the catalog waited {told['writersWaitedMs']:.1f} ms for a backup")
        backups.append((tmp_path / f"backup{n}", before, time.monotonic() - begun))
        time.sleep(1)
    writers.end()
    note(f"backups under load took {', '.join(f'{seconds:.2f} s' for _, _, seconds in backups)}")
    for n, (backup, (puts, imports, exported), _) in enumerate(backups):
        again = serve("", of=restore(server, backup, tmp_path / f"restored{n}"))
        restored = workshop.at(again.endpoint)
        rows = restored.export(writers.group.items, "PUT").rows
        found = {}
        for name, price, category in rows:
            who, call, part = map(int, re.fullmatch(r"w(\d)-(\d+)-(\d)", name).groups())
            assert (float(price), category) == (call, f"c{call}"), name
            found.setdefault((who, call), set()).add(part)
        assert all(parts == {0, 1, 2} for parts in found.values()), "a call is there in part"
        for who in (0, 1):
            calls = sorted(call for writer, call in found if writer == who)
            # One writer waits for each answer: what is there is all up to some call.
            assert calls == list(range(1, len(calls) + 1)), f"writer {who} has a gap"
            assert len(calls) >= puts[who], f"acknowledged before the backup: {puts[who]}, found: {len(calls)}"
        rows = restored.export(writers.group.users, "BULK").rows
        files = {}
        for name, age, _ in rows:
            if name != "first":
                files.setdefault(int(age), set()).add(name)
        assert all(len(names) == 50 for names in files.values()), "an import is there in part"
        assert set(range(imports)) <= set(files)
        # An export that was ready is there with its files.
        for arn in exported:
            restored.read_export(arn)
        again.kill()


def test_a_killed_backup_is_none_and_leaves_nothing_behind(serve, tmp_path, note):
    server = serve("first", "--flush-after-s", "1")
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(items=ITEMS)
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\n" + "".join(f"b{n},{n},A\n" for n in range(1000)))
    for n in range(60):
        workshop.s3.put_object(Bucket=workshop.source, Key=f"o{n}", Body=b"o" * 10_000)
    begun = time.monotonic()
    back_up(server, tmp_path / "whole", "--copy")
    usual = time.monotonic() - begun
    killed = 0
    for n in range(5):
        to = tmp_path / f"killed{n}"
        process = subprocess.Popen([binary(), "admin", "backup", to, "--copy", "--data-dir", server.data_dir],
                                   env=server.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(usual * (n + 0.5) / 5)
        process.kill()
        process.wait(30)
        # Who deletes may: the lock went with the process.
        take_all(server.data_dir, shared=True)
        if (to / "manifest.json").exists():
            continue
        killed += 1
        refused = admin(server, "restore", to, "--data-dir", tmp_path / "none")
        assert refused.returncode == 1 and not (tmp_path / "none").exists(), refused.stderr
        if to.exists() and any(to.iterdir()):
            refused = admin(server, "backup", to, "--data-dir", server.data_dir)
            assert refused.returncode == 1 and "is not empty" in refused.stderr, refused.stderr
    note(f"{killed} of 5 backups were killed before their end")
    assert killed >= 2
    workshop.put_items(group.items, ("p", {"price": 1, "categoryL1": "P"}))
    back_up(server, tmp_path / "after")
    assert server.stop() == 0


def take_all(data_dir, shared=False):
    """Takes the locks that a backup takes; files that keep them."""
    files = [open(data_dir / name, "ab") for name in ("log.hold", "objects.hold", "s3/hold")]
    for file in files:
        deadline = time.monotonic() + 10
        while True:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                assert time.monotonic() < deadline, f"{file.name} is locked"
                time.sleep(0.005)
    return files


def test_nothing_that_a_backup_copies_is_deleted_meanwhile(serve, tmp_path):
    server = serve("first", "--flush-after-s", "1")
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(items=ITEMS, users=USERS)
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\na,1,A\n")
    workshop.put_users(group.users, ("u1", {"age": 3}), ("u2", {"age": 4}))
    workshop.s3.put_object(Bucket=workshop.source, Key="o", Body=b"first")
    blobs = lambda: {path.name for path in (server.data_dir / "s3" / "blobs").rglob("*") if path.is_file()}
    runs = lambda: {path.name for path in (server.data_dir / "runs").iterdir()}
    locks = take_all(server.data_dir)
    before = blobs(), runs()
    workshop.s3.put_object(Bucket=workshop.source, Key="o", Body=b"second")
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\nb,1,B\n")
    deletion = workshop.personalize.create_data_deletion_job(
        jobName="d", datasetGroupArn=group.arn, roleArn=workshop.import_role,
        dataSource={"dataLocation": workshop.upload("USER_ID\nu1\n")})["dataDeletionJobArn"]
    describe = lambda: workshop.personalize.describe_data_deletion_job(dataDeletionJobArn=deletion)["dataDeletionJob"]
    time.sleep(2.5)
    assert before[0] <= blobs() and before[1] <= runs()
    assert describe()["status"] == "IN_PROGRESS", "it ends when the files are gone"
    assert [line.split(",")[0] for line in workshop.export(group.users, "ALL").lines] == ["u2"]
    looked = admin(server, "doctor", "--data-dir", server.data_dir)
    assert looked.returncode == 0, looked.stdout + looked.stderr
    for lock in locks:
        lock.close()
    assert wait(describe, ends=("COMPLETED", "FAILED"))["status"] == "COMPLETED"
    deadline = time.monotonic() + 10
    while before[1] & runs():
        assert time.monotonic() < deadline, "the replaced run stays"
        time.sleep(0.05)
    workshop.s3.put_object(Bucket=workshop.source, Key="o", Body=b"third")
    while not before[0] - blobs():
        assert time.monotonic() < deadline, "the replaced object stays"
        time.sleep(0.05)


def test_a_killed_restore_is_refused_and_can_be_done_again(serve, tmp_path, note):
    server = serve("first")
    workshop = Workshop(server.endpoint)
    for n in range(60):
        workshop.s3.put_object(Bucket=workshop.source, Key=f"o{n}", Body=b"o" * 10_000)
    back_up(server, tmp_path / "backup", "--with-master-key")
    assert server.stop() == 0
    begun = time.monotonic()
    whole = restore(server, tmp_path / "backup", tmp_path / "whole", with_key=False)
    usual = time.monotonic() - begun
    halves = 0
    for n in range(5):
        half = Server(tmp_path / f"half{n}")
        process = subprocess.Popen([binary(), "admin", "restore", tmp_path / "backup", "--data-dir", half.data_dir],
                                   env=server.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(usual * (n + 0.5) / 5)
        process.kill()
        process.wait(30)
        if not (half.data_dir / "restore_unfinished").exists():
            continue
        halves += 1
        started = subprocess.run([binary(), "serve", "--data-dir", half.data_dir, "--listen", "127.0.0.1:0"],
                                 env=server.env, capture_output=True, text=True, timeout=30)
        assert started.returncode == 1 and "restore the backup again" in started.stderr, started.stderr
        refused = admin(server, "restore", tmp_path / "backup", "--data-dir", half.data_dir)
        assert refused.returncode == 1 and "is not empty" in refused.stderr
        assert admin(server, "backup", tmp_path / "no", "--data-dir", half.data_dir).returncode == 1
    note(f"{halves} of 5 restores were killed in their midst")
    assert halves >= 2
    shutil.rmtree(half.data_dir, ignore_errors=True)
    again = serve("", of=restore(server, tmp_path / "backup", tmp_path / "again", with_key=False))
    assert workshop.at(again.endpoint).s3.get_object(Bucket=workshop.source, Key="o7")["Body"].read() == b"o" * 10_000
    assert whole.data_dir.exists()


def test_a_damaged_backup_is_refused_and_leaves_no_folder(serve, tmp_path):
    server = serve("first")
    workshop = Workshop(server.endpoint)
    workshop.s3.put_object(Bucket=workshop.source, Key="o", Body=b"o" * 10_000)
    back_up(server, tmp_path / "backup", "--copy")
    manifest = json.loads((tmp_path / "backup" / "manifest.json").read_text())
    assert "master_key" not in {file["path"] for file in manifest["files"]}
    key = ("--master-key-file", server.data_dir / "master_key")
    for file in manifest["files"]:
        path = tmp_path / "backup" / file["path"]
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        for arguments in (("--check",), ("--data-dir", tmp_path / "new", *key)):
            refused = admin(server, "restore", tmp_path / "backup", *arguments)
            assert refused.returncode == 1 and "its hash differs" in refused.stderr, refused.stderr
        assert not (tmp_path / "new").exists()
        path.write_bytes(whole)
    path.unlink()
    refused = admin(server, "restore", tmp_path / "backup", "--check")
    assert refused.returncode == 1 and "the backup lacks" in refused.stderr
    path.write_bytes(whole)
    assert admin(server, "restore", tmp_path / "backup", "--check").returncode == 0


def test_the_master_key_is_kept_apart_unless_it_is_asked_for(serve, tmp_path):
    server = serve("first")
    fill(Workshop(server.endpoint))
    # That the server is told where its key lies does not put the key into the backup.
    env = {"LADE_MASTER_KEY_FILE": str(server.data_dir / "master_key")}
    done = admin(server, "backup", tmp_path / "without", "--data-dir", server.data_dir, env=env)
    assert done.returncode == 0 and "The master key is not in it" in done.stdout, done.stderr
    refused = admin(server, "backup", tmp_path / "no", "--data-dir", server.data_dir, "--with-master-key",
                    "--master-key-file", server.data_dir / "realm.json")
    assert refused.returncode == 1 and "does not hold a key" in refused.stderr and not (tmp_path / "no").exists()
    (tmp_path / "another").write_bytes(random.randbytes(32))
    refused = admin(server, "backup", tmp_path / "no", "--data-dir", server.data_dir, "--with-master-key",
                    "--master-key-file", tmp_path / "another")
    assert refused.returncode == 1 and "is not the one that the catalog is sealed under" in refused.stderr
    assert not (tmp_path / "no" / "manifest.json").exists() and not (tmp_path / "no" / "master_key").exists()
    bare = Server(tmp_path / "bare")
    done = admin(server, "restore", tmp_path / "without", "--data-dir", bare.data_dir)
    assert done.returncode == 0 and "before the start" in done.stdout, done.stderr
    started = subprocess.run([binary(), "serve", "--data-dir", bare.data_dir, "--listen", "127.0.0.1:0"],
                             env=server.env, capture_output=True, text=True, timeout=30)
    assert started.returncode == 1 and "master_key is missing" in started.stderr, started.stderr
    (tmp_path / "with").mkdir(mode=0o755)
    assert "The master key is in it" in back_up(server, tmp_path / "with", "--with-master-key")
    assert (tmp_path / "with").stat().st_mode & 0o777 == 0o700
    (tmp_path / "place").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "place")
    refused = admin(server, "restore", tmp_path / "with", "--data-dir", tmp_path / "link", "--master-key-file", tmp_path / "another")
    assert refused.returncode == 1 and "is not the master key that this backup was made under" in refused.stderr
    assert (tmp_path / "link").is_symlink() and not list((tmp_path / "place").iterdir())
    given = ("--master-key-file", server.data_dir / "master_key")
    done = admin(server, "restore", tmp_path / "with", "--data-dir", tmp_path / "given" / "data", *given)
    assert done.returncode == 0, done.stderr
    done = admin(server, "restore", tmp_path / "with", "--data-dir", tmp_path / "full" / "data")
    assert done.returncode == 0 and "before the start" not in done.stdout
    assert (tmp_path / "full" / "data" / "master_key").stat().st_mode & 0o777 == 0o600
    refused = admin(server, "backup", tmp_path / "with", "--data-dir", server.data_dir)
    assert refused.returncode == 1 and "is not empty" in refused.stderr


def test_what_it_cannot_back_up_is_refused_with_what_to_do(serve, tmp_path):
    server = serve("first")
    to = tmp_path / "backup"
    refused = admin(server, "backup", to, "--data-dir", server.data_dir, env={"LADE_CATALOG": "postgres://u:p@h/d"})
    assert refused.returncode == 1 and "pg_dump" in refused.stderr
    refused = admin(server, "backup", to, "--data-dir", tmp_path / "none")
    assert refused.returncode == 1 and "there is no catalog" in refused.stderr
    assert server.stop() == 0
    catalog.rows(server, "UPDATE node SET objects = 's3://records/lade'")
    refused = admin(server, "backup", to, "--data-dir", server.data_dir)
    assert refused.returncode == 1 and "s3://records/lade" in refused.stderr
    assert not to.exists()


def test_a_catalog_that_moved_to_postgresql_is_not_taken_for_the_one_it_left(postgres, serve, tmp_path):
    server = serve("first")
    assert server.stop() == 0
    on_server = Server(tmp_path / "first", env=catalog.on_postgres(postgres.database(), tmp_path / "first"))
    serve("first", of=on_server)
    for _ in range(2):
        refused = admin(server, "backup", tmp_path / "backup", "--data-dir", server.data_dir)
        assert refused.returncode == 1 and "pg_dump" in refused.stderr and not (tmp_path / "backup").exists()
        on_server.stop()
    assert serve("first", of=server).stop() == 0
    back_up(server, tmp_path / "backup")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts, and gives files away")
def test_root_restores_into_a_folder_of_another_user_and_reads_what_nobody_writes(serve, tmp_path):
    server = serve("first")
    fill(Workshop(server.endpoint))
    assert server.stop() == 0
    back_up(server, tmp_path / "backup")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    done = admin(server, "restore", tmp_path / "backup", "--data-dir", home)
    assert done.returncode == 0, done.stderr
    assert {(path.stat().st_uid, path.stat().st_gid) for path in [home, *home.rglob("*")]} == {(65534, 65534)}
    assert list(home.rglob("*.parquet")) and {path.stat().st_uid for path in server.data_dir.rglob("*")} == {0}
    command = f"mount --bind '{server.data_dir}' '{home}' && mount -o remount,bind,ro '{home}' && " \
              f"'{binary()}' admin backup '{tmp_path}/none' --data-dir '{home}'"
    refused = subprocess.run(["unshare", "-m", "sh", "-c", command], env=server.env, capture_output=True, text=True)
    if "mount" in refused.stderr or "unshare" in refused.stderr:
        pytest.skip(f"nothing can be mounted here: {refused.stderr}")
    assert refused.returncode == 1 and "read-only" in refused.stderr and "cp -a" in refused.stderr, refused
