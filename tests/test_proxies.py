"""Lade behind nginx, Caddy and HAProxy as deploy/ sets them up: large objects, signatures, pages, events, and who asks."""

import http.client
import json
import os
import ssl
import time
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from support import proxies
from support.certificates import Authority
from support.clients import aws
from support.policies import allow
from support.server import REGION, ROOT_KEY, ROOT_SECRET, Server
from support.surfer import Surfer
from support.workshop import Workshop, unique, wait

PUBLIC_URL = "https://lade.example"
GIB = 1 << 30
PIECE = bytes(1 << 20)
SMALL = 64 << 20
# What is put at once and in parts: both sizes through one of them, as the time of tests is short.
SIZES = {"nginx": (GIB, GIB), "caddy": (GIB, 2 * SMALL), "haproxy": (SMALL, 2 * SMALL)}
# Of so many zero bytes, by md5sum.
MD5 = {GIB: "cd573cfaace07e7949bc0c46028904ff", SMALL: "7f614da9329cd3aebf59b91aadc30bf0"}
# An address of this machine that no proxy has.
ELSEWHERE = "127.0.0.2"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """A server that believes what comes from this machine's own address."""
    env = {"LADE_PUBLIC_URL": PUBLIC_URL, "LADE_TRUSTED_PROXIES": "127.0.0.1"}
    server = Server(tmp_path_factory.mktemp("behind"), env=env).start()
    yield server
    assert server.stop() == 0, server.tail()


@pytest.fixture(scope="module")
def inside(behind):
    return Workshop(behind.endpoint)


@pytest.fixture(scope="module", params=proxies.installed())
def proxy(request, behind, authority, tmp_path_factory):
    certificate, key = authority.server("proxy", tmp_path_factory.mktemp("certificate") / "proxy")
    kind = proxies.KINDS[request.param]
    proxy = kind(tmp_path_factory.mktemp("proxy") / request.param, urlsplit(behind.endpoint).netloc, certificate, key)
    yield proxy.start()
    proxy.stop()


@pytest.fixture(scope="module")
def client(proxy, authority):
    session = boto3.Session(ROOT_KEY, ROOT_SECRET, region_name=REGION)
    config = Config(retries={"total_max_attempts": 1}, proxies={}, signature_version="s3v4")

    def make(service):
        config_of = config if service == "s3" else Config(retries={"total_max_attempts": 1}, proxies={})
        return session.client(service, endpoint_url=proxy.endpoint, verify=str(authority.ca), config=config_of)

    return make


@pytest.fixture(scope="module")
def s3(client):
    return client("s3")


def connection(proxy, authority, source="127.0.0.1"):
    context = ssl.create_default_context(cafile=authority.ca)
    return http.client.HTTPSConnection(f"127.0.0.1:{proxy.port}", context=context, timeout=60, source_address=(source, 0))


def send(proxy, authority, method, url, source="127.0.0.1", body=None, headers=None):
    """Sends to an address that is signed already; status, body and headers."""
    address = urlsplit(url)
    connected = connection(proxy, authority, source)
    connected.request(method, f"{address.path}?{address.query}", body=body, headers=headers or {})
    answer = connected.getresponse()
    content = answer.read()
    connected.close()
    return answer.status, content, answer.headers


def audited(server, count, within_s=10, **members):
    """Waits for so many lines of the audit log with these members."""
    deadline = time.monotonic() + within_s
    while True:
        lines = [json.loads(line) for line in (server.data_dir / "audit.log").read_text().split("\n")[:-1]]
        if sum(all(line[name] == value for name, value in members.items()) for line in lines) == count:
            return
        assert time.monotonic() < deadline, (members, lines[-3:])
        time.sleep(0.02)


def sizes(proxy):
    return (SMALL, 2 * SMALL) if os.environ.get("LADE_TESTS_FAST") else SIZES[proxy.program]


