"""Jobs and the buckets of their own server: permission is decided for them as for anybody, and what they write is of use."""

import json

import pytest
from botocore.exceptions import ClientError

from support.policies import bucket_policy, denying, encrypting_role_policy, key_policy, role_policy
from support.schemas import ITEMS
from support.server import Server
from support.workshop import Workshop

HEADER = "ITEM_ID,PRICE,CATEGORY_L1\n"
DENIED = "Insufficient privileges for accessing data in S3."
MIB = 1 << 20


def rows(count):
    return "".join(f"item-with-a-long-name-{n:08},{n},{'category' * 4}\n" for n in range(count))


@pytest.fixture(scope="module")
def exported(workshop):
    """A data file of an export that has several parts: bucket, key and bytes."""
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, HEADER + rows(300_000))
    export = workshop.export(items, "BULK")
    (key,) = export.data_keys
    assert len(export.bodies[key]) > 16 * MIB
    return export.bucket, key, export.bodies[key]


@pytest.fixture
def queue(tmp_path):
    """A workshop at a server that runs one job after the other, and a function that keeps it busy for a while."""
    server = Server(tmp_path / "queue", arguments=["--jobs-concurrent", "1"]).start()
    workshop = Workshop(server.endpoint)
    location = workshop.upload(HEADER + rows(400_000))
    busy = workshop.make_group(items=ITEMS).items
    yield workshop, lambda: workshop.start_import(busy, location)
    server.kill()


def code(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


class TestEtags:
    def test_the_etag_is_one_of_parts_and_the_same_wherever_it_is_told(self, workshop, exported):
        bucket, key, body = exported
        head = workshop.s3.head_object(Bucket=bucket, Key=key)["ETag"]
        digits, parts = head.strip('"').split("-")
        assert len(bytes.fromhex(digits)) == 16 and int(parts) == -(-len(body) // (5 * MIB))
        assert workshop.s3.get_object(Bucket=bucket, Key=key)["ETag"] == head
        listed = workshop.s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
        assert [entry["ETag"] for entry in listed] == [head]

    def test_reads_may_depend_on_it(self, workshop, exported):
        bucket, key, body = exported
        etag = workshop.s3.head_object(Bucket=bucket, Key=key)["ETag"]
        assert workshop.s3.get_object(Bucket=bucket, Key=key, IfMatch=etag)["Body"].read() == body
        other = f'"{"0" * 32}-1"'
        assert code(lambda: workshop.s3.get_object(Bucket=bucket, Key=key, IfMatch=other)) == "PreconditionFailed"
        assert code(lambda: workshop.s3.get_object(Bucket=bucket, Key=key, IfNoneMatch=etag)) == "304"

    def test_copies_may_depend_on_it(self, workshop, exported):
        bucket, key, body = exported
        etag = workshop.s3.head_object(Bucket=bucket, Key=key)["ETag"]
        source = {"Bucket": bucket, "Key": key}
        workshop.s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, CopySourceIfMatch=etag)
        assert workshop.s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body
        upload = workshop.s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
        ranges = [(0, 6 * MIB - 1), (6 * MIB, len(body) - 1)]
        copied = [workshop.s3.upload_part_copy(
            Bucket=bucket, Key="parts", UploadId=upload, PartNumber=n, CopySource=source, CopySourceIfMatch=etag,
            CopySourceRange=f"bytes={first}-{last}")["CopyPartResult"]["ETag"] for n, (first, last) in enumerate(ranges, 1)]
        workshop.s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={
            "Parts": [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(copied, 1)]})
        assert workshop.s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == body

    def test_equal_bytes_have_equal_checksums_and_a_client_checks_them(self, workshop, exported):
        bucket, key, body = exported
        answer = workshop.s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        assert answer["ChecksumType"] == "FULL_OBJECT" and answer["ChecksumCRC64NVME"]
        assert answer["Body"].read() == body


class TestWithdrawnWhileTheJobWaits:
    """What was allowed when the job was made is asked again when it runs."""

    def failure(self, queue, withdraw):
        workshop, keep_busy = queue
        items = workshop.make_group(items=ITEMS).items
        workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}))
        bucket = workshop.make_bucket("withdrawn")
        role = workshop.make_role("withdrawn", bucket)
        keep_busy()
        arn = workshop.start_export(items, "PUT", path=f"s3://{bucket}/out", roleArn=role)
        withdraw(workshop, bucket, role.rpartition("/")[2])
        job = workshop.wait_export(arn)
        assert job["status"] == "CREATE FAILED", job
        assert "Contents" not in workshop.s3.list_objects_v2(Bucket=bucket)
        return job["failureReason"]

    def test_the_buckets_policy(self, queue):
        withdraw = lambda workshop, bucket, _: workshop.s3.delete_bucket_policy(Bucket=bucket)
        assert self.failure(queue, withdraw).startswith(DENIED)

    def test_a_deny_in_the_buckets_policy(self, queue):
        def withdraw(workshop, bucket, _):
            policy = json.loads(denying(bucket_policy(bucket), "s3:PutObject", f"arn:aws:s3:::{bucket}/*"))
            policy["Statement"][-1]["Principal"] = "*"
            workshop.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        assert self.failure(queue, withdraw).startswith(DENIED)

    def test_the_roles_policy(self, queue):
        withdraw = lambda workshop, _, role: workshop.iam.delete_role_policy(RoleName=role, PolicyName="bucket-access")
        assert self.failure(queue, withdraw).startswith(DENIED)

    def test_the_right_to_the_key(self, queue):
        workshop, keep_busy = queue
        items = workshop.make_group(items=ITEMS).items
        bucket = workshop.make_bucket("sealed")
        role = workshop.make_role("sealed", bucket)
        key = workshop.kms.create_key(Policy=key_policy(role))["KeyMetadata"]["Arn"]
        name = role.rpartition("/")[2]
        workshop.iam.put_role_policy(RoleName=name, PolicyName="key", PolicyDocument=encrypting_role_policy(key))
        keep_busy()
        output = {"s3DataDestination": {"path": f"s3://{bucket}/out", "kmsKeyArn": key}}
        arn = workshop.personalize.create_dataset_export_job(
            jobName="sealed", datasetArn=items, jobOutput=output, roleArn=role)["datasetExportJobArn"]
        workshop.iam.delete_role_policy(RoleName=name, PolicyName="key")
        job = workshop.wait_export(arn)
        assert job["status"] == "CREATE FAILED" and key in job["failureReason"], job
        assert "Contents" not in workshop.s3.list_objects_v2(Bucket=bucket)


def test_an_export_that_meets_a_stop_is_finished_by_the_next_server(own_server):
    workshop = Workshop(own_server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, HEADER + rows(500_000))
    whole = workshop.export(items, "BULK").rows
    describe = lambda arn: workshop.personalize.describe_dataset_export_job(datasetExportJobArn=arn)["datasetExportJob"]
    for _ in range(20):
        arn = workshop.start_export(items, "BULK")
        while describe(arn)["status"] == "CREATE PENDING":
            pass
        was_running = describe(arn)["status"] == "CREATE IN_PROGRESS"
        assert own_server.stop() == 0, own_server.tail()
        own_server.start()
        workshop = workshop.at(own_server.endpoint)
        assert workshop.read_export(arn).rows == whole
        uploads = workshop.s3.list_multipart_uploads(Bucket=workshop.target).get("Uploads", [])
        assert not [upload for upload in uploads if describe(arn)["jobName"] in upload["Key"]]
        if was_running:
            return
    pytest.fail("no export ran long enough to meet a stop")
