"""TLS on the one address: which versions, whose certificate, and what listens without it."""

import http.client
import json
import signal
import socket
import ssl
import subprocess
import time
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from support.certificates import Authority, self_signed
from support.clients import AWS, Clients
from support.schemas import INTERACTIONS
from support.server import ROOT_KEY, ROOT_SECRET, Server, bare_environment, binary
from support.workshop import Workshop


class Trusting(Workshop):
    """A workshop whose clients trust an authority."""

    def __init__(self, endpoint, ca):
        self.ca = str(ca)
        super().__init__(endpoint)

    def client(self, service, **more):
        return super().client(service, verify=self.ca, **more)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory, authority):
    folder = tmp_path_factory.mktemp("secure")
    certificate, key = authority.server("first", folder / "server")
    env = {"LADE_TLS_CERTIFICATE": str(certificate), "LADE_TLS_KEY": str(key), "LADE_TLS_CA": str(authority.ca),
           "LADE_CLIENT_TIMEOUT_S": "2"}
    server = Server(folder, env=env).start()
    yield server
    assert server.stop() == 0, server.tail()


def context(authority, version=None):
    made = ssl.create_default_context(cafile=authority.ca)
    if version:
        made.set_ciphers("ALL:@SECLEVEL=0")
        made.minimum_version = made.maximum_version = version
    return made


def shake_hands(server, tls):
    address = urlsplit(server.endpoint)
    raw = socket.create_connection((address.hostname, address.port), timeout=20)
    return tls.wrap_socket(raw, server_hostname=address.hostname)


def subject(connection):
    return dict(pair for (pair,) in connection.getpeercert()["subject"])["commonName"]


def test_jobs_run_and_clients_that_trust_the_authority_are_served(secure, authority):
    assert secure.endpoint.startswith("https://127.0.0.1:")
    workshop = Trusting(secure.endpoint, authority.ca)
    dataset = workshop.make_group(interactions=INTERACTIONS).interactions
    workshop.import_csv(dataset, "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\nu1,i1,click,1\nu2,i2,click,2\n")
    assert len(workshop.export(dataset, "ALL").rows) == 2


def test_a_client_that_does_not_trust_the_authority_talks_to_nobody(secure):
    with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
        Clients(secure.endpoint).sts.get_caller_identity()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_1_2_and_1_3_are_spoken(secure, authority, version):
    with closing(shake_hands(secure, context(authority, version))) as connection:
        assert connection.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_older_versions_are_refused(secure, authority, version):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake_hands(secure, context(authority, version))


def test_answers_tell_browsers_to_stay_with_tls(secure, server, authority):
    address = urlsplit(secure.endpoint)
    connection = http.client.HTTPSConnection(address.netloc, context=context(authority), timeout=20)
    for path, status in [("/health/live", 200), ("/nothing", 403)]:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.getheader("strict-transport-security")) == (status, "max-age=31536000")
    plain = http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=20)
    plain.request("GET", "/health/live")
    assert plain.getresponse().getheader("strict-transport-security") is None


def test_who_speaks_no_tls_is_told_so(secure):
    connection = http.client.HTTPConnection(urlsplit(secure.endpoint).netloc, timeout=20)
    connection.request("GET", "/health/live")
    answer = connection.getresponse()
    assert answer.status == 400 and b"https://" in answer.read()


@pytest.mark.parametrize("begun", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_who_begins_no_handshake_or_half_of_one_is_given_up(secure, begun):
    address = urlsplit(secure.endpoint)
    with closing(socket.create_connection((address.hostname, address.port), timeout=20)) as connection:
        connection.sendall(begun)
        try:
            while connection.recv(1 << 10):
                pass
        except ConnectionError:
            pass


def test_a_new_certificate_is_taken_up_and_open_connections_stay(secure, authority):
    address = urlsplit(secure.endpoint)
    open_before = http.client.HTTPSConnection(address.netloc, context=context(authority), timeout=20)
    open_before.request("GET", "/health/live")
    open_before.getresponse().read()
    with closing(shake_hands(secure, context(authority))) as connection:
        assert subject(connection) == "first"
    (secure.folder / "server.pem").write_text("half of a certificate")
    secure.process.send_signal(signal.SIGHUP)
    until(lambda: "the certificate stays as it was" in (secure.folder / "stderr").read_text())
    with closing(shake_hands(secure, context(authority))) as connection:
        assert subject(connection) == "first"
    authority.server("second", secure.folder / "server")
    secure.process.send_signal(signal.SIGHUP)

    def is_second():
        open_before.request("GET", "/health/live")
        assert open_before.getresponse().read() == b"ok\n"
        with closing(shake_hands(secure, context(authority))) as connection:
            return subject(connection) == "second"

    until(is_second)


def until(holds, within_s=20):
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_bucket_may_ask_for_tls(secure, workshop, authority):
    tls_only = lambda bucket: json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]})
    for clients, is_let_in in [(Trusting(secure.endpoint, authority.ca), True), (workshop, False)]:
        bucket = clients.source
        clients.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        before = clients.s3.get_bucket_policy(Bucket=bucket)["Policy"]
        clients.s3.put_bucket_policy(Bucket=bucket, Policy=tls_only(bucket))
        try:
            clients.s3.get_object(Bucket=bucket, Key="k")
            assert is_let_in
        except clients.s3.exceptions.ClientError as error:
            assert not is_let_in and error.response["Error"]["Code"] == "AccessDenied"
        clients.s3.put_bucket_policy(Bucket=bucket, Policy=before)


