"""The permissions of jobs, every combination: the role's, the bucket's and the key's statement, and the calling user's.

Each statement is there, missing, about another action, about another resource, or there and denied. What should come of
a combination is worked out by a model of a few lines.
"""

import itertools
import json
import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from support.policies import KEY_ACTIONS, allow, deny, trust_policy
from support.schemas import ITEMS
from support.server import ACCOUNT, Server
from support.workshop import Workshop, unique

VARIANTS = ("present", "absent", "other-action", "other-resource", "denied")
CALLERS = ("present", "absent", "denied")
OBJECT_ACTION = {"import": "s3:GetObject", "export": "s3:PutObject"}
KEY_ACTION = {"import": "kms:Decrypt", "export": "kms:GenerateDataKey"}
SERVICE = {"Service": "personalize.amazonaws.com"}
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
PRIVILEGES = {"s3": "Insufficient privileges for accessing data in S3.", "kms": "Insufficient privileges for KMS key"}


# The statements


def s3_statements(variant, kind, bucket, elsewhere):
    """What a policy says about a bucket; `elsewhere` is where a wrong statement points to."""
    action, place = OBJECT_ACTION[kind], [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    documented = allow([action, "s3:ListBucket"], place)
    return {
        "present": [documented],
        "absent": [],
        "other-action": [allow(["s3:DeleteObject", "s3:ListBucket"], place)],
        "other-resource": [allow([action, "s3:ListBucket"], elsewhere)],
        "denied": [documented, deny(action, place[1:])],
    }[variant]


def kms_statements(variant, kind, resource, elsewhere):
    action = KEY_ACTION[kind]
    return {
        "present": [allow(list(KEY_ACTIONS), resource)],
        "absent": [],
        "other-action": [allow([a for a in KEY_ACTIONS if a != action], resource)],
        "other-resource": [allow(list(KEY_ACTIONS), elsewhere)],
        "denied": [allow(list(KEY_ACTIONS), resource), deny(action, resource)],
    }[variant]


def document(statements, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **more} for statement in statements]})


# The model


def says(statements, action, resource):
    """"allow", "deny" or None: what a policy says; the only wildcard is a star at the end."""
    covers = lambda named, asked: named == asked or named == "*" or named.endswith("*") and asked.startswith(named[:-1])
    listed = lambda value: value if isinstance(value, list) else [value]
    effects = {s["Effect"] for s in statements if any(covers(a, action) for a in listed(s["Action"]))
               and any(covers(r, resource) for r in listed(s["Resource"]))}
    return "deny" if "Deny" in effects else "allow" if effects else None


def lack(needs):
    """The first need that is not met: (which policy, whether it denies, action, resource), or None."""
    for action, resource, role, own in needs:
        found = says(role, action, resource), says(own, action, resource)
        for which, said in zip(("identity", "resource"), found):
            if said == "deny":
                return which, True, action, resource
        for which, said in zip(("identity", "resource"), found):
            if said is None:
                return which, False, action, resource
    return None


# The places: a bucket, a key and a role for each variant, so that a cell costs no more than its job.


