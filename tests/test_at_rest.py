"""Data at rest: sealed on the disk, under the server's key or a group's own, and out of reach when that is disabled."""

import json
import os
import time

import pytest
from botocore.exceptions import ClientError

from support.policies import key_policy, trust_policy
from support.schemas import INTERACTIONS
from support.server import Server
from support.workshop import Group, Workshop, unique

CANARY = "canary-bird"
ITEMS = "ITEM_ID:string CATEGORY:string?:categorical"
CSV = f"ITEM_ID,CATEGORY\n{CANARY}-imported,{CANARY}-property\nplain,\n"
USE = ("kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext")
WITHIN_S = 60


@pytest.fixture
def serve(tmp_path):
    """Starts a server on this test's folder, which flushes put records after a second, once more as often as wanted."""
    servers = []

    def start(at_rest=None, flush_after_s=1):
        env = {"LADE_AT_REST": at_rest} if at_rest else {}
        servers.append(Server(tmp_path / "own", arguments=["--flush-after-s", str(flush_after_s)], env=env).start())
        return servers[-1]

    yield start
    if servers and servers[-1].process.poll() is None:
        servers[-1].kill()


def files_with(server, needle):
    """The files of the data folder that hold this text."""
    found = []
    for folder, _, names in os.walk(server.data_dir):
        paths = [os.path.join(folder, name) for name in names]
        found += [path for path in paths if needle.encode() in open(path, "rb").read()]
    return found


def runs(server):
    """The first bytes of all runs."""
    return sorted(path.read_bytes()[:8] for path in (server.data_dir / "runs").glob("*.parquet"))


def until(holds, within_s=WITHIN_S):
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.05)
    return found


def ids(export):
    return sorted(row[0] for row in export.rows)


def import_sealed(workshop, dataset, text):
    """Imports a file that lies encrypted in its bucket."""
    key = f"{unique('in')}/data.csv"
    workshop.s3.put_object(Bucket=workshop.source, Key=key, Body=text.encode(), ServerSideEncryption="AES256")
    job = workshop.wait_import(workshop.start_import(dataset, f"s3://{workshop.source}/{key}"))
    assert job["status"] == "ACTIVE", job


def refused(call, *parts, code="InvalidInputException"):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    for part in parts:
        assert part in error["Message"], error


# Under the server's key


def test_no_file_holds_a_record_in_clear(serve):
    server = serve(flush_after_s=3600)
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(items=ITEMS, interactions=INTERACTIONS, tracker=True)
    import_sealed(workshop, group.items, CSV)
    workshop.put_items(group.items, (f"{CANARY}-put", {"category": f"{CANARY}-category"}))
    workshop.put_event(group.tracking_id, f"{CANARY}-user", f"{CANARY}-item", "view", 1_700_000_000)
    assert files_with(server, CANARY) == []
    server.kill()
    assert files_with(server, CANARY) == []

    server = serve()
    workshop = workshop.at(server.endpoint)
    until(lambda: len(runs(server)) == 3)
    assert set(runs(server)) == {b"LADESEAL"}
    assert files_with(server, CANARY) == []
    # A bucket holds what an export wrote, as it was asked for: in clear.
    assert ids(workshop.export(group.items, "ALL")) == [f"{CANARY}-imported", f"{CANARY}-put", "plain"]
    assert [row[:2] for row in workshop.export(group.interactions, "PUT").rows] == [
        (f"{CANARY}-user", f"{CANARY}-item")]
    assert all("/s3/" in path for path in files_with(server, CANARY))


