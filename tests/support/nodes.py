"""Lade on several machines, all of them this one: nodes, a scheduler and executors over one PostgreSQL and one store.

Every part is a process with a folder of its own, and may be killed, stopped, continued and started again.
"""

import itertools
import os
import re
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from support import ports
from support.clients import Clients
from support.export import Export
from support.policies import allow
from support.postgres import Postgres
from support.seaweedfs import SERVICE, SERVICE_ARN, SeaweedFS, role_arn
from support.server import READY, ROOT_KEY, ROOT_SECRET, bare_environment, binary
from support.workshop import Workshop

READY_S = 60
# What jobs read and write, and Lade's own objects, which only its own keys open.
BUCKET, OWN_BUCKET = "retail", "lade"
OWN = ("OBJECTSOBJECTSOB", "secret-of-the-own-objects")
OWN_ACTIONS = [f"{action}:{OWN_BUCKET}" for action in ("Read", "Write", "List", "Tagging")]
IN_BUCKET = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
ROLES = {
    "importer": [allow(["s3:GetObject", "s3:ListBucket"], IN_BUCKET)],
    "exporter": [allow(["s3:PutObject", "s3:ListBucket", "s3:AbortMultipartUpload"], IN_BUCKET)],
}
# A node that is stopped takes connections and never answers.
IMPATIENT = Config(retries={"total_max_attempts": 1}, proxies={}, connect_timeout=2, read_timeout=8,
                   max_pool_connections=32)


class Part:
    """One process; `start`, and `stop` or `kill`, may alternate."""

    def __init__(self, folder, name, program, arguments, env):
        self.name, self.folder = name, Path(folder) / name
        self.command = [program, *arguments]
        self.env = {**bare_environment(), **env}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def spawn(self):
        self.out_start = self._size("stdout")
        with open(self.folder / "stdout", "ab") as out, open(self.folder / "stderr", "ab") as err:
            self.process = subprocess.Popen(self.command, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=err)
        return self

    def start(self):
        self.spawn()
        self.wait_ready()
        return self

    def wait_ready(self):
        deadline = time.monotonic() + READY_S
        while not self.is_ready():
            assert self.is_running, f"{self.name} ended with {self.process.returncode}:\n{self.tail()}"
            assert time.monotonic() < deadline, f"{self.name} is not ready after {READY_S} s:\n{self.tail()}"
            time.sleep(0.02)

    def stop(self, wait_s=40):
        """SIGTERM; the exit code."""
        if self.is_running:
            self.process.terminate()
        return self.process.wait(wait_s)

    def kill(self):
        if self.is_running:
            self.process.kill()
        self.process.wait(30)

    def pause(self):
        """Stops it as a machine that swaps, or that is being moved: it knows nothing of the time that passes."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def restart(self):
        self.stop()
        return self.start()

    def said(self, name="stderr"):
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""

    def tail(self, lines=40):
        return "\n".join(f"--- {self.name} {name}\n" + "\n".join(self.said(name).splitlines()[-lines:])
                         for name in ("stdout", "stderr"))

    def cpu_s(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _size(self, name):
        path = self.folder / name
        return path.stat().st_size if path.exists() else 0


class Node(Part):
    """`lade serve` at an address that stays its own."""

    def __init__(self, folder, name, program, env):
        address = f"127.0.0.1:{ports.free(1)}"
        self.endpoint = f"http://{address}"
        arguments = ["serve", "--data-dir", "data", "--listen", address]
        super().__init__(folder, name, program, arguments, env)

    def is_ready(self):
        with open(self.folder / "stdout", "rb") as out:
            out.seek(self.out_start)
            return re.search(READY, out.read().decode("utf-8", "replace"))


class Listener(Part):
    """A scheduler or an executor: ready when it takes connections at its port."""

    def __init__(self, folder, name, program, arguments, env, port):
        self.port = port
        super().__init__(folder, name, program, arguments, env)

    def is_ready(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Cluster:
    """A store and `nodes` nodes; with PostgreSQL and objects on the store, unless it is a `single` one with files.

    `executors` more processes run the tasks of jobs where there are any; `env` adds to the settings of all.
    """

    def __init__(self, folder, nodes=3, executors=0, single=False, env=None, store=None):
        self.folder, self.is_single = Path(folder), single
        self.program = binary()
        self.owns_store = store is None
        self.store = store or SeaweedFS(self.folder / "store", BUCKET, ROLES, users=[("objects", OWN, OWN_ACTIONS)],
                                         more_buckets=[OWN_BUCKET])
        self.postgres = None if single else Postgres(self.folder / "postgres")
        self.sizes, self.more = (nodes, executors), env or {}
        self.prefix = secrets.token_hex(4)
        self.nodes, self.executors, self.scheduler = [], [], None

    def start(self):
        if self.owns_store:
            self.store.start()
        if self.postgres:
            self.catalog = self.postgres.start().database()
        self.env = self._settings()
        nodes, executors = self.sizes
        if executors:
            self._start_executors(executors)
        self.nodes = [Node(self.folder, f"node{n}", self.program, self.env) for n in range(nodes)]
        # One after the other: the first one makes the tables.
        for node in self.nodes:
            node.start()
        return self

    def _start_executors(self, count):
        port = ports.free(1)
        address = f"127.0.0.1:{port}"
        self.env |= {"LADE_ENGINE": "ballista", "LADE_SCHEDULER": address}
        self.scheduler = Listener(self.folder, "scheduler", self.program, ["scheduler", "--listen", address],
                                  self.env, port).start()
        for number in range(count):
            self.executors.append(self.executor(f"executor{number}").start())

    def executor(self, name):
        port = ports.free(2)
        arguments = ["executor", "--data-dir", "data", "--listen", f"127.0.0.1:{port}"]
        return Listener(self.folder, name, self.program, arguments, self.env, port)

    def _settings(self):
        shared = {
            "LADE_S3_ENDPOINT": self.store.endpoint, "LADE_STS_ENDPOINT": self.store.endpoint,
            "LADE_SERVICE_ACCESS_KEY_ID": SERVICE[0], "LADE_SERVICE_SECRET_ACCESS_KEY": SERVICE[1],
            "LADE_SERVICE_ARN": SERVICE_ARN,
            "LADE_ROOT_ACCESS_KEY_ID": ROOT_KEY, "LADE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET,
        }
        if not self.is_single:
            shared |= {
                "LADE_CATALOG": self.catalog, "LADE_MASTER_KEY_FILE": str(self._master_key()),
                "LADE_OBJECTS": f"s3://{OWN_BUCKET}/{self.prefix}", "LADE_OBJECTS_ENDPOINT": self.store.endpoint,
                "LADE_OBJECTS_ACCESS_KEY_ID": OWN[0], "LADE_OBJECTS_SECRET_ACCESS_KEY": OWN[1],
            }
        return {**shared, **self.more}

    def _master_key(self):
        file = self.folder / "master_key"
        if not file.exists():
            file.touch(0o600)
            file.write_bytes(secrets.token_bytes(32))
        return file

    @property
    def parts(self):
        return [*self.nodes, *self.executors, *([self.scheduler] if self.scheduler else [])]

    def stop(self):
        """Ends all in good order; exit codes of the nodes have to be 0."""
        codes = {node.name: node.stop() for node in self.nodes}
        self.close()
        assert set(codes.values()) <= {0}, "".join(node.tail() for node in self.nodes if codes[node.name])

    def close(self):
        """Ends all, however it is."""
        for part in self.parts:
            if part.process is not None:
                part.kill()
        if self.postgres and self.postgres.process:
            self.postgres.resume()
            self.postgres.stop()
        if self.owns_store:
            self.store.stop()

    def workshop(self, config=None):
        return Balanced(self, config)

    def add_node(self):
        node = Node(self.folder, f"node{len(self.nodes)}", self.program, self.env).start()
        self.nodes.append(node)
        return node

    def query(self, text):
        """Rows of the catalog."""
        return self.postgres.query(self.catalog, text)

    def objects(self):
        """Names of Lade's own objects below their prefix."""
        return {key.removeprefix(f"{self.prefix}/") for key in self.store.keys(f"{self.prefix}/", OWN_BUCKET)}

    def open_uploads(self):
        """Names of those own objects that somebody began to upload in parts."""
        return set(self.store.uploads(f"{self.prefix}/", OWN_BUCKET))

    def tail(self):
        return "\n".join(part.tail() for part in self.parts)


