"""Writes botocore.json: requests signed by botocore, which the verifier must accept.

Run it from this folder with botocore and boto3 installed: python3 sign_requests.py
"""

import base64
import datetime
import io
import json
import logging
from unittest import mock

import boto3
import botocore
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJ=="
REGION, ENDPOINT = "eu-central-1", "http://127.0.0.1:8080"
NOW = datetime.datetime(2026, 3, 1, 12, 30, 45)

requests = []


def keep(name, method, url, headers, body, token=None):
    text = lambda v: v.decode() if isinstance(v, bytes) else str(v)
    headers = [[text(k).lower(), text(v)] for k, v in headers]
    if not any(k == "host" for k, _ in headers):
        headers.append(["host", "127.0.0.1:8080"])
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    requests.append({
        "name": name,
        "method": method,
        "target": url.replace("https:", "http:").removeprefix(ENDPOINT),
        "headers": headers,
        "body": base64.b64encode(body or b"").decode(),
        "token": token,
    })


def client(service, token=None, endpoint=ENDPOINT, **config):
    made = boto3.client(service, region_name=REGION, endpoint_url=endpoint, aws_access_key_id=KEY,
                        aws_secret_access_key=SECRET, aws_session_token=token,
                        config=Config(retries={"max_attempts": 0}, **config))
    return made


class Sent(Exception):
    pass


def call(label, service, operation, token=None, settings=None, /, **members):
    made = client(service, token, **(settings or {}))

    def capture(request, **_):
        keep(label, request.method, request.url, request.headers.items(), request.body, token)
        raise Sent

    made.meta.events.register("before-send", capture)
    try:
        getattr(made, operation)(**members)
    except Sent:
        pass


def raw(name, signer, service, method, target, headers=(), body=b"", token=None):
    request = AWSRequest(method=method, url=ENDPOINT + target, data=body)
    for key, value in headers:
        request.headers.add_header(key, value)
    signer(Credentials(KEY, SECRET, token), service, REGION).add_auth(request)
    keep(name, method, request.url, request.headers.items(), body, token)


def all_requests():
    role = "arn:aws:iam::000000000000:role/Export"
    group = "arn:aws:personalize:eu-central-1:000000000000:dataset-group/retail"
    call("json list", "personalize", "list_dataset_groups")
    call("json create with UTF-8", "personalize", "create_schema", name="schema", schema='{"doc":"Größe ✓"}')
    call("json with token", "personalize", "describe_dataset_group", TOKEN, datasetGroupArn=group)
    call("json export", "personalize", "create_dataset_export_job", jobName="j", datasetArn=group + "/ITEMS", roleArn=role,
         jobOutput={"s3DataDestination": {"path": "s3://bucket/a b/"}})
    event = {"eventType": "view", "sentAt": 1700000000.5, "itemId": "ü", "properties": '{"a":"1"}'}
    call("events", "personalize-events", "put_events", trackingId="t", sessionId="s", eventList=[event])
    call("events with token", "personalize-events", "put_users", TOKEN, datasetArn=group, users=[{"userId": "1"}])
    call("iam create role", "iam", "create_role", RoleName="Export", AssumeRolePolicyDocument='{"a": "b+c=d&e"}')
    call("sts identity", "sts", "get_caller_identity")

    path = {"s3": {"addressing_style": "path"}}
    call("s3 list buckets", "s3", "list_buckets", None, path)
    call("s3 create bucket", "s3", "create_bucket", None, path, Bucket="bucket",
         CreateBucketConfiguration={"LocationConstraint": REGION})
    call("s3 bucket policy", "s3", "get_bucket_policy", None, path, Bucket="bucket")
    call("s3 list", "s3", "list_objects_v2", TOKEN, path, Bucket="bucket", Prefix="a b+c/ü=&?", Delimiter="/", StartAfter="")
    for key in ["plain", "a b", "a+b", "ü/✓.csv", "a//b", "./a/../b/.", "100%", "a=b&c", "a%2Fb", "~!*'();:@$,/?#[]", "trailing/"]:
        call(f"s3 get {key}", "s3", "get_object", None, path, Bucket="bucket", Key=key)
        call(f"s3 put {key}", "s3", "put_object", None, path, Bucket="bucket", Key=key, Body=b"1,2\n",
             Metadata={"note": "two  blanks"})
    for name in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]:
        try:
            call(f"s3 checksum {name}", "s3", "put_object", None, path, Bucket="bucket", Key="k", Body=b"abc" * 99,
                 ChecksumAlgorithm=name)
        except botocore.exceptions.MissingDependencyException:
            logging.warning("%s needs the CRT, left out", name)
    call("s3 signed payload", "s3", "put_object", TOKEN, {"s3": {"addressing_style": "path", "payload_signing_enabled": True}},
         Bucket="bucket", Key="k", Body=b"abc")
    for name in ["CRC32", "SHA1", "SHA256"]:
        settings = {"endpoint": ENDPOINT.replace("http:", "https:"), **path}
        call(f"s3 trailing {name}", "s3", "put_object", None, settings, Bucket="bucket", Key="k",
             Body=io.BytesIO(b"0123456789" * 30), ChecksumAlgorithm=name, ContentEncoding="gzip")
    call("s3 part", "s3", "upload_part", None, path, Bucket="bucket", Key="k", UploadId="a/b+c=", PartNumber=1, Body=b"x" * 1000)
    for token in [None, TOKEN]:
        made = client("s3", token, signature_version="s3v4", **path)
        url = made.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "a b/ü+%.csv"}, ExpiresIn=604800)
        keep(f"s3 presigned get, token {token is not None}", "GET", url, [], b"", token)
        url = made.generate_presigned_url("put_object", {"Bucket": "bucket", "Key": "k", "ContentType": "text/csv"})
        keep(f"s3 presigned put, token {token is not None}", "PUT", url, [["content-type", "text/csv"]], b"abc", token)

    for target in ["/b/k?", "/b?a&b=&=c&a=2&a=1", "/b?x=1&&y=2", "/b?q=%20%2B%2f", "/b/%2e%2e/k", "/b//k/./x"]:
        raw(f"s3 raw {target}", S3SigV4Auth, "s3", "GET", target)
    raw("s3 raw presigned", S3SigV4QueryAuth, "s3", "GET", "/b/k?versionId=&response-content-type=a%2Fb")
    blanks = [("X-Amz-Meta-A", "  a   b  "), ("X-Amz-Meta-B", "1"), ("X-Amz-Meta-B", "2")]
    raw("s3 blanks and double headers", S3SigV4Auth, "s3", "PUT", "/b/k", blanks, b"abc")
    raw("date header", SigV4Auth, "personalize", "POST", "/", [("Date", "x"), ("Content-Type", "application/x-amz-json-1.1")], b"{}")
    for target in ["/a/./b/../c", "/a//b/", "/a%20b/ü", "/?b=2&a=1&a"]:
        raw(f"rest raw {target}", SigV4Auth, "personalize", "POST", target.replace("ü", "%C3%BC"), body=b"{}", token=TOKEN)


with mock.patch("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: NOW):
    all_requests()

now_ms = int(NOW.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)
head = {"botocore": botocore.__version__, "access_key_id": KEY, "secret": SECRET, "region": REGION, "now_ms": now_ms}
with open("botocore.json", "w") as file:
    json.dump({**head, "requests": requests}, file, indent=1, ensure_ascii=False)
    file.write("\n")
print(len(requests), "requests")
