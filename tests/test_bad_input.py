"""Requests that are wrong: the right 4xx and code for each, never a 5xx, and the server goes on."""

import json
import socket
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pytest

from support import raw
from support.clients import Clients
from support.server import ROOT_KEY

LIST = "ListDatasetGroups"


@pytest.fixture(autouse=True)
def still_well(server):
    """After whatever a test sent, a good call is answered."""
    yield
    assert raw.control(server.endpoint, LIST, {}).status == 200


def expect(answer, code, status=400):
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.headers.get("x-amzn-requestid") or answer.headers.get("x-amz-request-id")
    return answer


class TestSignatures:
    def test_missing(self, server):
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"AmazonPersonalize.{LIST}"}
        answer = raw.send(server.endpoint, "POST", "/", b"{}", headers, sign=False)
        assert answer.status in (400, 403) and answer.code == "MissingAuthenticationTokenException"

    def test_wrong_secret(self, server):
        expect(raw.control(server.endpoint, LIST, {}, secret="wrong"), "InvalidSignatureException")
        events = raw.events(server.endpoint, "/events", {}, secret="wrong")
        expect(events, "InvalidSignatureException", 403)

    def test_unknown_key(self, server):
        expect(raw.control(server.endpoint, LIST, {}, key="AKIANOBODYNOBODYNOBO"), "UnrecognizedClientException")

    @pytest.mark.parametrize("authorization", [
        "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=", "Basic dXNlcjpwYXNz", "AWS4-HMAC-SHA256 nonsense",
        f"AWS4-HMAC-SHA256 Credential={ROOT_KEY}/x/us-east-1/personalize/aws4_request, SignedHeaders=, Signature=",
        "AWS4-HMAC-SHA256 " + "A" * 5000,
    ])
    def test_malformed(self, server, authorization):
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"AmazonPersonalize.{LIST}",
                   "X-Amz-Date": "20260101T000000Z", "Authorization": authorization}
        answer = raw.send(server.endpoint, "POST", "/", b"{}", headers, sign=False)
        assert 400 <= answer.status < 500, answer

    def test_body_changed_after_signing(self, server):
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"AmazonPersonalize.{LIST}",
                   "Host": urlsplit(server.endpoint).netloc}
        signed = raw.signed_headers(server.endpoint, "POST", "/", b"{}", headers)
        expect(raw.deliver(server.endpoint, "POST", "/", b'{"maxResults":1}', signed), "InvalidSignatureException")

    @pytest.mark.parametrize("minutes", [-20, 20])
    def test_clock_skew(self, server, minutes, monkeypatch):
        then = datetime.now(timezone.utc) + timedelta(minutes=minutes)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: then.replace(tzinfo=None))
        answer = expect(raw.control(server.endpoint, LIST, {}), "InvalidSignatureException")
        assert "Signature" in answer.message

    def test_events_signed_under_their_endpoint_name(self, server):
        answer = raw.events(server.endpoint, "/events", {}, service="personalize-events")
        assert 400 <= answer.status < 500 and answer.code != ""

    def test_another_region_is_named(self, server):
        answer = raw.control(server.endpoint, LIST, {}, region="eu-west-1")
        assert 400 <= answer.status < 500
        assert "eu-west-1" in answer.message and "us-east-1" in answer.message

    def test_a_service_that_is_not_served_is_named(self, server):
        answer = raw.send(server.endpoint, "POST", "/", b"{}", {"X-Amz-Target": "DynamoDB_20120810.ListTables"},
                          service="dynamodb")
        assert 400 <= answer.status < 500
        assert b"dynamodb" in answer.body and b"personalize" in answer.body

    def test_s3_and_iam_errors_in_their_own_words(self, server):
        wrong = Clients(server.endpoint, secret="wrong")
        for call, code in [(wrong.s3.list_buckets, "SignatureDoesNotMatch"),
                           (wrong.iam.list_roles, "SignatureDoesNotMatch")]:
            with pytest.raises(Exception) as caught:
                call()
            assert caught.value.response["Error"]["Code"] == code
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403

    def test_unsigned_s3_is_refused(self, server):
        answer = raw.send(server.endpoint, "GET", "/some-bucket/some-key", sign=False)
        assert 400 <= answer.status < 500


