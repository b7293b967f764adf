"""`lade apply`: what a file declares is made once; a second run changes nothing; what is wrong is told where it stands."""

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from support.lade import ask, lade
from support.policies import allow, trust_policy
from support.schemas import avro
from support.server import ACCOUNT, REGION, binary
from support.workshop import unique

PAGE = (Path(__file__).parents[1] / "docs/apply.md").read_text()
EXAMPLE = re.search(r"```yaml\n(.*?)```", PAGE, re.S).group(1)
NOTHING = re.compile(r"^Nothing to do: \d+ are as the file says\.$", re.M)


@pytest.fixture
def apply(server, tmp_path):
    """Writes a file and applies it."""
    file = tmp_path / "personalize.yaml"

    def run(text, *arguments, env=None):
        file.write_text(text if isinstance(text, str) else json.dumps(text))
        return lade(server, "apply", "-f", str(file), *arguments, env=env)

    run.file = file
    return run


def done(found):
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def arn(resource):
    return f"arn:aws:personalize:{REGION}:{ACCOUNT}:{resource}"


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def small(name, schema, **more):
    """A file of a role, a schema and a group with items."""
    return {
        "roles": {name: {"trust": json.loads(trust_policy()), "policies": {"p": document(allow("s3:GetObject"))}}},
        "schemas": {schema: {"schema": json.loads(avro("ITEMS", "ITEM_ID:string PRICE:float"))}},
        "datasetGroups": {name: {"datasets": {"ITEMS": {"schema": schema}}}}, **more,
    }


def test_the_example_of_the_page_is_made_once_and_then_stays(server, workshop, apply):
    assert "+ export schedule store-nightly" in done(apply(EXAMPLE, "--plan"))
    with pytest.raises(workshop.personalize.exceptions.ResourceNotFoundException):
        workshop.personalize.describe_dataset_group(datasetGroupArn=arn("dataset-group/store"))
    done(apply(EXAMPLE, "--yes"))
    assert NOTHING.search(done(apply(EXAMPLE, "--yes")))
    group = workshop.personalize.describe_dataset_group(datasetGroupArn=arn("dataset-group/store"))["datasetGroup"]
    key = workshop.kms.describe_key(KeyId="alias/store")["KeyMetadata"]["Arn"]
    assert (group["status"], group["kmsKeyArn"]) == ("ACTIVE", key)
    policy = workshop.iam.get_role_policy(RoleName="StoreData", PolicyName="key")["PolicyDocument"]
    assert policy["Statement"][0]["Resource"] == key
    named = workshop.personalize.describe_dataset(datasetArn=arn("dataset/store/ITEMS"))["dataset"]
    assert named["name"] == "things-to-buy"
    assert workshop.iam.list_user_policies(UserName="analyst")["PolicyNames"] == ["read"]
    [tracker] = workshop.personalize.list_event_trackers(datasetGroupArn=group["datasetGroupArn"])["eventTrackers"]
    assert tracker["name"] == "store-clicks"
    status, schedule = ask(server.endpoint, "GET", "/schedules/store-nightly")
    assert status == 200 and schedule["keep"] == {"exports": 14}
    assert {tag["tagKey"]: tag["tagValue"] for tag in schedule["tags"]} == {"team": "data", "lade:format": "parquet"}
    made = ask(server.endpoint, "POST", "/schedules/store-nightly/run")[1]["datasetExportJobArn"]
    assert workshop.wait_export(made)["status"] == "ACTIVE"
    # What somebody has paused stays so, as the file does not say otherwise.
    assert ask(server.endpoint, "POST", "/schedules/store-nightly/pause")[0] == 200
    assert NOTHING.search(done(apply(EXAMPLE, "--yes")))
    changed = done(apply(EXAMPLE.replace("30 2 * * *", "45 2 * * *"), "--yes"))
    assert "~ export schedule store-nightly\n    cron: 30 2 * * * → 45 2 * * *\n" in changed
    schedule = ask(server.endpoint, "GET", "/schedules/store-nightly")[1]
    assert (schedule["cron"], schedule["enabled"], schedule["nextAt"]) == ("45 2 * * *", False, None)


