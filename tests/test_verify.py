"""`lade verify`: whatever differs from an export's manifest is found and named."""

import json

import pytest
from blake3 import blake3

from support.export import crc64nvme
from support.lade import lade
from support.server import Server
from support.workshop import Workshop

PRICED = "ITEM_ID:string PRICE:float"
ROWS = 150_000


@pytest.fixture(scope="module")
def small_files(tmp_path_factory):
    """A server that cuts exports into several files."""
    server = Server(tmp_path_factory.mktemp("files"), env={"LADE_FILE_SIZE_MAX": "1MiB"}).start()
    yield server
    assert server.stop() == 0, server.tail()


@pytest.fixture(scope="module")
def shop(small_files):
    return Workshop(small_files.endpoint)


@pytest.fixture(scope="module")
def dataset(shop):
    group = shop.make_group(items=PRICED)
    text = "ITEM_ID,PRICE\n" + "".join(f'"a ""{n}"",\nb",{n}.5\n' for n in range(ROWS)) + '"a ""1"",\nb",1.5\n'
    shop.import_csv(group.items, text)
    return group.items


@pytest.fixture
def export(shop, dataset):
    export = shop.export(dataset, "ALL")
    assert len(export.data_keys) > 2
    return export


def verify(small_files, place, *more):
    """The exit code, and what was found."""
    done = lade(small_files, "verify", "--json", place, *more)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def location(export):
    return f"s3://{export.bucket}/{export.folder}"


def named(found):
    return {(difference["file"], difference["what"]) for difference in found["differences"]}


def short(key):
    return key.rsplit("/", 1)[1]


def put(shop, export, key, body):
    shop.s3.put_object(Bucket=export.bucket, Key=key, Body=body, ChecksumCRC64NVME=crc64nvme(body))


def put_manifest(shop, export, manifest):
    put(shop, export, export.folder + "_manifest.json", json.dumps(manifest).encode())


@pytest.mark.parametrize("more", [(), ("--quick",)])
def test_a_true_export_is_verified(small_files, export, more):
    code, found = verify(small_files, location(export), *more)
    assert (code, found["differences"], found["isVerified"]) == (0, [], True)
    assert (found["files"], found["rows"], found["ledger"]) == (len(export.data_keys), ROWS, export.ledger)


def test_a_person_reads_the_sum_of_the_ledger(small_files, export):
    done = lade(small_files, "verify", location(export).rstrip("/"))
    assert done.returncode == 0, done.stderr
    assert f"{len(export.data_keys)} files, 150,000 rows" in done.stdout
    assert "150,001 bulk + 0 put = 1 duplicates + 0 superseded + 0 filtered + 150,000 written" in done.stdout


@pytest.mark.parametrize("more", [(), ("--quick",)])
def test_a_flipped_byte_is_found(small_files, shop, export, more):
    key = export.data_keys[1]
    body = bytearray(export.bodies[key])
    body[len(body) // 2] ^= 1
    put(shop, export, key, bytes(body))
    code, found = verify(small_files, location(export), *more)
    assert code == 1 and (short(key), "crc64nvme") in named(found)
    assert {file for file, _ in named(found)} == {short(key)}
    if not more:
        assert (short(key), "blake3") in named(found)
        difference = next(d for d in found["differences"] if d["what"] == "blake3")
        assert difference["expected"] == export.manifest["files"][1]["blake3"]
        assert difference["found"] == blake3(bytes(body)).hexdigest()


@pytest.mark.parametrize("more", [(), ("--quick",)])
def test_a_missing_file_is_found(small_files, shop, export, more):
    shop.s3.delete_object(Bucket=export.bucket, Key=export.data_keys[0])
    code, found = verify(small_files, location(export), *more)
    assert (code, named(found)) == (1, {(short(export.data_keys[0]), "file")})


@pytest.mark.parametrize("more", [(), ("--quick",)])
def test_an_extra_file_is_found(small_files, shop, export, more):
    put(shop, export, export.folder + "more/extra & new.csv", b"ITEM_ID,PRICE\n")
    put(shop, export, export.folder + "notes.txt", b"no data")
    code, found = verify(small_files, location(export), *more)
    assert (code, named(found)) == (1, {("more/extra & new.csv", "file")})


@pytest.mark.parametrize("more", [(), ("--quick",)])
def test_a_truncated_file_is_found(small_files, shop, export, more):
    key = export.data_keys[0]
    put(shop, export, key, export.bodies[key][:-3])
    code, found = verify(small_files, location(export), *more)
    assert code == 1 and (short(key), "bytes") in named(found)
    if not more:
        assert (short(key), "rows") in named(found)


def test_a_file_cut_between_rows_is_found_even_with_a_manifest_that_hides_it(small_files, shop, export):
    key, manifest = export.data_keys[0], export.manifest
    body = export.bodies[key]
    body = body[:body[:-1].rindex(b'\n"') + 1]
    put(shop, export, key, body)
    entry = manifest["files"][0]
    entry.update(bytes=len(body), blake3=blake3(body).hexdigest(), crc64nvme=crc64nvme(body))
    put_manifest(shop, export, manifest)
    code, found = verify(small_files, location(export))
    assert (code, named(found)) == (1, {(short(key), "rows")})
    assert (found["differences"][0]["expected"], found["differences"][0]["found"]) == (
        str(entry["rows"]), str(entry["rows"] - 1))


def test_a_changed_count_is_found(small_files, shop, export):
    manifest = export.manifest
    manifest["files"][0]["rows"] += 1
    put_manifest(shop, export, manifest)
    code, found = verify(small_files, location(export))
    assert (code, named(found)) == (1, {("_manifest.json", "rows"), (short(export.data_keys[0]), "rows")})


def test_a_ledger_that_does_not_add_up_is_found(small_files, shop, export):
    manifest = export.manifest
    manifest["ledger"]["exactDuplicates"] += 1
    put_manifest(shop, export, manifest)
    code, found = verify(small_files, location(export))
    assert (code, named(found)) == (1, {("_manifest.json", "ledger")})


def test_a_header_that_is_not_the_schemas_is_found(small_files, shop, export):
    manifest = export.manifest
    manifest["schema"]["fields"].reverse()
    put_manifest(shop, export, manifest)
    code, found = verify(small_files, location(export))
    assert (code, named(found)) == (1, {(short(key), "header") for key in export.data_keys})


def test_a_downloaded_folder_is_verified_and_its_differences_named(small_files, export, tmp_path):
    for key, body in export.bodies.items():
        (tmp_path / short(key)).write_bytes(body)
    code, found = verify(small_files, f"{tmp_path}/")
    assert (code, found["differences"]) == (0, [])
    victim = tmp_path / short(export.data_keys[0])
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    (tmp_path / short(export.data_keys[1])).unlink()
    code, found = verify(small_files, str(tmp_path))
    assert code == 1 and {file for file, _ in named(found)} == {short(key) for key in export.data_keys[:2]}
    done = lade(small_files, "verify", "--quick", str(tmp_path))
    assert done.returncode == 1 and "--quick" in done.stderr


def test_a_folder_without_a_manifest_is_no_export(small_files, shop, tmp_path):
    for place in (str(tmp_path), f"s3://{shop.target}/nothing/"):
        done = lade(small_files, "verify", place)
        assert done.returncode == 1 and "_manifest.json" in done.stderr, done.stderr
    done = lade(small_files, "verify", str(tmp_path / "none"))
    assert done.returncode == 1 and "none" in done.stderr
