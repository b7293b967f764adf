"""Objects encrypted under a key: written, read in ranges, copied, exported and imported; on the disk only ciphertext."""

import base64
import json
import os

import pytest
from botocore.exceptions import ClientError

from support.clients import aws, aws_json
from support.policies import EXPORT, IMPORT, role_policy
from support.server import ACCOUNT, Server
from support.workshop import Workshop, unique

CANARY = b"canary-bird-in-the-clear;"
FIELDS = "ITEM_ID:string CATEGORY:string?:categorical"
WRITE = ("kms:GenerateDataKey", "kms:Decrypt")
SERVICE = {"Service": "personalize.amazonaws.com"}
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


@pytest.fixture
def key(workshop):
    return workshop.kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def bucket(workshop):
    return workshop.make_bucket("sealed")


def refused(code, call, *parts, **input):
    with pytest.raises(ClientError) as caught:
        call(**input)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    for part in parts:
        assert part in error["Message"], error
    return error["Message"]


def sse(key):
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}


def body_of(size):
    return (CANARY * (size // len(CANARY) + 1))[:size]


def files_with(server, needle):
    """The files of the data folder that hold these bytes."""
    found = []
    for folder, _, names in os.walk(server.data_dir):
        paths = [os.path.join(folder, name) for name in names]
        found += [path for path in paths if needle in open(path, "rb").read()]
    return found


def shown(answer):
    return answer.get("ServerSideEncryption"), answer.get("SSEKMSKeyId")


# Objects


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1_048_576, 3_000_001])
def test_an_encrypted_object_reads_as_it_was_written(workshop, bucket, key, size):
    body = body_of(size)
    put = workshop.s3.put_object(Bucket=bucket, Key="k", Body=body, BucketKeyEnabled=True, **sse(key))
    assert shown(put) == ("aws:kms", key) and put["BucketKeyEnabled"] is True
    got = workshop.s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert shown(got) == ("aws:kms", key) and got["ContentLength"] == size
    head = workshop.s3.head_object(Bucket=bucket, Key="k")
    assert shown(head) == ("aws:kms", key) and head["ContentLength"] == size


def test_ranges_of_an_encrypted_object_are_those_of_its_bytes(workshop, bucket, key):
    body = os.urandom(2_000_003)
    workshop.s3.put_object(Bucket=bucket, Key="k", Body=body, **sse(key))
    for first, last in [(0, 0), (65_535, 65_536), (65_536, 131_071), (70_000, 1_900_000), (1_999_999, 2_000_002),
                        (524_287, 524_288), (3, 2_000_002)]:
        got = workshop.s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}")
        assert got["Body"].read() == body[first:last + 1], (first, last)
        assert got["ContentRange"] == f"bytes {first}-{last}/2000003"
    assert workshop.s3.get_object(Bucket=bucket, Key="k", Range="bytes=-10")["Body"].read() == body[-10:]


def test_parts_inherit_the_encryption_of_their_upload(workshop, bucket, key):
    s3, place = workshop.s3, {"Bucket": bucket, "Key": "m"}
    workshop.s3.put_object(Bucket=bucket, Key="plain", Body=body_of(5 << 20))
    begun = s3.create_multipart_upload(**place, **sse(key))
    assert shown(begun) == ("aws:kms", key)
    upload = {**place, "UploadId": begun["UploadId"]}
    bodies = [os.urandom(5 << 20), body_of(5 << 20), os.urandom(100_001)]
    s3.upload_part(**upload, PartNumber=1, Body=os.urandom(6 << 20))
    first = s3.upload_part(**upload, PartNumber=1, Body=bodies[0])
    assert shown(first) == ("aws:kms", key)
    copied = s3.upload_part_copy(**upload, PartNumber=2, CopySource={"Bucket": bucket, "Key": "plain"})
    assert shown(copied) == ("aws:kms", key)
    last = s3.upload_part(**upload, PartNumber=3, Body=bodies[2])
    tags = [first["ETag"], copied["CopyPartResult"]["ETag"], last["ETag"]]
    parts = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert shown(done) == ("aws:kms", key)
    whole = b"".join(bodies)
    assert s3.get_object(**place)["Body"].read() == whole
    border = len(bodies[0])
    got = s3.get_object(**place, Range=f"bytes={border - 70_000}-{border + 70_000}")
    assert got["Body"].read() == whole[border - 70_000:border + 70_001]


