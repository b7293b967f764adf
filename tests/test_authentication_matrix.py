"""Every operation with every way of being wrong about who calls: none is let in, and each is told the right code.

Keys whose session has expired are a unit test's (`access::assume_role`): no session is shorter than 15 minutes.
"""

import http.client
import json
import os
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pytest

from support.operations import DATA_SIDE, MODELS
from support.policies import allow
from support.raw import Answer
from support.signer import Route, Signer

BUCKET = f"matrix-{os.getpid()}"
ACCOUNT = "000000000000"


# What there is to call

def control():
    names = [name for name in DATA_SIDE if name in MODELS["personalize"].operation_names]
    return [Route("personalize", name, "POST", "/", (
        ("content-type", "application/x-amz-json-1.1"), ("x-amz-target", f"AmazonPersonalize.{name}")), b"{}")
        for name in names]


def events():
    paths = {name: MODELS["personalize-events"].operation_model(name).http["requestUri"]
             for name in MODELS["personalize-events"].operation_names}
    return [Route("personalize", name, "POST", path, (("content-type", "application/json"),), b"{}")
            for name, path in paths.items()]


def kms():
    names = ("CreateKey", "DescribeKey", "ListKeys", "ListAliases", "Encrypt", "Decrypt", "GenerateDataKey",
             "ScheduleKeyDeletion", "PutKeyPolicy", "CreateGrant")
    return [Route("kms", name, "POST", "/", (
        ("content-type", "application/x-amz-json-1.1"), ("x-amz-target", f"TrentService.{name}")), b"{}")
        for name in names]


def query(service, version, names):
    return [Route(service, name, "POST", "/", (
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),),
        f"Action={name}&Version={version}".encode()) for name in names]


def s3():
    bucket, key = f"/{BUCKET}", f"/{BUCKET}/key"
    rows = [
        ("ListBuckets", "GET", "/"), ("CreateBucket", "PUT", bucket), ("HeadBucket", "HEAD", bucket),
        ("DeleteBucket", "DELETE", bucket), ("ListObjects", "GET", bucket),
        ("ListObjectsV2", "GET", f"{bucket}?list-type=2"),
        ("GetBucketLocation", "GET", f"{bucket}?location"), ("GetBucketVersioning", "GET", f"{bucket}?versioning"),
        ("GetBucketPolicy", "GET", f"{bucket}?policy"), ("PutBucketPolicy", "PUT", f"{bucket}?policy"),
        ("DeleteBucketPolicy", "DELETE", f"{bucket}?policy"), ("GetBucketEncryption", "GET", f"{bucket}?encryption"),
        ("DeleteObjects", "POST", f"{bucket}?delete"), ("ListMultipartUploads", "GET", f"{bucket}?uploads"),
        ("GetObject", "GET", key), ("HeadObject", "HEAD", key), ("PutObject", "PUT", key),
        ("DeleteObject", "DELETE", key), ("GetObjectAttributes", "GET", f"{key}?attributes"),
        ("CreateMultipartUpload", "POST", f"{key}?uploads"),
        ("UploadPart", "PUT", f"{key}?partNumber=1&uploadId=u"), ("ListParts", "GET", f"{key}?uploadId=u"),
        ("CompleteMultipartUpload", "POST", f"{key}?uploadId=u"),
        ("AbortMultipartUpload", "DELETE", f"{key}?uploadId=u"),
    ]
    body = lambda method: b"body" if method in ("PUT", "POST") else b""
    return [Route("s3", name, method, path, (), body(method)) for name, method, path in rows]


ROUTES = [
    *control(), *events(), *kms(), *s3(),
    *query("iam", "2010-05-08", (
        "CreateUser", "GetUser", "ListUsers", "DeleteUser", "CreateAccessKey", "UpdateAccessKey", "ListAccessKeys",
        "CreateRole", "GetRole", "DeleteRole", "UpdateAssumeRolePolicy", "PutRolePolicy", "AttachRolePolicy",
        "PutUserPolicy", "CreatePolicy", "CreatePolicyVersion", "AddUserToGroup", "TagUser", "SimulateCustomPolicy")),
    *query("sts", "2011-06-15", ("AssumeRole", "GetSessionToken", "GetCallerIdentity")),
]


