"""Runs at rest are plain Parquet: other engines read what the server wrote, however its columns are encoded."""

import hashlib

import pyarrow.parquet as parquet
import pytest

from support.server import Server
from support.workshop import Workshop

FIELDS = "ITEM_ID:string KIND:string?:categorical TEXT:string?:textual PRICE:double? WEIGHT:double? CREATION_TIMESTAMP:long " \
         "COUNT:int? NEW:boolean? EMPTY:string?"
COUNT = 40_000


def odd(n, salt):
    return int.from_bytes(hashlib.blake2b(f"{n} {salt}".encode(), digest_size=5).digest())


def row(n):
    """Few and many different values, a piece of nulls and some of them strewn in."""
    sparse = lambda value, salt: None if odd(n, salt) % 5 == 0 else value
    return (f"i{n}", sparse(f"kind {n % 30}", 1), sparse(f"{odd(n, 2)} übrig", 3), odd(n, 4) % 1000 / 8,
            sparse(odd(n, 5) / 4, 6), odd(n, 7), None if n < 39_990 else 7, sparse(odd(n, 8) % 2 == 0, 9), None)


def cell(value):
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The path of a run that was imported."""
    server = Server(tmp_path_factory.mktemp("runs") / "own", arguments=["--at-rest", "plain"]).start()
    try:
        workshop = Workshop(server.endpoint)
        items = workshop.make_dataset(workshop.make_group().arn, "ITEMS", FIELDS)
        names = [field.split(":")[0] for field in FIELDS.split()]
        lines = [",".join(names)] + [",".join(map(cell, row(n))) for n in range(COUNT)]
        workshop.import_csv(items, "\n".join(lines) + "\n")
        yield next((server.data_dir / "runs").glob("*.parquet"))
    finally:
        server.kill()


def expected():
    return {values[0]: values + (n,) for n, values in enumerate(map(row, range(COUNT)))}


def by_id(rows):
    return {values[0]: tuple(values) for values in rows}


NAMES = [field.split(":")[0] for field in FIELDS.split()] + ["_SEQ"]


def test_arrow_reads_a_run(run):
    table = parquet.read_table(run)
    assert by_id(zip(*(table[name].to_pylist() for name in NAMES))) == expected()
    assert (set(table["_COPIES"].to_pylist()), set(table["_SEQ_SPAN"].to_pylist())) == ({1}, {0})


def test_duckdb_reads_a_run(run):
    duckdb = pytest.importorskip("duckdb")
    found = duckdb.sql(f"SELECT {', '.join(NAMES)} FROM '{run}'").fetchall()
    assert by_id(found) == expected()


def test_polars_reads_a_run(run):
    polars = pytest.importorskip("polars")
    assert by_id(polars.read_parquet(run, columns=NAMES).select(NAMES).rows()) == expected()


def test_columns_of_one_run_are_encoded_each_in_its_way(run):
    group = parquet.read_metadata(run).row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    encodings = {column.path_in_schema: set(column.encodings) - {"RLE", "PLAIN"} for column in columns}
    assert encodings["KIND"] == encodings["PRICE"] == encodings["_COPIES"] == {"RLE_DICTIONARY"}
    assert encodings["ITEM_ID"] == encodings["TEXT"] == {"DELTA_LENGTH_BYTE_ARRAY"}
    assert encodings["CREATION_TIMESTAMP"] == encodings["_SEQ"] == {"DELTA_BINARY_PACKED"}
    assert encodings["WEIGHT"] == encodings["NEW"] == set()
