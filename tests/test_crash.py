"""The server is killed again and again under load; nothing it acknowledged is lost, nothing comes twice.

The long form, with a seed to repeat a run:

    LADE_CRASH_CYCLES=300 LADE_TEST_SEED=1 pytest tests/test_crash.py
"""

import json
import os
import random
import threading
import time
from collections import Counter, defaultdict

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from support.export import Export
from support.schemas import INTERACTIONS, ITEMS, USERS
from support.workshop import Workshop

CYCLES = int(os.environ.get("LADE_CRASH_CYCLES") or (5 if os.environ.get("LADE_TESTS_FAST") else 25))
VERIFY_EVERY = 5 if CYCLES <= 25 else 10
WRITERS = 4
RUN_S = (0.0, 2.0) if CYCLES <= 25 else (0.0, 3.0)
READY_S, READY_S_MOSTLY = 10, 2


class Oracle:
    """An append-only file, on another folder than the server's: what was sent, and what was acknowledged."""

    def __init__(self, path):
        self.path = path
        self.file = open(path, "a")
        self.lock = threading.Lock()

    def note(self, what, *key):
        with self.lock:
            self.file.write(json.dumps([what, *key]) + "\n")

    def sync(self):
        self.file.flush()
        os.fsync(self.file.fileno())

    def read(self):
        """What → the keys noted, in order."""
        self.sync()
        found = defaultdict(list)
        with open(self.path) as lines:
            for line in lines:
                what, *key = json.loads(line)
                found[what].append(tuple(key))
        return found


class Load:
    """Writers and job loops that run until the server dies; counters go on over all cycles."""

    def __init__(self, oracle, group):
        self.oracle, self.group = oracle, group
        self.numbers = defaultdict(int)
        self.surprises = []

    def run(self, workshop, until_killed):
        tasks = [(self.put_events, n) for n in range(WRITERS)]
        tasks += [(self.put_things, 0), (self.import_users, 0), (self.export_events, 0)]
        threads = [threading.Thread(target=self.loop, args=(workshop, *task)) for task in tasks]
        for thread in threads:
            thread.start()
        until_killed()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs after the kill"

    def loop(self, workshop, step, writer):
        """Repeats a step until the connection breaks; an error answered by a living server is a surprise."""
        while True:
            number = self.numbers[step.__name__, writer] = self.numbers[step.__name__, writer] + 1
            try:
                step(workshop, writer, number)
            except ClientError as error:
                self.surprises.append(f"{step.__name__}: {error}")
                return
            except (BotoCoreError, OSError):
                return

    def put_events(self, workshop, writer, call):
        self.oracle.note("event sent", writer, call)
        workshop.events.put_events(
            trackingId=self.group.tracking_id, userId=f"w{writer}", sessionId="s",
            eventList=[{"eventType": "e", "itemId": f"c{call}", "sentAt": n} for n in range(10)])
        self.oracle.note("event acknowledged", writer, call)

    def put_things(self, workshop, _, number):
        kind = "item" if number % 2 else "user"
        self.oracle.note(f"{kind} sent", number)
        if kind == "item":
            workshop.put_items(self.group.items, (f"i{number % 5}", {"price": number, "categoryL1": "A"}))
        else:
            workshop.put_users(self.group.users, (f"p{number % 5}", {"age": number}))
        self.oracle.note(f"{kind} acknowledged", number)

    def import_users(self, workshop, _, generation):
        rows = "".join(f"u{n},{generation},F\n" for n in range(200))
        location = workshop.upload("USER_ID,AGE,GENDER\n" + rows, f"generation/{generation}.csv")
        self.oracle.note("import sent", generation)
        arn = workshop.start_import(self.group.users, location, name=f"generation-{generation}")
        self.oracle.note("import acknowledged", generation)
        workshop.wait_import(arn)

    def export_events(self, workshop, _, number):
        self.oracle.note("export sent", number)
        arn = workshop.start_export(self.group.interactions, "PUT", name=f"loaded-{number}")
        self.oracle.note("export acknowledged", number)
        workshop.wait_export(arn)


def end_of_jobs(workshop, group):
    """Waits for every job there is; name → description."""
    imports, exports = {}, {}
    pages = workshop.personalize.get_paginator("list_dataset_import_jobs").paginate(datasetArn=group.users)
    for job in (job for page in pages for job in page["datasetImportJobs"]):
        imports[job["jobName"]] = workshop.wait_import(job["datasetImportJobArn"])
    pages = workshop.personalize.get_paginator("list_dataset_export_jobs").paginate(datasetArn=group.interactions)
    for job in (job for page in pages for job in page["datasetExportJobs"]):
        exports[job["jobName"]] = workshop.wait_export(job["datasetExportJobArn"])
    return imports, exports