def protocol(route):
    return {"s3": "s3", "kms": "json", "iam": "query", "sts": "query"}.get(
        route.service, "json" if route.path == "/" else "rest")


# What has to come back, by protocol

def codes(json, query, s3, json_status=400, rest_status=403, query_status=403, s3_status=403):
    return {"json": (json_status, json), "rest": (rest_status, json), "query": (query_status, query),
            "s3": (s3_status, s3)}


MISSING = codes("MissingAuthenticationTokenException", "MissingAuthenticationToken", "AccessDenied", json_status=403)
INCOMPLETE = codes("IncompleteSignatureException", "IncompleteSignature", "AuthorizationHeaderMalformed",
                   rest_status=400, query_status=400, s3_status=400)
ALGORITHM = {**INCOMPLETE, "s3": (400, "InvalidRequest")}
TWICE = {**INCOMPLETE, "s3": (400, "InvalidArgument")}
UNKNOWN = codes("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId")
TOKEN = {**UNKNOWN, "s3": (400, "InvalidToken")}
MISMATCH = codes("InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch")
SKEWED = {**MISMATCH, "s3": (403, "RequestTimeTooSkewed")}
REGION = {**MISMATCH, "s3": (400, "AuthorizationHeaderMalformed")}
UNSIGNED = {**MISMATCH, "s3": (403, "AccessDenied")}
BODY = {**MISMATCH, "s3": (400, "XAmzContentSHA256Mismatch")}
PRESIGNED = {"s3": (403, "SignatureDoesNotMatch")}
ALL_CODES = {code for kind in (MISSING, INCOMPLETE, ALGORITHM, TWICE, UNKNOWN, TOKEN, MISMATCH, SKEWED, REGION, BODY)
             for _, code in kind.values()}
ALL_CODES |= {"AuthorizationQueryParametersError", "ExpiredToken", "ExpiredTokenException"}

# What a request that was let in may be told as well.
AMBIGUOUS = {"AccessDenied", "InvalidArgument", "InvalidRequest"}

# These are told otherwise than AWS would, and are not let in.
EXCEPTIONS = {
    # Without a readable signature an address with a query looks like one of S3.
    ("header-and-query", "rest"): (400, "InvalidArgument"),
    # Of a service that is not served here the protocol is guessed: a bucket's address looks like no JSON.
    ("service-not-served", "s3"): (403, "InvalidSignatureException"),
    # AWS finds the header itself malformed.
    ("wrong-date-in-scope", "s3"): (403, "SignatureDoesNotMatch"),
}


# Ways of being wrong: each makes the requests of a route, or none