class Place:
    """All variants of buckets, keys and roles for one kind of job."""

    def __init__(self, workshop, kind, users):
        self.workshop, self.kind, self.users = workshop, kind, users
        self.buckets, self.keys, self.roles = {}, {}, {}
        self.s3_said, self.kms_said = {}, {}
        for variant in VARIANTS:
            self.keys[variant] = workshop.kms.create_key()["KeyMetadata"]["Arn"]
        for variant in VARIANTS:
            self.make_bucket(variant)
        for variant in VARIANTS:
            self.set_key_policy(variant)
        for s3, kms in itertools.product(VARIANTS, (None, *VARIANTS)):
            self.make_role(s3, kms)

    def make_bucket(self, variant):
        bucket = self.buckets[variant] = self.workshop.make_bucket(f"{self.kind}-{variant}", policy="")
        here = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/elsewhere/*"]
        self.s3_said[variant] = s3_statements(variant, self.kind, bucket, here)
        if self.s3_said[variant]:
            policy = document(self.s3_said[variant], Principal=SERVICE)
            self.workshop.s3.put_bucket_policy(Bucket=bucket, Policy=policy)
        if self.kind == "import":
            for name, key in {"plain": None, **self.keys}.items():
                sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
                self.workshop.s3.put_object(Bucket=bucket, Key=f"{name}.csv", Body=b"ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n", **sealed)

    def set_key_policy(self, variant):
        key = self.keys[variant]
        self.kms_said[variant] = kms_statements(variant, self.kind, "*", key + "0")
        owner = {**allow(["kms:Put*", "kms:Describe*", "kms:Get*"]), "Principal": ROOT}
        callers = {**allow("kms:GenerateDataKey"), "Principal": {"AWS": [self.users[c].arn for c in ("present", "denied")]}}
        statements = [{**statement, "Principal": SERVICE} for statement in self.kms_said[variant]]
        self.workshop.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document([owner, callers, *statements]))

    def make_role(self, s3, kms):
        name = unique(f"{self.kind}-{s3}-{kms}")
        arn = self.workshop.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy())["Role"]["Arn"]
        statements = [s for b in self.buckets.values() for s in s3_statements(s3, self.kind, b, "arn:aws:s3:::no-such/*")]
        if kms:
            statements += kms_statements(kms, self.kind, list(self.keys.values()), self.keys["present"] + "0")
        if statements:
            self.workshop.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(statements))
        self.roles[s3, kms] = SimpleNamespace(name=name, arn=arn, statements=statements)

    def lack(self, cell, name):
        """What the model says that this cell lacks."""
        bucket, role = self.buckets[cell.bucket], self.roles[cell.role, cell.role_key].statements
        own, place = self.s3_said[cell.bucket], f"arn:aws:s3:::{self.buckets[cell.bucket]}"
        object_key = f"out/{name}/_manifest.json" if self.kind == "export" else f"{cell.key or 'plain'}.csv"
        needs = [("s3:ListBucket", place, role, own), (OBJECT_ACTION[self.kind], f"{place}/{object_key}", role, own)]
        if cell.key:
            actions = ["kms:GenerateDataKey", "kms:Decrypt"] if self.kind == "export" else ["kms:Decrypt"]
            needs += [(action, self.keys[cell.key], role, self.kms_said[cell.key]) for action in actions]
        return lack(needs)

    def start(self, cell, name, dataset):
        client, role = self.users[cell.caller].personalize, self.roles[cell.role, cell.role_key].arn
        bucket = self.buckets[cell.bucket]
        if self.kind == "import":
            place = f"s3://{bucket}/{cell.key or 'plain'}.csv"
            return client.create_dataset_import_job(jobName=name, datasetArn=dataset, roleArn=role,
                                                    dataSource={"dataLocation": place})["datasetImportJobArn"]
        sealed = {"kmsKeyArn": self.keys[cell.key]} if cell.key else {}
        return client.create_dataset_export_job(
            jobName=name, datasetArn=dataset, roleArn=role, ingestionMode="ALL",
            jobOutput={"s3DataDestination": {"path": f"s3://{bucket}/out", **sealed}})["datasetExportJobArn"]

    def end(self, arn):
        return self.workshop.wait_import(arn) if self.kind == "import" else self.workshop.wait_export(arn)


class Cell(SimpleNamespace):
    """One combination; `key` and `role_key` are None for a job without a key."""

    def __init__(self, kind, role, bucket, role_key=None, key=None, caller="present"):
        super().__init__(kind=kind, role=role, bucket=bucket, role_key=role_key, key=key, caller=caller)


def cells():
    for kind in OBJECT_ACTION:
        yield from (Cell(kind, *both) for both in itertools.product(VARIANTS, VARIANTS))
    yield from (Cell("import", *four) for four in itertools.product(VARIANTS, repeat=4))
    yield from (Cell("export", *four, caller) for *four, caller in itertools.product(*[VARIANTS] * 4, CALLERS))


@pytest.fixture(scope="module")
def users(workshop):
    """Who may use keys, who is not named by any, and who is denied it; all may do everything else."""
    return {
        "present": workshop.make_user("may", allow(["personalize:*", "iam:PassRole"])),
        "absent": workshop.make_user("lacks", allow(["personalize:*", "iam:PassRole", "kms:*"])),
        "denied": workshop.make_user("denied", allow(["personalize:*", "iam:PassRole", "kms:*"]), deny("kms:GenerateDataKey")),
    }


@pytest.fixture(scope="module")
def places(workshop, users):
    return {kind: Place(workshop, kind, users) for kind in OBJECT_ACTION}


@pytest.fixture(scope="module")
def items(workshop):
    group = workshop.make_group(items=ITEMS)
    workshop.put_items(group.items, ("i1", {"price": 1, "categoryL1": "A"}))
    return group.items


def told(text, place, cell, missing):
    """What is wrong with a refusal: it has to say which policy lacks what, and what to do."""
    which, denies, action, resource = missing
    role, service = place.roles[cell.role, cell.role_key].name, action.split(":")[0]
    wanted = [f"is not authorized to perform: {action} on resource: {resource}"]
    if service == "s3" or cell.kind == "export":
        wanted.append(PRIVILEGES[service])
    owner = f"a policy of the role {role}" if which == "identity" else (
        f"the policy of the bucket {place.buckets[cell.bucket]}" if service == "s3" else f"the policy of the key {resource}")
    if denies:
        wanted += [f"{which}-based policy", "with an explicit deny in a", f"Take {action} out of what {owner} denies."]
    else:
        wanted += [f"because no {which}-based policy allows the {action} action", f"Add this statement to {owner}: {{"]
        statement = printed(text)[1]
        if action not in statement["Action"] or ("Principal" in statement) != (which == "resource"):
            return f"the statement {statement}"
    return next((part for part in wanted if part not in text), None)


def printed(text):
    """Where a refusal says to add which statement."""
    found = re.search(r"Add this statement to (.+?): (\{.*\})", text)
    return found[1], json.loads(found[2])


def try_cell(place, cell, dataset):
    """None, or what is wrong."""
    name = unique("cell")
    missing = place.lack(cell, name)
    try:
        arn = place.start(cell, name, dataset)
    except ClientError as error:
        code, text = error.response["Error"]["Code"], error.response["Error"]["Message"]
        if cell.key and cell.kind == "export" and cell.caller != "present":
            caller = f"User: {place.users[cell.caller].arn} is not authorized to perform: kms:GenerateDataKey on resource: "
            return None if code == "AccessDeniedException" and text.startswith(caller + place.keys[cell.key]) else (code, text)
        if missing is None or code != "InvalidInputException":
            return code, text
        wrong = told(text, place, cell, missing)
        return wrong and (wrong, text)
    if missing or cell.key and cell.kind == "export" and cell.caller != "present":
        return "was let in, though it lacks", missing
    job = place.end(arn)
    return None if job["status"] == "ACTIVE" else job


def test_every_combination_is_decided_as_the_model_says(workshop, places, items, note):
    chosen = list(cells())
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda cell: try_cell(places[cell.kind], cell, items), chosen))
    wrong = [(vars(cell), what) for cell, what in zip(chosen, found) if what]
    assert not wrong, f"{len(wrong)} of {len(chosen)}: " + "\n".join(map(str, wrong[:5]))
    for place in places.values():
        for variant, bucket in place.buckets.items():
            assert workshop.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == [], (place.kind, variant)
            keys = [o["Key"] for o in workshop.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
            if place.kind == "export" and variant != "present":
                assert keys == [], variant
    note(f"permission matrix: {len(chosen)} combinations")


def test_the_statements_that_are_printed_let_the_job_in(workshop, items):
    bucket, key = workshop.make_bucket("mended", policy=""), workshop.kms.create_key()["KeyMetadata"]["Arn"]
    name = unique("mended")
    role = workshop.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy())["Role"]["Arn"]
    owner = {**allow(["kms:Put*", "kms:Encrypt"]), "Principal": ROOT}
    said = {f"a policy of the role {name}": [], f"the policy of the bucket {bucket}": [], f"the policy of the key {key}": [owner]}
    put = {
        f"a policy of the role {name}": lambda text: workshop.iam.put_role_policy(
            RoleName=name, PolicyName="p", PolicyDocument=text),
        f"the policy of the bucket {bucket}": lambda text: workshop.s3.put_bucket_policy(Bucket=bucket, Policy=text),
        f"the policy of the key {key}": lambda text: workshop.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=text),
    }
    put[f"the policy of the key {key}"](document([owner]))
    start = lambda: workshop.personalize.create_dataset_export_job(
        jobName=unique("mended"), datasetArn=items, roleArn=role, ingestionMode="PUT",
        jobOutput={"s3DataDestination": {"path": f"s3://{bucket}/out", "kmsKeyArn": key}})["datasetExportJobArn"]
    for _ in range(4):
        with pytest.raises(workshop.personalize.exceptions.InvalidInputException) as caught:
            start()
        where, statement = printed(caught.value.response["Error"]["Message"])
        said[where].append(statement)
        put[where](document(said[where]))
    assert workshop.wait_export(start())["status"] == "ACTIVE", "one statement for each policy, and one more for the role's key"


WITHDRAWN = {
    "role": "a policy of the role", "bucket": "the policy of the bucket", "role-denies": "a policy of the role",
    "bucket-denies": "the policy of the bucket", "role-key": "a policy of the role", "key": "the policy of the key",
}


@pytest.fixture(scope="module")
def withdrawn(tmp_path_factory):
    """Jobs that were let in and then lost a permission, one way each: their ends, by kind and by what they lost."""
    server = Server(tmp_path_factory.mktemp("withdrawn"), arguments=["--jobs-concurrent", "1"]).start()
    try:
        workshop = Workshop(server.endpoint)
        yield workshop, {(kind, way): end for kind in OBJECT_ACTION for way, end in withdraw(workshop, kind).items()}
    finally:
        server.stop()


def withdraw(workshop, kind):
    # The one worker has something else to do until all is withdrawn; on a fast machine it needs more of it.
    for rows in (200_000, 1_000_000, 5_000_000):
        group, busy = workshop.make_group(items=ITEMS), workshop.make_group(items=ITEMS)
        workshop.put_items(group.items, ("i1", {"price": 1, "categoryL1": "A"}))
        lost = {way: Lost(workshop, kind, way) for way in WITHDRAWN}
        large = workshop.upload("ITEM_ID,PRICE,CATEGORY_L1\n" + "".join(f"i{n},1,c\n" for n in range(rows)))
        first = workshop.start_import(busy.items, large)
        jobs = {way: place.start(group.items) for way, place in lost.items()}
        for place in lost.values():
            place.withdraw()
        described = workshop.personalize.describe_dataset_import_job(datasetImportJobArn=first)["datasetImportJob"]
        end = workshop.wait_import if kind == "import" else workshop.wait_export
        ends = {way: (lost[way], end(arn)) for way, arn in jobs.items()}
        if described["status"] in ("CREATE PENDING", "CREATE IN_PROGRESS"):
            return ends
    raise AssertionError("the worker was never busy for long enough")


class Lost:
    """A bucket, a key and a role of one job, and how it loses what it may."""

    def __init__(self, workshop, kind, way):
        self.workshop, self.kind, self.way = workshop, kind, way
        self.bucket, self.name = workshop.make_bucket(f"{kind}-{way}", policy=""), unique(f"{kind}-{way}")
        self.key = workshop.kms.create_key()["KeyMetadata"]["Arn"]
        self.role = workshop.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=trust_policy())["Role"]["Arn"]
        self.action = KEY_ACTION[kind] if "key" in way else OBJECT_ACTION[kind]
        sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.key}
        if kind == "import":
            workshop.s3.put_object(Bucket=self.bucket, Key="in.csv", Body=b"ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n", **sealed)
        self.owner = {**allow(["kms:Put*", "kms:Encrypt"]), "Principal": ROOT}
        self.put("present", "present", "present", "present")

    def put(self, role, bucket, role_key, key):
        workshop, s3 = self.workshop, [f"arn:aws:s3:::{self.bucket}", f"arn:aws:s3:::{self.bucket}/*"]
        statements = s3_statements(role, self.kind, self.bucket, s3) + kms_statements(role_key, self.kind, self.key, self.key)
        workshop.iam.put_role_policy(RoleName=self.name, PolicyName="p", PolicyDocument=document(statements))
        statements = s3_statements(bucket, self.kind, self.bucket, s3)
        workshop.s3.put_bucket_policy(Bucket=self.bucket, Policy=document(statements, Principal=SERVICE))
        statements = kms_statements(key, self.kind, "*", "*")
        workshop.kms.put_key_policy(KeyId=self.key, PolicyName="default", Policy=document(
            [self.owner, *({**s, "Principal": SERVICE} for s in statements)]))

    def start(self, dataset):
        if self.kind == "import":
            return self.workshop.start_import(dataset, f"s3://{self.bucket}/in.csv", roleArn=self.role)
        output = {"s3DataDestination": {"path": f"s3://{self.bucket}/out", "kmsKeyArn": self.key}}
        return self.workshop.personalize.create_dataset_export_job(
            jobName=unique("lost"), datasetArn=dataset, roleArn=self.role, ingestionMode="ALL",
            jobOutput=output)["datasetExportJobArn"]

    def withdraw(self):
        lost = "denied" if self.way.endswith("-denies") else "other-action"
        changed = {name: lost if self.way in (name, f"{name}-denies") else "present" for name in ("role", "bucket", "role-key", "key")}
        self.put(*changed.values())


@pytest.mark.parametrize("way", WITHDRAWN)
@pytest.mark.parametrize("kind", OBJECT_ACTION)
def test_a_job_that_loses_a_permission_says_which(withdrawn, kind, way):
    workshop, ends = withdrawn
    lost, job = ends[kind, way]
    assert job["status"] == "CREATE FAILED", job
    reason, owner = job["failureReason"], {"role": lost.name, "bucket": lost.bucket, "key": lost.key}
    place = f"{WITHDRAWN[way]} {owner[WITHDRAWN[way].rsplit(' ', 1)[1]]}"
    assert f"is not authorized to perform: {lost.action} on resource: " in reason
    if way.endswith("-denies"):
        assert f"Take {lost.action} out of what {place} denies." in reason
    else:
        where, statement = printed(reason)
        assert where == place and lost.action in statement["Action"]
    assert workshop.s3.list_multipart_uploads(Bucket=lost.bucket).get("Uploads", []) == []
    listed = [o["Key"] for o in workshop.s3.list_objects_v2(Bucket=lost.bucket).get("Contents", [])]
    assert listed == (["in.csv"] if kind == "import" else [])
