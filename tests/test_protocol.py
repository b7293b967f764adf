"""The wire itself: bodies that are none, limits, targets and paths, headers of answers, and the order of checks."""

import json
import random
import re
import socket
from urllib.parse import urlsplit

import pytest

from support import constraints, raw, service_model
from support.raw import Line
from support.schemas import ITEMS, avro
from support.workshop import unique

BODY_BYTES_MAX = 2 << 20
OFFERED = sorted(service_model.DATA_SIDE)
# One operation of each way that bodies are read.
READ = ["CreateDatasetGroup", "ListDatasets", "DeleteSchema", "PutEvents", "PutItems"]
LIST = "ListDatasetGroups"
DEEP = 10_000


@pytest.fixture(scope="module")
def line(server):
    line = Line(server.endpoint)
    yield line
    line.close()


def ask(line, name, body):
    path = service_model.path(name)
    return line.events(path, body) if path else line.control(name, body)


def head(name, **more):
    """The headers of an operation's request."""
    if service_model.path(name):
        return {"Content-Type": "application/json", **more}
    return {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"AmazonPersonalize.{name}", **more}


def expect(answer, code, status=400):
    assert (answer.status, answer.code) == (status, code), answer
    return answer


def put_first(text, body):
    """The request with another member in front."""
    return b"{" + text + (b"," if body else b"") + json.dumps(body).encode()[1:]


class TestBodies:
    @pytest.mark.parametrize("name", OFFERED)
    def test_what_is_no_json_object_cannot_be_read(self, line, name):
        good = json.dumps(constraints.valid(name)).encode()
        for body in [
            b"{", b"}", b"nonsense", b"\x00", b"\xff\xfe", b"{'a':1}", b"{,}", b'{"a":1,}', b'{"a":01}', b'{"a":NaN}',
            b'{"a" 1}', b'{"a":"\x01"}', b'{"a":"\\x"}', b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"a":1e999}',
            b"/**/{}", b" ",
            good + b"x", good + good, good[:-1], b"\xef\xbb\xbf" + good, good.decode().encode("utf-16"),
            b"[]", b"[{}]", b"5", b"-1.5", b'"text"', b'"{}"', b"null", b"true", b"[" + good + b"]",
        ]:
            answer = expect(ask(line, name, body), "SerializationException")
            assert answer.headers.get("connection") != "close" and "struct" not in answer.message, (body, answer)

    @pytest.mark.parametrize("name", OFFERED)
    def test_nesting_of_any_depth_is_refused_and_no_overflow(self, line, name):
        good = constraints.valid(name)
        lists, objects = b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP
        for deep in (lists, objects, b"[" * (1 << 20), b'{"a":' * (1 << 18)):
            expect(ask(line, name, deep), "SerializationException")
            expect(ask(line, name, put_first(b'"colour":' + deep, good)), "SerializationException")

    @pytest.mark.parametrize("name", OFFERED)
    def test_an_absent_body_is_a_request_without_members(self, line, name):
        absent, empty = ask(line, name, b""), ask(line, name, b"{}")
        assert (absent.status, absent.body) == (empty.status, empty.body)

    @pytest.mark.parametrize("name", OFFERED)
    def test_blanks_around_and_between_mean_nothing(self, line, name):
        body = constraints.valid(name)
        spaced = b" \r\n\t" + json.dumps(body, indent=3, separators=(" ,\r", "\t: ")).encode() + b"\n "
        assert constraints.complaint(name, body, ask(line, name, spaced)) is None

    @pytest.mark.parametrize("name", READ)
    def test_of_members_that_are_there_twice_the_last_counts(self, line, name):
        for member in constraints.valid(name):
            right = constraints.valid(name)
            body = put_first(f'"{member}":[[5]]'.encode(), right)
            assert constraints.complaint(name, right, ask(line, name, body)) is None
            body = json.dumps(right).encode()[:-1] + f',"{member}":null}}'.encode()
            wrong = {**right, member: None}
            assert constraints.complaint(name, wrong, ask(line, name, body)) is None

    @pytest.mark.parametrize("name", READ)
    def test_names_of_members_may_be_escaped_and_have_one_case(self, line, name):
        for member in constraints.valid(name):
            right = constraints.valid(name)
            escaped = json.dumps(right).replace(f'"{member}"', f'"\\u{ord(member[0]):04x}{member[1:]}"', 1)
            assert constraints.complaint(name, right, ask(line, name, escaped.encode())) is None
            wrong = {key.upper() if key == member else key: value for key, value in right.items()}
            assert constraints.complaint(name, wrong, ask(line, name, wrong)) is None

    @pytest.mark.parametrize("name", READ)
    def test_damaged_bodies_are_refused_in_good_order(self, line, name):
        chance = random.Random(seed := random.randrange(2**32))
        for _ in range(150):
            body = bytearray(json.dumps(constraints.valid(name)).encode())
            for _ in range(chance.randint(1, 3)):
                body[chance.randrange(len(body))] = chance.choice(b'{}[]",:\\ 0e.-ntu\x00\xff\xc3')
            answer = ask(line, name, bytes(body))
            assert answer.status < 500 and answer.headers["x-amzn-requestid"], f"seed {seed}: {bytes(body)} {answer}"


