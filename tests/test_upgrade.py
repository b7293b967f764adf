"""Data folders of other releases: older ones are brought forward, newer ones refused before anything is written."""

import re
import shutil
import sqlite3
import struct
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from awscrt.checksums import crc32c

from support import catalog
from support.backup import admin, state
from support.schemas import ITEMS, avro
from support.server import Server, binary
from support.workshop import Workshop

pytestmark = catalog.of_a_file
CATALOG = Path(__file__).parents[1] / "crates" / "catalog"
# What each start and each look may touch without saying anything new.
MOVING = ("lock", "address", "audit.log", "catalog.db-wal", "catalog.db-shm", "index.db-wal", "index.db-shm")


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A server of this release that was stopped: plain runs, and put records in the log."""
    server = Server(tmp_path_factory.mktemp("filled"), env={"LADE_AT_REST": "plain"}).start()
    workshop = Workshop(server.endpoint)
    server.items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(server.items, "ITEM_ID,PRICE,CATEGORY_L1\na,1,A\n")
    workshop.put_items(server.items, ("p", {"price": 2, "categoryL1": "P"}))
    server.workshop = workshop
    assert server.stop() == 0
    return server


@pytest.fixture
def copied(filled, tmp_path):
    """A server, not started, on a copy of that folder."""
    server = Server(tmp_path / "copied", env={"LADE_AT_REST": "plain"})
    shutil.copytree(filled.data_dir, server.data_dir)
    yield server
    if server.process and server.process.poll() is None:
        server.kill()


def refusal(server):
    done = subprocess.run([binary(), "serve", "--data-dir", server.data_dir, "--listen", "127.0.0.1:0"],
                          env=server.env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def change(file, *statements):
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.executescript(statement)
        connection.commit()


def log_header(start, version):
    head = b"LADE LOG" + struct.pack("<IIQI", version, 0, start, 0)
    return head + struct.pack("<I", crc32c(head))


def set_log_version(server, version):
    segment = next((server.data_dir / "log").glob("*.log"))
    content = segment.read_bytes()
    assert content[:32] == log_header(int(segment.stem), 2)
    segment.write_bytes(log_header(int(segment.stem), version) + content[32:])


@pytest.mark.parametrize("part, newer, told", [
    ("catalog", lambda s: change(s.data_dir / "catalog.db", "PRAGMA user_version = 99"), "the catalog has format 99"),
    ("log", lambda s: set_log_version(s, 99), "has format 99"),
    ("index", lambda s: change(s.data_dir / "s3" / "index.db", "PRAGMA user_version = 99"), "has version 99"),
])
def test_a_newer_folder_is_refused_before_anything_is_written(copied, part, newer, told):
    newer(copied)
    before = state(copied.data_dir, MOVING)
    said = refusal(copied)
    assert told in said and ("start the newer version" in said or "start the release that wrote it" in said), said
    assert state(copied.data_dir, MOVING) == before
    done = admin(copied, "doctor", "--data-dir", copied.data_dir)
    assert done.returncode == 1 and told in done.stdout, done.stdout
    if part == "catalog":
        done = admin(copied, "backup", copied.folder / "backup", "--data-dir", copied.data_dir)
        assert done.returncode == 1 and told in done.stderr, done.stderr
        assert not (copied.folder / "backup").exists()
    assert state(copied.data_dir, MOVING) == before


def test_an_older_catalog_is_not_passed_off_as_brought_forward_when_the_log_is_newer(copied):
    """All parts are looked at before the first of them is changed."""
    (copied.data_dir / "catalog.db").unlink()
    change(copied.data_dir / "catalog.db", (CATALOG / "tests" / "format_1.sql").read_text())
    set_log_version(copied, 99)
    before = state(copied.data_dir, MOVING)
    assert "has format 99" in refusal(copied)
    assert state(copied.data_dir, MOVING) == before


def test_a_run_of_a_newer_format_is_not_read(copied, filled):
    run = next((copied.data_dir / "runs").glob("*.parquet"))
    content = run.read_bytes()
    size = struct.unpack("<I", content[-8:-4])[0] + 8
    footer = re.sub(rb"(lade\.format.)(.)2", rb"\g<1>\g<2>9", content[-size:], count=1, flags=re.S)
    assert footer != content[-size:]
    old = struct.pack("<I", crc32c(run.name.encode() + content[-size:]))
    assert content[-size - 4:-size] == old
    run.write_bytes(content[:-size - 4] + struct.pack("<I", crc32c(run.name.encode() + footer)) + footer)
    done = admin(copied, "doctor", "--data-dir", copied.data_dir)
    assert done.returncode == 1 and "has format 9" in done.stdout and "start the version that wrote it" in done.stdout
    workshop = filled.workshop.at(copied.start().endpoint)
    job = workshop.wait_export(workshop.start_export(filled.items, "BULK"))
    assert job["status"] == "CREATE FAILED", job
    assert workshop.export(filled.items, "PUT").lines == ["p,2.0,P"]


def test_a_log_of_the_format_before_is_read_and_not_written_to(copied, filled):
    set_log_version(copied, 1)
    segment = next((copied.data_dir / "log").glob("*.log"))
    workshop = filled.workshop.at(copied.start().endpoint)
    before = segment.read_bytes()
    assert workshop.export(filled.items, "ALL").lines == ["a,1.0,A", "p,2.0,P"]
    workshop.put_items(filled.items, ("q", {"price": 3, "categoryL1": "Q"}))
    assert segment.read_bytes() == before
    assert copied.stop() == 0
    workshop = workshop.at(copied.start().endpoint)
    assert workshop.export(filled.items, "PUT").lines == ["p,2.0,P", "q,3.0,Q"]


def older(number):
    """The statements that make a catalog of an older format: those of the first one, and the steps up to it."""
    text = (CATALOG / "src" / "format.rs").read_text()
    steps = re.search(r"const STEPS: [^=]*= \[(.*?)\n\];", text, re.S).group(1)
    steps = re.findall(r'"(.*?)"', steps, re.S)
    made = [(CATALOG / "tests" / "format_1.sql").read_text(), *steps[:number - 1]]
    return [*made, f"PRAGMA user_version = {number}"]


@pytest.mark.parametrize("number", [1, 2])
def test_a_catalog_of_an_older_format_opens_with_all_that_was_in_it(tmp_path, number):
    server = Server(tmp_path / "old")
    server.data_dir.mkdir(parents=True)
    arn = "arn:aws:personalize:us-east-1:000000000000"
    rows = f"""
        INSERT INTO schema VALUES ('{arn}:schema/s', 's', '{avro("ITEMS", "ITEM_ID:string PRICE:float")}', NULL, 1, 1);
        INSERT INTO dataset_group VALUES ('{arn}:dataset-group/g', 'g', NULL, 'ACTIVE', 1, 1);
        INSERT INTO dataset (arn, name, group_arn, dataset_type, schema_arn, layout, status, flushed_position, created_ms,
            updated_ms) VALUES ('{arn}:dataset/g/ITEMS', 'd', '{arn}:dataset-group/g', 'ITEMS', '{arn}:schema/s',
            '{{"dataset_type":"ITEMS","schema_version":1,"columns":[
               {{"field_id":1,"name":"ITEM_ID","kind":"string","nullable":false}},
               {{"field_id":2,"name":"PRICE","kind":"float","nullable":false}}]}}', 'ACTIVE', 0, 1, 1);"""
    change(server.data_dir / "catalog.db", *older(number), rows)
    refused = admin(server, "backup", tmp_path / "backup", "--data-dir", server.data_dir)
    assert refused.returncode == 1 and f"has format {number}" in refused.stderr, refused.stderr
    # A server that was never sealed has no master key, and a dataset may have sealed records: the key has to be there.
    (server.data_dir / "master_key").write_bytes(b"k" * 32)
    (server.data_dir / "master_key").chmod(0o600)
    server.start()
    try:
        workshop = Workshop(server.endpoint)
        dataset = f"{arn}:dataset/g/ITEMS"
        assert workshop.personalize.describe_dataset(datasetArn=dataset)["dataset"]["name"] == "d"
        workshop.import_csv(dataset, "ITEM_ID,PRICE\na,1\n")
        workshop.put_items(dataset, ("p", {"price": 2}))
        assert workshop.export(dataset, "ALL").lines == ["a,1.0", "p,2.0"]
        assert server.restart() and admin(server, "backup", tmp_path / "backup", "--data-dir", server.data_dir).returncode == 0
    finally:
        server.kill()