def test_a_copy_is_encrypted_as_it_asks_for(workshop, bucket, key):
    s3, body = workshop.s3, body_of(200_000)
    other = workshop.kms.create_key()["KeyMetadata"]["Arn"]
    s3.put_object(Bucket=bucket, Key="a", Body=body, **sse(key))
    source = {"Bucket": bucket, "Key": "a"}
    assert shown(s3.copy_object(Bucket=bucket, Key="b", CopySource=source, **sse(other))) == ("aws:kms", other)
    assert shown(s3.copy_object(Bucket=bucket, Key="c", CopySource=source)) == (None, None)
    # Onto itself: only the key changes.
    assert shown(s3.copy_object(Bucket=bucket, Key="a", CopySource=source, **sse(other))) == ("aws:kms", other)
    workshop.kms.disable_key(KeyId=key)
    for name in "abc":
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == body, name


def test_the_disk_holds_no_byte_in_the_clear(own_server):
    workshop = Workshop(own_server.endpoint)
    key = workshop.kms.create_key()["KeyMetadata"]["Arn"]
    for more in (sse(key), {"ServerSideEncryption": "AES256"}):
        workshop.s3.put_object(Bucket=workshop.target, Key=f"small-{len(more)}", Body=CANARY, **more)
        begun = workshop.s3.create_multipart_upload(Bucket=workshop.target, Key="m", **more)
        workshop.s3.upload_part(Bucket=workshop.target, Key="m", UploadId=begun["UploadId"], PartNumber=1,
                                Body=body_of(3_000_000))
    assert files_with(own_server, CANARY) == []
    workshop.s3.put_object(Bucket=workshop.target, Key="plain", Body=CANARY)
    assert len(files_with(own_server, CANARY)) == 1, "the search would have found it"
    own_server.restart()
    again = workshop.at(own_server.endpoint)
    assert again.s3.get_object(Bucket=workshop.target, Key="small-2")["Body"].read() == CANARY


def test_a_changed_file_is_not_given_out(own_server):
    workshop = Workshop(own_server.endpoint)
    key = workshop.kms.create_key()["KeyMetadata"]["Arn"]
    before = {str(path) for path in own_server.data_dir.glob("s3/blobs/*/*")}
    workshop.s3.put_object(Bucket=workshop.target, Key="k", Body=body_of(200_000), **sse(key))
    (path,) = [path for path in own_server.data_dir.glob("s3/blobs/*/*") if str(path) not in before]
    sealed = bytearray(path.read_bytes())
    assert len(sealed) == 200_000 + 4 * 16
    sealed[70_000] ^= 1
    path.write_bytes(sealed)
    with pytest.raises(Exception, match="(?i)incomplete|connection"):
        workshop.s3.get_object(Bucket=workshop.target, Key="k")["Body"].read()
    first = workshop.s3.get_object(Bucket=workshop.target, Key="k", Range="bytes=0-999")
    assert first["Body"].read() == body_of(1000), "another chunk is whole"