def test_one_put_of_a_gibibyte_passes(proxy, authority, s3, inside):
    key, size = unique("whole"), sizes(proxy)[0]
    url = s3.generate_presigned_url("put_object", {"Bucket": inside.source, "Key": key}, ExpiresIn=300)
    pieces = (PIECE for _ in range(size // len(PIECE)))
    status, said, headers = send(proxy, authority, "PUT", url, body=pieces, headers={"Content-Length": str(size)})
    assert (status, headers["ETag"]) == (200, f'"{MD5[size]}"'), said
    assert s3.head_object(Bucket=inside.source, Key=key)["ContentLength"] == size
    s3.delete_object(Bucket=inside.source, Key=key)


def test_a_gibibyte_in_parts_passes(proxy, s3, inside, tmp_path):
    file, key, size = tmp_path / "sparse", unique("parts"), sizes(proxy)[1]
    with open(file, "wb") as sparse:
        sparse.truncate(size)
    parts = TransferConfig(multipart_chunksize=64 << 20, max_concurrency=4)
    s3.upload_file(str(file), inside.source, key, Config=parts)
    found = s3.head_object(Bucket=inside.source, Key=key)
    assert (found["ContentLength"], "-" in found["ETag"]) == (size, True)
    s3.delete_object(Bucket=inside.source, Key=key)


def test_a_body_passes_while_it_is_being_sent(proxy, authority, s3, behind, inside):
    size, half = 64 << 20, 32 << 20
    url = urlsplit(s3.generate_presigned_url("put_object", {"Bucket": inside.source, "Key": unique("slow")}))
    connected = connection(proxy, authority)
    connected.putrequest("PUT", f"{url.path}?{url.query}")
    connected.putheader("Content-Length", str(size))
    connected.endheaders()
    before = written_bytes(behind)
    for _ in range(half // len(PIECE)):
        connected.send(PIECE)
    # What the sockets and one buffer of each program hold may be missing, no more.
    until(lambda: written_bytes(behind) - before > half - (16 << 20))
    for _ in range((size - half) // len(PIECE)):
        connected.send(PIECE)
    assert connected.getresponse().status == 200
    connected.close()


def until(is_so, within_s=20):
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def written_bytes(server):
    """What the process has written so far, be it to files or to sockets."""
    lines = Path(f"/proc/{server.pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def test_the_aws_cli_and_odd_names_pass(proxy, authority, s3, behind, inside, tmp_path):
    env = {**behind.client_environment(), "AWS_ENDPOINT_URL": proxy.endpoint, "AWS_CA_BUNDLE": str(authority.ca)}
    file = tmp_path / "a.txt"
    file.write_text("seventeen letters")
    odd = "a b+c&d=e%2F~(ü)'.txt"
    aws(behind, "s3api", "put-object", "--bucket", inside.source, "--key", odd, "--body", str(file),
        "--metadata", "under_score=1,with.point=2", env=env)
    others = ("plain/a.txt", "two//slashes/./../x", "end/")
    for key in others:
        s3.put_object(Bucket=inside.source, Key=key, Body=file.read_bytes(), Metadata={"under_score": "1", "with.point": "2"})
    for key in (odd, *others):
        found = s3.get_object(Bucket=inside.source, Key=key)
        assert found["Body"].read() == b"seventeen letters", key
        # Caddy writes names of headers with capitals, which mean nothing in them.
        assert {name.lower(): value for name, value in found["Metadata"].items()} == {"under_score": "1", "with.point": "2"}
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=inside.source, Prefix="two//")["Contents"]]
    assert keys == ["two//slashes/./../x"]


def test_a_presigned_address_writes_and_reads(proxy, authority, s3, inside):
    place = {"Bucket": inside.source, "Key": unique("presigned")}
    put = s3.generate_presigned_url("put_object", place)
    assert send(proxy, authority, "PUT", put, body=b"by a browser")[0] == 200
    get = s3.generate_presigned_url("get_object", place)
    assert send(proxy, authority, "GET", get)[:2] == (200, b"by a browser")
    # The signature is over this host: it is good at no other.
    said = send(proxy, authority, "GET", get, headers={"Host": "lade.example"})[1]
    assert said != b"by a browser"


def test_a_refusal_of_a_large_body_is_read_by_who_sends_it(s3, inside):
    # Time and again, on connections that are kept and on new ones.
    for _ in range(10):
        with pytest.raises(s3.exceptions.ClientError) as refused:
            s3.put_object(Bucket="nobody-has-this-bucket", Key="k", Body=bytes(8 << 20))
        assert refused.value.response["Error"]["Code"] == "NoSuchBucket"


def test_a_refusal_of_a_body_of_known_length_is_read_too(proxy, authority, s3):
    put = s3.generate_presigned_url("put_object", {"Bucket": "nobody-has-this-bucket", "Key": "k"})
    for _ in range(10):
        status, said = send(proxy, authority, "PUT", put, body=bytes(8 << 20))[:2]
        assert status == 404 and b"NoSuchBucket" in said, said


def test_policies_and_the_audit_log_know_the_client(proxy, authority, behind, inside):
    # Neither the address of the proxy nor its plain connection to the server counts.
    user = inside.make_user("far", allow(
        "s3:GetObject", f"arn:aws:s3:::{inside.source}/*", IpAddress={"aws:SourceIp": f"{ELSEWHERE}/32"},
        Bool={"aws:SecureTransport": "true"}))
    inside.s3.put_object(Bucket=inside.source, Key="far", Body=b"far away")
    far = {"Bucket": inside.source, "Key": "far"}
    signing = Config(signature_version="s3v4")
    url = user.session.client("s3", endpoint_url=proxy.endpoint, config=signing).generate_presigned_url("get_object", far)
    assert send(proxy, authority, "GET", url, ELSEWHERE)[:2] == (200, b"far away")
    assert send(proxy, authority, "GET", url, "127.0.0.1")[0] == 403
    # What the client says of itself is not what counts.
    claims = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "elsewhere"}
    assert send(proxy, authority, "GET", url, ELSEWHERE, headers=claims)[0] == 200
    identity = {"arn": user.arn, "accessKeyId": user.key}
    audited(behind, 2, eventName="GetObject", sourceIPAddress=ELSEWHERE, userIdentity=identity, status=200)
    audited(behind, 1, eventName="GetObject", sourceIPAddress="127.0.0.1", userIdentity=identity, status=403)
    # Past the proxy there is no TLS.
    plain = user.session.client("s3", endpoint_url=behind.endpoint, config=signing)
    target = urlsplit(plain.generate_presigned_url("get_object", far))
    past = http.client.HTTPConnection(target.netloc, timeout=30, source_address=(ELSEWHERE, 0))
    past.request("GET", f"{target.path}?{target.query}", headers={"X-Forwarded-Proto": "https"})
    assert past.getresponse().status == 403
    past.close()


def test_the_console_signs_in_with_a_secure_cookie_and_shows_the_public_address(proxy, authority, behind, inside):
    surfer = Surfer(proxy.endpoint, str(authority.ca))
    first = surfer.get("/console/groups")
    assert (first.status, first.to) == (303, "/console/sign-in?next=%2Fconsole%2Fgroups")
    signed_in = surfer.sign_in(headers={"Sec-Fetch-Site": "same-origin", "Origin": proxy.endpoint})
    assert (signed_in.status, signed_in.to) == (303, "/console/groups")
    cookie = signed_in.headers["Set-Cookie"]
    assert "; Secure" in cookie and "; HttpOnly" in cookie and "; SameSite=Strict" in cookie
    group = inside.make_group(interactions="USER_ID:string ITEM_ID:string EVENT_TYPE:string TIMESTAMP:long", tracker=True)
    path = "/console/groups/" + group.arn.rsplit("/", 1)[1] + "/trackers/" + group.tracker.rsplit("/", 1)[1]
    page = surfer.get(path)
    assert page.status == 200 and PUBLIC_URL in page.text
    assert urlsplit(behind.endpoint).netloc not in page.text
    assert surfer.post("/console/sign-out", token="wrong").status == 403
    assert surfer.send("POST", "/console/sign-out", headers={"Sec-Fetch-Site": "cross-site"}).status == 403


def test_events_of_jobs_arrive_while_they_happen(proxy, authority, inside):
    request = AWSRequest("GET", f"{proxy.endpoint}/lade/v1/events")
    SigV4Auth(Credentials(ROOT_KEY, ROOT_SECRET), "personalize", REGION).add_auth(request)
    connected = connection(proxy, authority)
    start = time.monotonic()
    connected.request("GET", "/lade/v1/events", headers=dict(request.headers))
    stream = connected.getresponse()
    assert (stream.status, stream.readline()) == (200, b":\n") and time.monotonic() - start < 5
    items = inside.make_group(items="ITEM_ID:string PRICE:float").items
    job = inside.start_import(items, inside.upload("ITEM_ID,PRICE\na,1\n"))
    assert wait(lambda: inside.personalize.describe_dataset_import_job(datasetImportJobArn=job)["datasetImportJob"])[
        "status"] == "ACTIVE"
    ended = time.monotonic()
    while f'"jobArn":"{job}"'.encode() not in (line := stream.readline()) or b'"ACTIVE"' not in line:
        assert line and time.monotonic() - ended < 5
    assert time.monotonic() - ended < 5, "it was kept back"
    connected.close()


def test_records_are_put(client, inside):
    group = inside.make_group(items="ITEM_ID:string PRICE:float")
    events = client("personalize-events")
    for n in range(5):
        events.put_items(datasetArn=group.items, items=[{"itemId": f"i{n}", "properties": json.dumps({"price": n})}])
    exported = inside.export(group.items, "ALL")
    assert sorted(exported.lines) == [f"i{n},{n}.0" for n in range(5)]


@pytest.mark.parametrize("proxy", {"nginx"} & set(proxies.installed()), indirect=True)
def test_nginx_sends_plain_requests_to_tls(proxy):
    plain = http.client.HTTPConnection(f"127.0.0.1:{proxy.plain_port}", timeout=20)
    plain.request("GET", "/console/groups?a=b", headers={"Host": "lade.example"})
    answer = plain.getresponse()
    assert (answer.status, answer.headers["Location"]) == (301, "https://lade.example/console/groups?a=b")
    plain.close()
