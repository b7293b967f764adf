"""Secrets in the data folder: none can be read there, however it is written."""

import base64
import json
import sqlite3
import stat

import pytest

from support.catalog import is_on_postgres, of_a_file
from support.clients import Clients
from support.policies import allow
from support.schemas import ITEMS
from support.workshop import Workshop

SEALED = "sealed:"


def spellings(secret):
    """A secret as it might stand in a file: as it is, in hexadecimal digits, in base64 at any offset."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    yield from (raw, raw.hex().encode(), raw.hex().upper().encode(), raw[::-1])
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + raw)
        # The ends depend on what stands beside.
        yield text[4 if offset else 0:-4]
        yield base64.urlsafe_b64encode(b"\0" * offset + raw)[4 if offset else 0:-4]


def found(folder, secrets):
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert is_on_postgres() or any(file.name == "catalog.db" for file in files)
    bodies = [(file.name, file.read_bytes()) for file in files]
    return [(name, secret) for name, body in bodies for secret in secrets
            if any(spelling in body for spelling in spellings(secret))]


def secret_of(clients):
    return clients.session.get_credentials().secret_key


def test_no_file_holds_a_secret_that_was_given_out(own_server):
    workshop = Workshop(own_server.endpoint)
    user, stopped = workshop.make_user("user", allow("*")), workshop.make_user("stopped")
    deleted = workshop.make_user("deleted")
    workshop.iam.update_access_key(UserName=stopped.name, AccessKeyId=stopped.key, Status="Inactive")
    workshop.iam.delete_access_key(UserName=deleted.name, AccessKeyId=deleted.key)
    trust = json.dumps({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": "sts:AssumeRole"}})
    role = workshop.make_role("role", "", trust=trust, policy="")
    session = user.sts.assume_role(RoleArn=role, RoleSessionName="canary")["Credentials"]
    key = workshop.kms.create_key()["KeyMetadata"]["KeyId"]
    data_key = workshop.kms.generate_data_key(KeyId=key, KeySpec="AES_256")["Plaintext"]
    workshop.kms.encrypt(KeyId=key, Plaintext=b"a canary among the plain texts")
    secrets = [*map(secret_of, (user, stopped, deleted)), session["SecretAccessKey"], session["SessionToken"], data_key,
               b"a canary among the plain texts"]
    assert found(own_server.data_dir, secrets) == []
    own_server.stop()
    assert found(own_server.data_dir, secrets) == []
    own_server.start()
    assert Clients(own_server.endpoint, user.key, secret_of(user)).sts.get_caller_identity()["Arn"] == user.arn
    for name in ("master_key", *([] if is_on_postgres() else ["catalog.db"])):
        assert stat.S_IMODE((own_server.data_dir / name).stat().st_mode) == 0o600
    log = (own_server.folder / "stderr").read_bytes() + (own_server.folder / "stdout").read_bytes()
    assert not any(spelling in log for secret in secrets for spelling in spellings(secret))


@of_a_file
def test_a_catalog_with_secrets_in_the_clear_is_sealed_at_the_start(own_server):
    workshop = Workshop(own_server.endpoint)
    user, stopped = workshop.make_user("user"), workshop.make_user("stopped")
    workshop.iam.update_access_key(UserName=stopped.name, AccessKeyId=stopped.key, Status="Inactive")
    clear = {one.key: secret_of(one) for one in (user, stopped)}
    own_server.stop()
    catalog = own_server.data_dir / "catalog.db"
    with sqlite3.connect(catalog) as database:
        for key, secret in clear.items():
            database.execute("UPDATE access_key SET secret_access_key = ? WHERE access_key_id = ?", (secret, key))
    database.close()
    assert {secret for _, secret in found(own_server.data_dir, clear.values())} == set(clear.values())
    own_server.start()
    assert found(own_server.data_dir, clear.values()) == []
    again = lambda one: Clients(own_server.endpoint, one.key, clear[one.key]).sts.get_caller_identity()["Arn"]
    assert again(user) == user.arn
    Workshop.at(workshop, own_server.endpoint).iam.update_access_key(
        UserName=stopped.name, AccessKeyId=stopped.key, Status="Active")
    assert again(stopped) == stopped.arn


@of_a_file
def test_a_secret_opens_in_its_own_row_only(own_server):
    workshop = Workshop(own_server.endpoint)
    one, other = workshop.make_user("one"), workshop.make_user("other")
    own_server.stop()
    with sqlite3.connect(own_server.data_dir / "catalog.db") as database:
        rows = dict(database.execute("SELECT access_key_id, secret_access_key FROM access_key"))
        assert all(text.startswith(SEALED) for text in rows.values())
        move = "UPDATE access_key SET secret_access_key = ? WHERE access_key_id = ?"
        database.execute(move, (rows[one.key], other.key))
    database.close()
    own_server.spawn()
    assert own_server.process.wait(20) == 1
    assert "sealed under another master key" in own_server.tail()


# The master key itself

LOST = "is missing, and what lies in the data folder was sealed with it: restore it from the backup"


def refuses_to_start(server, *parts):
    server.spawn()
    assert server.process.wait(20) == 1
    said = server.tail()
    assert all(part in said for part in parts), said


def lose_master_key(server):
    """Stops the server and moves the file away; where it is, and where it was."""
    server.stop()
    file, kept = server.data_dir / "master_key", server.folder / "master_key.kept"
    file.rename(kept)
    return kept, file


def test_a_lost_master_key_is_not_silently_made_anew(own_server):
    """Not even where nobody made anything yet: nobody has to guess what it sealed."""
    kept, file = lose_master_key(own_server)
    for _ in range(2):
        refuses_to_start(own_server, f"{file} {LOST}")
        assert not file.exists(), "a new key was made in the lost one's place"
    kept.rename(file)
    own_server.start()


@of_a_file
@pytest.mark.parametrize("what", ["nothing", "a dataset", "a key of KMS", "a user's key"])
def test_what_a_catalog_without_the_mark_holds_tells_whether_a_key_is_lost(own_server, what):
    """As an earlier release left it."""
    clients = Clients(own_server.endpoint)
    if what == "a dataset":
        Workshop(own_server.endpoint).make_group(items=ITEMS)
    elif what == "a key of KMS":
        clients.kms.create_key()
    elif what == "a user's key":
        clients.iam.create_user(UserName="user")
        clients.iam.create_access_key(UserName="user")
    _, file = lose_master_key(own_server)
    with sqlite3.connect(own_server.data_dir / "catalog.db") as database:
        database.execute("DELETE FROM master_key_mark")
    database.close()
    if what == "nothing":
        own_server.start()
    else:
        refuses_to_start(own_server, f"{file} {LOST}")


def test_another_master_key_is_refused(own_server):
    own_server.stop()
    (own_server.data_dir / "master_key").write_bytes(b"k" * 32)
    refuses_to_start(own_server, "the master_key of this server is not the key that sealed what the catalog holds")
    (own_server.data_dir / "master_key").write_bytes(b"short")
    refuses_to_start(own_server, "does not hold a key of 32 bytes")