def test_a_key_out_of_use_stops_reads_and_writes(workshop, bucket, key):
    s3, place = workshop.s3, {"Bucket": bucket, "Key": "k"}
    s3.put_object(**place, Body=CANARY, **sse(key))
    begun = s3.create_multipart_upload(Bucket=bucket, Key="m", **sse(key))
    workshop.kms.disable_key(KeyId=key)
    text = f"{key} is disabled."
    refused("KMS.DisabledException", s3.get_object, text, **place)
    refused("KMS.DisabledException", s3.put_object, text, **place, Body=b"", **sse(key))
    refused("KMS.DisabledException", s3.upload_part, text, Bucket=bucket, Key="m", UploadId=begun["UploadId"],
            PartNumber=1, Body=b"")
    assert shown(s3.head_object(**place)) == ("aws:kms", key)
    workshop.kms.enable_key(KeyId=key)
    assert s3.get_object(**place)["Body"].read() == CANARY
    workshop.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    refused("KMS.KMSInvalidStateException", s3.get_object, key, **place)
    missing = key[:-12] + "123456789012"
    refused("KMS.NotFoundException", s3.put_object, missing, **place, Body=b"", **sse(missing))


def test_who_may_not_use_the_key_may_not_use_the_object(workshop, bucket, key):
    s3, place = workshop.s3, {"Bucket": bucket, "Key": "k"}
    s3.put_object(**place, Body=CANARY, **sse(key))
    set_key_policy(workshop, key, allow(ROOT, "kms:*"), deny(ROOT, "kms:Decrypt"))
    refused("AccessDenied", s3.get_object, "kms:Decrypt", key, **place)
    refused("AccessDenied", s3.copy_object, "kms:Decrypt", Bucket=bucket, Key="copy", CopySource=place)
    s3.put_object(**place, Body=b"new", **sse(key))
    set_key_policy(workshop, key, allow(ROOT, "kms:*"), deny(ROOT, "kms:GenerateDataKey"))
    refused("AccessDenied", s3.put_object, "kms:GenerateDataKey", **place, Body=b"", **sse(key))
    assert s3.get_object(**place)["Body"].read() == b"new"


def test_an_objects_own_context_is_part_of_what_opens_it(workshop, bucket, key):
    context = base64.b64encode(json.dumps({"purpose": "test"}).encode()).decode()
    workshop.s3.put_object(Bucket=bucket, Key="k", Body=CANARY, SSEKMSEncryptionContext=context, **sse(key))
    assert workshop.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == CANARY


def test_the_aws_cli_copies_a_large_file_under_a_key(server, workshop, bucket, key, tmp_path):
    body = os.urandom(20_000_000)
    (tmp_path / "up").write_bytes(body)
    place = f"s3://{bucket}/folder/file"
    aws(server, "s3", "cp", str(tmp_path / "up"), place, "--sse", "aws:kms", "--sse-kms-key-id", key, "--no-progress")
    aws(server, "s3", "cp", place, f"{place}-copy", "--sse", "aws:kms", "--sse-kms-key-id", key, "--no-progress")
    aws(server, "s3", "cp", f"{place}-copy", str(tmp_path / "down"), "--no-progress")
    assert (tmp_path / "down").read_bytes() == body
    head = workshop.s3.head_object(Bucket=bucket, Key="folder/file-copy")
    assert shown(head) == ("aws:kms", key) and head["ETag"].endswith('-3"')


def test_headers_that_do_not_fit_are_refused_and_never_ignored(workshop, bucket, key):
    put = {"Bucket": bucket, "Key": "k", "Body": b""}
    refused("NotImplemented", workshop.s3.put_object, **put, ServerSideEncryption="aws:kms")
    refused("NotImplemented", workshop.s3.put_object, **put, ServerSideEncryption="aws:kms:dsse", SSEKMSKeyId=key)
    refused("InvalidArgument", workshop.s3.put_object, **put, ServerSideEncryption="AES256", SSEKMSKeyId=key)
    refused("InvalidArgument", workshop.s3.put_object, **put, SSEKMSKeyId=key)
    refused("InvalidArgument", workshop.s3.put_object, **put, **sse(key), SSEKMSEncryptionContext="e30")
    refused("NotImplemented", workshop.s3.put_object, **put, SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)


def test_the_servers_own_key_encrypts_too(workshop, bucket):
    body = body_of(100_000)
    put = workshop.s3.put_object(Bucket=bucket, Key="k", Body=body, ServerSideEncryption="AES256")
    assert shown(put) == ("AES256", None)
    got = workshop.s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == body and shown(got) == ("AES256", None)


