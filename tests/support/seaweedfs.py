"""SeaweedFS, a store with an STS of its own: its roles are given to it when it starts."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from support import ports
from support.clients import Clients

WEED = Path(sys.executable).parent / "weed"
# Ports of the parts; each has another one 10,000 above it.
PARTS = ["master.port", "volume.port", "filer.port", "s3.port", "admin.port"]
READY_S = 30
ADMIN = ("ADMINADMINADMIN", "admin-secret-of-the-tests")
SERVICE = ("LADELADELADELADE", "lade-secret-of-the-tests")
# The account of its users is always this one.
SERVICE_ARN = "arn:aws:iam::000000000000:user/lade"


def role_arn(name):
    return f"arn:aws:iam::000000000000:role/{name}"


class SeaweedFS:
    """One store with a bucket; `roles` are names and statements, `kms` a provider of its KMS.

    `users` are more identities: names, keys and actions such as `Read:BUCKET`. `start`, and `stop` or `kill`, may alternate.
    """

    def __init__(self, folder, bucket, roles, kms=None, users=(), more_buckets=()):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.bucket = folder, bucket
        self.buckets = ",".join([bucket, *more_buckets])
        first = ports.free(len(PARTS), also=10_000)
        self.ports = {part: first + number for number, part in enumerate(PARTS)}
        self.endpoint = f"http://127.0.0.1:{self.ports['s3.port']}"
        identity = lambda name, keys, actions: {
            "name": name, "credentials": [{"accessKey": keys[0], "secretKey": keys[1]}], "actions": actions}
        all_users = [("admin", ADMIN, ["Admin", "Read", "Write", "List", "Tagging"]), ("lade", SERVICE, []), *users]
        identities = [identity(*user) for user in all_users]
        self._write("s3.json", {"identities": identities, **({"kms": kms} if kms else {})})
        self._write("iam.json", _iam(roles))

    def _write(self, name, value):
        (self.folder / name).write_text(json.dumps(value))

    def start(self):
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        arguments = [f"-{part}={port}" for part, port in self.ports.items()]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [WEED, "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false",
                 "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-bucket={self.buckets}",
                 "-s3.config=s3.json", "-s3.iam.config=iam.json", *arguments],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            )
        self.s3 = Clients(self.endpoint, *ADMIN).s3
        deadline = time.monotonic() + READY_S
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.1)
        return self

    def _answers(self):
        try:
            for bucket in self.buckets.split(","):
                self.s3.put_object(Bucket=bucket, Key="ready", Body=b"")
                self.s3.delete_object(Bucket=bucket, Key="ready")
        except (BotoCoreError, ClientError):
            return False
        return True

    def stop(self):
        # In good order it takes seconds, and nothing that it holds is needed again.
        self.process.kill()
        self.process.wait(30)

    def restart(self):
        """An end in good order, and another start on what it holds."""
        self.process.terminate()
        self.process.wait(60)
        return self.start()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def keys(self, prefix="", bucket=None):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket or self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def uploads(self, prefix="", bucket=None):
        listed = self.s3.list_multipart_uploads(Bucket=bucket or self.bucket, Prefix=prefix)
        return [upload["Key"] for upload in listed.get("Uploads", [])]


def _iam(roles):
    document = lambda statements: {"Version": "2012-10-17", "Statement": statements}
    trust = [{"Effect": "Allow", "Principal": {"AWS": SERVICE_ARN}, "Action": ["sts:AssumeRole"]}]
    stranger = [{**trust[0], "Principal": {"AWS": SERVICE_ARN + "-of-another"}}]
    return {
        "sts": {"issuer": "seaweedfs-sts", "tokenDuration": "1h", "maxSessionLength": "12h",
                "signingKey": base64.b64encode(b"a key of the tests, 32 bytes long").decode(),
                "accountId": "000000000000"},
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "providers": [],
        "roles": [
            {"roleName": name, "roleArn": role_arn(name), "attachedPolicies": [name],
             "trustPolicy": document(stranger if name.startswith("untrusting") else trust)}
            for name in roles
        ],
        "policies": [{"name": name, "document": document(statements)} for name, statements in roles.items()],
    }
