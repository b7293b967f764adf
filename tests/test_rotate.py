"""`lade admin rotate-root-key` and `rotate-master-key`: the new key holds, the old one ends, and nothing is lost between.

The master key's change is killed before a sample of the calls that touch the disk; all of them:

    LADE_ROTATE_POINTS=100000 pytest tests/test_rotate.py
"""

import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support.catalog import is_on_postgres, of_a_file, rows
from support.clients import Clients
from support.faults import FAIL, FOREVER, KILL, Faults
from support.lade import ask
from support.policies import allow
from support.server import Server, bare_environment, binary
from support.surfer import Surfer
from support.workshop import Workshop
from test_audit import find

POINTS = int(os.environ.get("LADE_ROTATE_POINTS") or 2)
ITEMS = "ITEM_ID:string PRICE:float"


def run(*command, env=None, server=None):
    env = env or (server.env if server else bare_environment())
    return subprocess.run([binary(), *map(str, command)], env=env, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)


# The root key

@pytest.fixture
def keyless(tmp_path):
    """A server that was given no root key and made one."""
    server = Server(tmp_path / "own")
    for name in ("LADE_ROOT_ACCESS_KEY_ID", "LADE_ROOT_SECRET_ACCESS_KEY"):
        server.env.pop(name)
    if is_on_postgres():
        pytest.skip("with PostgreSQL the root key is always given")
    server.start()
    yield server
    if server.process.poll() is None:
        server.kill()


def stored(server):
    return json.loads((server.data_dir / "root_key.json").read_text())


def clients(server, pair=None):
    pair = pair or stored(server)
    return Clients(server.endpoint, pair["access_key_id"], pair["secret_access_key"])


def works(clients):
    try:
        return clients.sts.get_caller_identity()["Arn"].endswith(":root")
    except ClientError as refusal:
        assert refusal.response["Error"]["Code"] == "InvalidClientTokenId"
        return False


def is_signed_out(surfer):
    answer = surfer.get("/console/groups")
    return answer.status == 303 and answer.to.startswith("/console/sign-in")


def rotate(server, *more):
    done = run("admin", "rotate-root-key", "--data-dir", server.data_dir, *more, server=server)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_root_key_holds_at_once_and_the_old_one_ends(keyless):
    old = clients(keyless)
    token = old.sts.get_session_token()["Credentials"]
    session = Clients(keyless.endpoint, token["AccessKeyId"], token["SecretAccessKey"], token["SessionToken"])
    assert works(old) and works(session)
    surfer = Surfer(keyless.endpoint)
    surfer.sign_in(stored(keyless)["access_key_id"], stored(keyless)["secret_access_key"])
    told = rotate(keyless)
    pair = stored(keyless)
    assert f"Root key     {pair['access_key_id']} {pair['secret_access_key']}\n" in told and "works no more" in told
    assert stat.S_IMODE((keyless.data_dir / "root_key.json").stat().st_mode) == 0o600
    assert works(clients(keyless)) and not works(old) and not works(session)
    assert is_signed_out(surfer), "the console's session has outlived its key"
    # Commands find the new one by themselves, and so does the next start.
    done = run("nodes", "--data-dir", keyless.data_dir, server=keyless)
    assert done.returncode == 0, done.stderr
    keyless.restart()
    assert works(clients(keyless, pair)) and "Root key" not in keyless.new_output()
    (line,) = find(keyless, eventName="RotateRootKey")
    assert line["status"] == 200 and line["resources"] == ["arn:aws:iam::000000000000:root"]
    assert pair["secret_access_key"] not in (keyless.data_dir / "audit.log").read_text() + keyless.tail(1000)


def test_an_old_root_key_works_for_its_grace_and_not_longer(keyless):
    first = stored(keyless)
    made = json.loads(rotate(keyless, "--grace", "1h", "--json"))
    assert made["formerKeyId"] == first["access_key_id"] and made["formerEndsAt"].startswith("20")
    assert works(clients(keyless, first)) and works(clients(keyless))
    # Whoever signs in now may have done so with either.
    token = clients(keyless).sts.get_session_token()["Credentials"]
    keyless.restart()
    assert works(clients(keyless, first)), "the grace is over with a restart"
    second = json.loads(rotate(keyless, "--grace", "2s", "--json"))
    assert second["formerKeyId"] == made["accessKeyId"]
    by_now = [clients(keyless, first), Clients(keyless.endpoint, made["accessKeyId"], made["secretAccessKey"]),
              Clients(keyless.endpoint, token["AccessKeyId"], token["SecretAccessKey"], token["SessionToken"])]
    assert all(works(one) for one in by_now)
    deadline = time.monotonic() + 10
    while any(works(one) for one in by_now):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    keyless.restart()
    assert not any(works(Clients(keyless.endpoint, *one)) for one in [
        (first["access_key_id"], first["secret_access_key"]), (made["accessKeyId"], made["secretAccessKey"])])
    assert works(clients(keyless))