def test_a_buckets_default_encrypts_what_asks_for_nothing(workshop, bucket, key):
    s3 = workshop.s3
    refused("ServerSideEncryptionConfigurationNotFoundError", s3.get_bucket_encryption, Bucket=bucket)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    got = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert got[0]["ApplyServerSideEncryptionByDefault"] == default
    assert shown(s3.put_object(Bucket=bucket, Key="k", Body=CANARY)) == ("aws:kms", key)
    assert shown(s3.create_multipart_upload(Bucket=bucket, Key="m")) == ("aws:kms", key)
    assert shown(s3.put_object(Bucket=bucket, Key="own", Body=CANARY, ServerSideEncryption="AES256"))[0] == "AES256"
    s3.delete_bucket_encryption(Bucket=bucket)
    assert shown(s3.put_object(Bucket=bucket, Key="k2", Body=CANARY)) == (None, None)


# Jobs


def allow(principal, actions):
    return {"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": "*"}


def deny(principal, actions):
    return {**allow(principal, actions), "Effect": "Deny"}


def set_key_policy(workshop, key, *statements):
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    workshop.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=text)


def role_with(workshop, bucket, key, actions=WRITE, s3=EXPORT, effect="Allow"):
    """A role that may use the bucket, and is allowed or denied `actions` with the key."""
    document = json.loads(role_policy(bucket, s3))
    if actions:
        document["Statement"].append({"Effect": effect, "Action": list(actions), "Resource": key})
    return workshop.make_role("keyed", bucket, policy=json.dumps(document))


@pytest.fixture(scope="module")
def items(workshop):
    group = workshop.make_group(items=FIELDS)
    workshop.import_csv(group.items, "ITEM_ID,CATEGORY\n" + "".join(f"i{n},canary-bird{n}\n" for n in range(50)))
    return group.items


def destination(workshop, key):
    return {"s3DataDestination": {"path": f"s3://{workshop.target}/out", "kmsKeyArn": key}}


def start_export(workshop, dataset, role, key, name=None):
    return workshop.personalize.create_dataset_export_job(
        jobName=name or unique("sealed"), datasetArn=dataset, ingestionMode="ALL", roleArn=role,
        jobOutput=destination(workshop, key),
    )["datasetExportJobArn"]


def test_an_export_under_a_key_writes_objects_under_it(workshop, items, key):
    role = role_with(workshop, workshop.target, key)
    set_key_policy(workshop, key, allow(ROOT, "kms:*"), allow(SERVICE, WRITE))
    job = start_export(workshop, items, role, key)
    found = workshop.read_export(job)
    assert len(found.rows) == 50
    for name in found.keys:
        assert shown(workshop.s3.head_object(Bucket=workshop.target, Key=name)) == ("aws:kms", key), name
    described = workshop.personalize.describe_dataset_export_job(datasetExportJobArn=job)["datasetExportJob"]
    assert described["jobOutput"] == destination(workshop, key)


def test_an_export_without_a_key_follows_its_buckets_default(workshop, items, key):
    bucket = workshop.make_bucket("default")
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    workshop.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": default}]})
    start = lambda role: workshop.start_export(items, "ALL", path=f"s3://{bucket}/out", roleArn=role)
    refused("InvalidInputException", lambda: start(role_with(workshop, bucket, key, actions=())), "kms:GenerateDataKey")
    found = workshop.read_export(start(role_with(workshop, bucket, key)))
    assert len(found.rows) == 50
    for name in found.keys:
        assert shown(workshop.s3.head_object(Bucket=bucket, Key=name)) == ("aws:kms", key), name