def test_changes_are_shown_and_made_by_their_attributes(workshop, apply):
    name, schema = unique("applied"), unique("schema")
    file = small(name, schema, buckets={name: {}})
    done(apply(file, "--yes"))
    # The order of members and blanks are no change; more policies than the file has are told and stay.
    workshop.iam.update_assume_role_policy(
        RoleName=name, PolicyDocument=json.dumps(dict(reversed(json.loads(trust_policy()).items())), indent=3))
    workshop.iam.put_role_policy(RoleName=name, PolicyName="more", PolicyDocument=json.dumps(document(allow("s3:*"))))
    told = done(apply(file, "--yes"))
    assert NOTHING.search(told) and f"(role {name} also has the policy more, which stays)" in told
    wider = f"{schema}-wider"
    file["roles"][name]["policies"]["p"]["Statement"][0]["Action"] = ["s3:GetObject", "s3:ListBucket"]
    file["roles"][name]["tags"] = {"team": "data"}
    file["buckets"][name]["policy"] = document(
        {**allow("s3:GetObject", f"arn:aws:s3:::{name}/*"), "Principal": {"Service": "personalize.amazonaws.com"}})
    file["schemas"][wider] = {"schema": avro("ITEMS", "ITEM_ID:string PRICE:float GENRE:string?")}
    file["datasetGroups"][name]["datasets"]["ITEMS"] = {"schema": wider, "tags": {"n": 1}}
    plan = json.loads(done(apply(file, "--plan", "--json")))
    assert (plan["create"], plan["change"]) == (1, 3)
    [dataset] = [step for step in plan["steps"] if step["kind"] == "dataset"]
    assert dataset["attributes"] == [
        {"name": "schema", "old": arn(f"schema/{schema}"), "new": arn(f"schema/{wider}"), "problem": None},
        {"name": "tags.n", "old": None, "new": "1", "problem": None}]
    told = done(apply(file, "--yes"))
    assert '    policies.p.Statement[0].Action: s3:GetObject → ["s3:GetObject","s3:ListBucket"]\n' in told
    assert NOTHING.search(done(apply(file, "--yes")))
    dataset = workshop.personalize.describe_dataset(datasetArn=arn(f"dataset/{name}/ITEMS"))["dataset"]
    assert dataset["schemaArn"] == arn(f"schema/{wider}") and dataset["latestDatasetUpdate"]["status"] == "ACTIVE"
    assert json.loads(workshop.s3.get_bucket_policy(Bucket=name)["Policy"]) == file["buckets"][name]["policy"]


def test_what_can_not_be_changed_is_said_and_nothing_is_done(workshop, apply):
    name, schema = unique("fixed"), unique("schema")
    file = small(name, schema)
    file["schemas"][f"{schema}-i"] = {"schema": avro("INTERACTIONS", "USER_ID:string ITEM_ID:string TIMESTAMP:long")}
    file["schemas"][f"{schema}-j"] = {"schema": avro("INTERACTIONS", "USER_ID:string ITEM_ID:string N:int TIMESTAMP:long")}
    file["datasetGroups"][name]["datasets"]["INTERACTIONS"] = {"schema": f"{schema}-i"}
    done(apply(file, "--yes"))
    file["datasetGroups"][name]["datasets"]["INTERACTIONS"]["schema"] = f"{schema}-j"
    file["datasetGroups"][name]["domain"] = "ECOMMERCE"
    file["schemas"][schema]["schema"]["fields"][1]["type"] = "int"
    file["roles"][name]["description"] = "changed with the rest or not at all"
    refused = apply(file, "--yes")
    assert refused.returncode == 1 and "nothing was done" in refused.stderr
    for text in (f"schema {schema}, schema: a schema can't be changed", "domain: a dataset group keeps",
                 f"dataset {name}/INTERACTIONS, schema: only datasets of type ITEMS and USERS"):
        assert text in refused.stderr, refused.stderr
    assert "Description" not in workshop.iam.get_role(RoleName=name)["Role"]


def test_nobody_is_asked_where_there_is_no_terminal(apply):
    refused = apply(small(unique("asked"), unique("schema")))
    assert refused.returncode == 1 and "--yes does it" in refused.stderr and "+ role" in refused.stdout


