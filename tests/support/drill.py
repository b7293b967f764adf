"""Imports, puts and exports through all nodes while parts of a cluster die, stand still and come back; every export is
compared with what it may hold.

Of each import the model knows what bulk records stand after it. Rows of writers carry the writer's name and the call's
number, so that an export tells which calls it holds: all that were answered before it was asked for, none that was sent after
it was created, none by half or twice, and no call without those that were answered before it.
"""

import itertools
import random
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from model import Dataset
from support.export import Export
from support.nodes import BUCKET, IMPATIENT, patiently
from support.schemas import INTERACTIONS, ITEMS, column_names
from support.server import ACCOUNT, REGION
from support.workshop import wait

MODES = ("BULK", "PUT", "ALL")
EVENTS, ITEM_IDS = 10, 4
# Rows that are imported and put as well: in ALL they come out once.
SHARED = 5
EXPORTERS = 2
JOB_S = 180
QUIET_S = 90
PATIENT_JOBS = 20
HEADERS = {"events": "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n", "items": "ITEM_ID,PRICE,CATEGORY_L1\n"}


class History:
    """What one dataset holds after each of its imports, by mode, without what the writers put."""

    def __init__(self, kind):
        columns = column_names(INTERACTIONS if kind == "events" else ITEMS)
        self.kind, self.model = kind, Dataset(columns, "ITEM_ID" if kind == "items" else None)
        self.shared = [shared(kind, number) for number in range(SHARED)]
        self.model.put(*self.shared)
        # Those imports whose end was seen, and the states that those begun so far lead to.
        self.ended, self.states = 0, []
        self.remember()

    def remember(self):
        self.states.append({mode: self.model.export(mode) for mode in MODES})

    def next_import(self, chance):
        """A mode and rows; from now on exports may show them."""
        generation = len(self.states)
        mode = "FULL" if generation == 1 or chance.random() < 0.4 else "INCREMENTAL"
        rows = [self.draw(chance, generation) for _ in range(chance.choice((50, 300, 300, 20_000)))]
        rows += self.shared + rows[:20]
        (self.model.import_full if mode == "FULL" else self.model.import_incremental)(rows)
        self.remember()
        return mode, rows

    def draw(self, chance, generation):
        if self.kind == "events":
            return f"b{chance.randrange(500)}", f"i{chance.randrange(50)}", f"g{generation}", str(chance.randrange(20))
        return f"b{chance.randrange(500)}", f"{generation}.5", chance.choice("ABC")


def shared(kind, number):
    return ("both", f"i{number}", "shared", "7") if kind == "events" else (f"both{number}", "0.5", "A")


@dataclass
class Window:
    """What was known before an export was asked for, and what had been sent when its creation was answered."""

    states: tuple = (0, 0)
    answered: dict = field(default_factory=dict)
    sent: dict = field(default_factory=dict)


class Writer(threading.Thread):
    """A client that puts events and items in turn at one node, and moves to the next where it gets no answer."""

    def __init__(self, name, drill, at):
        super().__init__(name=name, daemon=True)
        self.drill, self.at = drill, at
        self.clients = [clients.client("personalize-events", config=IMPATIENT) for clients in drill.shop.each]
        self.sent = {"events": [], "items": []}
        self.answered = {"events": [], "items": []}

    def run(self):
        for number in itertools.count(1):
            if self.drill.is_over.is_set():
                return
            for kind in self.sent:
                self.put(kind, number)
            time.sleep(0.05)

    def put(self, kind, number):
        self.sent[kind].append(number)
        try:
            self.call(kind, number)
        except (BotoCoreError, ClientError) as error:
            self.refused(error)
        else:
            self.answered[kind].append(number)

    def call(self, kind, number):
        client = self.clients[self.at % len(self.clients)]
        if kind == "events":
            events = [{"eventType": "put", "itemId": f"c{number}", "sentAt": n} for n in range(EVENTS)]
            client.put_events(trackingId=self.drill.tracking_id, userId=self.name, sessionId="s", eventList=events)
        else:
            item = f'{{"price": {number}, "categoryL1": "P"}}'
            items = [{"itemId": f"{self.name}-{n}", "properties": item} for n in range(ITEM_IDS)]
            client.put_items(datasetArn=self.drill.datasets["items"], items=items)

    def refused(self, error):
        response = getattr(error, "response", None)
        if response and response["ResponseMetadata"]["HTTPStatusCode"] < 500:
            if response["Error"]["Code"] != "ThrottlingException":
                self.drill.fail(f"{self.name} was refused: {error}")
        self.drill.count("unanswered puts")
        self.at += 1
        time.sleep(0.2)


