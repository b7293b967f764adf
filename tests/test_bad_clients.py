"""Clients that are slow, silent, too large or ambiguous: each is given up or refused, and harms no other."""

import os
import socket
import time
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import pytest

from support import raw
from support.server import Server
from support.workshop import Workshop, unique

LIVE = b"GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n"
CONNECTIONS_MAX = 100


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """A server that waits for nobody longer than a second, and has few places."""
    env = {"LADE_CLIENT_TIMEOUT_S": "1", "LADE_CONNECTIONS_MAX": str(CONNECTIONS_MAX)}
    server = Server(tmp_path_factory.mktemp("hasty"), env=env).start()
    yield server
    assert server.stop() == 0, server.tail()


@pytest.fixture(scope="module")
def hasty_workshop(hasty):
    return Workshop(hasty.endpoint)


def put_head(server, length):
    """The head of a signed upload of `length` bytes, which never come as fast as they should."""
    request = raw.packed(server.endpoint, "PUT", "/slow/object", b"x" * length, service="s3")
    return request[:-length]


def sockets(server):
    count = 0
    for number in os.listdir(f"/proc/{server.pid}/fd"):
        try:
            count += os.readlink(f"/proc/{server.pid}/fd/{number}").startswith("socket:")
        except FileNotFoundError:
            pass
    return count


class TestSlowClients:
    @pytest.mark.parametrize("begun", [b"", b"GET /health/live HT", b"GET /health/live HTTP/1.1\r\nHost: h\r\n"])
    def test_a_silent_one_is_given_up(self, hasty, begun):
        with closing(raw.connect(hasty.endpoint)) as connection:
            connection.sendall(begun)
            assert raw.until_closed(connection) == b""

    def test_one_that_idles_between_two_requests_is_given_up(self, hasty):
        with closing(raw.connect(hasty.endpoint)) as connection:
            for _ in range(2):
                connection.sendall(LIVE)
                assert raw.receive(connection).status == 200
            assert raw.until_closed(connection) == b""

    def test_a_head_that_drips_is_given_up(self, hasty):
        assert self.drip(hasty, b"GET /health/live HTTP/1.1\r\n", b"X: y\r\n") == b""

    def test_a_body_that_drips_is_given_up(self, hasty, hasty_workshop):
        hasty_workshop.s3.create_bucket(Bucket="slow")
        head = put_head(hasty, 1 << 20)
        answer = self.drip(hasty, head, b"x")
        assert b"<Code>RequestTimeout</Code>" in answer, answer

    @staticmethod
    def drip(server, head, drop):
        """Sends the head, then a drop again and again until the server has had enough; what it said."""
        with closing(raw.connect(server.endpoint, within_s=0.1)) as connection:
            connection.sendall(head)
            answer = b""
            try:
                for _ in range(200):
                    connection.sendall(drop)
                    try:
                        piece = connection.recv(1 << 16)
                    except TimeoutError:
                        continue
                    if not piece:
                        return answer
                    answer += piece
            except ConnectionError:
                return answer
        raise AssertionError("the server still waits")

    @pytest.mark.parametrize("service, path", [("personalize", "/events"), ("s3", "/slow/object")])
    def test_a_body_that_stops_is_given_up(self, hasty, hasty_workshop, service, path):
        hasty_workshop.s3.create_bucket(Bucket="slow")
        request = raw.packed(hasty.endpoint, "PUT" if service == "s3" else "POST", path, b"x" * 1000, service=service)
        with closing(raw.connect(hasty.endpoint)) as connection:
            connection.sendall(request[:-500])
            answer = raw.until_closed(connection)
        assert b" 408 " in answer.split(b"\r\n")[0] or b"<Code>RequestTimeout</Code>" in answer, answer

    def test_one_that_takes_no_answer_is_given_up(self, hasty, hasty_workshop):
        bucket = unique("unread")
        hasty_workshop.s3.create_bucket(Bucket=bucket)
        size = 32 << 20
        hasty_workshop.s3.put_object(Bucket=bucket, Key="large", Body=bytes(size))
        address = urlsplit(hasty.endpoint)
        with closing(socket.socket()) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(30)
            connection.connect((address.hostname, address.port))
            connection.sendall(raw.packed(hasty.endpoint, "GET", f"/{bucket}/large", service="s3"))
            local = connection.getsockname()
            self.wait_until_gone(hasty, local)
            assert len(raw.until_closed(connection)) < size

    @staticmethod
    def wait_until_gone(server, client):
        """Waits until the server has let go of the connection from this address."""
        text = "%08X:%04X" % (int.from_bytes(socket.inet_aton(client[0]), "little"), client[1])
        port = "%04X" % urlsplit(server.endpoint).port
        established = "01"
        for _ in range(600):
            with open("/proc/net/tcp") as table:
                lines = [line.split() for line in table]
            if not any(line[1].endswith(":" + port) and line[2] == text and line[3] == established for line in lines):
                return
            time.sleep(0.05)
        raise AssertionError("the server still waits")