def test_a_person_is_asked_and_may_say_no(server, workshop, apply):
    name = unique("asked")
    apply.file.write_text(json.dumps({"buckets": {name: {}}}))
    for answer, made in [(b"\n", False), (b"n\n", False), (b"y\n", True)]:
        terminal, theirs = pty.openpty()
        os.write(terminal, answer)
        told = subprocess.run([binary(), "apply", "-f", str(apply.file)], env=server.client_environment(), stdin=theirs,
                              capture_output=True, text=True, timeout=30)
        os.close(terminal)
        os.close(theirs)
        assert told.returncode == 0 and "Do it? [y/N]" in told.stderr, told.stderr
        assert f"+ bucket {name}\n1 to make, 0 to change, 0 are as the file says.\n" in told.stdout
        assert (name in [bucket["Name"] for bucket in workshop.s3.list_buckets()["Buckets"]]) == made


def test_what_is_wrong_with_a_file_is_told_with_line_column_and_path(apply):
    for text, place, words in [
        (EXAMPLE.replace("    datasets:", "    datsets:"), r":\d\d:5: datasetGroups\.store\.datsets: ", "did you mean datasets?"),
        (EXAMPLE.replace("30 2 * * *", "30 26 * * *"), r":\d\d\d?:11: exportSchedules\.store-nightly\.cron: ", "field hour"),
        (EXAMPLE.replace("Europe/Berlin", "Europe/Bern"), r":\d\d\d?:15: exportSchedules\.store-nightly\.timeZone: ", "Europe/Bern"),
        ("roles:\n  a: {}\n  b: [\n", r":4:1: ", "no YAML"),
        ("roles:\n  a: {}\n", r":2:6: roles\.a: ", "trust is missing"),
        ("keys: {k: {policy: '{'}}", r":1:20: keys\.k\.policy: ", "no JSON"),
    ]:
        refused = apply(text, "--plan")
        assert refused.returncode == 1 and not refused.stdout
        assert re.match(rf"lade: {re.escape(str(apply.file))}{place}", refused.stderr), refused.stderr
        assert words in refused.stderr, refused.stderr
    wrong = apply({"users": {"u": {"policies": {"p": document(allow("s3:*", "${lade:bucket/b}"))}}}}, "--plan")
    assert wrong.returncode == 1 and "could not look at the user u (line 1): ${lade:bucket/b} stands for nothing" in wrong.stderr


@pytest.mark.parametrize("file, path", [
    ("roles: {NAME: {trust: TRUST,\n policies: {p: {Statement: [{Condition: {StringEquals:\n {a: '${lade:key/NAME-typo}'}}}]}}}}",
     r":3:\d+: roles\.NAME\.policies\.p\.Statement\[0\]\.Condition\.StringEquals\.a: "),
    ("roles: {NAME: {trust: TRUST,\n policies: {p: '{\"Resource\": \"${lade:key/NAME-typo}\"}'}}}", r":2:\d+: roles\.NAME\.policies\.p: "),
    ("buckets: {NAME: {}}\ndatasetGroups: {NAME: {kmsKey: alias/NAME-typo}}", r":2:\d+: datasetGroups\.NAME\.kmsKey: "),
], ids=["in a document", "in a text of JSON", "of a group"])
def test_a_key_that_neither_is_there_nor_declared_is_refused_before_anything_is_done(workshop, apply, file, path):
    name = unique("stray")
    text = file.replace("TRUST", trust_policy()).replace("NAME", name)
    for arguments in (["--plan"], ["--yes"]):
        refused = apply(text, *arguments)
        assert (refused.returncode, refused.stdout) == (1, "")
        place = path.replace("NAME", re.escape(name))
        assert re.match(rf"lade: {re.escape(str(apply.file))}{place}there is no key alias/{name}-typo, and the file declares none$",
                        refused.stderr, re.M), refused.stderr
    assert name not in [bucket["Name"] for bucket in workshop.s3.list_buckets()["Buckets"]]
    with pytest.raises(workshop.iam.exceptions.NoSuchEntityException):
        workshop.iam.get_role(RoleName=name)