@pytest.mark.parametrize("own", [True, False])
def test_lade_env_points_clients_to_tls_and_to_whom_to_trust(tmp_path, authority, own):
    if own:
        names = "subjectAltName=IP:127.0.0.1"
        certificate, key = self_signed(tmp_path, "own", "/CN=own", names, "basicConstraints=critical,CA:FALSE")
        trusted, env = certificate, {}
    else:
        certificate, key = authority.server("signed", tmp_path / "server")
        trusted, env = authority.ca, {"LADE_TLS_CA": str(authority.ca)}
    env |= {"LADE_TLS_CERTIFICATE": str(certificate), "LADE_TLS_KEY": str(key)}
    server = Server(tmp_path / "served", env=env).start()
    try:
        script = """
            eval "$("$LADE" env --data-dir "$DATA")"
            echo "$AWS_ENDPOINT_URL $AWS_CA_BUNDLE"
            "$AWS" sts get-caller-identity --query Account --output text
            "$LADE" env --data-dir "$DATA" --profile tls
            eval "$("$LADE" env --undo)"
            echo "${AWS_CA_BUNDLE-none}"
            "$AWS" --profile tls sts get-caller-identity --query Account --output text
        """
        env = {**server.env, "LADE": binary(), "DATA": str(server.data_dir), "AWS": AWS, "HOME": str(tmp_path)}
        result = subprocess.run(["bash", "-euc", script], env=env, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
        expected = [f"{server.endpoint} {trusted}", "000000000000", "none", "000000000000"]
        assert result.stdout.splitlines() == expected
        assert server.stop() == 0
    finally:
        if server.process.poll() is None:
            server.kill()


def serve(folder, *arguments, **env):
    """Runs a server that is expected to refuse to start; its exit code and what it said."""
    command = [binary(), "serve", "--data-dir", str(folder / "data"), *arguments]
    result = subprocess.run(command, env={**bare_environment(), **env}, capture_output=True, text=True, timeout=20)
    return result.returncode, result.stderr


def test_nothing_listens_beyond_this_machine_without_tls_unless_it_is_asked_for(tmp_path, authority):
    code, said = serve(tmp_path, "--listen", "0.0.0.0:0")
    assert code == 1 and "--tls-certificate" in said and "--allow-plain-http" in said, said
    certificate, key = authority.server("open", tmp_path / "server")
    for name, more in [("tls", {"LADE_TLS_CERTIFICATE": str(certificate), "LADE_TLS_KEY": str(key)}),
                       ("plain", {"LADE_ALLOW_PLAIN_HTTP": "true"})]:
        server = Server(tmp_path / name, listen="0.0.0.0:0", env=more).start()
        assert server.endpoint.startswith("https:" if name == "tls" else "http:")
        assert server.stop() == 0


def test_files_that_are_no_use_are_named(tmp_path, authority):
    certificate, key = authority.server("one", tmp_path / "one")
    _, other = authority.server("other", tmp_path / "other")
    for certificate, key, part in [
        (tmp_path / "absent.pem", key, "absent.pem"),
        (key, key, "no certificate"),
        (certificate, certificate, "no private key"),
        (certificate, other, "can't use the certificate"),
    ]:
        code, said = serve(tmp_path, "--listen", "127.0.0.1:0", "--tls-certificate", str(certificate),
                           "--tls-key", str(key))
        assert code == 1 and part in said, said
    code, said = serve(tmp_path, "--listen", "127.0.0.1:0", "--tls-certificate", str(certificate))
    assert code == 1 and "tls_key" in said


class TestCommands:
    """The binary as a client of a server that is reached over TLS."""

    def run(self, secure, *arguments, **env):
        arguments = [binary(), *arguments]
        return subprocess.run(arguments, env={**secure.client_environment(), **env}, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)

    def test_commands_trust_the_file_that_is_named(self, secure, authority):
        ca = str(authority.ca)
        for arguments, env in [(("--ca-file", ca), {}), ((), {"LADE_CA_FILE": ca}), ((), {"AWS_CA_BUNDLE": ca})]:
            done = self.run(secure, "status", *arguments, **env)
            assert done.returncode == 0, done.stderr

    def test_the_data_folder_tells_whom_to_trust(self, secure):
        done = self.run(secure, "status", "--data-dir", str(secure.data_dir),
                        LADE_ROOT_ACCESS_KEY_ID=ROOT_KEY, LADE_ROOT_SECRET_ACCESS_KEY=ROOT_SECRET)
        assert done.returncode == 0, done.stderr

    def test_nobody_else_is_trusted(self, secure, tmp_path):
        stranger = Authority(tmp_path).ca
        for arguments in ((), ("--ca-file", str(stranger)), ("--ca-file", "/nonexistent"), ("--ca-file", "/dev/null")):
            done = self.run(secure, "status", *arguments)
            assert done.returncode == 1 and done.stderr.startswith("lade: "), done.stderr

    def test_exports_are_made_verified_and_load_is_put(self, secure, authority):
        workshop = Trusting(secure.endpoint, authority.ca)
        group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
        ca = ("--ca-file", str(authority.ca))
        done = self.run(secure, "bench", "put", "--tracking-id", group.tracking_id, "--seconds", "1", "--clients", "2",
                        "--verify", *ca)
        assert done.returncode == 0, done.stdout + done.stderr
        done = self.run(secure, "export", group.interactions, f"s3://{workshop.target}/out/", "--role-arn",
                        workshop.export_role, "--name", "over-tls", *ca)
        assert done.returncode == 0, done.stderr
        done = self.run(secure, "verify", "--against-dataset", f"s3://{workshop.target}/out/over-tls/", *ca)
        assert done.returncode == 0, done.stdout + done.stderr
