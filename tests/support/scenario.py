"""One client's life with the service, step by step: it may be broken off anywhere, is resumed, and knows what was promised."""

import shutil
import socket
import time
from collections import Counter
from pathlib import Path

from botocore.exceptions import ClientError

from support.export import Export
from support.faults import Faults
from support.schemas import INTERACTIONS, ITEMS, avro
from support.server import ACCOUNT, REGION, Server
from support.workshop import Workshop, wait

CALLS, EVENTS, ROWS, PRICES = 50, 10, 2_000, 3
CSV = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "".join(f"b{n},i{n},click,{n}\n" for n in range(ROWS))
SETTINGS = {"LADE_FLUSH_AFTER_S": "0"}


def arn(resource):
    return f"arn:aws:personalize:{REGION}:{ACCOUNT}:{resource}"


class House:
    """A server on a fixed port, with faults to arm; its data folder can be put back to a template."""

    def __init__(self, folder, env=None):
        self.folder = Path(folder)
        self.faults = Faults(self.folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        env = {**SETTINGS, **self.faults.env, **(env or {})}
        self.server = Server(self.folder / "own", listen=f"127.0.0.1:{port}", env=env)

    @property
    def data(self):
        return self.server.data_dir

    def prepare(self):
        """Makes buckets and roles, and keeps the folder as the template."""
        self.server.start()
        self.workshop = Workshop(self.server.endpoint)
        assert self.server.stop() == 0
        shutil.copytree(self.data, self.folder / "template")
        return self

    def put_back(self):
        self.end()
        shutil.rmtree(self.data)
        shutil.copytree(self.folder / "template", self.data)
        for name in ("stdout", "stderr"):
            (self.server.folder / name).write_bytes(b"")
        return Scenario(self.workshop, self.data)

    def arm(self, *arguments, under="", **more):
        self.faults.arm(*arguments, under=self.data / under if under else f"{self.data}/", **more)

    @property
    def is_running(self):
        return self.server.process.poll() is None

    def end(self):
        self.faults.disarm()
        if self.server.process and self.is_running:
            self.server.kill()

    def said(self):
        return (self.server.folder / "stderr").read_text(errors="replace")


class Scenario:
    """Group, schemas, datasets, a tracker, events, an import, items, a flush, an export.

    Each step that was acknowledged stands in `done`; `run` does those that do not, and so it also resumes.
    """

    def __init__(self, workshop, data, job_s=20):
        self.workshop, self.data, self.job_s = workshop, data, job_s
        self.done, self.sent, self.seen = [], set(), set()

    def run(self):
        for name, step, *arguments in self.steps():
            if (name, *arguments) not in self.done:
                step(*arguments)
                self.done.append((name, *arguments))

    def steps(self):
        yield "group", self.make_group
        yield "schema", self.make_schema, "INTERACTIONS", INTERACTIONS
        yield "schema", self.make_schema, "ITEMS", ITEMS
        yield "dataset", self.make_dataset, "INTERACTIONS"
        yield "dataset", self.make_dataset, "ITEMS"
        yield "tracker", self.make_tracker
        for call in range(CALLS):
            yield "event", self.put_events, call
        yield "upload", self.upload
        yield "import", self.start_import
        yield "import active", self.wait_import
        for price in range(1, PRICES + 1):
            yield "item", self.put_item, price
        yield "flush", self.wait_flush
        yield "export", self.start_export, "ALL"
        yield "export active", self.wait_export, "ALL"

    # The steps

    def once(self, call, *arguments, **more):
        """A create that an earlier try may have made, though its answer was lost."""
        try:
            return call(*arguments, **more)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise

    @property
    def group(self):
        return arn("dataset-group/g")

    def dataset(self, kind):
        return arn(f"dataset/g/{kind}")

    def make_group(self):
        self.once(self.workshop.personalize.create_dataset_group, name="g")
        describe = self.workshop.personalize.describe_dataset_group
        wait(lambda: describe(datasetGroupArn=self.group)["datasetGroup"])

    def make_schema(self, kind, fields):
        name = f"s-{kind.lower()}"
        self.once(self.workshop.personalize.create_schema, name=name, schema=avro(kind, fields))

    def make_dataset(self, kind):
        self.once(self.workshop.personalize.create_dataset, name=f"d-{kind.lower()}", datasetGroupArn=self.group,
                  datasetType=kind, schemaArn=arn(f"schema/s-{kind.lower()}"))
        describe = self.workshop.personalize.describe_dataset
        wait(lambda: describe(datasetArn=self.dataset(kind))["dataset"])

    def make_tracker(self):
        personalize = self.workshop.personalize
        self.once(personalize.create_event_tracker, name="t", datasetGroupArn=self.group)
        self.tracker = personalize.list_event_trackers(datasetGroupArn=self.group)["eventTrackers"][0]["eventTrackerArn"]
        describe = lambda: personalize.describe_event_tracker(eventTrackerArn=self.tracker)["eventTracker"]
        self.tracking_id = wait(describe)["trackingId"]

    def is_new(self, *key):
        """Whether it was never sent: what was sent without an answer may be in, and is not sent again."""
        if key in self.sent:
            return False
        self.sent.add(key)
        return True

    def acknowledged(self, kind):
        return {number for what, number in self.seen if what == kind}

    def put_events(self, call):
        if self.is_new("event", call):
            self.workshop.events.put_events(
                trackingId=self.tracking_id, userId="u", sessionId="s",
                eventList=[{"eventType": "e", "itemId": f"c{call}", "sentAt": n} for n in range(EVENTS)])
            self.seen.add(("event", call))

    def put_item(self, price):
        if self.is_new("item", price):
            self.workshop.put_items(self.dataset("ITEMS"), ("i", {"price": price, "categoryL1": "A"}))
            self.seen.add(("item", price))

    def upload(self):
        self.location = self.workshop.upload(CSV, "scenario/rows.csv")

    def start_import(self):
        self.once(self.workshop.start_import, self.dataset("INTERACTIONS"), self.location, name="rows")

    def wait_import(self):
        job = self.workshop.wait_import(arn("dataset-import-job/rows"), self.job_s)
        assert job["status"] == "ACTIVE", job

    def wait_flush(self):
        """Put records of both datasets are in runs, or there were none; beside the import's."""
        wanted = 1 + len({kind for kind, _ in self.seen})
        deadline = time.monotonic() + self.job_s
        while len(list((self.data / "runs").glob("*.parquet"))) < wanted:
            self.workshop.personalize.list_schemas()
            assert time.monotonic() < deadline, "put records stay in the log"
            time.sleep(0.02)

    def start_export(self, mode):
        self.once(self.workshop.start_export, self.dataset("INTERACTIONS"), mode, name=f"export-{mode.lower()}")

    def wait_export(self, mode):
        job = self.workshop.wait_export(arn(f"dataset-export-job/export-{mode.lower()}"), self.job_s)
        assert job["status"] == "ACTIVE", job

    # What has to hold

    def check_done(self):
        """Every step that was acknowledged is there."""
        personalize = self.workshop.personalize
        check = {
            "group": lambda: personalize.describe_dataset_group(datasetGroupArn=self.group),
            "schema": lambda kind, _: personalize.describe_schema(schemaArn=arn(f"schema/s-{kind.lower()}")),
            "dataset": lambda kind: personalize.describe_dataset(datasetArn=self.dataset(kind)),
            "tracker": lambda: personalize.describe_event_tracker(eventTrackerArn=self.tracker),
            "upload": self.check_upload,
            "import": self.wait_import,
            "export": self.wait_export,
        }
        for name, *arguments in self.done:
            check.get(name, lambda *_: None)(*arguments)

    def check_upload(self):
        key = self.location.removeprefix(f"s3://{self.workshop.source}/")
        assert self.workshop.s3.get_object(Bucket=self.workshop.source, Key=key)["Body"].read().decode() == CSV

    def check_rows(self):
        """To be called after `run`: exports hold what was acknowledged, whole, once, and nothing that was not sent."""
        put = self.workshop.export(self.dataset("INTERACTIONS"), "PUT")
        self.check_events(put)
        bulk = self.workshop.export(self.dataset("INTERACTIONS"), "BULK")
        assert bulk.lines == sorted(CSV.splitlines()[1:])
        items = Counter(float(row[1]) for row in self.workshop.export(self.dataset("ITEMS"), "PUT").rows)
        assert set(items.values()) <= {1}
        assert self.acknowledged("item") <= set(items) <= {key for kind, key in self.sent if kind == "item"}
        newest = self.workshop.export(self.dataset("ITEMS"), "ALL").rows
        assert [float(row[1]) for row in newest] == ([max(items)] if items else [])
        everything = Export(self.workshop.s3, f"s3://{self.workshop.target}/out", "export-all").check()
        # A call that was refused when the disk failed may be there since the start that came behind this export.
        late = put.multiset + bulk.multiset - everything.multiset
        assert not everything.multiset - put.multiset - bulk.multiset
        assert not {int(row[1][1:]) for row in late if row[0] == "u"} & self.acknowledged("event")
        assert not [row for row in late if row[0] != "u"]

    def check_events(self, exported):
        calls = Counter(int(row[1][1:]) for row in exported.rows)
        assert set(calls.values()) <= {EVENTS}, "a call is torn"
        assert exported.ledger["exactDuplicates"] == 0, "a call came twice"
        lost = self.acknowledged("event") - set(calls)
        assert not lost, f"lost: {sorted(lost)}"
        assert set(calls) <= {key for kind, key in self.sent if kind == "event"}
