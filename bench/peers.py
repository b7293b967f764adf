"""What the peers do with the same files, with as many threads as the server has cores; each call in its own process.

`sources` is a list of CSV files with headers, or of Parquet files; `columns` are names and SQL types.

They are told the columns' types, and need not keep the order of rows: both make them faster. They never sync what they
write, which the server always does.
"""

import os

import duckdb
import polars

THREADS = int(os.environ["BENCH_THREADS"])
POLARS_TYPES = {"VARCHAR": polars.String, "BIGINT": polars.Int64, "DOUBLE": polars.Float64, "BOOLEAN": polars.Boolean}
CHUNK_BYTES = 4 << 20


def duckdb_distinct(sources, output, columns):
    """CSV or Parquet → distinct rows as CSV."""
    _duckdb(f"COPY (SELECT DISTINCT * FROM {_relation(sources, columns)}) TO '{output}' (FORMAT csv, HEADER)")


def duckdb_csv(sources, output, columns):
    """CSV or Parquet → CSV, duplicates and all."""
    _duckdb(f"COPY (SELECT * FROM {_relation(sources, columns)}) TO '{output}' (FORMAT csv, HEADER)")


def duckdb_parquet(sources, output, columns, ordered=False):
    """CSV → Parquet as DuckDB writes it by default, in order of all columns if asked; duplicates stay."""
    order = "ORDER BY ALL" if ordered else ""
    _duckdb(f"COPY (SELECT * FROM {_relation(sources, columns)} {order}) TO '{output}' (FORMAT parquet)")


def polars_distinct(sources, output, columns):
    _polars(sources, columns).unique().sink_csv(output)


def polars_parquet(sources, output, columns):
    _polars(sources, columns).sink_parquet(output)


def write_synced(sources, output, columns):
    """The same bytes written plainly and synced, as `dd conv=fsync` does."""
    with open(sources[0], "rb", buffering=0) as read, open(output, "wb", buffering=0) as written:
        while chunk := read.read(CHUNK_BYTES):
            written.write(chunk)
        os.fsync(written.fileno())


def duckdb_write(prepare, query, output):
    """The rows of a query as CSV, in the query's order."""
    connection = duckdb.connect()
    connection.execute(prepare)
    connection.execute(f"COPY ({query}) TO '{output}' (FORMAT csv, HEADER)")


def digest(sources, columns):
    """How many rows there are, and the sum of their hashes: equal for equal multisets of rows, in any order.

    Read as text, then as the schema says, so that 15 equals 15.0, and empty text equals nothing. `unread` counts values
    that are not of their column's type.
    """
    values = ", ".join(f"TRY_CAST({name} AS {kind})" if kind != "VARCHAR" else f"nullif({name}, '')"
                       for name, kind in columns.items())
    unread = " + ".join(f"count(*) FILTER (nullif({name}, '') IS NOT NULL AND TRY_CAST({name} AS {kind}) IS NULL)"
                        for name, kind in columns.items() if kind != "VARCHAR") or "0"
    text = _relation(sources, dict.fromkeys(columns, "VARCHAR"))
    rows, total, unread = _duckdb(f"SELECT count(*), sum(hash({values})::HUGEINT), {unread} FROM {text}").fetchone()
    return {"rows": rows, "hash": str(total or 0), "unread": unread}


def versions():
    return {"DuckDB": duckdb.__version__, "Polars": polars.__version__}


def _duckdb(query):
    connection = duckdb.connect(config={"threads": THREADS, "preserve_insertion_order": False})
    return connection.execute(query)


def _relation(sources, columns):
    if sources[0].endswith(".parquet"):
        return f"read_parquet({sources})"
    return f"read_csv({sources}, header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', " \
           f"columns = {columns})"


def _polars(sources, columns):
    if sources[0].endswith(".parquet"):
        return polars.scan_parquet(sources)
    return polars.scan_csv(sources, schema={name: POLARS_TYPES[kind] for name, kind in columns.items()})