def test_nobody_else_and_no_server_with_a_given_key_changes_it(server, workshop):
    user = workshop.make_user("all", allow("*"))
    token = workshop.sts.get_session_token()["Credentials"]
    status, said = ask(server.endpoint, "POST", "/root-key", user.key, user.session.get_credentials().secret_key, body={})
    assert status in (400, 403) and "Only the root of the account" in said["message"], said
    env = {**bare_environment(), "AWS_ENDPOINT_URL": server.endpoint, "AWS_REGION": "us-east-1",
           "AWS_ACCESS_KEY_ID": token["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": token["SecretAccessKey"],
           "AWS_SESSION_TOKEN": token["SessionToken"]}
    done = run("admin", "rotate-root-key", env=env)
    assert done.returncode == 1 and "Only the root of the account" in done.stderr
    done = run("admin", "rotate-root-key", env=server.client_environment())
    assert done.returncode == 1 and "is set by its settings" in done.stderr, done.stderr
    for body in ({"graceSeconds": -1}, {"graceSeconds": 31 * 86_400}, {"grace": 1}):
        assert ask(server.endpoint, "POST", "/root-key", body=body)[0] == 400


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_root_key_that_can_not_be_kept_is_not_told(tmp_path, call):
    if is_on_postgres():
        pytest.skip("with PostgreSQL the root key is always given")
    faults = Faults(tmp_path)
    server = Server(tmp_path / "own", env=faults.env)
    for name in ("LADE_ROOT_ACCESS_KEY_ID", "LADE_ROOT_SECRET_ACCESS_KEY"):
        server.env.pop(name)
    server.start()
    try:
        pair = stored(server)
        # Calls on a key's file alone: fsync has no name, so that all of them fail.
        faults.arm(2, 1, calls=(call,), under=server.data_dir / "root_key", to=(1 << 64) - 1)
        done = run("admin", "rotate-root-key", "--data-dir", server.data_dir, env=bare_environment())
        faults.disarm()
        assert done.returncode == 1 and "AKIA" not in done.stdout, done
        assert stored(server) == pair and works(clients(server, pair))
    finally:
        server.kill()


@of_a_file
@pytest.mark.parametrize("once", [True, False], ids=["once", "from-then-on"])
def test_the_root_key_that_is_told_is_the_one_that_is_kept_whichever_sync_fails(tmp_path, once):
    faults = Faults(tmp_path)
    server = Server(tmp_path / "own", env=faults.env)
    for name in ("LADE_ROOT_ACCESS_KEY_ID", "LADE_ROOT_SECRET_ACCESS_KEY"):
        server.env.pop(name)
    server.start()
    try:
        outcomes = []
        # The old keys' file, the new one's, the folder; and then what commands read, and its folder.
        for at in range(1, 6):
            before = stored(server)
            faults.arm(FAIL, at, calls=("fsync",), under=server.data_dir, to=at if once else FOREVER)
            done = run("admin", "rotate-root-key", "--json", "--data-dir", server.data_dir, env=bare_environment())
            hits = faults.hits
            faults.disarm()
            outcomes.append((done.returncode, bool(hits)))
            kept = stored(server)
            if done.returncode == 0:
                told = json.loads(done.stdout)
                assert (told["accessKeyId"], told["secretAccessKey"]) == (kept["access_key_id"], kept["secret_access_key"])
                assert kept != before
            else:
                assert kept == before and "AKIA" not in done.stdout, (at, done)
            assert works(clients(server)), at
            assert works(clients(server, before)) == (kept == before), at
            # Commands on this machine find it by themselves, and so does the next start.
            looked = run("nodes", "--data-dir", server.data_dir, env=bare_environment())
            assert looked.returncode == 0, (at, looked)
            server.restart()
            assert stored(server) == kept and works(clients(server)), at
            assert not (server.data_dir / "root_key.json.before").exists()
        assert outcomes[:3] == [(1, True)] * 3 and outcomes[3:] == [(0, True)] * 2, outcomes
    finally:
        server.kill()


@of_a_file
def test_a_root_key_from_which_there_is_no_way_back_holds(tmp_path):
    faults = Faults(tmp_path)
    server = Server(tmp_path / "own", env=faults.env)
    for name in ("LADE_ROOT_ACCESS_KEY_ID", "LADE_ROOT_SECRET_ACCESS_KEY"):
        server.env.pop(name)
    server.start()
    try:
        before = stored(server)
        # The third sync is the folder's, behind the rename; the rename that would undo it fails as well.
        faults.arm(FAIL, 4, calls=("fsync", "rename"), under=server.data_dir, to=5)
        told = json.loads(rotate(server, "--json"))
        assert faults.hits == 2
        faults.disarm()
        kept = stored(server)
        assert (told["accessKeyId"], told["secretAccessKey"]) == (kept["access_key_id"], kept["secret_access_key"])
        assert kept != before and "may be lost in a power cut" in server.tail()
        server.restart()
        assert works(clients(server, kept)) and not works(clients(server, before))
    finally:
        server.kill()


# The master key

class House:
    """A server with something under every kind of key, and what must be there however its master key changed."""

    def __init__(self, folder, **env):
        self.server = Server(folder, arguments=["--flush-after-s", "1"], env=env).start()
        self.workshop = Workshop(self.server.endpoint)
        self.clear, self.ciphertexts, self.users, self.prices = {}, {}, {}, {}
        key = self.workshop.kms.create_key()["KeyMetadata"]
        self.key = key["KeyId"]
        self.dataset = self.workshop.make_group(items=ITEMS).items
        self.write("before")

    @property
    def file(self):
        return Path(self.server.env.get("LADE_MASTER_KEY_FILE") or self.server.data_dir / "master_key")

    def write(self, word):
        """A run, a record in the log, an encrypted object, a ciphertext and a user."""
        number = len(self.users) + 1
        self.workshop.import_csv(self.dataset, f"ITEM_ID,PRICE\nrun-{word},{number}\n",
                                 mode="INCREMENTAL" if self.users else "FULL")
        self.workshop.put_items(self.dataset, (f"log-{word}", {"price": number}))
        self.prices.update({f"run-{word}": str(number), f"log-{word}": str(number)})
        self.workshop.s3.put_object(Bucket=self.workshop.source, Key=f"sse-{word}", Body=word.encode(),
                                    ServerSideEncryption="AES256")
        sealed = self.workshop.kms.encrypt(KeyId=self.key, Plaintext=word.encode())
        self.ciphertexts[word] = sealed["CiphertextBlob"]
        user = self.workshop.make_user("user")
        self.users[word] = (user.key, user.session.get_credentials().secret_key, user.arn)

    def check(self):
        """Everything that was written is there; the server runs."""
        self.workshop = self.workshop.at(self.server.endpoint)
        exported = {row[0]: row[1] for row in self.workshop.export(self.dataset, "ALL").rows}
        assert {item: float(price) for item, price in exported.items()} == {
            item: float(price) for item, price in self.prices.items()}
        for word, (key, secret, arn) in self.users.items():
            body = self.workshop.s3.get_object(Bucket=self.workshop.source, Key=f"sse-{word}")["Body"].read()
            opened = self.workshop.kms.decrypt(CiphertextBlob=self.ciphertexts[word])["Plaintext"]
            assert body == opened == word.encode()
            assert Clients(self.server.endpoint, key, secret).sts.get_caller_identity()["Arn"] == arn

    def rotate(self, *more, env=None):
        return run("admin", "rotate-master-key", "--data-dir", self.server.data_dir, *more,
                   env={**self.server.env, **(env or {})})

    def refuses(self, key):
        """Whether no server starts with this key, which changes nothing."""
        right = self.file.read_bytes()
        self.file.write_bytes(key)
        self.server.spawn()
        assert self.server.process.wait(20) == 1, "a server has started with another key"
        said = self.server.tail(3)
        self.file.write_bytes(right)
        return "another master key" in said or "is not the key that sealed" in said


@pytest.fixture
def make_house(tmp_path):
    """Makes a house on this test's folder, whose server ends with the test."""
    houses = []

    def make(**env):
        houses.append(House(tmp_path / "own", **env))
        return houses[-1]

    yield make
    for house in houses:
        if house.server.process.poll() is None:
            house.server.kill()


def changed(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_was_written_before_between_and_after_changes_is_there(tmp_path, make_house):
    outside = tmp_path / "keys" / "master_key"
    outside.parent.mkdir()
    outside.write_bytes(os.urandom(32))
    house = make_house(LADE_MASTER_KEY_FILE=str(outside))
    server, keys = house.server, [outside.read_bytes()]
    token = house.workshop.sts.get_session_token()["Credentials"]
    surfer = Surfer(server.endpoint)
    surfer.sign_in()
    running = house.rotate()
    assert running.returncode == 1 and ("another server runs on" in running.stderr), running.stderr
    server.stop()
    done = changed(house.rotate("--json", "--keep-old-key", tmp_path / "old"))
    assert done["masterKeyFile"] == str(outside)
    assert (done["kmsKeys"], done["accessKeys"], done["formerKeys"]) == (1, 1, 1)
    assert (tmp_path / "old").read_bytes() == keys[0] and stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o600
    keys.append(outside.read_bytes())
    assert keys[1] != keys[0] and stat.S_IMODE(outside.stat().st_mode) == 0o600
    assert house.refuses(keys[0]) and house.refuses(os.urandom(32))
    server.start()
    house.check()
    session = Clients(server.endpoint, token["AccessKeyId"], token["SecretAccessKey"], token["SessionToken"])
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        session.sts.get_caller_identity()
    surfer.endpoint = server.endpoint
    assert is_signed_out(surfer)
    house.write("between")
    server.stop()
    # The second key is one that is given.
    given = tmp_path / "given"
    given.write_bytes(os.urandom(32))
    told = house.rotate("--new-key-file", given)
    assert told.returncode == 0 and "1 keys of KMS, 2 secrets of access keys, 2 former keys" in told.stdout, told
    assert outside.read_bytes() == given.read_bytes()
    # Nothing that was sealed before is damage.
    looked = run("admin", "doctor", "--deep", "--json", "--data-dir", server.data_dir, env=server.env)
    findings = [json.loads(line) for line in looked.stdout.splitlines()]
    assert findings and not [one for one in findings if one["level"] == "fail"], looked.stdout
    looked = run("inspect", "--json", server.data_dir / "runs", "--master-key-file", outside, env=server.env)
    runs = [json.loads(line) for line in looked.stdout.splitlines()]
    opened = [one["keyId"] for one in runs if one["closed"] is None]
    assert len(set(opened)) >= 2 and all(opened), "each key has sealed some"
    assert all("key of KMS" in one["closed"] for one in runs if one["closed"]), runs
    assert all(house.refuses(key) for key in keys)
    server.start()
    house.check()
    house.write("after")
    house.check()
    # Put records of before lie in runs by now, or do so soon, under the new key: they are there too.
    server.restart()
    house.check()
    server.stop()
    same = house.rotate("--new-key-file", given)
    assert same.returncode == 1 and "is the old one" in same.stderr
    short = tmp_path / "short"
    short.write_bytes(b"short")
    assert "32 bytes" in house.rotate("--new-key-file", short).stderr
    other = house.rotate("--keep-old-key", short)
    assert other.returncode == 1 and "is there already" in other.stderr
    assert outside.read_bytes() == given.read_bytes() and not list(outside.parent.glob("*.next"))
    nowhere = run("admin", "rotate-master-key", "--data-dir", tmp_path / "nowhere")
    assert nowhere.returncode == 1 and "is no data folder" in nowhere.stderr
    assert not (tmp_path / "nowhere").exists()


@of_a_file
def test_the_old_key_opens_nothing_that_is_left_in_the_files(make_house):
    """Also not in free pages: what it sealed is not in the catalog's files any more."""
    house = make_house()
    house.server.stop()
    seals = [bytes.fromhex(text) for (text,) in rows(house.server, "SELECT hex(material) FROM kms_key")]
    seals += [text.removeprefix("sealed:").encode() for (text,) in rows(
        house.server, "SELECT secret_access_key FROM access_key")]
    files = lambda: b"".join(path.read_bytes() for path in house.server.data_dir.glob("catalog.db*"))
    assert len(seals) == 2 and all(seal in files() for seal in seals)
    changed(house.rotate("--json"))
    assert not any(seal in files() for seal in seals)


@of_a_file
def test_a_change_that_is_killed_anywhere_leaves_one_key_that_opens(tmp_path, make_house, note):
    house = make_house()
    house.server.stop()
    data, template, given = house.server.data_dir, tmp_path / "template", tmp_path / "new"
    shutil.copytree(data, template)
    given.write_bytes(os.urandom(32))
    old, new = (template / "master_key").read_bytes(), given.read_bytes()
    faults = Faults(tmp_path / "faults")
    mark = lambda: rows(house.server, "SELECT hex(sealed) FROM master_key_mark")

    def kill(at):
        """Begins a change on the folder as it was, and kills it before a call."""
        shutil.rmtree(data)
        shutil.copytree(template, data)
        faults.arm(KILL, at, under=data)
        killed = house.rotate("--new-key-file", given, env=faults.env)
        assert killed.returncode == -signal.SIGKILL, (at, killed)
        faults.disarm()

    first = mark()
    # What it takes undisturbed, and the first call behind which it has taken effect.
    faults.arm(0, 1 << 40, under=data)
    changed(house.rotate("--new-key-file", given, "--json", env=faults.env))
    total = faults.count
    below, turn = 1, total
    while turn - below > 1:
        middle = (below + turn) // 2
        kill(middle)
        below, turn = (below, middle) if mark() != first else (middle, turn)
    spread = {1 + step * (total - 1) // max(1, POINTS - 1) for step in range(POINTS)}
    points = sorted({turn - 1, turn, *(spread if POINTS < total else range(1, total + 1))})
    for at in points:
        kill(at)
        house.server.start()
        now = house.file.read_bytes()
        assert now == (old if at < turn else new), f"killed before call {at}, and it took effect with {turn}"
        assert not (data / "master_key.next").exists()
        house.check()
        house.server.kill()
        if at in (turn - 1, turn):
            assert house.refuses(old if at >= turn else new), at
    note(f"test_rotate: of {total} calls, call {turn} made the change; killed before {len(points)}")


@of_a_file
def test_a_change_goes_on_where_one_was_killed(tmp_path, make_house):
    """It is begun again by the command itself, not by a start."""
    house = make_house()
    house.server.stop()
    faults = Faults(tmp_path / "faults")
    # The first puts the file in its own place, the second is the successor's.
    faults.arm(KILL, 3, calls=("rename",), under=house.server.data_dir / "master_key")
    killed = house.rotate(env=faults.env)
    faults.disarm()
    assert killed.returncode == -signal.SIGKILL, killed
    kept = (house.server.data_dir / "master_key.next").read_bytes()
    done = house.rotate("--json", "--keep-old-key", tmp_path / "old")
    assert changed(done)["formerKeys"] == 2, "the change that was killed had taken effect"
    assert (tmp_path / "old").read_bytes() == kept and "is complete" in done.stderr
    house.server.start()
    house.check()


# Files that can't be replaced

def of(server):
    return rows(server, "SELECT hex(sealed) FROM master_key_mark")


@of_a_file
def test_a_key_that_can_not_be_replaced_is_found_out_before_anything_changes(tmp_path, make_house):
    outside = tmp_path / "keys" / "master_key"
    outside.parent.mkdir()
    outside.write_bytes(os.urandom(32))
    house = make_house(LADE_MASTER_KEY_FILE=str(outside))
    house.server.stop()
    key, mark, faults = outside.read_bytes(), of(house.server), Faults(tmp_path / "faults")

    def is_untouched():
        return outside.read_bytes() == key and of(house.server) == mark and [*outside.parent.iterdir()] == [outside]

    for call, error in [("rename", errno.EBUSY), ("rename", errno.EROFS), ("write", errno.ENOSPC), ("fsync", errno.EIO)]:
        faults.arm(FAIL, 1, calls=(call,), under=outside, error=error)
        refused = house.rotate("--keep-old-key", tmp_path / "old", env=faults.env)
        assert faults.hits == 1 and refused.returncode == 1, refused
        faults.disarm()
        assert f"the master key was not changed, and its file is as it was: {outside} can't be replaced" in refused.stderr
        assert is_untouched() and not (tmp_path / "old").exists()
    # Half an old key on a full disk is in nobody's way afterwards.
    faults.arm(FAIL, 1, calls=("write",), under=tmp_path / "old", error=errno.ENOSPC)
    refused = house.rotate("--keep-old-key", tmp_path / "old", env=faults.env)
    assert faults.hits == 1 and refused.returncode == 1 and "No space left" in refused.stderr, refused
    faults.disarm()
    assert is_untouched() and not (tmp_path / "old").exists()
    changed(house.rotate("--json", "--keep-old-key", tmp_path / "old"))
    assert (tmp_path / "old").read_bytes() == key != outside.read_bytes()
    house.server.start()
    house.check()


@of_a_file
def test_a_file_that_is_mounted_by_itself_is_not_changed(tmp_path, make_house):
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("mounts are not for this user")
    house = make_house()
    house.server.stop()
    key, mark = house.file.read_bytes(), of(house.server)
    mounted = 'mount --bind "$1" "$1" && exec "$2" admin rotate-master-key --data-dir "$3"'
    refused = subprocess.run(["unshare", "-rm", "sh", "-c", mounted, "sh", house.file, binary(), house.server.data_dir],
                             env=house.server.env, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and "can't be replaced where it lies" in refused.stderr, refused
    assert (house.file.read_bytes(), of(house.server)) == (key, mark)
    assert not list(house.server.data_dir.glob("master_key.*"))
    house.server.start()


@of_a_file
def test_a_server_starts_with_a_successor_that_can_not_take_its_place(tmp_path, make_house):
    faults = Faults(tmp_path / "faults")
    house = make_house(**faults.env)
    server, old = house.server, house.file.read_bytes()
    server.stop()
    faults.arm(FAIL, 3, calls=("rename",), under=house.file, error=errno.EBUSY)
    refused = house.rotate()
    assert refused.returncode == 1 and "takes the key from" in refused.stderr, refused
    successor = house.file.with_name("master_key.next")
    new = successor.read_bytes()
    assert house.file.read_bytes() == old != new
    for error in (errno.EBUSY, errno.EXDEV, errno.EROFS, errno.EACCES):
        faults.arm(FAIL, 1, calls=("rename",), under=house.file, to=FOREVER, error=error)
        server.start()
        assert faults.hits == 1 and "which is used instead" in server.tail(), error
        server.stop()
    # As good as done by hand; no other change begins meanwhile, which would be without a file for its key.
    refused = house.rotate()
    assert refused.returncode == 1 and "was not changed" in refused.stderr and successor.read_bytes() == new, refused
    house.file.write_bytes(new)
    server.start()
    assert not successor.exists() and house.file.read_bytes() == new
    house.check()


@of_a_file
def test_what_root_makes_in_a_folder_belongs_to_the_folders_owner(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root works in folders of others")
    server = Server(tmp_path / "own").start()
    server.stop()
    data, nobody = server.data_dir, 65_534
    made = [data / "lock", data / "log.hold", data / "objects.hold", data / "s3" / "hold"]
    # As after `lade admin restore` and before the first start.
    for path in made:
        path.unlink()
    for path in (data, *data.rglob("*")):
        os.chown(path, nobody, nobody)
    for command in (("backup", tmp_path / "backup"), ("rotate-master-key",)):
        done = run("admin", *command, "--data-dir", data, server=server)
        assert done.returncode == 0, done
    assert all(path.exists() for path in made)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in data.rglob("*")} == {(nobody, nobody)}


# Other nodes

def test_nodes_are_stopped_before(postgres, tmp_path, make_house):
    url = postgres.database()
    env = {"LADE_CATALOG": url, "LADE_MASTER_KEY_FILE": str(tmp_path / "master_key")}
    (tmp_path / "master_key").write_bytes(os.urandom(32))
    house = make_house(**env)
    # Another node's folder, which has no lock in common with the first one's.
    folder = tmp_path / "other"
    shutil.copytree(house.server.data_dir, folder, ignore=lambda _, names: [name for name in names if name != "realm.json"])
    command = ("admin", "rotate-master-key", "--data-dir", folder, "--json")
    refused = run(*command, env=house.server.env)
    assert refused.returncode == 1 and "stop all of them" in refused.stderr, refused.stderr
    house.server.stop()
    done = run(*command, env=house.server.env)
    assert changed(done)["formerKeys"] == 1
    house.server.start()
    house.check()