class Drill:
    """One run on a cluster that was started; `run` returns what is to be told, and raises when anything was wrong."""

    def __init__(self, cluster, seed, jobs, faults):
        self.cluster, self.jobs, self.seed = cluster, jobs, seed
        self.chance = random.Random(seed)
        self.trouble = faults
        self.is_over = threading.Event()
        self.failures, self.counts, self.times = [], Counter(), []
        self.lock, self.numbers = threading.Lock(), itertools.count(1)
        self.shop = cluster.workshop(IMPATIENT)

    def run(self):
        begun = time.monotonic()
        self.prepare()
        self.writers = [Writer(f"w{n}", self, n) for n in range(len(self.cluster.nodes))]
        for writer in self.writers:
            writer.start()
        workers = [self.keep_importing, *[self.keep_exporting] * EXPORTERS]
        with ThreadPoolExecutor(len(workers) + 1) as pool:
            trouble = pool.submit(self.guarded, self.trouble.run, self)
            working = [pool.submit(self.guarded, work, self.chance.randrange(1 << 32)) for work in workers]
            for each in [*working, trouble]:
                each.result()
        self.is_over.set()
        for writer in self.writers:
            writer.join(60)
        self.check_end()
        assert not self.failures, f"seed {self.seed}: " + "\n".join(self.failures)
        return self.summary(time.monotonic() - begun)

    def guarded(self, work, *arguments):
        try:
            work(*arguments)
        except BaseException as error:
            self.fail(f"{work.__name__}: {type(error).__name__}: {error}")
            self.is_over.set()

    def fail(self, text):
        self.failures.append(text)

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    @property
    def is_enough(self):
        """Whether the jobs that were asked for are done, and all faults happened."""
        return bool(self.failures) or self.trouble.is_done and self.done >= self.jobs

    @property
    def done(self):
        return len(self.times)

    # What is worked on

    def prepare(self):
        group = self.shop.make_group(items=ITEMS, interactions=INTERACTIONS, tracker=True)
        self.datasets = {"events": group.interactions, "items": group.items}
        self.tracking_id = group.tracking_id
        self.histories = {kind: History(kind) for kind in self.datasets}
        for user, item, kind, at in self.histories["events"].shared:
            self.shop.put_event(group.tracking_id, user, item, kind, int(at))
        for item, price, category in self.histories["items"].shared:
            self.shop.put_items(group.items, (item, {"price": float(price), "categoryL1": category}))

    def keep_importing(self, seed):
        chance = random.Random(seed)
        for kind in itertools.cycle(self.datasets):
            if self.is_enough:
                return
            self.import_next(kind, chance)

    def import_next(self, kind, chance):
        history, name = self.histories[kind], f"import-{next(self.numbers)}"
        mode, rows = history.next_import(chance)
        body = HEADERS[kind] + "".join(",".join(row) + "\n" for row in rows)
        key = f"in/{name}/data.csv"
        patiently(lambda: self.shop.s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode()))
        self.create(self.shop.start_import, self.datasets[kind], f"s3://{BUCKET}/{key}", mode=mode, name=name)
        self.await_end("dataset_import_job", name, f"import {mode}")
        history.ended += 1

    def keep_exporting(self, seed):
        chance = random.Random(seed)
        while not self.is_enough:
            self.export(chance.choice(list(self.datasets)), chance.choice(MODES))

    def export(self, kind, mode):
        """Creates an export, waits for its end and checks all that it holds."""
        name = f"export-{next(self.numbers)}"
        history = self.histories[kind]
        before = history.ended, {writer.name: len(writer.answered[kind]) for writer in self.writers}
        self.create(self.shop.start_export, self.datasets[kind], mode, name=name)
        window = Window((before[0], len(history.states) - 1), before[1],
                        {writer.name: len(writer.sent[kind]) for writer in self.writers})
        self.await_end("dataset_export_job", name, f"export {mode}")
        exported = patiently(lambda: Export(self.shop.s3, f"s3://{BUCKET}/out", name).check())
        self.check(kind, mode, exported, window)

    def create(self, start, *arguments, **more):
        exists = lambda error: error.response["Error"]["Code"] == "ResourceAlreadyExistsException"
        patiently(lambda: start(*arguments, **more), JOB_S, taken=exists)

    def await_end(self, kind, name, what):
        arn = f"arn:aws:personalize:{REGION}:{ACCOUNT}:{kind.replace('_', '-')}/{name}"
        argument = "".join(word.capitalize() for word in kind.split("_"))
        argument, begun = argument[0].lower() + argument[1:], time.monotonic()
        describe = getattr(self.shop.personalize, f"describe_{kind}")
        job = wait(lambda: patiently(lambda: describe(**{f"{argument}Arn": arn}))[argument], within_s=JOB_S)
        assert job["status"] == "ACTIVE", job
        with self.lock:
            self.times.append(time.monotonic() - begun)
            self.counts[what] += 1

    # What has to hold

    def check(self, kind, mode, exported, window):
        """All of an export: bulk rows are those of one state, calls of writers are whole, in order, and in the window."""
        own = [row for row in exported.rows if row[0].startswith("w")]
        rest = Counter(row for row in exported.rows if not row[0].startswith("w"))
        where = f"{mode} of {kind} in {exported.folder}"
        first, last = window.states
        assert any(rest == self.histories[kind].states[n][mode] for n in range(first, last + 1)), \
            f"{where}: bulk rows of none of the states {first} to {last}"
        if mode == "BULK":
            assert not own, f"{where} holds put records"
            return
        if mode == "PUT":
            assert exported.ledger["exactDuplicates"] == 0, f"{where}: a call is there twice"
        for writer in self.writers:
            mine = [row for row in own if row[0].split("-")[0] == writer.name]
            if kind == "items" and mode == "ALL":
                self.check_newest(where, writer, mine, window)
            else:
                self.check_calls(where, writer, kind, mine, window)

    def check_calls(self, where, writer, kind, rows, window):
        number = (lambda row: int(row[1][1:])) if kind == "events" else (lambda row: int(float(row[1])))
        calls = Counter(number(row) for row in rows)
        assert len(set(rows)) == len(rows), f"{where}: rows of {writer.name} twice"
        size = EVENTS if kind == "events" else ITEM_IDS
        assert set(calls.values()) <= {size}, f"{where}: torn calls of {writer.name}"
        needed = set(writer.answered[kind][:window.answered[writer.name]])
        assert needed <= calls.keys(), f"{where}: lost of {writer.name}: {sorted(needed - calls.keys())[:20]}"
        possible = set(writer.sent[kind][:window.sent[writer.name]])
        assert calls.keys() <= possible, f"{where}: from the future of {writer.name}: {sorted(calls.keys() - possible)[:20]}"
        # A prefix: whoever sees a call sees all that were answered before it was sent.
        newest = max(calls, default=0)
        missing = {n for n in list(writer.answered[kind]) if n < newest} - calls.keys()
        assert not missing, f"{where}: {writer.name}'s {newest} without {sorted(missing)[:20]}"

    def check_newest(self, where, writer, rows, window):
        newest = {int(float(row[1])) for row in rows}
        assert len(newest) <= 1 and len(rows) == ITEM_IDS * len(newest), f"{where}: {writer.name} has {rows}"
        answered, sent = writer.answered["items"], writer.sent["items"][:window.sent[writer.name]]
        known = answered[:window.answered[writer.name]]
        assert newest or not known, f"{where}: lost all of {writer.name}"
        for number in newest:
            assert number in sent, f"{where}: {number} of {writer.name} is from the future"
            # A call without an answer may take effect after those that were sent later.
            assert number not in set(answered) or number >= max(known, default=0), \
                f"{where}: {number} of {writer.name} is older than {known[-1]}"

    def check_end(self):
        """Once all parts are well again: exact contents, nothing left open, no object that nobody knows."""
        self.trouble.make_good(self.cluster)
        if self.failures:
            return
        for kind in self.datasets:
            for mode in MODES:
                self.guarded(self.export, kind, mode)
        self.guarded(self.check_uploads)
        self.guarded(self.check_objects)
        for part in self.cluster.parts:
            if panics := re.findall(r"panicked at [^\n]*\n([^\n]*)", part.said()):
                self.fail(f"{part.name} panicked: {panics}")

    def check_uploads(self):
        """An upload whose id was lost with the one who began it stays open: of these there may be one for each fault."""
        left = self.cluster.store.uploads("out/")
        self.counts["uploads left open"] = len(left)
        assert len(left) <= self.trouble.count, f"{len(left)} uploads are open: {left[:10]}"

    def check_objects(self):
        """Of Lade's own objects, those are there that the catalog names, and no others; nor is an upload open."""
        if self.cluster.is_single:
            return
        if self.jobs < PATIENT_JOBS:
            # A node looks for what nobody needs when it starts, and then once a minute.
            self.cluster.nodes[0].restart()
        deadline = time.monotonic() + QUIET_S
        while (difference := self.differing()) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert not difference, f"objects that only one of store and catalog knows: {difference}"

    def differing(self):
        there = patiently(self.cluster.objects)
        return sorted((there ^ self.named()) | patiently(self.cluster.open_uploads))[:20]

    def named(self):
        """Every object that the catalog knows of, runs and segments of the log, and the one that says whose they are."""
        return {"owner"} | {row[0] for row in self.cluster.query(
            "select 'runs/' || object from run union all select object from log_segment where is_cleared = 0")}

    def summary(self, seconds):
        ordered = sorted(self.times)
        jobs = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()) if what[0] in "ei")
        others = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()) if what[0] not in "ei")
        puts = sum(len(numbers) for writer in self.writers for numbers in writer.answered.values())
        return [
            f"seed {self.seed}: {len(ordered)} jobs in {seconds:.0f} s, all exact: {jobs}",
            f"a job took {ordered[len(ordered) // 2]:.1f} s in the middle, {ordered[-1]:.1f} s at most",
            f"{puts} calls of puts answered, none lost; {others or 'none unanswered'}",
            f"faults: {', '.join(f'{count} {what}' for what, count in sorted(self.trouble.counts.items()))}",
        ]