class TestManyClients:
    def test_silent_ones_beyond_all_places_harm_nobody(self, hasty, hasty_workshop):
        with ExitStack() as stack:
            for _ in range(5):
                for _ in range(CONNECTIONS_MAX):
                    stack.enter_context(closing(raw.connect(hasty.endpoint)))
                for _ in range(5):
                    assert hasty_workshop.personalize.list_schemas()["ResponseMetadata"]["HTTPStatusCode"] == 200
                assert sockets(hasty) <= CONNECTIONS_MAX + 10

    def test_dripping_ones_beyond_all_places_harm_nobody(self, hasty, hasty_workshop):
        with ExitStack() as stack:
            for _ in range(3 * CONNECTIONS_MAX):
                stack.enter_context(closing(raw.connect(hasty.endpoint))).sendall(b"GET / HTTP/1.1\r\nX: ")
            for _ in range(10):
                assert hasty_workshop.personalize.list_schemas()["ResponseMetadata"]["HTTPStatusCode"] == 200


class TestLimits:
    @pytest.mark.parametrize("headers", [
        {"X-Long": "y" * (65 << 10)},
        {"X-Long": "y" * (200 << 10)},
        {f"X-{n}": "y" for n in range(101)},
        {f"X-{n}": "y" * 1000 for n in range(70)},
    ])
    def test_a_head_that_is_too_large_is_refused(self, server, headers):
        answer = raw.send(server.endpoint, "GET", "/health/live", headers=headers, sign=False)
        assert answer.status == 431

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity"])
    def test_packed_bodies_of_calls_are_refused(self, server, encoding):
        packed = {"Content-Encoding": encoding, "Content-Type": "application/json"}
        answer = raw.send(server.endpoint, "POST", "/events", b"{}", packed)
        assert (answer.status, answer.code) == (415, "UnsupportedMediaTypeException")

    def test_an_object_larger_than_any_may_be_is_refused_unread(self, server, workshop):
        bucket = unique("huge")
        workshop.s3.create_bucket(Bucket=bucket)
        headers = {"Content-Length": str((5 << 30) + 1), "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
        answer = raw.send(server.endpoint, "PUT", f"/{bucket}/key", b"", headers, service="s3")
        assert (answer.status, answer.code) == (400, "EntityTooLarge")


# What stands in BODY is executed only if a server takes it for a request of its own.
INSIDE = b"GET /health/ready HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /elsewhere HTTP/1.1\r\nHost: h\r\n"
CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(INSIDE), INSIDE)
LENGTH = b"Content-Length: %d\r\n" % len(INSIDE)
TE = b"Transfer-Encoding: chunked\r\n"

