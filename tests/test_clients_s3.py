"""The embedded object store with boto3 and the AWS CLI: sizes, names, conditions, checksums, addresses, policies."""

import base64
import hashlib
import http.client
import json
import os
import socket
import urllib.error
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from support import raw
from support.clients import aws
from support.export import crc64nvme
from support.policies import bucket_policy
from support.workshop import unique

MIB = 1 << 20


@pytest.fixture(scope="module")
def bucket(workshop):
    return workshop.make_bucket("objects", policy="")


@pytest.fixture
def s3(workshop):
    return workshop.s3


@pytest.fixture
def presigner(workshop):
    """boto3 signs URLs the old way for endpoints that aren't AWS, unless it is told the version."""
    return workshop.client("s3", Config(signature_version="s3v4", proxies={}))


def fetch(request):
    """Status and body of a request without any client library's help."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def code(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


def write_file(path, size):
    """Text that differs everywhere and costs little to make."""
    block = os.urandom(MIB)
    with open(path, "wb") as file:
        for n in range(0, size, MIB):
            file.write((n.to_bytes(8, "big") + block)[: min(MIB, size - n)])
    return path


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else \
            hashlib.sha256(file.read()).hexdigest()


SIZES = [0, 1, 5 * MIB + 1, 64 * MIB, pytest.param(1 << 30, marks=pytest.mark.slow)]


class TestCli:
    @pytest.mark.timeout(300)
    @pytest.mark.parametrize("size", SIZES)
    def test_cp_there_and_back(self, server, bucket, tmp_path, size):
        path = write_file(tmp_path / "there", size)
        key = f"s3://{bucket}/sizes/{size}"
        aws(server, "s3", "cp", "--quiet", str(path), key)
        aws(server, "s3", "cp", "--quiet", key, str(tmp_path / "back"))
        assert digest(tmp_path / "back") == digest(path)
        aws(server, "s3", "rm", key)
        for name in ("there", "back"):
            (tmp_path / name).unlink()

    def test_sync_ls_and_rm(self, server, workshop, tmp_path):
        bucket = workshop.make_bucket("sync", policy="")
        for name in ("a.txt", "sub/b.txt", "sub/deep/c d.txt"):
            (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "from" / name).write_text(name)
            # sync compares times, and a list may tell them in whole seconds.
            os.utime(tmp_path / "from" / name, (1_700_000_000, 1_700_000_000))
        aws(server, "s3", "sync", str(tmp_path / "from"), f"s3://{bucket}/tree")
        listed = aws(server, "s3", "ls", "--recursive", f"s3://{bucket}/").stdout
        assert [line.split(None, 3)[3] for line in listed.splitlines()] == [
            "tree/a.txt", "tree/sub/b.txt", "tree/sub/deep/c d.txt"]
        assert "PRE sub/" in aws(server, "s3", "ls", f"s3://{bucket}/tree/").stdout
        aws(server, "s3", "sync", f"s3://{bucket}/tree", str(tmp_path / "to"))
        assert (tmp_path / "to/sub/deep/c d.txt").read_text() == "sub/deep/c d.txt"
        assert aws(server, "s3", "sync", str(tmp_path / "from"), f"s3://{bucket}/tree").stdout == ""
        aws(server, "s3", "rm", "--recursive", f"s3://{bucket}/")
        assert aws(server, "s3", "ls", f"s3://{bucket}/").stdout == ""
        aws(server, "s3", "rb", f"s3://{bucket}")

    def test_copies_inside_the_store(self, server, bucket):
        aws(server, "s3api", "put-object", "--bucket", bucket, "--key", "copy/from")
        aws(server, "s3", "cp", f"s3://{bucket}/copy/from", f"s3://{bucket}/copy/to")
        aws(server, "s3", "mv", f"s3://{bucket}/copy/to", f"s3://{bucket}/copy/moved")
        listed = aws(server, "s3", "ls", f"s3://{bucket}/copy/").stdout
        assert [line.split()[-1] for line in listed.splitlines()] == ["from", "moved"]


class TestObjects:
    @pytest.mark.parametrize("key", [
        "a b", "ä/ü€🎬", "a+b", "a%20b", "x//y", "quote'\"&<>", "trailing/", "=?#[]@!$()*,;:", "~-_.", "a" * 900,
        "line\u2028separator", "UPPER/lower", "tab\tnewline-free",
    ])
    def test_any_key_comes_back(self, s3, workshop, key):
        bucket = workshop.make_bucket("keys", policy="")
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
        assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
        s3.delete_object(Bucket=bucket, Key=key)
        assert "Contents" not in s3.list_objects_v2(Bucket=bucket)

    def test_no_key_leads_out_of_the_store(self, s3, bucket):
        for key in ("../outside", "a/../../outside", "/etc/passwd", "./dot", "a/./b", "nul\x00"):
            try:
                s3.put_object(Bucket=bucket, Key=key, Body=b"x")
            except ClientError as refused:
                assert refused.response["ResponseMetadata"]["HTTPStatusCode"] < 500

    def test_metadata_and_headers_come_back(self, s3, bucket):
        s3.put_object(Bucket=bucket, Key="meta", Body=b"x", ContentType="text/csv", CacheControl="no-store",
                      ContentDisposition="attachment", ContentLanguage="de", Metadata={"one": "1", "two": "zwei"})
        head = s3.head_object(Bucket=bucket, Key="meta")
        assert (head["ContentType"], head["CacheControl"], head["ContentDisposition"], head["ContentLanguage"]) == (
            "text/csv", "no-store", "attachment", "de")
        assert head["Metadata"] == {"one": "1", "two": "zwei"} and head["ContentLength"] == 1
        assert head["ETag"] == f'"{hashlib.md5(b"x").hexdigest()}"'

    def test_ranges(self, s3, bucket):
        body = bytes(range(256)) * 16
        s3.put_object(Bucket=bucket, Key="range", Body=body)
        for text, expected in [("bytes=0-0", body[:1]), ("bytes=10-19", body[10:20]), ("bytes=4090-", body[4090:]),
                               ("bytes=-5", body[-5:]), ("bytes=4000-9999", body[4000:])]:
            got = s3.get_object(Bucket=bucket, Key="range", Range=text)
            assert got["Body"].read() == expected and got["ResponseMetadata"]["HTTPStatusCode"] == 206, text
        assert code(lambda: s3.get_object(Bucket=bucket, Key="range", Range="bytes=4096-")) == "InvalidRange"

    def test_conditional_reads(self, s3, bucket):
        etag = s3.put_object(Bucket=bucket, Key="condition", Body=b"x")["ETag"]
        assert s3.get_object(Bucket=bucket, Key="condition", IfMatch=etag)["Body"].read() == b"x"
        assert code(lambda: s3.get_object(Bucket=bucket, Key="condition", IfMatch='"other"')) == "PreconditionFailed"
        assert code(lambda: s3.get_object(Bucket=bucket, Key="condition", IfNoneMatch=etag)) == "304"

    def test_one_of_sixteen_creators_wins(self, s3, bucket):
        def create(n):
            try:
                s3.put_object(Bucket=bucket, Key="race", Body=str(n).encode() * 1000, IfNoneMatch="*")
                return n
            except ClientError as lost:
                assert lost.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict")

        for _ in range(5):
            with ThreadPoolExecutor(16) as threads:
                winners = [n for n in threads.map(create, range(16)) if n is not None]
            assert len(winners) == 1
            assert s3.get_object(Bucket=bucket, Key="race")["Body"].read() == str(winners[0]).encode() * 1000
            s3.delete_object(Bucket=bucket, Key="race")

    def test_missing_things_are_named_by_code(self, s3, bucket):
        assert code(lambda: s3.get_object(Bucket=bucket, Key="nothing")) == "NoSuchKey"
        assert code(lambda: s3.list_objects_v2(Bucket=unique("nowhere"))) == "NoSuchBucket"
        assert code(lambda: s3.get_bucket_policy(Bucket=bucket)) == "NoSuchBucketPolicy"
        assert code(lambda: s3.head_object(Bucket=bucket, Key="nothing")) == "404"
        s3.put_object(Bucket=bucket, Key="full", Body=b"")
        assert code(lambda: s3.delete_bucket(Bucket=bucket)) == "BucketNotEmpty"

    def test_a_long_listing_has_pages_and_folders(self, s3, workshop):
        bucket = workshop.make_bucket("pages", policy="")
        keys = [f"{n % 3}/{n:04}" for n in range(250)]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b""), keys))
        pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 100}))
        assert [len(page["Contents"]) for page in pages] == [100, 100, 50]
        assert [entry["Key"] for page in pages for entry in page["Contents"]] == sorted(keys)
        folders = s3.list_objects_v2(Bucket=bucket, Delimiter="/")["CommonPrefixes"]
        assert [folder["Prefix"] for folder in folders] == ["0/", "1/", "2/"]
        deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})["Deleted"]
        assert len(deleted) == 250


class TestChecksums:
    BODY = b"123456789" * 1000

    @pytest.mark.parametrize("algorithm, expected", [
        ("CRC32", base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()),
        ("CRC64NVME", crc64nvme(BODY)),
        ("SHA256", base64.b64encode(hashlib.sha256(BODY).digest()).decode()),
    ])
    def test_a_checksum_is_kept_and_given_back(self, s3, bucket, algorithm, expected):
        name = f"Checksum{algorithm}"
        # A plain boto3 can't compute CRC-64/NVME, but sends one that it is given.
        choice = {name: expected} if algorithm == "CRC64NVME" else {"ChecksumAlgorithm": algorithm}
        put = s3.put_object(Bucket=bucket, Key=algorithm, Body=self.BODY, **choice)
        assert put[name] == expected
        head = s3.head_object(Bucket=bucket, Key=algorithm, ChecksumMode="ENABLED")
        assert head[name] == expected
        assert s3.get_object(Bucket=bucket, Key=algorithm, ChecksumMode="ENABLED")["Body"].read() == self.BODY

    @pytest.mark.parametrize("name, value", [
        ("ChecksumCRC32", "AAAAAA=="), ("ChecksumCRC64NVME", "AAAAAAAAAAA="),
        ("ChecksumSHA256", base64.b64encode(bytes(32)).decode()),
        ("ContentMD5", base64.b64encode(bytes(16)).decode()),
    ])
    def test_a_body_that_is_not_what_it_claims_is_refused(self, s3, bucket, name, value):
        put = lambda: s3.put_object(Bucket=bucket, Key="damaged", Body=self.BODY, **{name: value})
        assert code(put) in ("BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch")
        assert code(lambda: s3.get_object(Bucket=bucket, Key="damaged")) == "NoSuchKey"


class TestMultipart:
    def test_parts_become_one_object(self, s3, bucket):
        upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", ContentType="text/csv")["UploadId"]
        bodies = [os.urandom(5 * MIB), os.urandom(5 * MIB), b"the end"]
        parts = [
            {"PartNumber": n, "ETag": s3.upload_part(
                Bucket=bucket, Key="parts", UploadId=upload, PartNumber=n, Body=body)["ETag"]}
            for n, body in enumerate(bodies, 1)
        ]
        assert code(lambda: s3.get_object(Bucket=bucket, Key="parts")) == "NoSuchKey"
        done = s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
        md5 = hashlib.md5(b"".join(hashlib.md5(body).digest() for body in bodies)).hexdigest()
        assert done["ETag"] == f'"{md5}-3"'
        got = s3.get_object(Bucket=bucket, Key="parts")
        assert got["Body"].read() == b"".join(bodies) and got["ContentType"] == "text/csv"

    def test_an_aborted_upload_leaves_nothing(self, s3, bucket):
        upload = s3.create_multipart_upload(Bucket=bucket, Key="aborted")["UploadId"]
        s3.upload_part(Bucket=bucket, Key="aborted", UploadId=upload, PartNumber=1, Body=b"x")
        s3.abort_multipart_upload(Bucket=bucket, Key="aborted", UploadId=upload)
        part = lambda: s3.upload_part(Bucket=bucket, Key="aborted", UploadId=upload, PartNumber=2, Body=b"x")
        assert code(part) == "NoSuchUpload"
        assert code(lambda: s3.get_object(Bucket=bucket, Key="aborted")) == "NoSuchKey"

    def test_a_part_that_is_refused_before_it_is_sent_ends_the_connection(self, server, bucket):
        path = f"/{bucket}/none?partNumber=1&uploadId=none"
        headers = raw.signed_headers(server.endpoint, "PUT", path, b"x", {"Host": urlsplit(server.endpoint).netloc},
                                     service="s3")
        connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=30)
        connection.putrequest("PUT", path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**headers, "Expect": "100-continue", "Content-Length": "1"}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Connection")) == (404, "close")
        connection.close()

    def test_a_wrong_part_cannot_be_completed(self, s3, bucket):
        upload = s3.create_multipart_upload(Bucket=bucket, Key="wrong")["UploadId"]
        s3.upload_part(Bucket=bucket, Key="wrong", UploadId=upload, PartNumber=1, Body=b"x")
        complete = lambda etag: s3.complete_multipart_upload(
            Bucket=bucket, Key="wrong", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
        assert code(lambda: complete('"00000000000000000000000000000000"')) == "InvalidPart"


class TestAddresses:
    def test_presigned_urls(self, presigner, bucket):
        put = presigner.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "presigned ü"}, ExpiresIn=60)
        assert fetch(urllib.request.Request(put, data=b"by url", method="PUT")) == (200, b"")
        get = presigner.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "presigned ü"}, ExpiresIn=60)
        assert fetch(get) == (200, b"by url")
        changed = get[:-1] + ("0" if get[-1] != "0" else "1")
        assert fetch(changed)[0] == 403

    def test_an_expired_url_is_refused(self, presigner, bucket, monkeypatch):
        then = (datetime.now(timezone.utc) - timedelta(minutes=10)).replace(tzinfo=None)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: then)
        url = presigner.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "x"}, ExpiresIn=60)
        assert fetch(url)[0] == 403

    def test_a_url_of_the_old_signature_is_refused_with_the_remedy(self, s3, bucket):
        """boto3 makes such URLs for endpoints that aren't AWS unless it is told `signature_version="s3v4"`."""
        url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "x"}, ExpiresIn=60)
        status, body = fetch(url)
        assert status in (400, 403) and b"AWS4-HMAC-SHA256" in body, body

    def test_virtual_host_style(self, workshop, bucket, monkeypatch):
        """`bucket.localhost`; not every resolver knows such names, so they are resolved here."""
        resolve = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **named: resolve(
            "127.0.0.1" if str(host).endswith(".localhost") else host, *more, **named))
        endpoint = workshop.endpoint.replace("127.0.0.1", "localhost")
        s3 = workshop.session.client("s3", endpoint_url=endpoint, config=Config(
            s3={"addressing_style": "virtual"}, proxies={}, retries={"total_max_attempts": 1}))
        s3.put_object(Bucket=bucket, Key="by/name", Body=b"virtual")
        assert s3.meta.events is not None
        assert s3.get_object(Bucket=bucket, Key="by/name")["Body"].read() == b"virtual"
        assert workshop.s3.get_object(Bucket=bucket, Key="by/name")["Body"].read() == b"virtual"
        assert "by/name" in [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]

    def test_bodies_signed_in_chunks_and_unsigned_ones(self, workshop, bucket):
        for payload_signing in (True, False):
            s3 = workshop.client("s3", Config(s3={"payload_signing_enabled": payload_signing}, proxies={}))
            s3.put_object(Bucket=bucket, Key="chunks", Body=b"x" * 200_000)
            assert s3.get_object(Bucket=bucket, Key="chunks")["Body"].read() == b"x" * 200_000