def test_the_aws_cli_exports_under_a_key(server, workshop, items, key):
    role = role_with(workshop, workshop.target, key)
    name = unique("cli")
    output = json.dumps(destination(workshop, key))
    arn = aws_json(server, "personalize", "create-dataset-export-job", "--job-name", name, "--dataset-arn", items,
                   "--role-arn", role, "--ingestion-mode", "BULK", "--job-output", output)["datasetExportJobArn"]
    assert workshop.wait_export(arn)["status"] == "ACTIVE"
    for kind in ("ITEMS-00000.csv", "_manifest.json"):
        head = aws_json(server, "s3api", "head-object", "--bucket", workshop.target, "--key", f"out/{name}/{kind}")
        assert shown(head) == ("aws:kms", key)


WHOLE = [allow(ROOT, "kms:*")]
MATRIX = [
    # role's actions, its effect, statements of the key's policy (None: the role's ARN), refusal
    (WRITE, "Allow", WHOLE, None),
    (WRITE, "Allow", [allow(ROOT, ["kms:Put*", "kms:Describe*"]), allow(SERVICE, WRITE)], None),
    (WRITE, "Allow", None, None),
    ((), "Allow", WHOLE, "no identity-based policy allows the kms:GenerateDataKey action"),
    (WRITE[:1], "Allow", WHOLE, "no identity-based policy allows the kms:Decrypt action"),
    (WRITE[1:], "Allow", WHOLE, "no identity-based policy allows the kms:GenerateDataKey action"),
    (WRITE, "Deny", WHOLE, "explicit deny in an identity-based policy"),
    (WRITE, "Allow", [allow({"AWS": f"arn:aws:iam::{ACCOUNT}:role/other"}, "kms:*")],
     "no resource-based policy allows the kms:GenerateDataKey action"),
    (WRITE, "Allow", [allow(SERVICE, WRITE[:1])], "no resource-based policy allows the kms:Decrypt action"),
    (WRITE, "Allow", [*WHOLE, deny(SERVICE, "kms:GenerateDataKey")], "explicit deny in a resource-based policy"),
    (WRITE, "Allow", [*WHOLE, deny(ROOT, "kms:Decrypt")], "explicit deny in a resource-based policy"),
]


@pytest.mark.parametrize("actions, effect, statements, refusal", MATRIX)
def test_an_export_needs_the_roles_and_the_keys_policy(workshop, items, actions, effect, statements, refusal):
    key = workshop.kms.create_key()["KeyMetadata"]["Arn"]
    role = role_with(workshop, workshop.target, key, actions, effect=effect)
    statements = statements or [allow({"AWS": role}, WRITE)]
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    workshop.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=text, BypassPolicyLockoutSafetyCheck=True)
    if refusal is None:
        assert workshop.wait_export(start_export(workshop, items, role, key))["status"] == "ACTIVE"
        return
    name = unique("denied")
    refused("InvalidInputException", start_export, f"Insufficient privileges for KMS key {key}.", refusal,
            workshop=workshop, dataset=items, role=role, key=key, name=name)
    listed = workshop.s3.list_objects_v2(Bucket=workshop.target, Prefix=f"out/{name}")
    assert listed["KeyCount"] == 0


def test_a_grant_stands_in_for_both_policies_but_not_for_a_deny(workshop, items, key):
    role = role_with(workshop, workshop.target, key, actions=())
    workshop.kms.create_grant(KeyId=key, GranteePrincipal=role, Operations=["GenerateDataKey", "Decrypt"])
    assert workshop.wait_export(start_export(workshop, items, role, key))["status"] == "ACTIVE"
    set_key_policy(workshop, key, allow(ROOT, "kms:*"), deny({"AWS": role}, "kms:Decrypt"))
    refused("InvalidInputException", start_export, "explicit deny", workshop=workshop, dataset=items, role=role, key=key)


