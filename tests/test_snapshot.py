"""What an export holds while others write: all that was acknowledged before it was asked for, nothing sent afterwards."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from support.schemas import ITEMS, USERS
from support.workshop import unique

WRITERS = 8
ROUNDS = 6
HEADER = "ITEM_ID,PRICE,CATEGORY_L1\n"


class Writer:
    """Puts one record after the other, two a call."""

    def __init__(self, workshop, dataset, number):
        self.workshop, self.dataset, self.number = workshop, dataset, number
        self.sent = self.acknowledged = 0

    def write(self):
        records = [(f"{self.number}", {"price": n, "categoryL1": "A"}) for n in (self.sent, self.sent + 1)]
        self.sent += 2
        self.workshop.put_items(self.dataset, *records)
        self.acknowledged = self.sent


@contextmanager
def meanwhile(*works):
    """Each again and again for as long as the block runs; a failure of one is the test's."""
    stop = threading.Event()

    def again(work):
        while not stop.is_set():
            work()

    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(again, work) for work in works]
        try:
            yield
        finally:
            stop.set()
    for one in running:
        one.result()


def test_an_export_begins_where_it_was_asked_for(workshop):
    items = workshop.make_group(items=ITEMS).items
    writers = [Writer(workshop, items, number) for number in range(WRITERS)]
    asked = []
    with meanwhile(*(writer.write for writer in writers)):
        for n in range(ROUNDS):
            before = [writer.acknowledged for writer in writers]
            arn = workshop.start_export(items, "PUT")
            asked.append((before, arn, [writer.sent for writer in writers]))
            if n % 2:
                workshop.wait_export(arn)
    assert sum(writer.acknowledged for writer in writers) > 100
    for before, arn, after in asked:
        rows = workshop.read_export(arn).rows
        for writer in writers:
            found = sorted(float(row[1]) for row in rows if row[0] == str(writer.number))
            assert found == list(range(len(found))) and len(found) % 2 == 0, "a prefix of what was sent, in whole calls"
            assert before[writer.number] <= len(found) <= after[writer.number]


def test_an_export_holds_one_generation_of_full_imports(workshop):
    items, generation = workshop.make_group(items=ITEMS).items, 0
    location = lambda g: workshop.upload(HEADER + "".join(f"i{n},{g},{g}\n" for n in range(500)))
    workshop.wait_import(workshop.start_import(items, location(0)))

    def replace():
        nonlocal generation
        generation += 1
        assert workshop.wait_import(workshop.start_import(items, location(generation)))["status"] == "ACTIVE"

    found = []
    with meanwhile(replace):
        while len(found) < 12 or generation < 3:
            arns = [workshop.start_export(items, mode) for mode in ("BULK", "ALL")]
            for arn in arns:
                exported = workshop.read_export(arn)
                assert len(exported.rows) == 500 and len({row[2] for row in exported.rows}) == 1
                found.append(int(exported.rows[0][2]))
    assert found[::2] == sorted(found[::2]) and len(set(found)) > 1


def test_exports_to_one_path_are_whole_folders(workshop):
    group = workshop.make_group(items=ITEMS, users=USERS)
    workshop.import_csv(group.items, HEADER + "".join(f"i{n},{n},A\ni{n},{n},A\n" for n in range(400)))
    workshop.put_users(group.users, *((f"u{n}", {"age": n, "gender": "F"}) for n in range(10)))
    path = f"s3://{workshop.target}/{unique('shared')}"
    with ThreadPoolExecutor(4) as pool:
        asked = [(group.items, "ALL"), (group.users, "ALL"), (group.items, "BULK"), (group.users, "PUT")]
        arns = list(pool.map(lambda one: workshop.start_export(*one, path=path), asked))
    exports = [workshop.read_export(arn) for arn in arns]
    assert [len(export.rows) for export in exports] == [400, 10, 400, 10]
    assert [export.names for export in exports] == [
        ["ITEMS-00000.csv", "_manifest.json"], ["USERS-00000.csv", "_manifest.json"]] * 2
    assert exports[0].ledger == {"readBulk": 800, "readPut": 0, "exactDuplicates": 400, "superseded": 0,
                                 "filtered": 0, "written": 400}
    listed = workshop.s3.list_objects_v2(Bucket=workshop.target, Prefix=path.split("/", 3)[3])
    assert {entry["Key"] for entry in listed["Contents"]} == {key for export in exports for key in export.keys}