class TestBuckets:
    def test_a_bucket_lives_and_goes(self, s3):
        name = unique("bucket")
        s3.create_bucket(Bucket=name)
        assert name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
        assert s3.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 200
        s3.delete_bucket(Bucket=name)
        assert code(lambda: s3.head_bucket(Bucket=name)) == "404"

    @pytest.mark.parametrize("name", ["ab", "UPPER", "under_score", "-dash", "dot..dot", "a" * 64])
    def test_names_that_are_none_are_refused(self, s3, name):
        assert code(lambda: s3.create_bucket(Bucket=name)) == "InvalidBucketName"

    def test_a_policy_round_trips(self, s3):
        name = unique("policy")
        s3.create_bucket(Bucket=name)
        s3.put_bucket_policy(Bucket=name, Policy=bucket_policy(name))
        assert json.loads(s3.get_bucket_policy(Bucket=name)["Policy"]) == json.loads(bucket_policy(name))
        s3.delete_bucket_policy(Bucket=name)
        assert code(lambda: s3.get_bucket_policy(Bucket=name)) == "NoSuchBucketPolicy"

    @pytest.mark.parametrize("policy", ["nonsense", "{}", '{"Version":"2012-10-17","Statement":[{"Effect":"Allow"}]}'])
    def test_policies_that_are_none_are_refused(self, s3, bucket, policy):
        assert code(lambda: s3.put_bucket_policy(Bucket=bucket, Policy=policy)) == "MalformedPolicy"