def test_a_key_that_is_not_there_or_out_of_use_is_told_when_the_job_is_made(workshop, items, key):
    role = role_with(workshop, workshop.target, "*")
    input = {"workshop": workshop, "dataset": items, "role": role}
    missing = key[:-12] + "123456789012"
    start = "Insufficient privileges for KMS key"
    refused("InvalidInputException", start_export, f"{start} {missing}.", "does not exist", key=missing, **input)
    workshop.kms.disable_key(KeyId=key)
    refused("InvalidInputException", start_export, f"{start} {key}.", f"{key} is disabled.", key=key, **input)
    workshop.kms.schedule_key_deletion(KeyId=key)
    refused("InvalidInputException", start_export, f"{start} {key}.", "pending deletion", key=key, **input)


def test_what_is_wrong_with_the_bucket_is_told_before_what_is_wrong_with_the_key(workshop, items, key):
    workshop.kms.disable_key(KeyId=key)
    role = role_with(workshop, workshop.target, key, s3=("s3:ListBucket",))
    refused("InvalidInputException", start_export, "accessing data in S3", "s3:PutObject", workshop=workshop,
            dataset=items, role=role, key=key)


def test_a_key_that_is_turned_off_while_the_job_runs_fails_the_job_without_an_object(tmp_path):
    server = Server(tmp_path, arguments=["--jobs-concurrent", "1"]).start()
    try:
        workshop = Workshop(server.endpoint)
        key = workshop.kms.create_key()["KeyMetadata"]["Arn"]
        group, busy = workshop.make_group(items=FIELDS), workshop.make_group(items=FIELDS)
        workshop.import_csv(group.items, "ITEM_ID,CATEGORY\ni1,c\n")
        role, name = role_with(workshop, workshop.target, key), unique("stopped")
        # The one worker has something else to do until the key is off.
        large = workshop.upload("ITEM_ID,CATEGORY\n" + "".join(f"i{n},c\n" for n in range(2_000_000)))
        first = workshop.start_import(busy.items, large)
        arn = start_export(workshop, group.items, role, key, name)
        workshop.kms.disable_key(KeyId=key)
        described = workshop.personalize.describe_dataset_import_job(datasetImportJobArn=first)["datasetImportJob"]
        assert described["status"] in ("CREATE PENDING", "CREATE IN_PROGRESS"), "the worker was busy all the while"
        job = workshop.wait_export(arn)
        assert job["status"] == "CREATE FAILED"
        assert f"Insufficient privileges for KMS key {key}." in job["failureReason"]
        assert f"{key} is disabled." in job["failureReason"]
        assert workshop.s3.list_objects_v2(Bucket=workshop.target, Prefix=f"out/{name}")["KeyCount"] == 0
    finally:
        server.stop()


def test_an_encrypted_file_is_imported_by_a_role_that_may_decrypt(workshop, key):
    group = workshop.make_group(items=FIELDS)
    location = f"s3://{workshop.source}/{unique('sealed')}.csv"
    workshop.s3.put_object(Bucket=workshop.source, Key=location.split("/", 3)[3], **sse(key),
                           Body=b"ITEM_ID,CATEGORY\ni1,a\ni2,b\n")
    role = role_with(workshop, workshop.source, key, ("kms:Decrypt",), IMPORT)
    job = workshop.wait_import(workshop.start_import(group.items, location, roleArn=role))
    assert job["status"] == "ACTIVE", job
    assert workshop.export(group.items, "BULK").lines == ["i1,a", "i2,b"]
    refused("InvalidInputException", workshop.start_import, "kms:Decrypt", dataset=group.items, location=location)
    set_key_policy(workshop, key, allow(ROOT, "kms:*"), deny(SERVICE, "kms:Decrypt"))
    refused("InvalidInputException", workshop.start_import, "explicit deny", dataset=group.items, location=location,
            roleArn=role)


def test_a_groups_key_and_its_role_come_together(workshop, key):
    create, role = workshop.personalize.create_dataset_group, workshop.export_role
    refused("InvalidInputException", create, "both or neither", name=unique("g"), roleArn=role)
    refused("InvalidInputException", create, "both or neither", name=unique("g"), kmsKeyArn=key)
    refused("InvalidInputException", create, "Insufficient privileges for KMS key", name=unique("g"), kmsKeyArn=key, roleArn=role)
