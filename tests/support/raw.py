"""Requests below the SDKs: signed by botocore, then sent as they are, so that they can be wrong on purpose."""

import http.client
import json
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.server import REGION, ROOT_KEY, ROOT_SECRET


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def code(self):
        """The error code, as an SDK finds it in a JSON or an XML answer."""
        text = self.body.decode()
        if text.lstrip().startswith("<"):
            return text.partition("<Code>")[2].partition("</Code>")[0]
        kind = json.loads(text).get("__type", "") if text else ""
        return kind.rpartition("#")[2]

    @property
    def message(self):
        return json.loads(self.body)["message"]


def signed_headers(endpoint, method, path, body, headers, service="personalize", region=REGION,
                   key=ROOT_KEY, secret=ROOT_SECRET, token=None):
    request = AWSRequest(method, endpoint + path, headers=dict(headers), data=body)
    auth = S3SigV4Auth if service == "s3" else SigV4Auth
    auth(Credentials(key, secret, token), service, region).add_auth(request)
    return dict(request.headers.items())


def send(endpoint, method, path, body=b"", headers=(), sign=True, **signing):
    """Sends one request on a connection of its own; `sign=False` leaves the headers as they are."""
    headers = {"Host": urlsplit(endpoint).netloc, **dict(headers)}
    if sign:
        headers = signed_headers(endpoint, method, path, body, headers, **signing)
    return deliver(endpoint, method, path, body, headers)


def deliver(endpoint, method, path, body, headers):
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if not any(name.lower() in ("content-length", "transfer-encoding") for name in headers):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        try:
            connection.send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a server may answer before it has read everything
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())
    finally:
        connection.close()


def control(endpoint, operation, body, **more):
    """A control-plane call; `body` is an object or the bytes to send."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"AmazonPersonalize.{operation}"}
    return send(endpoint, "POST", "/", body, headers, **more)


def events(endpoint, path, body, **more):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return send(endpoint, "POST", path, body, {"Content-Type": "application/json"}, **more)


class Line:
    """One connection for many signed requests, which it makes as `control` and `events` do, but faster."""

    def __init__(self, endpoint, **signing):
        self.endpoint = endpoint
        self.host = urlsplit(endpoint).netloc
        self.signing = signing
        self.connection = http.client.HTTPConnection(self.host, timeout=30)

    def control(self, operation, body):
        return self.post("/", body, {"Content-Type": "application/x-amz-json-1.1",
                                     "X-Amz-Target": f"AmazonPersonalize.{operation}"})

    def events(self, path, body):
        return self.post(path, body, {"Content-Type": "application/json"})

    def post(self, path, body, headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = signed_headers(self.endpoint, "POST", path, body, {"Host": self.host, **headers}, **self.signing)
        self.connection.request("POST", path, body, headers)
        response = self.connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())

    def close(self):
        self.connection.close()


def packed(endpoint, method, path, body=b"", headers=(), **signing):
    """The bytes of a signed request, to be sent as they are on as many connections as one likes."""
    host = urlsplit(endpoint).netloc
    headers = signed_headers(endpoint, method, path, body, {"Host": host, **dict(headers)}, **signing)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()),
             f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def connect(endpoint, within_s=30):
    address = urlsplit(endpoint)
    return socket.create_connection((address.hostname, address.port), timeout=within_s)


def receive(connection):
    """The next answer on a connection."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def until_closed(connection):
    """All that still comes, until the server closes the connection or resets it."""
    text = b""
    try:
        while piece := connection.recv(1 << 16):
            text += piece
    except ConnectionError:
        pass
    return text
