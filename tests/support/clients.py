"""boto3 clients and the AWS CLI, pointed at a server."""

import json
import shlex
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import boto3
from botocore.config import Config

from support.server import REGION, ROOT_KEY, ROOT_SECRET

# One try: a test wants to see the first answer. Path style is what boto3 picks for an IP address anyway.
ONCE = Config(retries={"total_max_attempts": 1}, proxies={}, max_pool_connections=32)


class Clients:
    """The clients of one principal."""

    def __init__(self, endpoint, key=ROOT_KEY, secret=ROOT_SECRET, token=None, region=REGION):
        self.endpoint = endpoint
        self.session = boto3.Session(key, secret, token, region_name=region)

    def client(self, service, config=ONCE, **more):
        return self.session.client(service, endpoint_url=self.endpoint, config=config, **more)

    @cached_property
    def personalize(self):
        return self.client("personalize")

    @cached_property
    def events(self):
        return self.client("personalize-events")

    @cached_property
    def s3(self):
        return self.client("s3")

    @cached_property
    def iam(self):
        return self.client("iam")

    @cached_property
    def sts(self):
        return self.client("sts")

    @cached_property
    def kms(self):
        return self.client("kms")


AWS = str(Path(sys.executable).parent / "aws")


def aws(server, *arguments, env=None, check=True, **more):
    """Runs the AWS CLI; the finished process."""
    result = subprocess.run([AWS, *arguments], env=env or server.client_environment(), capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, timeout=300, **more)
    if check:
        assert result.returncode == 0, f"aws {shlex.join(arguments)}\n{result.stdout}\n{result.stderr}"
    return result


def aws_json(server, *arguments, **more):
    """Runs the AWS CLI; its answer."""
    text = aws(server, *arguments, "--output", "json", **more).stdout
    return json.loads(text) if text.strip() else None
