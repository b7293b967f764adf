"""What senders say of proxies: heard from trusted ones, and from nobody else; the address that a server is known by."""

import http.client
import json
import re
import subprocess
import time
from urllib.parse import urlencode, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.policies import allow
from support.server import REGION, ROOT_KEY, ROOT_SECRET, Server, bare_environment, binary
from support.workshop import Workshop

TRUSTED, STRANGER = "127.0.0.1", "127.0.0.2"
# Of nobody on this machine.
CLIENT = "203.0.113.7"


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    env = {"LADE_TRUSTED_PROXIES": f"{TRUSTED},10.0.0.0/8"}
    server = Server(tmp_path_factory.mktemp("behind"), env=env).start()
    yield server
    assert server.stop() == 0, server.tail()


@pytest.fixture(scope="module")
def shop(behind):
    return Workshop(behind.endpoint)


def ask(server, sender, method, path, headers=(), body=None):
    """A request from an address of this machine; status, body and headers."""
    connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=30, source_address=(sender, 0))
    connection.putrequest(method, path, skip_host=any(name == "Host" for name, _ in headers))
    for name, value in headers:
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, content, answer.headers


def signed(host, path, service="personalize", key=ROOT_KEY, secret=ROOT_SECRET, scheme="http"):
    """The headers of a GET that is signed for a host."""
    request = AWSRequest("GET", f"{scheme}://{host}{path}", headers={"Host": host})
    SigV4Auth(Credentials(key, secret), service, REGION).add_auth(request)
    return [(name, value) for name, value in request.headers.items() if name != "Host"]


def told(server, request_id, within_s=10):
    """The audit log's line of a request."""
    deadline = time.monotonic() + within_s
    while True:
        for line in (server.data_dir / "audit.log").read_text().split("\n")[:-1]:
            if (line := json.loads(line))["requestID"] == request_id:
                return line
        assert time.monotonic() < deadline, request_id
        time.sleep(0.02)


@pytest.mark.parametrize("sender, lines, found", [
    (TRUSTED, [CLIENT], CLIENT),
    (TRUSTED, [f"198.51.100.1, {CLIENT}"], CLIENT),
    (TRUSTED, [CLIENT, "10.0.0.5"], CLIENT),
    (TRUSTED, [f"{CLIENT}:40001, 10.0.0.5"], CLIENT),
    (TRUSTED, ["nobody knows"], TRUSTED),
    (TRUSTED, [], TRUSTED),
    (STRANGER, [CLIENT], STRANGER),
    (STRANGER, [f"{CLIENT}, {TRUSTED}"], STRANGER),
])
def test_the_audit_log_names_the_client(behind, sender, lines, found):
    netloc = urlsplit(behind.endpoint).netloc
    headers = [*signed(netloc, "/lade/v1/caller"), *[("X-Forwarded-For", line) for line in lines]]
    status, body, answered = ask(behind, sender, "GET", "/lade/v1/caller", headers)
    assert status == 200, body
    assert told(behind, answered["x-amzn-RequestId"])["sourceIPAddress"] == found


def test_the_host_that_was_signed_is_taken_from_trusted_proxies_alone(behind):
    headers = [*signed("lade.example", "/lade/v1/caller"), ("Host", "inside:8080")]
    assert ask(behind, TRUSTED, "GET", "/lade/v1/caller", headers)[0] == 403
    forwarded = [*headers, ("X-Forwarded-Host", "lade.example")]
    assert ask(behind, TRUSTED, "GET", "/lade/v1/caller", forwarded)[0] == 200
    status, body, _ = ask(behind, STRANGER, "GET", "/lade/v1/caller", forwarded)
    assert status == 403 and "InvalidSignatureException" in body
    # A proxy that keeps the Host header needs to say nothing.
    kept = [*signed("lade.example", "/lade/v1/caller"), ("Host", "lade.example")]
    assert ask(behind, TRUSTED, "GET", "/lade/v1/caller", kept)[0] == 200


def test_conditions_ask_for_the_client_and_its_connection(behind, shop):
    user = shop.make_user("far", allow(
        "s3:ListAllMyBuckets", IpAddress={"aws:SourceIp": f"{CLIENT}/32"}, Bool={"aws:SecureTransport": "true"}))
    netloc = urlsplit(behind.endpoint).netloc
    secret = user.session.get_credentials().secret_key

    def status(sender, address, proto):
        request = AWSRequest("GET", f"http://{netloc}/", headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
        SigV4Auth(Credentials(user.key, secret), "s3", REGION).add_auth(request)
        headers = [*request.headers.items(), ("X-Forwarded-For", address), *([("X-Forwarded-Proto", proto)] if proto else [])]
        return ask(behind, sender, "GET", "/", headers)[0]

    assert status(TRUSTED, CLIENT, "https") == 200
    assert status(TRUSTED, CLIENT, "http") == 403
    assert status(TRUSTED, CLIENT, None) == 403
    assert status(TRUSTED, "203.0.113.8", "https") == 403
    assert status(STRANGER, CLIENT, "https") == 403


def sign_in(server, sender, headers=(), secret=ROOT_SECRET):
    form = urlencode({"access-key-id": ROOT_KEY, "secret-access-key": secret}).encode()
    headers = [("Content-Type", "application/x-www-form-urlencoded"), *headers]
    return ask(server, sender, "POST", "/console/sign-in", headers, form)


def test_cookies_are_secure_where_the_browsers_connection_is(behind):
    for sender, proto, is_secure in [(TRUSTED, "https", True), (TRUSTED, "http", False), (STRANGER, "https", False)]:
        status, _, headers = sign_in(behind, sender, [("X-Forwarded-Proto", proto)])
        assert (status, "; Secure" in headers["Set-Cookie"]) == (303, is_secure), (sender, proto)


def test_pages_show_the_address_that_the_browser_used(behind, shop):
    group = shop.make_group(interactions="USER_ID:string ITEM_ID:string EVENT_TYPE:string TIMESTAMP:long", tracker=True)
    path = "/console/groups/" + group.arn.rsplit("/", 1)[1] + "/trackers/" + group.tracker.rsplit("/", 1)[1]
    cookie = sign_in(behind, TRUSTED)[2]["Set-Cookie"].split(";")[0]

    def origins(sender):
        headers = [("Cookie", cookie), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "lade.example")]
        status, page, _ = ask(behind, sender, "GET", path, headers)
        assert status == 200
        return set(re.findall(r"https?://[\w.:-]+", page)) & {"https://lade.example", behind.endpoint}

    assert origins(TRUSTED) == {"https://lade.example"}
    assert origins(STRANGER) == {behind.endpoint}


def test_who_guesses_through_a_proxy_locks_nobody_else_out(behind):
    def guess(address):
        return sign_in(behind, TRUSTED, [("X-Forwarded-For", address)], secret="wrong")[0]

    assert [guess("198.51.100.9") for _ in range(11)] == [403] * 10 + [429]
    assert guess("198.51.100.10") == 403
    # To name somebody else before one's own address is of no use.
    assert guess("198.51.100.11, 198.51.100.9") == 429


def test_a_public_address_of_https_makes_all_of_it_secure(tmp_path):
    server = Server(tmp_path / "public", env={"LADE_PUBLIC_URL": "https://lade.example/"}).start()
    try:
        assert "; Secure" in sign_in(server, TRUSTED)[2]["Set-Cookie"]
        shop = Workshop(server.endpoint)
        # Jobs go through the same policies: a bucket that takes nothing in the clear is good for them, too.
        policy = json.loads(shop.s3.get_bucket_policy(Bucket=shop.source)["Policy"])
        policy["Statement"].append({
            "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{shop.source}/*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
        shop.s3.put_bucket_policy(Bucket=shop.source, Policy=json.dumps(policy))
        items = shop.make_group(items="ITEM_ID:string PRICE:float").items
        shop.import_csv(items, "ITEM_ID,PRICE\na,1\n")
    finally:
        assert server.stop() == 0, server.tail()


@pytest.mark.parametrize("name, value", [
    ("LADE_TRUSTED_PROXIES", "127.0.0.1,proxy.example"), ("LADE_TRUSTED_PROXIES", "10.0.0.0/33"),
    ("LADE_PUBLIC_URL", "lade.example"), ("LADE_PUBLIC_URL", "https://lade.example/lade"),
])
def test_settings_that_make_no_sense_are_refused_by_name(tmp_path, name, value):
    done = subprocess.run([binary(), "serve", "--data-dir", tmp_path, "--listen", "127.0.0.1:0"], capture_output=True,
                          text=True, env={**bare_environment(), name: value}, timeout=30)
    assert done.returncode == 1 and f"the setting {name[5:].lower()} must be" in done.stderr, done.stderr
