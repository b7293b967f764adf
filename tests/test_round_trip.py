"""Export, import, export: the same bytes, whatever the texts, the type of the dataset, and the way of the folder."""

import csv
import io
import json
import os

import pytest
from botocore.exceptions import ClientError

from support.schemas import ACTIONS, ITEMS_NULLABLE, column_names
from support.server import Server
from support.workshop import Workshop, unique

ALLOWED = [{"tagKey": "lade:allow", "tagValue": "actions"}]
READ_AND_WRITE = ("s3:GetObject", "s3:PutObject", "s3:ListBucket")
FIELDS = {
    "ITEMS": ITEMS_NULLABLE,
    "USERS": "USER_ID:string AGE:long? NOTE:string?:categorical",
    "INTERACTIONS": "USER_ID:string ITEM_ID:string EVENT_TYPE:string TIMESTAMP:long DEVICE:string?:categorical",
}
HOSTILE = [
    '"', '""', "'", '"quoted"', 'a"b', ",", "a,b", ";", "|", "a|b", "\\", "\\\\", '\\"', '"\\', "\\,", "\\n", "a\\",
    "\n", "\r", "\r\n", "a\nb", "a\r\nb", "\n\n", "\n,\"", "\t", " ", "  ", " a", "a ", "\u00a0", "\u2028", "\u0085",
    "=1+1", "+1", "-1", "@sum(A1)", "=cmd|' /C calc'!A0", "\ufeff", "\ufeffa", "é", "e\u0301", "🎬", "👩‍👩‍👧", "\U0010ffff",
    "null", "NULL", "None", "NaN", "0", "0.0", "1e9", "true", "#", "_manifest.json", "<b>", "\x7f", "\x01", "\x00", "a\x00b",
    "x" * 900, '"' * 400, "", None,
]


def put_user(workshop, group, n, text):
    workshop.put_users(group.users, (f"u{n}", {"note": text, "age": n}))


def put_item(workshop, group, n, text):
    workshop.put_items(group.items, (f"i{n}", {"description": text}))


def put_event(workshop, group, n, text):
    more = {} if text is None else {"properties": json.dumps({"device": text})}
    workshop.put_event(group.tracking_id, f"u{n % 3}", f"i{n}", "click", 1000 + n, **more)


PUTS = {"ITEMS": put_item, "USERS": put_user, "INTERACTIONS": put_event}


def group_of(workshop, kind):
    return workshop.make_group(**{kind.lower(): FIELDS[kind]}, tracker=kind == "INTERACTIONS")


def dataset_of(group, kind):
    return getattr(group, kind.lower())


def data(exported):
    return [exported.bodies[key] for key in exported.data_keys]


class Road:
    """A bucket that exports go to and imports come from."""

    def __init__(self, workshop):
        self.workshop, self.bucket = workshop, workshop.make_bucket("road", READ_AND_WRITE)
        self.role = workshop.make_role("road", self.bucket, READ_AND_WRITE)

    def export(self, dataset, mode, **more):
        return self.workshop.export(dataset, mode, path=f"s3://{self.bucket}/out", roleArn=self.role, **more)

    def carried(self, exported, names):
        """The folder as it is after a download and an upload: the bytes alone."""
        folder = f"carried/{unique('folder')}/"
        for name in names:
            self.workshop.s3.put_object(Bucket=self.bucket, Key=folder + name, Body=exported.bodies[exported.folder + name])
        return folder

    def import_(self, kind, folder):
        """A new dataset of what a folder holds, and how its import ended."""
        dataset = dataset_of(group_of(self.workshop, kind), kind)
        arn = self.workshop.start_import(dataset, f"s3://{self.bucket}/{folder}", roleArn=self.role)
        return dataset, self.workshop.wait_import(arn)


@pytest.mark.parametrize("kind", FIELDS)
def test_any_text_comes_back_the_same(workshop, kind):
    group, road, kept = group_of(workshop, kind), Road(workshop), []
    for n, text in enumerate(HOSTILE):
        try:
            PUTS[kind](workshop, group, n, text)
            kept.append(text)
        except ClientError as refusal:
            # What the service takes in no text is refused, and not altered.
            assert "\x00" in (text or "") and refusal.response["Error"]["Code"] == "InvalidInputException", repr(text)
    first = road.export(dataset_of(group, kind), "PUT")
    assert sorted(row[-1] for row in first.rows) == sorted(text or "" for text in kept)
    names = [name for name in first.names]
    for folder in (first.folder, road.carried(first, names)):
        dataset, job = road.import_(kind, folder)
        assert job["status"] == "ACTIVE", job
        second = road.export(dataset, "BULK")
        assert data(second) == data(first) and second.rows == first.rows
        assert data(road.export(dataset, "ALL")) == data(first)
    # With neither metadata nor manifest, a text that would read as another one is refused.
    _, job = road.import_(kind, road.carried(first, [name for name in names if name.endswith(".csv")]))
    assert job["status"] == "CREATE FAILED" and ".csv" in job["failureReason"], job


