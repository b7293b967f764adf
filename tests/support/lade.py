"""What Lade offers beyond the service: signed requests under /lade/v1, and the commands of its binary."""

import json
import subprocess
import urllib.error
import urllib.request
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.server import REGION, ROOT_KEY, ROOT_SECRET, binary


def ask(endpoint, method, path, key=ROOT_KEY, secret=ROOT_SECRET, body=None):
    """Sends a signed request, with a JSON body where there is one; status and JSON body."""
    data = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    request = AWSRequest(method, f"{endpoint}/lade/v1{path}", data=data, headers=headers)
    SigV4Auth(Credentials(key, secret), "personalize", REGION).add_auth(request)
    prepared = request.prepare()
    plain = urllib.request.Request(prepared.url, data=data, method=method, headers=dict(prepared.headers))
    try:
        with urllib.request.urlopen(plain, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


def job_path(arn, more=""):
    return f"/jobs/{quote(arn, safe='')}{more}"


def job(endpoint, arn):
    status, found = ask(endpoint, "GET", job_path(arn))
    assert status == 200, found
    return found


def cancel(endpoint, arn):
    return ask(endpoint, "POST", job_path(arn, "/cancel"))


def lade(server, *arguments, env=None, timeout_s=120):
    """Runs the binary as a client of the server."""
    return subprocess.run(
        [binary(), *arguments], env={**server.client_environment(), **(env or {})}, timeout=timeout_s,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )
