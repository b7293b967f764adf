"""Exports and imports against a store and a network at their worst: all or nothing, and nothing that is not exact.

A sample by default. More jobs, every point of a kill, an outage of two minutes:

    LADE_CHAOS_JOBS=200 LADE_CHAOS_POINTS=all LADE_CHAOS_OUTAGE_S=120 pytest tests/test_chaos.py

`LADE_CHAOS_STORE=seaweedfs` takes SeaweedFS in place of another Lade, `LADE_CHAOS_RATE=20` gives all jobs that rate in
percent, `LADE_CHAOS_FAULTS=passing` leaves out redirects and clocks that are apart, and `LADE_TEST_SEED` repeats a run.
"""

import json
import os
import random
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from model import Dataset
from support.chaos import PASSING, REFUSING, Chaos
from support.clients import Clients
from support.export import Export
from support.lade import cancel, job as lade_job
from support.policies import EXPORT, allow
from support.schemas import ITEMS, ITEMS_NULLABLE, column_names
from support.server import Server
from support.workshop import Workshop

FAST = os.environ.get("LADE_TESTS_FAST")
JOBS = int(os.environ.get("LADE_CHAOS_JOBS") or (10 if FAST else 24))
POINTS = os.environ.get("LADE_CHAOS_POINTS") or (2 if FAST else 4)
OUTAGE_S = float(os.environ.get("LADE_CHAOS_OUTAGE_S") or 4)
SEED = int(os.environ.get("LADE_TEST_SEED") or random.randrange(1 << 32))
RATES = [int(os.environ["LADE_CHAOS_RATE"])] if os.environ.get("LADE_CHAOS_RATE") else [1, 5, 10, 20, 30]
STORE = os.environ.get("LADE_CHAOS_STORE")
FAULTS = PASSING if os.environ.get("LADE_CHAOS_FAULTS") == "passing" else PASSING + REFUSING
JOB_S = 300
WORKERS = 8
MODES = ("BULK", "PUT", "ALL")
HEADER = "ITEM_ID,PRICE,CATEGORY_L1\n"
STEPS = r"can't (begin an upload of|upload a part of|complete|write|list|read) s3://"


class RemoteWorkshop(Workshop):
    """A workshop whose buckets are on another server."""

    def __init__(self, endpoint, s3):
        self.s3 = s3
        super().__init__(endpoint)

    def make_bucket(self, prefix, actions=EXPORT, policy=None):
        # A policy for the service is of use to embedded buckets alone.
        return super().make_bucket(prefix, policy="")

    def at(self, endpoint):
        again = super().at(endpoint)
        again.s3 = self.s3
        return again


def another_lade(folder):
    """A store, its owner's client, and the keys of a user who may do what the documentation gives to a job's role."""
    store = Server(folder).start()
    owner = Clients(store.endpoint)
    policy = {"Version": "2012-10-17", "Statement": [allow(["s3:PutObject", "s3:GetObject", "s3:ListBucket"])]}
    owner.iam.create_user(UserName="jobs")
    owner.iam.put_user_policy(UserName="jobs", PolicyName="p", PolicyDocument=json.dumps(policy))
    key = owner.iam.create_access_key(UserName="jobs")["AccessKey"]
    return store, owner.s3, (key["AccessKeyId"], key["SecretAccessKey"])


def seaweedfs(folder):
    from support.seaweedfs import ADMIN, SeaweedFS

    store = SeaweedFS(folder, "unused", {}).start()
    return store, store.s3, ADMIN


class House:
    """A store, the proxy before it, and a server whose jobs see nothing but the proxy."""

    def __init__(self, folder):
        self.folder = folder
        self.store, self.s3, self.key = (seaweedfs if STORE == "seaweedfs" else another_lade)(folder / "store")
        self.chaos = Chaos(self.store.endpoint, SEED, faults=FAULTS).__enter__()

    def server(self, name, **settings):
        """A server that is to be stopped by whoever asked for it."""
        return Server(self.folder / name, env={
            "LADE_S3_ENDPOINT": self.chaos.endpoint,
            "LADE_SERVICE_ACCESS_KEY_ID": self.key[0],
            "LADE_SERVICE_SECRET_ACCESS_KEY": self.key[1],
            "LADE_FILE_SIZE_MAX": "1MiB", **settings,
        }).start()

    def workshop(self, server):
        return RemoteWorkshop(server.endpoint, self.s3)

    def objects(self, bucket, folder):
        listed = self.s3.list_objects_v2(Bucket=bucket, Prefix=folder)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def end(self):
        self.chaos.__exit__()
        self.store.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("chaos"))
    yield house
    house.end()


@pytest.fixture
def calm(house):
    """The house without any fault, before a test and after it."""
    yield house
    chaos = house.chaos
    chaos.rate, chaos.always, chaos.is_down, chaos.is_silent = (lambda key: 0.0), {}, False, False
    chaos.before = chaos.after = lambda request: False