def test_what_was_sealed_and_what_was_left_plain_are_both_read_after_a_switch(serve):
    expected = []

    def work(server, workshop, group, n):
        import_sealed(workshop, group.items, "ITEM_ID,CATEGORY\nold,\n")
        # This one is in the log when the server ends.
        workshop.put_items(group.items, (f"{CANARY}-{n}", {"category": "c"}))
        expected.append(f"{CANARY}-{n}")
        assert ids(workshop.export(group.items, "ALL")) == sorted([*expected, "old"])

    server = serve("plain", flush_after_s=3600)
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(items=ITEMS)
    work(server, workshop, group, 0)
    assert {run[:4] for run in runs(server)} == {b"PAR1"}
    assert any("/log/" in path for path in files_with(server, f"{CANARY}-0"))
    for n, at_rest in enumerate(["sealed", "plain", "sealed"], 1):
        server.kill()
        server = serve(at_rest, flush_after_s=3600)
        workshop = workshop.at(server.endpoint)
        work(server, workshop, group, n)
        in_log = [path for path in files_with(server, f"{CANARY}-{n}") if "/log/" in path]
        assert bool(in_log) == (at_rest == "plain")
    server.kill()
    server = serve()
    workshop = workshop.at(server.endpoint)
    until(lambda: len([run for run in runs(server) if run == b"LADESEAL"]) == 2)
    assert ids(workshop.export(group.items, "ALL")) == sorted([*expected, "old"])


# Under a group's own key


def key_role(workshop, key, *actions):
    name = unique("sealer")
    role = workshop.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy())["Role"]["Arn"]
    if actions:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": key}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        workshop.iam.put_role_policy(RoleName=name, PolicyName="key", PolicyDocument=policy)
    return role


def make_key(workshop):
    return workshop.kms.create_key()["KeyMetadata"]["Arn"]


def allow(workshop, key, role):
    workshop.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy(role))


def make_sealed_group(workshop):
    key = make_key(workshop)
    role = key_role(workshop, key, *USE)
    allow(workshop, key, role)
    arn = workshop.personalize.create_dataset_group(
        name=unique("sealed"), kmsKeyArn=key, roleArn=role)["datasetGroupArn"]
    group = Group(arn)
    group.key, group.role = key, role
    group.items = workshop.make_dataset(arn, "ITEMS", ITEMS)
    group.interactions = workshop.make_dataset(arn, "INTERACTIONS", INTERACTIONS)
    group.tracker, group.tracking_id = workshop.make_tracker(arn)
    return group


def test_a_group_shows_its_key_and_lists_do_not(workshop):
    group = make_sealed_group(workshop)
    shown = workshop.personalize.describe_dataset_group(datasetGroupArn=group.arn)["datasetGroup"]
    assert (shown["kmsKeyArn"], shown["roleArn"]) == (group.key, group.role)
    listed = workshop.personalize.get_paginator("list_dataset_groups").paginate()
    listed = [found for page in listed for found in page["datasetGroups"] if found["datasetGroupArn"] == group.arn]
    assert len(listed) == 1 and not {"kmsKeyArn", "roleArn"} & set(listed[0])


def test_a_group_is_made_only_if_its_role_may_use_the_key(workshop):
    key = make_key(workshop)
    create = lambda role: lambda: workshop.personalize.create_dataset_group(
        name=unique("group"), kmsKeyArn=key, roleArn=role)
    refused(create(key_role(workshop, key)), "Insufficient privileges for KMS key", key,
            "kms:GenerateDataKeyWithoutPlaintext")
    role = key_role(workshop, key, *USE)
    half = key_role(workshop, key, "kms:GenerateDataKeyWithoutPlaintext")
    allow(workshop, key, half)
    refused(create(half), "Insufficient privileges for KMS key", key, "kms:Decrypt")
    allow(workshop, key, role)
    workshop.kms.disable_key(KeyId=key)
    refused(create(role), "Insufficient privileges for KMS key", key, "is disabled")
    workshop.kms.enable_key(KeyId=key)
    assert create(role)()["datasetGroupArn"]
    trusting_nobody = workshop.make_role("sealer", "nowhere", trust=trust_policy("other.amazonaws.com"))
    refused(create(trusting_nobody), trusting_nobody, "trust policy")
    missing = key.rsplit("/", 1)[0] + "/00000000-0000-4000-8000-000000000000"
    refused(lambda: workshop.personalize.create_dataset_group(name=unique("g"), kmsKeyArn=missing, roleArn=role),
            "does not exist")