class TestBodies:
    @pytest.mark.parametrize("body", [
        b"", b"{", b"nonsense", b"[]", b'"text"', b"\xff\xfe", b'{"maxResults":"ten"}', b'{"maxResults":[1]}',
        b'{"a":' * 200 + b"1" + b"}" * 200, b'{"maxResults":1}trailing',
    ])
    def test_malformed_json(self, server, body):
        answer = raw.control(server.endpoint, LIST, body)
        if body == b"":
            assert answer.status in (200, 400)
        else:
            expect(answer, "SerializationException")

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\x00", b'{"trackingId":1}', b'{"eventList":{}}'])
    @pytest.mark.parametrize("path", ["/events", "/items", "/users"])
    def test_malformed_events(self, server, path, body):
        answer = raw.events(server.endpoint, path, body)
        assert answer.status == 400 and answer.code in ("SerializationException", "InvalidInputException"), answer

    def test_unknown_target(self, server):
        expect(raw.control(server.endpoint, "MakeCoffee", {}), "UnknownOperationException")

    def test_unknown_path(self, server):
        expect(raw.events(server.endpoint, "/recommendations-of-mine", {}), "UnknownOperationException", 404)

    @pytest.mark.parametrize("operation", ["CreateSolution", "GetSolutionMetrics", "StartRecommender"])
    def test_operations_of_training_are_refused_by_name(self, server, operation):
        answer = expect(raw.control(server.endpoint, operation, {}), "InvalidInputException")
        assert operation in answer.message

    def test_a_list_of_training_resources_is_empty(self, server):
        answer = raw.control(server.endpoint, "ListSolutions", {})
        assert answer.status == 200 and json.loads(answer.body) == {"solutions": []}

    def test_a_huge_body_is_refused(self, server):
        body = b'{"name":"' + b"a" * (64 << 20) + b'"}'
        try:
            answer = raw.control(server.endpoint, "CreateSchema", body)
        except ConnectionError:
            return  # refused while it was being sent
        assert 400 <= answer.status < 500

    @pytest.mark.parametrize("operation, body, at", [
        ("CreateDatasetGroup", {}, "name"),
        ("CreateDatasetGroup", {"name": "bad name"}, "name"),
        ("CreateDatasetGroup", {"name": "a" * 64}, "name"),
        ("CreateDatasetGroup", {"name": "g", "domain": "SPACE"}, "domain"),
        ("CreateSchema", {"name": "s"}, "schema"),
        ("DescribeDataset", {"datasetArn": "nonsense"}, "datasetArn"),
        ("ListDatasets", {"maxResults": 0}, "maxResults"),
        ("ListDatasets", {"maxResults": 101}, "maxResults"),
        ("CreateDatasetExportJob", {"jobName": "j"}, "datasetArn"),
        ("CreateDatasetExportJob", {
            "jobName": "j", "datasetArn": "arn:aws:personalize:us-east-1:000000000000:dataset/g/ITEMS",
            "roleArn": "arn:aws:iam::000000000000:role/r", "ingestionMode": "SOME",
            "jobOutput": {"s3DataDestination": {"path": "s3://b/out"}}}, "ingestionMode"),
    ])
    def test_broken_constraints_are_named(self, server, operation, body, at):
        answer = expect(raw.control(server.endpoint, operation, body), "InvalidInputException")
        assert "validation error" in answer.message and at in answer.message

    def test_members_nobody_knows_are_ignored_and_null_is_absent(self, server):
        answer = raw.control(server.endpoint, LIST, {"somethingNew": 1, "nextToken": None})
        assert answer.status == 200


class TestFraming:
    @pytest.mark.parametrize("text", [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(500)) + b"\r\n",
    ])
    def test_bad_framing_is_refused(self, server, text):
        host = urlsplit(server.endpoint)
        with socket.create_connection((host.hostname, host.port), timeout=10) as connection:
            try:
                connection.sendall(text)
                answer = connection.recv(4096)
            except ConnectionError:
                return
        assert answer == b"" or answer.split(b" ")[1].startswith(b"4"), answer