class RoundRobin:
    """A client whose calls go to the nodes in turn."""

    def __init__(self, clients):
        self._clients = itertools.cycle(clients)

    def __getattr__(self, name):
        return lambda **arguments: getattr(next(self._clients), name)(**arguments)


class Balanced(Workshop):
    """A workshop whose calls go to the nodes in turn, and whose bucket and roles are those of the store."""

    def __init__(self, cluster, config=None):
        more = {"config": config} if config else {}
        self.each = [Clients(node.endpoint) for node in cluster.nodes]
        in_turn = lambda service: RoundRobin([clients.client(service, **more) for clients in self.each])
        self.personalize, self.events, self.iam = in_turn("personalize"), in_turn("personalize-events"), in_turn("iam")
        self.store, self.s3, self.source, self.target = cluster.store, cluster.store.s3, BUCKET, BUCKET
        self.import_role, self.export_role = role_arn("importer"), role_arn("exporter")

    def read_export(self, arn, within_s=60):
        job = self.wait_export(arn, within_s)
        assert job["status"] == "ACTIVE", job
        return Export(self.s3, job["jobOutput"]["s3DataDestination"]["path"], job["jobName"]).check()


def patiently(call, within_s=60, taken=lambda error: False):
    """Calls until somebody answers: refusals that pass, and silence, are tried again.

    `taken` tells refusals that say the call went through before, though its answer was lost.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            return call()
        except ClientError as error:
            if taken(error):
                return None
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500 and not passes(error):
                raise
            failure = error
        except BotoCoreError as error:
            failure = error
        assert time.monotonic() < deadline, f"not answered in {within_s} s: {failure}"
        time.sleep(0.1)


def passes(error):
    """Whether a refusal is about the moment: a queue that is full, a store that did not answer."""
    code, text = error.response["Error"]["Code"], error.response["Error"]["Message"]
    return code in ("ThrottlingException", "ServiceUnavailable") or "did not answer" in text