# Datasets whose export has to be asked for, and the columns before the text.
OF_ACTIONS = {
    "ACTIONS": (ACTIONS, lambda n: [f"a{n}", n]),
    "ACTION_INTERACTIONS": ("USER_ID:string ACTION_ID:string EVENT_TYPE:string TIMESTAMP:long DEVICE:string?:categorical",
                            lambda n: [f"u{n % 3}", f"a{n}", "Taken", 1000 + n]),
}


@pytest.mark.parametrize("kind", OF_ACTIONS)
def test_any_text_of_actions_comes_back_the_same(workshop, kind):
    fields, first_columns = OF_ACTIONS[kind]
    road, text = Road(workshop), io.StringIO()
    rows = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    rows.writerow(column_names(fields))
    # The dialect of imports takes a backslash for an escape.
    values = [value for value in HOSTILE if value and not {"\\", "\x00"} & set(value)]
    rows.writerows([*first_columns(n), value] for n, value in enumerate(values))
    make = lambda: workshop.make_dataset(workshop.make_group().arn, kind, fields)
    dataset = make()
    workshop.import_csv(dataset, text.getvalue())
    first = road.export(dataset, "BULK", tags=ALLOWED)
    assert sorted(row[-1] for row in first.rows) == sorted(values)
    for folder in (first.folder, road.carried(first, first.names)):
        again = make()
        job = workshop.wait_import(workshop.start_import(again, f"s3://{road.bucket}/{folder}", roleArn=road.role))
        assert job["status"] == "ACTIVE", job
        assert data(road.export(again, "BULK", tags=ALLOWED)) == data(first)


def test_texts_without_backslashes_need_no_manifest(workshop):
    group, road = group_of(workshop, "USERS"), Road(workshop)
    for n, text in enumerate(text for text in HOSTILE if not text or not {"\\", "\x00"} & set(text)):
        put_user(workshop, group, n, text)
    first = road.export(group.users, "PUT")
    dataset, job = road.import_("USERS", road.carried(first, [name for name in first.names if name.endswith(".csv")]))
    assert job["status"] == "ACTIVE", job
    assert data(road.export(dataset, "BULK")) == data(first)


def test_empty_and_null_are_one_in_a_csv(workshop):
    group = group_of(workshop, "USERS")
    for text in (None, ""):
        put_user(workshop, group, 1, text)
    exported = workshop.export(group.users, "PUT")
    assert exported.rows == [("u1", "1", "")] and exported.ledger["exactDuplicates"] == 1


# The same data, whatever the server


def history(workshop, pause):
    """Imports and puts of many equal ids; `pause` may do anything to the server between two of them."""
    items, text = workshop.make_group(items=ITEMS_NULLABLE).items, "x" * 900
    for n in range(4):
        rows = "".join(f'k{(k * 7 + n) % 1000},{k % 5}.5,,"{text} {k % 300}"\n' for k in range(n, 1000, 2))
        workshop.import_csv(items, "ITEM_ID,PRICE,GENRES,DESCRIPTION\n" + rows, "INCREMENTAL" if n else "FULL")
        for k in range(0, 50, 10):
            workshop.put_items(items, *((f"k{k + j}", {"price": n, "description": f"{text} {j}"}) for j in range(10)))
        workshop = pause(workshop)
    return workshop, items


def exported_bytes(workshop, items):
    exports = {mode: workshop.export(items, mode) for mode in ("BULK", "PUT", "ALL")}
    return {mode: dict(zip(export.names, data(export))) for mode, export in exports.items()}


def test_the_same_data_gives_the_same_bytes_whatever_the_settings(tmp_path):
    """One server is left alone; the other has one thread and little memory, flushes often and is killed all the time."""
    plain = Server(tmp_path / "plain", env={"LADE_FILE_SIZE_MAX": "1MiB"}).start()
    expected = exported_bytes(*history(Workshop(plain.endpoint), lambda workshop: workshop))
    plain.kill()
    assert len(expected["ALL"]) > 1
    cores = os.sched_getaffinity(0)
    other = Server(tmp_path / "other", env={
        "LADE_FILE_SIZE_MAX": "1MiB", "LADE_JOB_MEMORY": "16MiB", "LADE_JOBS_MEMORY": "64MiB", "LADE_FLUSH_AFTER_S": "1",
        "LADE_JOBS_CONCURRENT": "1", "LADE_AT_REST": "plain"})

    def restart(workshop):
        other.kill()
        return workshop.at(other.start().endpoint)

    try:
        os.sched_setaffinity(0, {min(cores)})
        workshop, items = history(Workshop(other.start().endpoint), restart)
        assert exported_bytes(workshop, items) == expected
        # Again, behind whatever was flushed and compacted meanwhile.
        assert exported_bytes(restart(workshop), items) == expected
    finally:
        os.sched_setaffinity(0, cores)
        other.kill()