class Ways:
    def __init__(self, workshop):
        self.root = Signer()
        user = workshop.make_user("matrix", allow("*"))
        other = workshop.make_user("matrix", allow("*"))
        workshop.iam.update_access_key(UserName=other.name, AccessKeyId=other.key, Status="Inactive")
        deleted = workshop.make_user("matrix", allow("*"))
        workshop.iam.delete_access_key(UserName=deleted.name, AccessKeyId=deleted.key)
        signer = lambda clients: Signer(clients.key, clients.session.get_credentials().secret_key)
        self.user, self.disabled, self.deleted = map(signer, (user, other, deleted))
        trust = json.dumps({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": "sts:AssumeRole"}})
        role = workshop.make_role("matrix", "", trust=trust, policy=json.dumps(
            {"Version": "2012-10-17", "Statement": [allow("*")]}))
        self.session, self.another = (self._assumed(user, role) for _ in range(2))
        gone = workshop.make_role("matrix", "", trust=trust, policy="")
        self.orphan = self._assumed(user, gone)
        workshop.iam.delete_role(RoleName=gone.rsplit("/", 1)[1])

    def _assumed(self, user, role):
        keys = user.sts.assume_role(RoleArn=role, RoleSessionName="matrix")["Credentials"]
        return Signer(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])

    def of(self, route, host):
        """(way, route to send, headers, what has to come back)"""
        root, session, user = self.root, self.session, self.user
        signed = lambda signer, of=route: signer.headers(of, host)
        plain = [("host", host), *route.headers]
        day = timedelta(days=1)
        yesterday = (datetime.now(timezone.utc) - day).strftime("%Y%m%d")

        # Who asks for the address alone, and does not sign, is told what it is.
        if (route.method, route.path) != ("GET", "/"):
            yield "no-credentials", route, plain, MISSING
            for name, value in (("x-forwarded-user", "root"), ("x-amzn-identity", f"arn:aws:iam::{ACCOUNT}:root"),
                                ("x-amz-security-token", session.token), ("cookie", "session=root")):
                yield f"only-{name}", route, [*plain, (name, value)], MISSING
        malformed = ("", " Credential=", " Credential=a/b/c, SignedHeaders=host, Signature=00",
                     " Credential=a/20260101/us-east-1/iam/aws4_request, Signature=00")
        for n, value in enumerate(malformed):
            dated = [*plain, ("x-amz-date", "20260101T000000Z"), ("authorization", f"AWS4-HMAC-SHA256{value}")]
            yield f"malformed-{n}", route, dated, INCOMPLETE
        yield "basic", route, [*plain, ("authorization", "Basic cm9vdDpyb290")], ALGORITHM
        good = dict(signed(root))
        other = good["authorization"].replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", 1)
        yield "another-algorithm", route, list({**good, "authorization": other}.items()), ALGORITHM
        yield "two-authorization-headers", route, [*good.items(), ("authorization", good["authorization"])], INCOMPLETE

        yield "unknown-key", route, signed(root.but(key="AKIANOBODYNOBODYNOBO")), UNKNOWN
        yield "disabled-key", route, signed(self.disabled), UNKNOWN
        yield "deleted-key", route, signed(self.deleted), UNKNOWN
        yield "wrong-secret", route, signed(root.but(secret=root.secret[::-1])), MISMATCH
        yield "secret-of-another", route, signed(user.but(secret=root.secret)), MISMATCH
        yield "no-signature", route, list({**good, "authorization": good["authorization"][:-64]}.items()), INCOMPLETE
        yield "short-signature", route, list({**good, "authorization": good["authorization"][:-1]}.items()), MISMATCH

        yield "token-missing", route, signed(session.but(token=None)), UNKNOWN
        yield "token-of-another", route, signed(session.but(token=self.another.token)), TOKEN
        yield "token-changed", route, signed(session.but(token=session.token[:-8] + "AAAAAAA=")), TOKEN
        yield "token-made-up", route, signed(session.but(token="token")), TOKEN
        yield "token-of-a-deleted-role", route, signed(self.orphan), TOKEN
        yield "token-with-a-long-term-key", route, signed(user.but(token=session.token)), TOKEN
        yield "session-with-wrong-secret", route, signed(session.but(secret=root.secret)), MISMATCH
        twice = [*signed(session), ("x-amz-security-token", session.token)]
        yield "token-twice", route, twice, INCOMPLETE

        yield "service-not-served", route, signed(root.but(service="lambda")), MISMATCH
        yield "wrong-region", route, signed(root.but(region="eu-west-3")), REGION
        yield "wrong-date-in-scope", route, signed(root.but(scope_date=yesterday)), MISMATCH
        yield "too-early", route, signed(root.but(late=timedelta(minutes=15, seconds=30))), SKEWED
        yield "too-late", route, signed(root.but(late=-timedelta(minutes=15, seconds=30))), SKEWED

        for name in ("host", "x-amz-date", *(n for n, _ in route.headers), "x-amz-content-sha256"):
            if name in good:
                yield f"{name}-unsigned", route, signed(root.but(unsigned=(name,))), UNSIGNED
        yield "token-unsigned", route, signed(session.but(unsigned=("x-amz-security-token",))), UNSIGNED
        yield "a-header-more", route, [*good.items(), ("x-amz-acl", "public-read")], UNSIGNED
        yield "signed-header-missing", route, [pair for pair in signed(
            root, replace(route, headers=(*route.headers, ("x-extra", "1")))) if pair[0] != "x-extra"], INCOMPLETE
        for name, value in route.headers:
            yield f"{name}-changed", route, list({**good, name: value + "x"}.items()), MISMATCH

        # What streams into an upload that is not there is refused for that, unread.
        if route.body and route.name != "UploadPart":
            yield "body-changed", replace(route, body=route.body + b" "), list(good.items()), BODY
        yield "method-changed", replace(route, method="PATCH"), list(good.items()), MISMATCH
        yield "path-changed", replace(route, path="/elsewhere"), list(good.items()), MISMATCH

        presigned = replace(route, path=root.presigned(route, host))
        yield "header-and-query", presigned, list(good.items()), TWICE
        if route.service != "s3":
            yield "query-credentials", presigned, plain, INCOMPLETE
            streaming = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            for payload in ("UNSIGNED-PAYLOAD", *streaming):
                yield payload, route, signed(root.but(payload=payload, says_payload=True)), MISMATCH
            return
        yield "presigned-for-another-method", replace(presigned, method="PATCH"), plain, PRESIGNED
        elsewhere = replace(presigned, path=presigned.path.replace(BUCKET, f"{BUCKET}-2").replace("/?X", "/other?X"))
        yield "presigned-for-another-path", elsewhere, plain, PRESIGNED
        late = lambda signer, s: replace(route, path=signer.presigned(route, host, s))
        yield "presigned-for-too-long", late(root, 604_801), plain, {"s3": (400, "AuthorizationQueryParametersError")}
        for way, ago, life_s in (("presigned-and-expired", timedelta(minutes=16), 900),
                                 ("presigned-a-week-ago", 7 * day + timedelta(seconds=5), 604_800)):
            yield way, late(root.but(late=-ago), life_s), plain, {"s3": (403, "AccessDenied")}
        yield "presigned-with-a-token-of-another", late(session.but(token=self.another.token), 900), plain, TOKEN
        yield "presigned-without-its-token", late(session.but(token=None), 900), plain, UNKNOWN


class Line:
    """One connection, opened anew when the server has closed it; sends headers as they are, twice if need be."""

    def __init__(self, endpoint):
        self.host = urlsplit(endpoint).netloc
        self.connection = None

    def send(self, route, headers):
        try:
            return self._send(route, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # It was closed while it idled.
            self.connection = None
            return self._send(route, headers)

    def _send(self, route, headers):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, timeout=30)
        self.connection.putrequest(route.method, route.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            self.connection.putheader(name, value)
        if not any(name == "content-length" for name, _ in headers):
            self.connection.putheader("content-length", str(len(route.body)))
        self.connection.endheaders(route.body or None)
        response = self.connection.getresponse()
        answer = Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())
        if response.will_close:
            self.connection.close()
            self.connection = None
        return answer


def code_of(answer):
    # The answer to HEAD has no body that could hold a code.
    return answer.code if answer.body else None


def test_nobody_gets_in_who_is_not_who_it_says(server, workshop, note):
    ways, line = Ways(workshop), Line(server.endpoint)
    workshop.s3.create_bucket(Bucket=BUCKET)
    cells, admitted, wrong = Counter(), [], []
    for route in ROUTES:
        for way, sent, headers, expected in ways.of(route, line.host):
            answer = line.send(sent, headers)
            told = (answer.status, code_of(answer))
            status, code = EXCEPTIONS.get((way, protocol(route)), expected[protocol(route)])
            cells[protocol(route)] += 1
            if told == (status, code if answer.body else None):
                continue
            is_refused = answer.status in (400, 403) and (not answer.body or told[1] in ALL_CODES - AMBIGUOUS)
            (wrong if is_refused else admitted).append((str(route), way, told, (status, code)))
    count = sum(cells.values())
    note(f"authentication: {count} cells of {len(ROUTES)} operations, {len(admitted)} let in, "
         f"{len(wrong)} with another code")
    assert not admitted, admitted[:20]
    assert count >= 2000
    assert len(wrong) <= count // 100, wrong[:40]


@pytest.mark.parametrize("who", ["root", "user", "session"])
def test_whoever_signs_right_gets_in(server, workshop, who):
    ways, line = Ways(workshop), Line(server.endpoint)
    for route in ROUTES:
        answer = line.send(route, getattr(ways, who).headers(route, line.host))
        assert code_of(answer) not in ALL_CODES - AMBIGUOUS, (str(route), answer.status, answer.body)
