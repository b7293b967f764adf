"""MiniStack as a second opinion: random policies of a user, a role, a session, a bucket and a key decide the same there.

    python3 -m venv peer && peer/bin/pip install ministack==1.5.33 cryptography
    LADE_MINISTACK=peer/bin/ministack LADE_MINISTACK_CASES=500 pytest tests/test_ministack.py

`LADE_TEST_SEED` repeats a run. What the two are known to decide differently is no part of the cases: docs/compatibility.md lists
it.
"""

import json
import os
import random
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter

import pytest
from botocore.exceptions import ClientError

from support.clients import Clients
from support.policies import allow
from support.server import ACCOUNT, REGION, bare_environment
from support.workshop import unique

PROGRAM = os.environ.get("LADE_MINISTACK")
CASES = int(os.environ.get("LADE_MINISTACK_CASES", "100"))
SEED = int(os.environ.get("LADE_TEST_SEED", "20261123"))
PORT = 14_581
READY_S = 30
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
TEAM = "shop"

S3_ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject", "s3:Get*", "s3:*Object", "s3:*", "s3:?etObject",
              "S3:GETOBJECT"]
KMS_ACTIONS = ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:*", "kms:Gen*"]
KEYS = ["home/k", "home/x/k", "out/k", "k"]


class World:
    """One of the two servers: a user, a role that another one assumes, a bucket and a key."""

    def __init__(self, root, names):
        self.root, self.names = root, names
        self.user_arn, self.user = self.make_user(names["user"])
        _, self.assuming = self.make_user(names["assuming"])
        trust = document([{"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}])
        role = root.iam.create_role(RoleName=names["role"], AssumeRolePolicyDocument=trust)["Role"]
        self.role_arn = role["Arn"]
        root.iam.put_user_policy(UserName=names["assuming"], PolicyName="assume", PolicyDocument=document([
            allow("sts:AssumeRole", self.role_arn)]))
        root.s3.create_bucket(Bucket=names["bucket"])
        for key in KEYS:
            root.s3.put_object(Bucket=names["bucket"], Key=key, Body=b"x")
        key = root.kms.create_key()["KeyMetadata"]
        self.key_id, self.key_arn = key["KeyId"], key["Arn"]

    def make_user(self, name):
        arn = self.root.iam.create_user(UserName=name)["User"]["Arn"]
        made = self.root.iam.create_access_key(UserName=name)["AccessKey"]
        return arn, Clients(self.root.endpoint, made["AccessKeyId"], made["SecretAccessKey"])

    def fill(self, statements):
        """The same statements, about this world's key and its principals."""
        text = json.dumps(statements).replace("{key}", self.key_arn)
        return json.loads(text.replace("{user}", self.user_arn).replace("{role}", self.role_arn))

    def set(self, case):
        for put, more, statements in [
            (self.root.iam.put_user_policy, {"UserName": self.names["user"], "PolicyName": "p"}, case["user"]),
            (self.root.iam.put_role_policy, {"RoleName": self.names["role"], "PolicyName": "p"}, case["role"]),
        ]:
            put(PolicyDocument=document(self.fill(statements)), **more)
        if case["bucket"]:
            self.root.s3.put_bucket_policy(Bucket=self.names["bucket"], Policy=document(self.fill(case["bucket"])))
        else:
            self.root.s3.delete_bucket_policy(Bucket=self.names["bucket"])
        # The root's own statement comes first, so that the next case can be set.
        owner = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*" if case["delegates"] else
                 ["kms:PutKeyPolicy", "kms:GetKeyPolicy"], "Resource": "*"}
        self.root.kms.put_key_policy(KeyId=self.key_id, PolicyName="default",
                                     Policy=document([owner, *self.fill(case["key"])]))

    def session(self, case):
        narrowed = {"Policy": document(self.fill(case["session"]))} if case["session"] else {}
        keys = self.assuming.sts.assume_role(RoleArn=self.role_arn, RoleSessionName="nightly", **narrowed)["Credentials"]
        return Clients(self.root.endpoint, keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])

    def ask(self, who, request):
        """Whether a request was allowed."""
        service, name, given = request
        given = {member: value.format(**self.names, key=self.key_arn) if isinstance(value, str) else value
                 for member, value in given.items()}
        try:
            getattr(getattr(who, service), name)(**given)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("AccessDenied", "AccessDeniedException", "403"):
                return False
            assert code in ("NoSuchKey", "404"), error
        return True


def document(statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


REQUESTS = [
    *(("s3", "get_object", {"Bucket": "{bucket}", "Key": key}) for key in KEYS),
    *(("s3", "put_object", {"Bucket": "{bucket}", "Key": key, "Body": b"x"}) for key in KEYS[:2]),
    ("s3", "list_objects_v2", {"Bucket": "{bucket}", "Prefix": "home/"}),
    ("s3", "list_objects_v2", {"Bucket": "{bucket}", "Prefix": "out/"}),
    ("kms", "describe_key", {"KeyId": "{key}"}),
    ("kms", "encrypt", {"KeyId": "{key}", "Plaintext": b"x"}),
    ("kms", "generate_data_key", {"KeyId": "{key}", "KeySpec": "AES_256"}),
]


class Dice(random.Random):
    def some(self, pool):
        return self.sample(pool, self.randint(1, min(2, len(pool))))

    def statement(self, actions, resources, principals=None):
        statement = {"Effect": "Deny" if self.random() < 0.2 else "Allow"}
        statement["NotAction" if self.random() < 0.1 else "Action"] = self.some(actions)
        statement["NotResource" if self.random() < 0.1 and len(resources) > 1 else "Resource"] = self.some(resources)
        if principals:
            statement["Principal"] = self.choice(principals)
        if self.random() < 0.3:
            statement["Condition"] = self.condition(actions)
        return statement

    def condition(self, actions):
        pool = [
            {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, {"NotIpAddress": {"aws:SourceIp": ["127.0.0.1/32", "10.0.0.0/8"]}},
            {"Bool": {"aws:SecureTransport": "false"}}, {"Null": {"aws:SourceIp": "false"}},
            {"StringEqualsIfExists": {"aws:RequestTag/a": "b"}}, {"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}},
            {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
        ]
        if actions is S3_ACTIONS:
            pool += [{"StringLike": {"s3:prefix": ["home/*", ""]}}, {"StringEqualsIfExists": {"s3:prefix": "home/"}}]
        return self.choice(pool)

    def statements(self, names, principals=None, of_key=False):
        bucket = f"arn:aws:s3:::{names['bucket']}"
        s3 = [bucket, f"{bucket}/*", f"{bucket}/home/*", f"{bucket}/*k", f"{bucket}/?ome/k"]
        found = []
        for _ in range(self.randint(1, 3)):
            if of_key:
                found.append(self.statement(KMS_ACTIONS, ["*"], principals))
            elif principals or self.random() < 0.6:
                found.append(self.statement(S3_ACTIONS, s3 if principals else [*s3, "*"], principals))
            else:
                found.append(self.statement(KMS_ACTIONS, ["{key}", "*"]))
        return found

    def case(self, names):
        named = [{"AWS": "{user}"}, {"AWS": "{role}"}, {"AWS": ROOT}, "*", {"AWS": ["{user}", "{role}"]}]
        return {
            "user": self.statements(names),
            "role": self.statements(names),
            "session": self.statements(names) if self.random() < 0.5 else [],
            "bucket": self.statements(names, named) if self.random() < 0.7 else [],
            "key": self.statements(names, named[:2], of_key=True) if self.random() < 0.7 else [],
            "delegates": self.random() < 0.5,
        }


def by_command(test):
    """A test that is there only where it was asked for."""
    test.__test__ = bool(PROGRAM)
    return test


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ministack")
    env = {**bare_environment(), "IOT_MTLS_ENABLED": "0", "SERVICES": "s3,sts,iam,kms", "AUTH": "true",
           "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(PORT), "MINISTACK_ACCOUNT_ID": ACCOUNT, "MINISTACK_REGION": REGION,
           "PERSIST_STATE": "0", "DOCKER_HOST": ""}
    with open(folder / "out", "wb") as out:
        process = subprocess.Popen([PROGRAM], env=env, cwd=folder, stdout=out, stderr=out)
    url, deadline = f"http://127.0.0.1:{PORT}", time.monotonic() + READY_S
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            opener.open(f"{url}/_ministack/health", timeout=2).read()
            break
        except urllib.error.HTTPError:
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, (folder / "out").read_text()
            time.sleep(0.05)
    yield Clients(url, "test", "test")
    process.terminate()
    process.wait(20)


@by_command
@pytest.mark.timeout(3600)
def test_random_policies_decide_the_same(workshop, peer, note):
    dice, seen, differences = Dice(SEED), Counter(), []
    names = {what: unique("peer") for what in ("user", "assuming", "role", "bucket")}
    ours, theirs = World(workshop, names), World(peer, names)
    # A new bucket there refuses policies for everybody.
    peer.s3.delete_public_access_block(Bucket=names["bucket"])
    for number in range(CASES):
        case = dice.case(names)
        for world in (ours, theirs):
            world.set(case)
        for who, bearers in (("user", [ours.user, theirs.user]), ("session", [ours.session(case), theirs.session(case)])):
            for request in REQUESTS:
                found = ours.ask(bearers[0], request), theirs.ask(bearers[1], request)
                seen[found] += 1
                if found[0] != found[1]:
                    differences.append((number, who, request[1:], "we allow" if found[0] else "we deny", case))
    note(f"test_ministack: {sum(seen.values())} requests in {CASES} cases, {seen[True, True]} allowed by both, "
         f"{seen[False, False]} by neither")
    assert not differences, f"seed {SEED}, {len(differences)} differences, such as\n" + "\n".join(
        json.dumps(one, default=str) for one in differences[:8])
    assert min(seen[True, True], seen[False, False]) > sum(seen.values()) / 10, seen
