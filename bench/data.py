"""The data: rows made by DuckDB from hashes of row numbers, so that equal parameters give equal files.

Files are kept in the bench folder under a name that holds the shape, the rows and a hash of the query that made them.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from support.schemas import column_names

from bench.child import run_child

INTERACTIONS = "USER_ID:string ITEM_ID:string EVENT_TYPE:string TIMESTAMP:long EVENT_VALUE:float"
SQL_TYPES = {"string": "VARCHAR", "long": "BIGINT", "int": "BIGINT", "float": "DOUBLE", "boolean": "BOOLEAN"}
ROWS_PER_USER = 20
ITEM_COUNT = 50_000

# A whole number that looks random and depends on nothing but its two arguments.
PICK = "CREATE MACRO pick(n, salt) AS (hash(n::BIGINT, salt::BIGINT) >> 1)::BIGINT"

# Of each row number `i`, the number `n` of the record that stands there: one in 50 repeats an earlier one.
REPEATS = "SELECT CASE WHEN i % 50 = 49 THEN j - (j % 50 = 49)::INT ELSE i END AS n " \
          "FROM (SELECT i, pick(i, 0) % (i + 1) AS j FROM range({rows}) t(i))"
# Nine records in ten repeat another one.
TENTHS = "SELECT pick(i, 0) % {tenth} AS n FROM range({rows}) t(i)"

UNIFORM_USER = "pick(n, 1) % {users}"
# Rank r with a chance of about 1/r; beside that, one user has a twentieth of all rows.
ZIPF_USER = "CASE WHEN pick(n, 8) % 20 = 0 THEN 0 " \
            "ELSE floor(exp((pick(n, 1) % 1000003) / 1000003.0 * ln({users})))::BIGINT END"

EVENT = """
SELECT printf('u%07d', {user}) AS USER_ID,
       printf('item%05d', pick(n, 2) % {items}) AS ITEM_ID,
       ['purchase', 'cart', 'cart', 'click', 'click', 'click', 'view', 'view', 'view', 'view'][1 + pick(n, 3) % 10]
           AS EVENT_TYPE,
       1700000000 + pick(n, 4) % 31536000 AS TIMESTAMP,
       (100 + pick(n, 5) % 9900) / 100.0 AS EVENT_VALUE
FROM ({numbers})
"""

# Long text of quotes, commas and line breaks, and 95 columns of all kinds, a fifth of them null.
WORDS = "['plain', 'words', 'of a', 'text', 'he said \"no\"', 'one, two', 'über', 'line' || chr(10) || 'break', " \
        "'\"', 'and', 'so on', '10%']"
TEXT = f"array_to_string(list_transform(range(60), lambda k: ({WORDS})[1 + pick(n, 1000 + k) % 12]), ' ')"
WIDE_KINDS = {
    "string?:categorical": "'c' || (pick(n, {k}) % 40) || '|' || 'd' || (pick(n, {k} + 500) % 7)",
    "float?": "(pick(n, {k}) % 100000) / 8.0",
    "int?": "pick(n, {k}) % 1000",
    "boolean?": "pick(n, {k}) % 2 = 0",
    "string?": "'s' || pick(n, {k}) % 100000",
}


@dataclass(frozen=True)
class Data:
    """A CSV file with a header, and the schema it follows in the short form of `support.schemas`."""

    shape: str
    dataset_type: str
    fields: str
    rows: int
    folder: Path
    query: str

    @cached_property
    def path(self):
        mark = hashlib.sha256((PICK + self.query).encode()).hexdigest()[:10]
        return self.folder / f"{self.shape}-{self.rows}-{mark}.csv"

    @property
    def parquet(self):
        """Where DuckDB's Parquet of this file is kept."""
        return self.path.with_suffix(".parquet")

    @property
    def size_bytes(self):
        return self.path.stat().st_size

    @cached_property
    def columns(self):
        """Names and SQL types."""
        kinds = [text.split(":")[1].rstrip("?") for text in self.fields.split()]
        return dict(zip(column_names(self.fields), (SQL_TYPES[kind] for kind in kinds)))

    def made(self):
        """Writes the file unless it is there."""
        if not self.path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            print(f"making {self.path.name}", flush=True)
            partial = self.path.with_suffix(".partial")
            run_child("duckdb_write", prepare=PICK, query=self.query, output=str(partial))
            partial.rename(self.path)
        return self


def uniform(folder, rows):
    """2 % exact duplicates, 20 rows a user."""
    return _events(folder, "uniform", rows, UNIFORM_USER, REPEATS)


def skewed(folder, rows):
    """Zipf's law over users; one user has 5 % of all rows."""
    return _events(folder, "skewed", rows, ZIPF_USER, REPEATS)


def duplicates(folder, rows):
    """90 % exact duplicates."""
    return _events(folder, "duplicates", rows, UNIFORM_USER, TENTHS)


def one_user(folder, rows):
    """All rows of one user; 2 % exact duplicates."""
    return _events(folder, "one-user", rows, "0", REPEATS)


def distinct(folder, rows):
    """As many users as rows."""
    return _events(folder, "distinct", rows, "n", "SELECT i AS n FROM range({rows}) t(i)")


def wide(folder, rows):
    """Items of 100 columns with long text that needs quotes; 2 % exact duplicates."""
    fields = ["ITEM_ID:string", "PRICE:float", "CREATION_TIMESTAMP:long", "TITLE:string", "DESCRIPTION:string?:textual"]
    values = ["printf('i%08d', n) AS ITEM_ID", "(pick(n, 1) % 10000) / 100.0 AS PRICE",
              "1600000000 + pick(n, 2) % 100000000 AS CREATION_TIMESTAMP",
              "'Item \"' || n || '\", new' AS TITLE", f"{TEXT} AS DESCRIPTION"]
    for number in range(len(fields), 100):
        kind, value = list(WIDE_KINDS.items())[number % len(WIDE_KINDS)]
        fields.append(f"F{number:02}:{kind}")
        value = value.format(k=number + 100)
        values.append(f"CASE WHEN pick(n, {number + 300}) % 5 = 0 THEN NULL ELSE {value} END AS F{number:02}")
    query = f"SELECT {', '.join(values)} FROM ({REPEATS.format(rows=rows)})"
    return Data("wide", "ITEMS", " ".join(fields), rows, folder, query)


def put_rows(data):
    """Of uniform interactions, all rows of one user in a hundred, every second one an hour later: what is put live.

    `rows` is that of the interactions it was taken from."""
    later = "CASE WHEN hash(USER_ID, ITEM_ID, TIMESTAMP) % 2 = 0 THEN TIMESTAMP + 3600 ELSE TIMESTAMP END"
    query = f"SELECT * REPLACE ({later} AS TIMESTAMP) FROM read_csv('{data.path}', header = true, " \
            f"columns = {data.columns}) WHERE hash(USER_ID) % 100 = 0 ORDER BY ALL"
    return Data("put", data.dataset_type, data.fields, data.rows, data.folder, query)


def _events(folder, shape, rows, user, numbers):
    users = max(rows // ROWS_PER_USER, 10)
    query = EVENT.format(user=user.format(users=users), items=ITEM_COUNT,
                         numbers=numbers.format(rows=rows, tenth=max(rows // 10, 1)))
    return Data(shape, "INTERACTIONS", INTERACTIONS, rows, folder, query)