def check_events(exported, acknowledged, sent):
    """Each call is in whole or not at all; all acknowledged ones are; no row is there that nobody sent."""
    calls = Counter((int(user[1:]), int(item[1:])) for user, item, _, _ in exported.rows)
    assert set(calls.values()) <= {10}, "a call is torn"
    assert exported.ledger["exactDuplicates"] == 0, "a call came twice"
    assert set(acknowledged) <= set(calls), f"lost: {sorted(set(acknowledged) - set(calls))[:5]}"
    assert set(calls) <= set(sent)


def acknowledged_before(oracle, export):
    """The event calls whose acknowledgement was noted before an export was asked for."""
    oracle.sync()
    found = []
    with open(oracle.path) as lines:
        for line in lines:
            what, *key = json.loads(line)
            if (what, key) == ("export sent", [export]):
                return found
            if what == "event acknowledged":
                found.append(tuple(key))
    raise AssertionError("the oracle has not heard of this export")


def verify(workshop, group, oracle, checked):
    notes = oracle.read()
    imports, exports = end_of_jobs(workshop, group)
    assert {f"generation-{n}" for n, in notes["import acknowledged"]} <= set(imports)
    assert {f"loaded-{n}" for n, in notes["export acknowledged"]} <= set(exports)
    assert {job["status"] for job in [*imports.values(), *exports.values()]} <= {"ACTIVE"}, (imports, exports)

    check_events(workshop.export(group.interactions, "PUT"), notes["event acknowledged"], notes["event sent"])
    numbers = {int(name.removeprefix("loaded-")) for name in exports if name.startswith("loaded-")}
    for number in sorted(numbers - checked)[-4:]:
        exported = Export(workshop.s3, f"s3://{workshop.target}/out", f"loaded-{number}").check()
        check_events(exported, acknowledged_before(oracle, number), notes["event sent"])
    checked |= numbers

    for kind, letter, dataset in (("item", "i", group.items), ("user", "p", group.users)):
        put = [int(float(row[1])) for row in workshop.export(dataset, "PUT").rows]
        assert len(put) == len(set(put)), "a record came twice"
        assert {n for n, in notes[f"{kind} acknowledged"]} <= set(put) <= {n for n, in notes[f"{kind} sent"]}
        rows = [row for row in workshop.export(dataset, "ALL").rows if row[0].startswith(letter)]
        newest = {row[0]: int(float(row[1])) for row in rows}
        assert newest == {f"{letter}{k}": max(n for n in put if n % 5 == k) for k in {n % 5 for n in put}}

    if imports:
        last = max(int(name.removeprefix("generation-")) for name in imports)
        users = workshop.export(group.users, "BULK")
        assert Counter(row[1] for row in users.rows) == {str(last): 200}, "one generation, the newest"


@pytest.mark.timeout(600 + 20 * CYCLES)
def test_kills_lose_nothing(own_server, tmp_path_factory, note):
    seed = int(os.environ.get("LADE_TEST_SEED") or random.randrange(1 << 32))
    note(f"test_crash: LADE_TEST_SEED={seed}")
    chance = random.Random(seed)
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(items=ITEMS, users=USERS, interactions=INTERACTIONS, tracker=True)
    oracle = Oracle(tmp_path_factory.mktemp("oracle") / "notes")
    load, checked, ready = Load(oracle, group), set(), []

    for cycle in range(1, CYCLES + 1):
        def kill():
            time.sleep(chance.uniform(*RUN_S))
            own_server.kill()

        load.run(workshop, kill)
        oracle.sync()
        begin = time.monotonic()
        own_server.start()
        ready.append(time.monotonic() - begin)
        assert ready[-1] < READY_S
        workshop = workshop.at(own_server.endpoint)
        assert not load.surprises, (seed, load.surprises)
        if cycle % VERIFY_EVERY == 0 or cycle == CYCLES:
            verify(workshop, group, oracle, checked)

    done = {what: len(keys) for what, keys in oracle.read().items() if what.endswith("acknowledged")}
    note(f"test_crash: {CYCLES} kills, ready again in at most {max(ready):.2f} s, {done}")
    assert sorted(ready)[len(ready) // 2] <= READY_S_MOSTLY
    assert "panicked" not in own_server.tail(1_000_000)
    assert all(done[f"{what} acknowledged"] for what in ("event", "item", "user", "import", "export"))

