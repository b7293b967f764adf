"""A server whose catalog is in PostgreSQL: everything goes on over the restarts of either, and the data folder holds none."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from support.catalog import on_postgres
from support.load import Load, check, patiently
from support.postgres import Postgres, require
from support.schemas import INTERACTIONS, ITEMS
from support.server import Server
from support.workshop import Workshop

WRITERS = 4


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory):
    """A PostgreSQL that a test may stop and start again."""
    require()
    postgres = Postgres(tmp_path_factory.mktemp("own-postgres")).start()
    yield postgres
    postgres.stop()


@pytest.fixture
def server(tmp_path, own_postgres):
    server = Server(tmp_path / "server", env=on_postgres(own_postgres.database(), tmp_path / "server")).start()
    yield server
    if server.process.poll() is None:
        server.kill()


def test_everything_is_found_again_and_nothing_lies_in_the_data_folder(server, own_postgres):
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(items=ITEMS, interactions=INTERACTIONS, tracker=True)
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
    workshop.put_items(group.items, ("i2", {"price": 2, "categoryL1": "B"}))
    workshop.put_event(group.tracking_id, "u1", "i1", "click", 1)
    before = {mode: workshop.export(group.items, mode).lines for mode in ("BULK", "PUT", "ALL")}
    own_postgres.drop_connections(server.env["LADE_CATALOG"])
    server.restart()
    workshop = workshop.at(server.endpoint)
    assert {mode: workshop.export(group.items, mode).lines for mode in ("BULK", "PUT", "ALL")} == before
    delete = workshop.personalize
    delete.delete_event_tracker(eventTrackerArn=group.tracker)
    for dataset in (group.items, group.interactions):
        delete.delete_dataset(datasetArn=dataset)
    delete.delete_dataset_group(datasetGroupArn=group.arn)
    assert delete.list_dataset_groups()["datasetGroups"] == []
    assert not list(server.data_dir.glob("catalog.db*"))


def test_a_server_that_was_killed_gets_its_catalog_back_by_itself(server):
    group = Workshop(server.endpoint).make_group(items=ITEMS)
    Workshop(server.endpoint).put_items(group.items, ("i1", {"price": 2, "categoryL1": "B"}))
    server.kill()
    # PostgreSQL gives the killed one up after a while, for which its successor waits.
    server.start()
    assert len(Workshop(server.endpoint).export(group.items, "PUT").rows) == 1


def test_puts_and_jobs_go_on_when_postgresql_comes_back(server, own_postgres, note):
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    text = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "".join(f"b{n},i,e,{n}\n" for n in range(1000))
    location = workshop.upload(text)
    load = Load(workshop, group.tracking_id)
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        try:
            for writer in [pool.submit(load.write, n) for n in range(WRITERS)]:
                writer.add_done_callback(lambda _: load.stopped.set())
            while not load.acknowledged:
                time.sleep(0.01)
            started = workshop.start_import(group.interactions, location)
            own_postgres.kill()
            with pytest.raises(ClientError) as refused:
                workshop.personalize.list_datasets(datasetGroupArn=group.arn)
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            # The connections of the first moment are known to be dead; who calls now waits for a new one in vain.
            with pytest.raises(ClientError):
                workshop.personalize.list_datasets(datasetGroupArn=group.arn)
            later = pool.submit(patiently, lambda: workshop.start_export(group.interactions, "BULK"))
            own_postgres.start()
            assert workshop.personalize.list_dataset_groups and later.result()
            held = set(load.acknowledged)
            while not load.acknowledged - held and not load.stopped.is_set():
                time.sleep(0.01)
        finally:
            load.stopped.set()
    assert workshop.wait_import(started)["status"] == "ACTIVE"
    assert workshop.wait_export(later.result())["status"] == "ACTIVE"
    note(f"test_postgres: {len(load.acknowledged)} puts, {len(load.refused)} refused, the slowest took {load.slowest_s:.2f} s")
    check(workshop, group, load)
    server.restart()
    check(workshop.at(server.endpoint), group, load)
    said = server.tail(1_000_000)
    assert "panicked" not in said and own_postgres.password not in said


def test_a_catalog_that_can_not_be_opened_is_told_without_its_password(tmp_path, own_postgres):
    address = own_postgres.database()
    for wrong in (address.replace(own_postgres.address, "127.0.0.1:1"), address + "_other", address + "?passwd=" + "x" * 9):
        server = Server(tmp_path / "refused", env=on_postgres(wrong, tmp_path / "refused")).spawn()
        assert server.process.wait(30) != 0
        said = server.tail(1000)
        assert "catalog" in said, said
        assert own_postgres.password not in said and "x" * 9 not in said, said
