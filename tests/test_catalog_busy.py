"""Another process holds the catalog's file for a while: puts go on, jobs wait, and nothing is lost."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.catalog import of_a_file
from support.load import Load, check, patiently
from support.schemas import INTERACTIONS
from support.workshop import Workshop

PUT_S = 5
WRITERS = 4


@of_a_file
@pytest.mark.parametrize("held_s", [1, 10])
def test_a_held_catalog_keeps_no_put_waiting(own_server, note, held_s):
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    text = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "".join(f"b{n},i,e,{n}\n" for n in range(1000))
    location = workshop.upload(text)
    load = Load(workshop, group.tracking_id)
    other = sqlite3.connect(own_server.data_dir / "catalog.db", isolation_level=None, timeout=10,
                            check_same_thread=False)
    with ThreadPoolExecutor(WRITERS + 2) as pool:
        writers = [pool.submit(load.write, n) for n in range(WRITERS)]
        while not load.acknowledged:
            time.sleep(0.01)
        other.execute("BEGIN EXCLUSIVE")
        try:
            held = set(load.acknowledged)
            job = pool.submit(patiently, lambda: workshop.start_import(group.interactions, location))
            reads = pool.submit(lambda: workshop.personalize.list_datasets(datasetGroupArn=group.arn)["datasets"])
            time.sleep(held_s)
            assert len(reads.result(PUT_S)) == 1
            assert load.acknowledged - held, "no put was acknowledged while the catalog was held"
        finally:
            other.execute("ROLLBACK")
            other.close()
            load.stopped.set()
        for writer in writers:
            writer.result()
        assert workshop.wait_import(job.result())["status"] == "ACTIVE"
    note(f"test_catalog_busy: {held_s} s held, {len(load.acknowledged)} puts, {len(load.refused)} refused, "
         f"the slowest took {load.slowest_s:.2f} s")
    assert load.slowest_s < PUT_S
    check(workshop, group, load)
    own_server.kill()
    own_server.start()
    check(workshop.at(own_server.endpoint), group, load)
    assert "panicked" not in own_server.tail(1_000_000)
