"""Ceph's radosgw with a monitor and one store in memory: roles, their sessions and bucket policies, all by its API."""

import base64
import json
import os
import shutil
import signal
import subprocess
import time
import uuid

from botocore.exceptions import BotoCoreError, ClientError

from support import ports
from support.clients import Clients

READY_S = 60
# The tenant of its users is the account in their ARNs.
ACCOUNT = "123456789012"
ADMIN = ("RGWADMINRGWADMIN", "admin-secret-of-the-tests")
SERVICE = ("RGWLADERGWLADE00", "lade-secret-of-the-tests")
SERVICE_ARN = f"arn:aws:iam::{ACCOUNT}:user/lade"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"

CONFIGURATION = """
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon}
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind port min = {low}
ms bind port max = {high}
keyring = {folder}/admin.keyring
run dir = {folder}
admin socket = {folder}/$name.$pid.asok
pid file = {folder}/$name.pid
log file = {folder}/$name.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
[mon]
mon data = {folder}/mon
mon data avail crit = 1
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
[client.rgw.a]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw sts key = abcdefghijklmnop
rgw s3 auth use sts = true
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = {key}={secret}
"""


def is_installed():
    return all(shutil.which(program) for program in ("radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "ceph"))


def compact(*statements):
    """A policy document as radosgw takes it: without a blank."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":"))


class Radosgw:
    """One gateway; what it holds goes with it. The folder's path has to be short: sockets lie in it."""

    def __init__(self, folder):
        self.folder = folder
        first = ports.free(40)
        self.endpoint = f"http://127.0.0.1:{first}"
        self.mon = f"v2:127.0.0.1:{first + 1}"
        self.fsid = str(uuid.uuid4())
        self.daemons = []
        for name in ("mon", "osd", "rgw"):
            (folder / name).mkdir(parents=True)
        text = CONFIGURATION.format(
            fsid=self.fsid, mon=first + 1, low=first + 5, high=first + 39, folder=folder, port=first, key=KEY,
            secret=base64.b64encode(os.urandom(32)).decode())
        (folder / "ceph.conf").write_text(text)

    def start(self):
        self._make_keys()
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "mon.keyring")
        self._spawn("ceph-mon", "-f", "-i", "a")
        entries = [self._key("osd.0", mon="allow profile osd", osd="allow *"),
                   self._key("client.rgw.a", mon="allow rw", osd="allow rwx")]
        with open(self.folder / "admin.keyring", "a") as keyring:
            keyring.writelines(entries)
        osd = str(uuid.uuid4())
        self._run("ceph", "osd", "new", osd)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._run("ceph", "osd", "crush", "add", "osd.0", "1.0", "root=default", "host=h")
        self._spawn("ceph-osd", "-f", "-i", "0")
        self._spawn("radosgw", "-f", "-n", "client.rgw.a")
        self._make_user("root", ADMIN, "--caps=roles=*;user-policy=*")
        self._make_user("lade", SERVICE)
        self.admin = Clients(self.endpoint, *ADMIN)
        self.s3, self.iam = self.admin.s3, self.admin.iam
        deadline = time.monotonic() + READY_S
        while not self._answers():
            assert time.monotonic() < deadline, "radosgw does not answer"
            time.sleep(0.2)
        return self

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGKILL)
            daemon.wait(30)

    def make_role(self, name, *statements, trusted=SERVICE_ARN):
        trust = {"Effect": "Allow", "Principal": {"AWS": [trusted]}, "Action": ["sts:AssumeRole"]}
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=compact(trust))
        if statements:
            self.set_policy(name, *statements)
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    def set_policy(self, role, *statements):
        self.iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=compact(*statements))

    def _make_keys(self):
        tool = lambda *arguments: self._run("ceph-authtool", *arguments)
        tool("--create-keyring", "mon.keyring", "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        tool("--create-keyring", "admin.keyring", "--gen-key", "-n", "client.admin", "--cap", "mon", "allow *",
             "--cap", "osd", "allow *")
        tool("mon.keyring", "--import-keyring", "admin.keyring")
        self._run("monmaptool", "--create", "--addv", "a", f"[{self.mon}]", "--fsid", self.fsid, "monmap")

    def _key(self, name, **caps):
        words = [word for cap in caps.items() for word in cap]
        return self._run("ceph", "auth", "get-or-create", name, *words)

    def _make_user(self, name, keys, *more):
        self._run("radosgw-admin", "user", "create", f"--tenant={ACCOUNT}", f"--uid={name}", f"--display-name={name}",
                  f"--access-key={keys[0]}", f"--secret={keys[1]}", *more)

    def _answers(self):
        try:
            self.s3.list_buckets()
        except (BotoCoreError, ClientError):
            return False
        return True

    def _run(self, program, *arguments):
        done = subprocess.run([program, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60,
                              env=self._environment(), stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{program} {arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _spawn(self, program, *arguments):
        with open(self.folder / f"{program}.out", "wb") as out:
            daemon = subprocess.Popen([program, *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out,
                                      stderr=out, env=self._environment())
        self.daemons.append(daemon)

    def _environment(self):
        return {**os.environ, "CEPH_ARGS": f"-c {self.folder}/ceph.conf"}