def test_keys_whose_policies_name_themselves_and_each_other_are_made(workshop, apply):
    name = unique("selfy")
    everybody = {**allow("kms:*"), "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    policy = {other: document({**everybody, "Resource": [f"${{lade:key/{name}}}", f"${{lade:key/{name}-{other}}}"]})
              for other in "ab"}
    # What names a key of the server, and no key of the file, is resolved as well.
    there = workshop.kms.create_key()["KeyMetadata"]["Arn"]
    workshop.kms.create_alias(AliasName=f"alias/{name}-there", TargetKeyId=there)
    file = {"keys": {name: {"policy": policy["b"], "tags": {"a": "b"}}, f"{name}-b": {"policy": policy["b"]}, f"{name}-a": {
        "policy": policy["a"]}}, "users": {name: {"policies": {"p": document(allow("kms:*", f"${{lade:key/{name}-there}}"))}}}}
    plan = done(apply(file, "--plan", "--json"))
    assert plan.count("(known after it is made)") >= 3 and there in plan
    done(apply(file, "--yes"))
    arns = {alias: workshop.kms.describe_key(KeyId=f"alias/{alias}")["KeyMetadata"]["Arn"] for alias in file["keys"]}
    for alias, others in [(name, (name, f"{name}-b")), (f"{name}-a", (name, f"{name}-a")), (f"{name}-b", (name, f"{name}-b"))]:
        kept = json.loads(workshop.kms.get_key_policy(KeyId=arns[alias], PolicyName="default")["Policy"])
        assert kept["Statement"][0]["Resource"] == [arns[other] for other in others]
    assert workshop.kms.list_resource_tags(KeyId=arns[name])["Tags"] == [{"TagKey": "a", "TagValue": "b"}]
    assert NOTHING.search(done(apply(file, "--yes")))


@pytest.mark.parametrize("is_json", [False, True])
def test_the_work_is_done_though_nobody_reads(server, workshop, apply, is_json):
    name = unique("unread")
    apply.file.write_text(json.dumps({"buckets": {name: {}, f"{name}-2": {}}}))
    reading, writing = os.pipe()
    os.close(reading)
    told = subprocess.run([binary(), "apply", "-f", str(apply.file), "--yes", *(["--json"] if is_json else [])],
                          env=server.client_environment(), stdin=subprocess.DEVNULL, stdout=writing, stderr=writing, timeout=30)
    os.close(writing)
    assert told.returncode == 0
    assert {name, f"{name}-2"} <= {bucket["Name"] for bucket in workshop.s3.list_buckets()["Buckets"]}


def test_an_interrupted_run_is_mended_by_the_next(server, workshop, apply):
    name, schema = unique("broken"), unique("schema")
    role = {"trust": json.loads(trust_policy()), "policies": {"k": document(allow("kms:*", f"${{lade:key/{name}}}"))}}
    file = {**small(f"{name}-g", schema), "keys": {name: {"description": "d"}}, "buckets": {name: {}}}
    file["roles"] = {f"{name}-{n}": role for n in range(8)}
    apply.file.write_text(json.dumps(file))
    process = subprocess.Popen([binary(), "apply", "-f", str(apply.file), "--yes"], env=server.client_environment(),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for _ in range(3):
        process.stderr.readline()
    process.kill()
    process.wait()
    process.stderr.close()
    assert re.search(r"\d+ to make, 0 to change, [1-9]", done(apply(file, "--yes")))
    assert NOTHING.search(done(apply(file, "--yes")))


def test_a_key_that_was_made_and_not_named_gets_its_name(workshop, apply):
    name = unique("named")
    # Others' keys, which may not be looked at, stand in nobody's way.
    closed = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "kms:ListResourceTags", "Resource": "*"}]})
    workshop.kms.create_key(Policy=closed)
    made = workshop.kms.create_key(Tags=[{"TagKey": "lade-apply-alias", "TagValue": name}])["KeyMetadata"]["Arn"]
    done(apply({"keys": {name: {"description": "d", "tags": {"a": "b"}}}}, "--yes"))
    assert workshop.kms.describe_key(KeyId=f"alias/{name}")["KeyMetadata"]["Arn"] == made
    done(apply({"keys": {name: {"description": "d", "tags": {"a": "b"}}}}, "--yes"))
    key = workshop.kms.describe_key(KeyId=f"alias/{name}")["KeyMetadata"]
    assert key["Description"] == "d"
    assert workshop.kms.list_resource_tags(KeyId=made)["Tags"] == [{"TagKey": "a", "TagValue": "b"}]


def test_a_caller_needs_the_rights_of_the_calls_that_it_makes(workshop, apply):
    name = unique("refused")
    user = workshop.make_user("applier", allow(["personalize:*", "iam:Get*", "iam:List*", "s3:*"]))
    key = workshop.iam.create_access_key(UserName=user.name)["AccessKey"]
    env = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    refused = apply(small(name, unique("schema")), "--yes", env=env)
    assert refused.returncode == 1 and f"could not make the role {name} (line 1): " in refused.stderr
    assert "iam:CreateRole" in refused.stderr