@pytest.fixture(scope="module")
def front(house):
    server = house.server("front", LADE_JOBS_CONCURRENT=str(WORKERS), LADE_JOBS_MEMORY="1GiB")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def shop(house, front):
    return house.workshop(front)


def after_creation(house, fault):
    """That fault for all reads but the one that looks at the header when a job is created."""
    return lambda key: fault if house.chaos.seen["Get", key, ""] > 1 else None


def item(row):
    return row[0], {"price": float(row[1]), "categoryL1": row[2]}


def mixed(shop, chance):
    """A dataset of both origins with many equal ids and rows, and what the model says of it."""
    dataset, model = shop.make_group(items=ITEMS).items, Dataset(column_names(ITEMS), "ITEM_ID")
    draw = lambda: (f"i{chance.randrange(200)}", f"{chance.randrange(4)}.5", chance.choice("ABC"))
    for mode in ("FULL", "INCREMENTAL"):
        rows = [draw() for _ in range(400)]
        shop.import_csv(dataset, HEADER + "".join(",".join(row) + "\n" for row in rows), mode)
        model.import_incremental(rows)
        for _ in range(4):
            rows = [draw() for _ in range(10)]
            shop.put_items(dataset, *map(item, rows))
            model.put(*rows)
    return dataset, model


def large(shop):
    """A dataset that is exported as four files, and what the model says of it."""
    dataset, model = shop.make_group(items=ITEMS_NULLABLE).items, Dataset(column_names(ITEMS_NULLABLE), "ITEM_ID")
    rows = [(f"i{n}", "", "", f"{n:04}" * 250) for n in range(2500)]
    shop.import_csv(dataset, "ITEM_ID,PRICE,GENRES,DESCRIPTION\n" + "".join(",".join(row) + "\n" for row in rows))
    model.import_full(rows)
    return dataset, model


@pytest.fixture(scope="module")
def wide(shop):
    return large(shop)


def persistently(create):
    """Creates a job on a store that fails; a call that was refused has made none."""
    for _ in range(100):
        try:
            return create()
        except ClientError as error:
            assert error.response["Error"]["Code"] != "ResourceAlreadyExistsException"
            refusal = error
    raise refusal


def check_export(house, shop, name, job, expected):
    if job["status"] == "ACTIVE":
        exported = Export(house.s3, f"s3://{shop.target}/out", name).check()
        assert exported.names[-1] == "_manifest.json" and len(exported.keys) == len(exported.data_keys) + 1
        assert exported.multiset == expected
        return
    check_reason(job, shop.target, f"out/{name}/")
    assert named(job, shop.target) == house.objects(shop.target, f"out/{name}/"), job["failureReason"]


def check_reason(job, bucket, key):
    reason = job["failureReason"]
    assert re.search(STEPS, reason) and f"s3://{bucket}/{key}" in reason, reason


def named(job, bucket):
    """The objects that a failed job says are visible."""
    _, _, names = job["failureReason"].partition(" visible: ")
    return re.findall(rf"s3://{bucket}/(\S+\.(?:csv|json))", names.partition(" Uploads left open")[0])