class TestSizes:
    @pytest.mark.parametrize("name", READ)
    def test_a_body_of_the_largest_size_is_read(self, line, name):
        body = constraints.valid(name)
        padded = json.dumps(body).encode().ljust(BODY_BYTES_MAX)
        assert constraints.complaint(name, body, ask(line, name, padded)) is None

    @pytest.mark.parametrize("name", READ)
    @pytest.mark.parametrize("size", [BODY_BYTES_MAX + 1, 1 << 40, 1 << 63])
    @pytest.mark.parametrize("expects", [{}, {"Expect": "100-continue"}])
    def test_a_larger_one_is_refused_before_it_is_sent(self, server, name, size, expects):
        with Raw(server.endpoint) as connection:
            connection.begin(name, **{"Content-Length": str(size)}, **expects)
            answer = connection.answer()
        self.check(answer, name)

    @pytest.mark.parametrize("name", READ)
    def test_one_of_unknown_size_is_refused_when_it_grows_too_large(self, server, name):
        chunk = b" " * (64 << 10)
        with Raw(server.endpoint) as connection:
            connection.begin(name, **{"Transfer-Encoding": "chunked"})
            for _ in range(BODY_BYTES_MAX // len(chunk)):
                connection.send_chunk(chunk)
            connection.send_chunk(b" ")
            answer = connection.answer()
        self.check(answer, name)

    @pytest.mark.parametrize("name", READ)
    def test_a_small_one_of_unknown_size_is_read(self, server, name):
        body = constraints.valid(name)
        text = json.dumps(body).encode()
        with Raw(server.endpoint) as connection:
            connection.begin(name, text, **{"Transfer-Encoding": "chunked"})
            for n in range(0, len(text), 7):
                connection.send_chunk(text[n:n + 7])
            connection.send_chunk(b"")
            assert constraints.complaint(name, body, connection.answer()) is None

    @pytest.mark.parametrize("megabytes", [3, 64])
    def test_who_sends_it_all_the_same_reads_the_refusal(self, server, megabytes):
        answer = raw.control(server.endpoint, LIST, b"{" + b" " * (megabytes << 20) + b"}")
        self.check(answer, LIST)

    @staticmethod
    def check(answer, name):
        expect(answer, "RequestEntityTooLargeException", 413)
        assert answer.headers["connection"] == "close" and answer.headers["x-amzn-requestid"]
        assert "2 MiB" in answer.message
        assert answer.headers["content-type"] == json_type(name)


class Raw:
    """A connection on which a request can be sent piece by piece."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.host = urlsplit(endpoint).netloc

    def __enter__(self):
        address = urlsplit(self.endpoint)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=10)
        return self

    def __exit__(self, *_):
        self.socket.close()

    def begin(self, name, body=b"", **more):
        """Sends the head of a request, signed as if `body` followed."""
        path = service_model.path(name) or "/"
        headers = raw.signed_headers(self.endpoint, "POST", path, body, {"Host": self.host, **head(name)}) | more
        lines = [f"POST {path} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items()), "", ""]
        self.socket.sendall("\r\n".join(lines).encode())

    def send_chunk(self, data):
        self.socket.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def answer(self):
        response = raw.http.client.HTTPResponse(self.socket)
        response.begin()
        return raw.Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def json_type(name):
    return "application/json" if service_model.path(name) else "application/x-amz-json-1.1"


class TestTargets:
    OTHERS = sorted(set(service_model.control_names()) - service_model.DATA_SIDE)

    def test_the_model_has_seventy_one_operations_and_half_of_them_are_not_of_the_data_side(self):
        assert (len(service_model.control_names()), len(self.OTHERS)) == (71, 36)
        assert set(service_model.events_names()) <= service_model.DATA_SIDE

    @pytest.mark.parametrize("name", OTHERS)
    def test_an_operation_that_is_not_offered_says_so_and_its_lists_are_empty(self, line, name):
        for body in (b"{}", b"", b'{"maxResults":10,"name":"n"}'):
            answer = line.control(name, body)
            if name.startswith("List"):
                assert (answer.status, json.loads(answer.body)) == (200, {service_model.listed_member(name): []})
                service_model.check_output(name, answer.body)
            else:
                expect(answer, "InvalidInputException")
                assert answer.message == f"The operation {name} is not offered by this version."
        expect(line.control(name, b"nonsense"), "SerializationException")

    @pytest.mark.parametrize("name, path", sorted(service_model.runtime_paths().items()))
    def test_recommendations_are_not_offered(self, line, name, path):
        answer = expect(line.events(path, {}), "InvalidInputException")
        assert answer.message == f"The operation {name} is not offered by this version."

    @pytest.mark.parametrize("name", OFFERED)
    def test_an_operation_of_the_data_side_is_offered(self, line, name):
        assert "is not offered" not in ask(line, name, {}).body.decode()

    @pytest.mark.parametrize("target", [
        "MakeCoffee", "", "AmazonPersonalize", "AmazonPersonalize.", "AmazonPersonalize.MakeCoffee",
        f"AmazonPersonalize.{LIST}s", f"AmazonPersonalize.{LIST.lower()}", f"amazonpersonalize.{LIST}",
        f"AmazonPersonalize..{LIST}", LIST,
        f"AmazonPersonalizeRuntime.{LIST}", "AmazonPersonalize.PutEvents", "DynamoDB_20120810.ListTables",
    ])
    def test_an_unknown_target_is_an_unknown_operation(self, line, target):
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
        for path in ("/", "/events"):
            answer = line.post(path, b"nonsense", headers)
            expect(answer, "UnknownOperationException")
            assert answer.headers["content-type"] == "application/x-amz-json-1.1"

    def test_without_a_target_there_is_no_operation(self, line):
        expect(line.post("/", b"{}", {"Content-Type": "application/x-amz-json-1.1"}), "UnknownOperationException")

    @pytest.mark.parametrize("path", [
        "/event", "/events/", "/Events", "/events/x", "//events", "/items%2f", "/create-schema", "/x" * 500,
    ])
    def test_an_unknown_path_is_not_found(self, line, path):
        answer = expect(line.events(path, b"nonsense"), "UnknownOperationException", 404)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-amzn-errortype"] == "UnknownOperationException"

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
    def test_every_operation_is_a_post(self, server, method):
        expect(raw.send(server.endpoint, method, "/", b"{}", head(LIST)), "UnknownOperationException")
        expect(raw.send(server.endpoint, method, "/events", b"{}", head("PutEvents")), "UnknownOperationException", 404)

    def test_a_target_decides_whatever_the_path(self, line):
        assert line.post("/elsewhere", b"{}", head(LIST)).status == 200

    def test_the_content_type_is_of_no_account(self, line):
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            assert line.post("/", b"{}", {**head(LIST), "Content-Type": kind}).status == 200
            expect(line.post("/events", b"{}", {"Content-Type": kind}), "InvalidInputException")
        assert line.post("/", b"{}", {"X-Amz-Target": f"AmazonPersonalize.{LIST}"}).status == 200
        expect(line.post("/events", b"{}", {}), "InvalidInputException")


class TestHeaders:
    UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

    def test_every_answer_has_an_id_of_its_own_and_the_type_of_its_protocol(self, server, line):
        nobody = {"secret": "wrong"}
        answers = [
            (LIST, line.control(LIST, {})),
            (LIST, line.control(LIST, {"maxResults": 0})),
            (LIST, line.control(LIST, b"nonsense")),
            ("DescribeSchema", line.control("DescribeSchema", constraints.valid("DescribeSchema"))),
            ("CreateSolution", line.control("CreateSolution", {})),
            ("MakeCoffee", line.control("MakeCoffee", {})),
            (LIST, raw.control(server.endpoint, LIST, {}, **nobody)),
            (LIST, raw.control(server.endpoint, LIST, {}, sign=False)),
            (LIST, raw.control(server.endpoint, LIST, {}, key="AKIANOBODYNOBODYNOBO")),
            ("PutEvents", line.events("/events", {})),
            ("PutEvents", line.events("/events", b"nonsense")),
            ("PutItems", line.events("/items", constraints.valid("PutItems"))),
            ("PutEvents", line.events("/coffee", {})),
            ("PutEvents", raw.events(server.endpoint, "/events", {}, **nobody)),
            ("PutEvents", raw.events(server.endpoint, "/events", {}, sign=False)),
        ]
        for name, answer in answers:
            expected = "application/json" if name in service_model.events_names() else "application/x-amz-json-1.1"
            assert self.UUID.fullmatch(answer.headers["x-amzn-requestid"]), answer
            assert answer.headers["content-type"] == expected, answer
            assert int(answer.headers["content-length"]) == len(answer.body)
            assert answer.headers["date"].endswith("GMT")
            assert answer.headers["cache-control"] == "no-cache"
            assert answer.headers["x-content-type-options"] == "nosniff"
            if answer.status != 200:
                self.check_error(name, answer)
        ids = [answer.headers["x-amzn-requestid"] for _, answer in answers]
        assert len(set(ids)) == len(ids)

    @staticmethod
    def check_error(name, answer):
        """Both protocols name the code in the body, and events in a header, too."""
        error = json.loads(answer.body)
        assert set(error) == {"__type", "message"} and error["__type"] and error["message"], answer
        in_header = error["__type"] if name in service_model.events_names() else None
        assert answer.headers.get("x-amzn-errortype") == in_header

    def test_the_statuses_of_events_are_those_of_the_model(self, line):
        expect(line.events("/items", constraints.valid("PutItems")), "ResourceNotFoundException", 404)
        expect(line.control("DescribeSchema", constraints.valid("DescribeSchema")), "ResourceNotFoundException", 400)

    def test_what_has_no_output_has_an_empty_body_or_object(self, line, workshop):
        schema = line.control("CreateSchema", {"name": unique("schema"), "schema": avro("ITEMS", ITEMS)})
        schema = json.loads(schema.body)["schemaArn"]
        deleted = line.control("DeleteSchema", {"schemaArn": schema})
        assert (deleted.status, deleted.body) == (200, b"") and deleted.headers["content-length"] == "0"
        group = workshop.make_group(items=ITEMS)
        tag = {"resourceArn": group.arn, "tags": [{"tagKey": "a", "tagValue": ""}]}
        assert line.control("TagResource", tag).body == b"{}"
        assert line.control("UntagResource", {"resourceArn": group.arn, "tagKeys": ["a"]}).body == b"{}"
        item = {"itemId": "i", "properties": '{"price":1,"categoryL1":"A"}'}
        put = line.events("/items", {"datasetArn": group.items, "items": [item]})
        assert (put.status, put.body, put.headers["content-length"]) == (200, b"", "0")


class TestOrderOfChecks:
    BODIES = [b"nonsense", b"[]", b'{"name":5}', b'{"name":"bad name"}', b"{}"]

    @pytest.mark.parametrize("name", OFFERED)
    def test_who_asks_comes_before_everything(self, server, name):
        for body in self.BODIES:
            path = service_model.path(name) or "/"
            unsigned = raw.send(server.endpoint, "POST", path, body, head(name), sign=False)
            expect(unsigned, "MissingAuthenticationTokenException", 403)
        status = 403 if service_model.path(name) else 400
        wrong = raw.send(server.endpoint, "POST", path, b"nonsense", head(name), secret="wrong")
        expect(wrong, "InvalidSignatureException", status)
        unknown = raw.send(server.endpoint, "POST", path, b"nonsense", head(name), key="AKIANOBODYNOBODYNOBO")
        expect(unknown, "UnrecognizedClientException", status)

    def test_who_asks_comes_before_what(self, server):
        for target in ("AmazonPersonalize.MakeCoffee", "AmazonPersonalize.CreateSolution"):
            answer = raw.send(server.endpoint, "POST", "/", b"{}", {"X-Amz-Target": target}, sign=False)
            expect(answer, "MissingAuthenticationTokenException", 403)
            answer = raw.send(server.endpoint, "POST", "/", b"{}", {"X-Amz-Target": target}, secret="wrong")
            expect(answer, "InvalidSignatureException")

    def test_the_size_of_what_nobody_signed_is_of_no_account(self, server):
        with Raw(server.endpoint) as connection:
            target = f"X-Amz-Target: AmazonPersonalize.{LIST}"
            head = f"POST / HTTP/1.1\r\nHost: h\r\n{target}\r\nContent-Length: {1 << 40}\r\n\r\n"
            connection.socket.sendall(head.encode())
            expect(connection.answer(), "MissingAuthenticationTokenException", 403)

    def test_types_come_before_constraints(self, line):
        for body in ({"name": "bad name", "tags": 5}, {"tags": [{"tagKey": 5}]}, {"name": 5, "domain": "SPACE"}):
            expect(line.control("CreateDatasetGroup", body), "SerializationException")
        event = {"eventType": "", "sentAt": "soon"}
        expect(line.events("/events", {"eventList": [event]}), "SerializationException")

    def test_constraints_come_before_existence(self, line):
        body = {**constraints.valid("CreateDataset"), "name": "bad name"}
        assert "at 'name'" in expect(line.control("CreateDataset", body), "InvalidInputException").message
        body = {**constraints.valid("PutItems"), "items": []}
        assert "at 'items'" in expect(line.events("/items", body), "InvalidInputException").message