def test_a_caller_needs_the_key_it_gives_to_a_group(workshop):
    key = make_key(workshop)
    role = key_role(workshop, key, *USE)
    allow(workshop, key, role)
    make = [{"Effect": "Allow", "Action": ["personalize:*", "iam:PassRole"], "Resource": "*"}]
    use = lambda *actions: {"Effect": "Allow", "Action": list(actions), "Resource": key}
    user = workshop.make_user("maker", *make)
    create = lambda: user.personalize.create_dataset_group(name=unique("group"), kmsKeyArn=key, roleArn=role)
    refused(create, user.arn, "kms:Decrypt", key, code="AccessDeniedException")
    workshop.set_policy(user, *make, use("kms:Decrypt"))
    refused(create, user.arn, "kms:GenerateDataKeyWithoutPlaintext", key, code="AccessDeniedException")
    workshop.set_policy(user, *make, use(*USE))
    assert create()["datasetGroupArn"]


def block_by_disabling(workshop, group):
    workshop.kms.disable_key(KeyId=group.key)


def release_by_enabling(workshop, group):
    workshop.kms.enable_key(KeyId=group.key)


def block_by_policy(workshop, group):
    workshop.kms.put_key_policy(KeyId=group.key, PolicyName="default", Policy=json.dumps({
        "Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "kms:*",
             "Resource": "*"},
            {"Effect": "Deny", "Principal": {"AWS": group.role}, "Action": "kms:Decrypt", "Resource": "*"}]}))


def release_by_policy(workshop, group):
    allow(workshop, group.key, group.role)


@pytest.mark.parametrize("block, release", [
    (block_by_disabling, release_by_enabling), (block_by_policy, release_by_policy)])
def test_a_key_out_of_use_stops_its_group_alone_and_loses_nothing(serve, block, release):
    # What was accepted last might otherwise be in a run at the very moment at which the key is asked for again.
    server = serve(flush_after_s=3600)
    workshop = Workshop(server.endpoint)
    sealed, other = make_sealed_group(workshop), workshop.make_group(items=ITEMS)
    import_sealed(workshop, sealed.items, CSV)
    workshop.put_items(sealed.items, ("before", {"category": f"{CANARY}-c"}))
    block(workshop, sealed)
    put_item = lambda name: lambda: workshop.put_items(sealed.items, (name, {"category": "c"}))
    put_event = lambda: workshop.put_event(sealed.tracking_id, "u", "i", "view", 1_700_000_000)
    accepted = []

    def is_blocked():
        name = f"meanwhile-{len(accepted)}"
        try:
            put_item(name)()
        except ClientError:
            return True
        accepted.append(name)
        return False

    until(is_blocked)
    why = "Insufficient privileges for KMS key"
    refused(put_item("blocked"), why, sealed.key)
    # The dataset of each put has a key of its own, which may have been asked for a little later.
    until(lambda: _is_refused(put_event))
    refused(lambda: workshop.start_export(sealed.items, "ALL"), why, sealed.key)
    refused(lambda: workshop.start_import(sealed.items, workshop.upload("ITEM_ID,CATEGORY\na,\n")), why, sealed.key)

    # Others go on: what they put comes to a run, and the log lets go of it.
    workshop.put_items(other.items, ("free", {"category": "c"}))
    assert ids(workshop.export(other.items, "ALL")) == ["free"]
    server.kill()
    said_before = len(server.stderr.read_text())
    server = serve()
    workshop = workshop.at(server.endpoint)
    workshop.put_items(other.items, ("freed", {"category": "c"}))
    assert ids(workshop.export(other.items, "ALL")) == ["free", "freed"]
    until(lambda: len(runs(server)) >= 2)
    refused(put_item("blocked"), why, sealed.key)

    # Of this server: the file has the lines of the one before, too.
    said = lambda: server.stderr.read_text()[said_before:]
    blocked = lambda: [line for line in said().splitlines()
                       if "a dataset is flushed later" in line and sealed.items in line]
    until(blocked)
    assert len(blocked()) == 1, "what stays blocked is said once"
    release(workshop, sealed)
    put_item("after")()
    until(lambda: f'can be flushed again dataset.arn={sealed.items}' in said())
    expected = sorted([f"{CANARY}-imported", "plain", "before", "after", *accepted])
    assert ids(workshop.export(sealed.items, "ALL")) == expected
    put_event()
    assert len(workshop.export(sealed.interactions, "PUT").rows) >= 1


def _is_refused(call):
    try:
        call()
    except ClientError:
        return True
    return False
