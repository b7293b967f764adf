"""`lade diff` and `lade verify`, over exports of every form."""

import json

import pytest

from support.lade import lade
from support.schemas import ITEMS
from support.workshop import unique

FORMS = [(), ("--compression", "gzip"), ("--compression", "zstd"), ("--format", "jsonl"),
         ("--format", "jsonl", "--compression", "gzip"), ("--format", "parquet"), ("--tag", "lade:csv=aws"),
         ("--columns", "PRICE,ITEM_ID"), ("--losers", "--tag", "lade:hash=sha256", "--where", "PRICE:lt:3")]
HEADER = "ITEM_ID,PRICE,CATEGORY_L1\n"
TEXT = HEADER + 'i1,1.5,A\ni1,1.5,A\ni2,2,"b ""quoted"", \\\\ é"\ni3,3,"over\nlines"\n'


@pytest.fixture(scope="module")
def items(workshop):
    dataset = workshop.make_group(items=ITEMS).items
    workshop.import_csv(dataset, TEXT)
    return dataset


def export(server, workshop, dataset, *flags):
    """Exports with the command; the place."""
    name = unique("made")
    done = lade(server, "export", dataset, f"s3://{workshop.target}/out/", "--role-arn", workshop.export_role,
                "--name", name, *flags)
    assert done.returncode == 0, done.stderr
    return f"s3://{workshop.target}/out/{name}/"


def diff(server, *arguments):
    done = lade(server, "diff", "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def objects(workshop, place):
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    listed = workshop.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    return bucket, [entry["Key"] for entry in listed]


def download(workshop, place, folder):
    folder.mkdir()
    bucket, keys = objects(workshop, place)
    for key in keys:
        workshop.s3.download_file(bucket, key, str(folder / key.rsplit("/", 1)[1]))
    return str(folder)


@pytest.mark.parametrize("flags", FORMS, ids=" ".join)
def test_every_form_is_verified_and_a_change_is_found(server, workshop, items, tmp_path, flags):
    place = export(server, workshop, items, *flags)
    folder = download(workshop, place, tmp_path / "copy")
    for where, more in ((place, ()), (folder, ()), (place, ("--quick",)), (place, ("--against-dataset",))):
        done = lade(server, "verify", where, *more)
        assert done.returncode == 0, (where, more, done.stdout, done.stderr)
    manifest = json.loads((tmp_path / "copy" / "_manifest.json").read_text())
    for entry in manifest["files"] + manifest.get("losers", {}).get("files", []):
        path = tmp_path / "copy" / entry["key"].rsplit("/", 1)[1]
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        done = lade(server, "verify", "--json", folder)
        found = {difference["what"] for difference in json.loads(done.stdout)["differences"]}
        assert done.returncode == 1 and {"bytes", "blake3"} <= found, found
        assert found & {"rows", "content"} or path.suffix == ".zst", "its last bytes are a checksum"
        path.write_bytes(whole)


def test_the_rows_are_the_same_in_every_form(server, workshop, items):
    plain = export(server, workshop, items)
    for flags in FORMS[1:7]:
        other = export(server, workshop, items, *flags)
        code, found = diff(server, plain, other)
        assert code == 1 and not found["isSame"], flags
        code, found = diff(server, "--rows", plain, other)
        assert (code, found["rowChanges"]["added"], found["rowChanges"]["removed"]) == (0, 0, 0), flags


def test_what_changed_is_told(server, workshop, tmp_path):
    dataset = workshop.make_group(items=ITEMS).items
    workshop.import_csv(dataset, HEADER + "i1,1,A\ni2,2,B\ni3,3,C\n")
    old = export(server, workshop, dataset)
    assert diff(server, old, export(server, workshop, dataset))[0] == 0
    workshop.import_csv(dataset, HEADER + "i1,1,A\ni2,9,B\ni3,3,C\ni4,4,D\n")
    new = export(server, workshop, dataset)
    code, found = diff(server, old, new)
    assert (code, found["rows"], found["filesChanged"]) == (1, [3, 4], ["ITEMS-00000.csv"])
    code, found = diff(server, "--rows", old, download(workshop, new, tmp_path / "new"))
    changes = found["rowChanges"]
    assert (code, changes["removed"], changes["added"]) == (1, 1, 2)
    assert changes["removedRows"] == ["i2,2.0,B"] and sorted(changes["addedRows"]) == ["i2,9.0,B", "i4,4.0,D"]
    done = lade(server, "diff", "--rows", "--limit", "1", old, new)
    assert done.returncode == 1 and "1 rows removed, 2 added" in done.stdout, done.stdout


def test_trouble_is_no_difference(server, workshop, tmp_path):
    for arguments in ([str(tmp_path), str(tmp_path)], ["s3://no-such-bucket/x/", str(tmp_path)], ["one"], []):
        assert lade(server, "diff", *arguments).returncode == 2, arguments


def test_a_dataset_that_changed_says_so(server, workshop, tmp_path):
    dataset = workshop.make_group(items=ITEMS).items
    workshop.import_csv(dataset, HEADER + "i1,1,A\n")
    place = export(server, workshop, dataset)
    before = objects(workshop, place)
    workshop.put_items(dataset, ("i2", {"price": 2, "categoryL1": "B"}))
    done = lade(server, "verify", "--against-dataset", "--json", place)
    assert done.returncode == 1 and "1 records came since" in json.loads(done.stdout)["dataset"], done.stdout
    workshop.import_csv(dataset, HEADER + "i1,5,A\n")
    done = lade(server, "verify", "--against-dataset", "--json", place)
    assert done.returncode == 1 and "FULL import" in json.loads(done.stdout)["dataset"], done.stdout
    assert objects(workshop, place) == before, "nothing was written"