AMBIGUOUS = {
    "two lengths": POST + b"Content-Length: 0\r\n" + LENGTH + b"\r\n" + INSIDE,
    "two lengths, the other way": POST + LENGTH + b"Content-Length: 0\r\n\r\n" + INSIDE,
    "a list of lengths": POST + b"Content-Length: 0, %d\r\n\r\n" % len(INSIDE) + INSIDE,
    "a length with a sign": POST + b"Content-Length: +%d\r\n\r\n" % len(INSIDE) + INSIDE,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n" + INSIDE,
    "a length in base 16": POST + b"Content-Length: 0x0\r\n\r\n" + INSIDE,
    "an empty length": POST + b"Content-Length: \r\n\r\n" + INSIDE,
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551616\r\n\r\n" + INSIDE,
    "length and chunks": POST + LENGTH + TE + b"\r\n0\r\n\r\n" + INSIDE,
    "chunks and length": POST + TE + LENGTH + b"\r\n0\r\n\r\n" + INSIDE,
    "length 0 and chunks": POST + b"Content-Length: 0\r\n" + TE + b"\r\n" + CHUNK,
    "chunks only": POST + TE + b"\r\n0\r\n\r\n" + INSIDE,
    "chunks twice": POST + TE + TE + b"\r\n0\r\n\r\n" + INSIDE,
    "chunks and identity": POST + TE + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + INSIDE,
    "chunks not last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + INSIDE,
    "chunked in a word": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + INSIDE,
    "chunked with a tab": POST + b"Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n" + INSIDE,
    "chunked in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' + INSIDE,
    "chunked with a null": POST + b"Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n" + INSIDE,
    "a blank before the colon": POST + b"Content-Length : 0\r\n" + LENGTH + b"\r\n" + INSIDE,
    "a folded length": POST + b"X: y\r\n Content-Length: 0\r\n" + LENGTH + b"\r\n" + INSIDE,
    "a folded value": POST + b"Content-Length:\r\n 0\r\n" + LENGTH + b"\r\n" + INSIDE,
    "a null in a value": POST + b"X: a\x00b\r\n" + LENGTH + b"\r\n" + INSIDE,
    "a bare return in a value": POST + b"X: a\rContent-Length: 0\r\n" + LENGTH + b"\r\n" + INSIDE,
    "lines without a return": POST.replace(b"\r\n", b"\n") + LENGTH + b"\n" + INSIDE,
    "chunks in HTTP 1.0": POST.replace(b"1.1", b"1.0") + TE + b"\r\n0\r\n\r\n" + INSIDE,
    "a chunk of no size": POST + TE + b"\r\n\r\n\r\n" + INSIDE,
    "a negative chunk": POST + TE + b"\r\n-1\r\n\r\n" + INSIDE,
    "a chunk beyond 64 bits": POST + TE + b"\r\n10000000000000000\r\n" + INSIDE,
    "a chunk with a sign": POST + TE + b"\r\n+0\r\n\r\n" + INSIDE,
    "a chunk in base 16": POST + TE + b"\r\n0x0\r\n\r\n" + INSIDE,
    "a chunk without its end": POST + TE + b"\r\n1\r\naa0\r\n\r\n" + INSIDE,
    "a chunk that ends without a return": POST + TE + b"\r\n0\n\n" + INSIDE,
    "a chunk's extension": POST + TE + b"\r\n0;x=y\r\n\r\n" + INSIDE,
    "a chunk's long extension": POST + TE + b"\r\n0;" + b"x" * 9000 + b"\r\n\r\n" + INSIDE,
    "a chunk's extension with a bare end": POST + TE + b"\r\n0;x\ny\r\n\r\n" + INSIDE,
    "a chunk's endless extension": POST + TE + b"\r\n0;" + b"x" * 40_000 + b"\r\n\r\n" + INSIDE,
    "a length in the trailer": POST + TE + b"\r\n0\r\nContent-Length: 5\r\n\r\n" + INSIDE,
    "two targets": b"POST /a /b HTTP/1.1\r\nHost: h\r\n" + LENGTH + b"\r\n" + INSIDE,
    "another version": POST.replace(b"1.1", b"1.9") + LENGTH + b"\r\n" + INSIDE,
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + INSIDE,
    "HTTP/0.9": b"GET /\r\n" + INSIDE,
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_no_ambiguous_request_hides_another(server, name):
    with closing(raw.connect(server.endpoint)) as connection:
        try:
            connection.sendall(AMBIGUOUS[name])
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # a server may have had enough before it has read everything
        answers = raw.until_closed(connection)
    statuses = [line.split()[1] for line in answers.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    assert len(statuses) <= 1 and b"ok\n" not in answers, answers
    assert not statuses or statuses[0].startswith(b"4"), answers


def test_a_second_request_that_is_one_is_answered(server):
    with closing(raw.connect(server.endpoint)) as connection:
        connection.sendall(LIVE + INSIDE)
        connection.shutdown(socket.SHUT_WR)
        assert raw.until_closed(connection).count(b"HTTP/1.1 200 OK") == 2