@pytest.mark.timeout(120 + 60 * JOBS)
def test_jobs_end_exact_or_named(calm, front, shop, wide, note):
    """ACTIVE is exact; CREATE FAILED names bucket, key and step, and what is visible; an import is in or is not."""
    house, chance = calm, random.Random(SEED)
    note(f"test_chaos: LADE_TEST_SEED={SEED}")
    datasets = [*(mixed(shop, chance) for _ in range(2)), wide]
    targets = [shop.make_group(items=ITEMS).items for _ in range(min(JOBS // 3, 12))]
    imported, ends, lock = {target: Counter([("first", "1.0", "A")]) for target in targets}, Counter(), threading.Lock()
    for target in targets:
        shop.import_csv(target, HEADER + "first,1,A\n")
    plan = [(n, RATES[n % len(RATES)], chance.randrange(1 << 32)) for n in range(JOBS)]

    def export(name, chance):
        dataset, model = chance.choice(datasets)
        mode = chance.choice(MODES)
        arn = persistently(lambda: shop.start_export(dataset, mode, name=name))
        job = shop.wait_export(arn, JOB_S)
        check_export(house, shop, name, job, model.export(mode))
        return job

    def import_(name, chance):
        target, rows = chance.choice(targets), []
        for n in range(chance.randrange(1, 4)):
            part = [(f"{name}-{n}-{k}", f"{k}.0", "A") for k in range(400)]
            shop.upload(HEADER + "".join(",".join(row) + "\n" for row in part), f"in/{name}/{n}.csv")
            rows += part
        location = f"s3://{shop.source}/in/{name}/"
        arn = persistently(lambda: shop.start_import(target, location, "INCREMENTAL", name=name))
        job = shop.wait_import(arn, JOB_S)
        if job["status"] == "ACTIVE":
            with lock:
                imported[target].update(rows)
        else:
            check_reason(job, shop.source, f"in/{name}/")
        return job

    def run(task):
        n, rate, seed = task
        name = f"c{n}-p{rate}"
        try:
            job = (import_ if n % 3 == 2 else export)(name, random.Random(seed))
        except BaseException as failure:
            failure.add_note(f"LADE_TEST_SEED={SEED}, job {name}: " + "; ".join(map(str, house.chaos.told(name))))
            raise
        with lock:
            ends["import" if n % 3 == 2 else "export", rate, job["status"]] += 1

    def rate(key):
        found = re.search(r"c[0-9]+-p([0-9]+)(?=/|$)", key)
        return int(found.group(1)) / 100 if found else 0.0

    begun = time.monotonic()
    house.chaos.rate = rate
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(run, plan))
    house.chaos.rate = lambda key: 0.0
    for target in targets:
        assert shop.export(target, "BULK").multiset == imported[target]
    assert house.chaos.elsewhere == 0, "somebody followed a redirect"
    parts = [one for one in house.chaos.log if one.step == "Part"]
    assert parts and all("x-amz-checksum-crc64nvme" in part.headers for part in parts)
    assert "panicked" not in front.tail(1_000_000)
    note(f"test_chaos: {JOBS} jobs in {time.monotonic() - begun:.0f} s; "
         + "; ".join(f"{kind} {rate} % {end}: {count}" for (kind, rate, end), count in sorted(ends.items())))
    faults = Counter(one.fault for one in house.chaos.log if one.fault)
    note(f"test_chaos: {len(house.chaos.log)} requests, faults {dict(faults.most_common())}")
    slots = house.s3.list_multipart_uploads(Bucket=shop.target).get("Uploads", [])
    note(f"test_chaos: {len(slots)} uploads left open whose ids nobody was told")


# A job that meets a given fault


def test_an_outage_is_waited_out(calm, front, shop, wide):
    house, (dataset, model) = calm, wide
    target = shop.make_group(items=ITEMS).items
    location = shop.upload(HEADER + "i1,1,A\n", "in/outage/a.csv")
    house.chaos.always = {"Part": "reset before", "Get": after_creation(house, "reset before")}
    arns = shop.start_export(dataset, "ALL", name="outage"), shop.start_import(target, location)
    wait_until(lambda: house.chaos.told("out/outage", "Part") and len(house.chaos.told("in/outage", "Get")) > 1)
    house.chaos.is_down, end = True, time.monotonic() + OUTAGE_S
    while time.monotonic() < end:
        assert all(lade_job(front.endpoint, arn)["status"] == "CREATE IN_PROGRESS" for arn in arns)
        time.sleep(0.25)
    house.chaos.is_down, house.chaos.always = False, {}
    assert shop.read_export(arns[0]).multiset == model.export("ALL")
    assert shop.wait_import(arns[1])["status"] == "ACTIVE"


def wait_until(condition, within_s=60):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_outage_without_end_is_given_up_and_named(calm):
    house = calm
    server = house.server("impatient", LADE_JOB_ATTEMPTS_MAX="1")
    try:
        shop = house.workshop(server)
        items = shop.make_group(items=ITEMS).items
        location = shop.upload(HEADER + "i1,1,A\n", "in/endless/a.csv")
        house.chaos.always = {"Part": "503", "Get": after_creation(house, "503")}
        export = shop.start_export(items, name="endless")
        into = shop.start_import(items, location)
        job = shop.wait_export(export)
        assert job["status"] == "CREATE FAILED"
        assert job["failureReason"].startswith(f"can't upload a part of s3://{shop.target}/out/endless/ITEMS-00000.csv: ")
        assert house.objects(shop.target, "out/endless/") == []
        job = shop.wait_import(into)
        assert job["failureReason"].startswith(f"can't read s3://{shop.source}/in/endless/a.csv: "), job
    finally:
        server.kill()


def test_a_silent_store_keeps_no_cancelled_job(calm, front, shop, wide):
    """And what the store does not give up is named."""
    house, (dataset, _) = calm, wide
    house.chaos.always = {"Part": "silence", "Abort": lambda key: "denied" if "mute" in key and ".csv" in key else None}
    arn = shop.start_export(dataset, "ALL", name="mute")
    wait_until(lambda: house.chaos.told("out/mute", "Part"))
    assert cancel(front.endpoint, arn)[0] == 200
    reason = shop.wait_export(arn, within_s=20)["failureReason"]
    assert re.match(rf"cancelled by \S+:root\. Uploads left open: s3://{shop.target}/out/mute/ITEMS-00000.csv \(", reason), reason
    assert house.objects(shop.target, "out/mute/") == []


def test_a_silent_store_keeps_no_server_that_is_to_stop(calm):
    house = calm
    server = house.server("stopping")
    shop = house.workshop(server)
    items = shop.make_group(items=ITEMS).items
    location = shop.upload(HEADER + "i1,1,A\n", "in/stopping/a.csv")
    house.chaos.always = {"Part": "silence", "Get": after_creation(house, "silence")}
    shop.start_export(items, name="stopping"), shop.start_import(items, location)
    wait_until(lambda: house.chaos.told("out/stopping", "Part") and len(house.chaos.told("in/stopping", "Get")) > 1)
    assert server.stop(20) == 0


def test_a_refusal_after_the_first_file_names_what_is_visible(calm, shop, wide):
    house, (dataset, _) = calm, wide
    house.chaos.always = {"Complete": lambda key: "denied" if key.endswith("00002.csv") else None}
    arn = shop.start_export(dataset, "ALL", name="torn")
    job = shop.wait_export(arn)
    keys = house.objects(shop.target, "out/torn/")
    assert keys == ["out/torn/ITEMS-00000.csv", "out/torn/ITEMS-00001.csv"] and named(job, shop.target) == keys
    assert f"can't complete s3://{shop.target}/out/torn/ITEMS-00002.csv: " in job["failureReason"]
    # What was not visible yet is given up, and never will be.
    open_uploads = house.s3.list_multipart_uploads(Bucket=shop.target, Prefix="out/torn/").get("Uploads", [])
    assert open_uploads == []


def test_a_completion_whose_answer_was_lost_is_found_by_listing(calm, shop, wide):
    """The store forgets an upload when it is completed, and so refuses another try."""
    house, (dataset, model) = calm, wide
    tried = Counter()

    def fault(key):
        tried[key] += 1
        return "lost answer" if tried[key] == 1 else "gone"

    house.chaos.always = {"Complete": fault}
    exported = shop.export(dataset, "ALL", name="lost")
    assert exported.multiset == model.export("ALL")
    assert len(house.chaos.told("out/lost", "Complete")) == 8
    assert {one.status for one in house.chaos.told("out/lost", "Complete")} == {200, None}


# A kill at any request of an export


def test_a_kill_at_any_request_leaves_an_exact_export(calm, note):
    house = calm
    server = house.server("killed")
    shop = house.workshop(server)
    dataset, model = large(shop)
    expected = model.export("ALL")
    first = shop.export(dataset, "ALL", name="whole")
    assert len(first.keys) == 5
    total = len([one for one in house.chaos.told("out/whole/") if of_job(one)])
    assert total >= 4 + 4 + 4 + 1
    points = [(n, forwards) for n in range(1, total + 1) for forwards in (False, True)]
    if POINTS != "all":
        points = sorted(random.Random(SEED).sample(points, int(POINTS)))
    for n, forwards in points:
        name = f"kill-{n}-{forwards}"
        kill_at(house, server, shop, dataset, name, n, forwards)
        server.start()
        shop = shop.at(server.endpoint)
        arn = f"arn:aws:personalize:us-east-1:000000000000:dataset-export-job/{name}"
        exported = shop.read_export(arn)
        assert exported.multiset == expected and exported.names == first.names, name
        assert [exported.bodies[key] for key in exported.data_keys] == [first.bodies[key] for key in first.data_keys]
        # Nothing was ever visible under a key but what is there now.
        for key in exported.data_keys:
            done = {one.query["uploadId"][0] for one in house.chaos.told(key, "Complete") if one.status == 200}
            assert len(done) == 1, (name, key, done)
    server.kill()
    note(f"test_chaos: {len(points)} kills at the {total} requests of an export")


def of_job(request):
    """Whether a request is the job's, and not of the check that goes before it."""
    return not (request.key.endswith("_manifest.json") and request.step in ("Create", "Abort"))


def kill_at(house, server, shop, dataset, name, number, forwards):
    seen, killed = [], threading.Event()

    def count(request):
        if f"out/{name}/" in request.key and of_job(request):
            seen.append(request)
        return len(seen) == number and request is seen[-1]

    def kill(request):
        if killed.is_set():
            return False
        server.kill()
        killed.set()
        return True

    def before(request):
        return count(request) and not forwards and kill(request)

    house.chaos.before = before
    house.chaos.after = lambda request: forwards and len(seen) >= number and request is seen[number - 1] and kill(request)
    try:
        shop.start_export(dataset, "ALL", name=name)
    except HTTPClientError:
        pass  # It was killed before its answer.
    assert killed.wait(60), f"request {number} never came"
    house.chaos.before = house.chaos.after = lambda request: False
