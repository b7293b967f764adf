"""What a bucket is set to: CORS rules and tags, which are kept, and all that is never set here, as S3 answers for it."""

import http.client
from urllib.parse import urlsplit

import pytest
from botocore.client import Config
from botocore.exceptions import ClientError

from support.clients import Clients
from support.policies import allow
from support.workshop import unique

PAGE = "https://shop.example"
RULES = [
    {"ID": "uploads", "AllowedOrigins": ["https://*.example"], "AllowedMethods": ["PUT", "POST"],
     "AllowedHeaders": ["x-amz-*", "Content-Type"], "ExposeHeaders": ["ETag", "x-amz-request-id"], "MaxAgeSeconds": 3000},
    {"AllowedOrigins": ["*"], "AllowedMethods": ["GET", "HEAD"]},
]


def refused(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def request(url, method, path, **headers):
    """Status, headers and body."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


@pytest.fixture(scope="module")
def bucket(workshop):
    bucket = workshop.make_bucket("pages", policy="")
    workshop.s3.put_object(Bucket=bucket, Key="export/k.csv", Body=b"ITEM_ID\na\n")
    return bucket


@pytest.fixture
def shared(workshop, bucket):
    """The same bucket, with rules for pages."""
    workshop.s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    yield bucket
    workshop.s3.delete_bucket_cors(Bucket=bucket)


# CORS

def test_rules_are_put_given_back_replaced_and_removed(workshop, bucket):
    s3 = workshop.s3
    assert refused(lambda: s3.get_bucket_cors(Bucket=bucket)) == ("NoSuchCORSConfiguration", 404)
    for rules in (RULES, RULES[1:]):
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
        assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == rules
    for _ in range(2):
        s3.delete_bucket_cors(Bucket=bucket)
        assert refused(lambda: s3.get_bucket_cors(Bucket=bucket)) == ("NoSuchCORSConfiguration", 404)
    assert refused(lambda: s3.get_bucket_cors(Bucket="nobody")) == ("NoSuchBucket", 404)


@pytest.mark.parametrize("changed, code", [
    ({"AllowedMethods": ["PATCH"]}, "InvalidRequest"),
    ({"AllowedOrigins": ["https://*.*"]}, "InvalidRequest"),
    ({"ExposeHeaders": ["x-*"]}, "InvalidRequest"),
    ({"AllowedOrigins": []}, "MalformedXML"),
    ({"AllowedMethods": []}, "MalformedXML"),
], ids=str)
def test_rules_that_can_not_be_kept_are_refused_and_change_nothing(workshop, shared, changed, code):
    rules = {"CORSRules": [{**RULES[1], **changed}]}
    assert refused(lambda: workshop.s3.put_bucket_cors(Bucket=shared, CORSConfiguration=rules)) == (code, 400)
    assert workshop.s3.get_bucket_cors(Bucket=shared)["CORSRules"] == RULES


def test_a_browser_asks_before_it_uploads(server, shared):
    ask = {"Origin": PAGE, "Access_Control_Request_Method": "PUT",
           "Access_Control_Request_Headers": "content-type, X-Amz-Date"}
    hosts = [("", f"/{shared}/a%20b"), (f"{shared}.localhost", "/a%20b"), ("", f"/{shared}")]
    for host, path in hosts:
        status, headers, body = request(server.endpoint, "OPTIONS", path, **ask, **({"Host": host} if host else {}))
        assert (status, body) == (200, ""), path
        assert headers["access-control-allow-origin"] == PAGE
        assert headers["access-control-allow-methods"] == "PUT, POST"
        assert headers["access-control-allow-headers"] == "content-type, x-amz-date"
        assert headers["access-control-expose-headers"] == "ETag, x-amz-request-id"
        assert headers["access-control-max-age"] == "3000"
        assert headers["access-control-allow-credentials"] == "true"
        assert "Origin" in headers["vary"]


@pytest.mark.parametrize("asked, status, part", [
    ({"Origin": PAGE, "Access_Control_Request_Method": "DELETE"}, 403, "This CORS request is not allowed"),
    ({"Origin": "https://shop.example.evil", "Access_Control_Request_Method": "PUT"}, 403, "not allowed"),
    ({"Origin": PAGE, "Access_Control_Request_Method": "PUT", "Access_Control_Request_Headers": "authorization"}, 403,
     "not allowed"),
    ({"Origin": PAGE}, 400, "Invalid Access-Control-Request-Method"),
], ids=str)
def test_what_no_rule_admits_is_refused(server, shared, asked, status, part):
    found, headers, body = request(server.endpoint, "OPTIONS", f"/{shared}/k", **asked)
    assert (found, part in body) == (status, True), body
    assert not any(name.startswith("access-control") for name in headers)


def test_of_a_bucket_without_rules_and_of_none_the_same_is_said(server, bucket):
    ask = {"Origin": PAGE, "Access_Control_Request_Method": "GET"}
    said = {request(server.endpoint, "OPTIONS", f"/{name}", **ask)[2].replace(name, "") for name in (bucket, "nobody")}
    assert len({text.split("<RequestId>")[0] for text in said}) == 1
    assert "CORS is not enabled for this bucket" in said.pop()


def test_a_page_reads_what_it_was_given_an_address_of(workshop, server, shared):
    s3 = workshop.client("s3", config=Config(signature_version="s3v4"))
    url = lambda method, key: urlsplit(s3.generate_presigned_url(method, Params={"Bucket": shared, "Key": key}))
    get = url("get_object", "export/k.csv")
    status, headers, body = request(server.endpoint, "GET", f"{get.path}?{get.query}", Origin="http://anywhere")
    assert (status, body, headers["access-control-allow-origin"]) == (200, "ITEM_ID\na\n", "*")
    assert "access-control-allow-credentials" not in headers
    # Why it got nothing, a page may read as well.
    none = url("get_object", "none")
    status, headers, _ = request(server.endpoint, "GET", f"{none.path}?{none.query}", Origin="http://anywhere")
    assert (status, headers["access-control-allow-origin"]) == (404, "*")
    put = url("put_object", "upload")
    for origin, allowed in ((PAGE, PAGE), ("http://anywhere", None)):
        status, headers, _ = request(server.endpoint, "PUT", f"{put.path}?{put.query}", Origin=origin)
        assert (status, headers.get("access-control-allow-origin")) == (200, allowed)
    assert "access-control-allow-origin" not in request(server.endpoint, "GET", f"{get.path}?{get.query}")[1]


def test_rules_give_no_permission(workshop, server, shared):
    status, headers, body = request(server.endpoint, "GET", f"/{shared}/export/k.csv", Origin=PAGE)
    assert status == 403 and "ITEM_ID" not in body
    user = workshop.make_user("page", allow("s3:GetBucketCORS"))
    assert refused(lambda: user.s3.put_bucket_cors(Bucket=shared, CORSConfiguration={"CORSRules": RULES})) == (
        "AccessDenied", 403)


# Tags

def test_tags_are_put_given_back_and_removed(workshop, bucket):
    s3 = workshop.s3
    assert refused(lambda: s3.get_bucket_tagging(Bucket=bucket)) == ("NoSuchTagSet", 404)
    tags = [{"Key": "a", "Value": ""}, {"Key": "team", "Value": "shop & co"}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags[::-1]})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    put = lambda *tags: s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": list(tags)})
    assert refused(lambda: put(tags[0], tags[0])) == ("InvalidTag", 400)
    assert refused(lambda: put({"Key": "aws:x", "Value": ""})) == ("InvalidTag", 400)
    assert refused(lambda: put({"Key": "k" * 129, "Value": ""})) == ("InvalidTag", 400)
    assert refused(lambda: put(*({"Key": str(n), "Value": ""} for n in range(51)))) == ("BadRequest", 400)
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    s3.delete_bucket_tagging(Bucket=bucket)
    assert refused(lambda: s3.get_bucket_tagging(Bucket=bucket)) == ("NoSuchTagSet", 404)
    assert s3.get_object_tagging(Bucket=bucket, Key="export/k.csv")["TagSet"] == []
    assert refused(lambda: s3.get_object_tagging(Bucket=bucket, Key="none")) == ("NoSuchKey", 404)


# What is never set

UNSET = {
    "get_bucket_versioning": {}, "get_bucket_logging": {}, "get_bucket_accelerate_configuration": {},
    "get_bucket_notification_configuration": {}, "get_bucket_request_payment": {"Payer": "BucketOwner"},
    "get_bucket_ownership_controls": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
}
MISSING = {
    "get_bucket_lifecycle_configuration": "NoSuchLifecycleConfiguration",
    "get_bucket_replication": "ReplicationConfigurationNotFoundError",
    "get_bucket_website": "NoSuchWebsiteConfiguration",
    "get_object_lock_configuration": "ObjectLockConfigurationNotFoundError",
    "get_public_access_block": "NoSuchPublicAccessBlockConfiguration",
    "get_bucket_encryption": "ServerSideEncryptionConfigurationNotFoundError",
    "get_bucket_policy": "NoSuchBucketPolicy",
}


def test_what_is_not_set_is_answered_as_s3_does(workshop):
    bucket = workshop.make_bucket("unset", policy="")
    for name, expected in UNSET.items():
        found = getattr(workshop.s3, name)(Bucket=bucket)
        found.pop("ResponseMetadata")
        assert found == expected, name
        assert refused(lambda: getattr(workshop.s3, name)(Bucket="nobody")) == ("NoSuchBucket", 404), name
    for name, code in MISSING.items():
        assert refused(lambda: getattr(workshop.s3, name)(Bucket=bucket)) == (code, 404), name
        assert refused(lambda: getattr(workshop.s3, name)(Bucket="nobody")) == ("NoSuchBucket", 404), name
    acl = workshop.s3.get_bucket_acl(Bucket=bucket)
    (grant,) = acl["Grants"]
    assert grant == {"Grantee": {"ID": acl["Owner"]["ID"], "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}


def test_settings_outlive_a_restart_and_end_with_their_bucket(own_server):
    s3, name = Clients(own_server.endpoint).s3, unique("kept")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": RULES})
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    own_server.kill()
    s3 = Clients(own_server.start().endpoint).s3
    assert s3.get_bucket_cors(Bucket=name)["CORSRules"] == RULES
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "a", "Value": "b"}]
    s3.delete_bucket(Bucket=name)
    s3.create_bucket(Bucket=name)
    assert refused(lambda: s3.get_bucket_cors(Bucket=name)) == ("NoSuchCORSConfiguration", 404)
    assert refused(lambda: s3.get_bucket_tagging(Bucket=name)) == ("NoSuchTagSet", 404)
