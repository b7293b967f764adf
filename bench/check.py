"""Answers: an export says what DuckDB says of the same rows, and its manifest and ledger are true."""

import json
import shutil

from blake3 import blake3
from support.export import crc64nvme

from bench.child import run_child


def check_export(ours, job, data, expected, folder):
    """Fetches an export and compares; what differs, in sentences. `expected` is the digest of the right rows.

    `data` is what was imported; an export of mode PUT reads nothing of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    bucket, prefix, keys = ours.objects(job)
    files = {key: folder / key.removeprefix(prefix) for key in keys}
    for key, path in files.items():
        ours.workshop.s3.download_file(bucket, key, str(path))
    manifest = json.loads(files[prefix + "_manifest.json"].read_text())
    sources = [str(path) for path in files.values() if path.suffix == ".csv"]
    found = digest(sources, data.columns)
    differences = [*_of_manifest(manifest, files),
                   *_of_ledger(manifest, data.rows, found["rows"])]
    if found != expected:
        differences.append(f"rows: found {found}, expected {expected}")
    shutil.rmtree(folder)
    return differences


def digest(sources, columns):
    """Row count and order-independent hash of CSV files, taken together."""
    return run_child("digest", sources=[str(source) for source in sources], columns=columns)[1]


def _of_manifest(manifest, files):
    listed = [file["key"] for file in manifest["files"]]
    if listed != [key for key in files if key.endswith(".csv")]:
        yield f"the manifest lists {listed}, the folder holds {list(files)}"
        return
    for file in manifest["files"]:
        body = files[file["key"]].read_bytes()
        found = {"bytes": len(body), "crc64nvme": crc64nvme(body), "blake3": blake3(body).hexdigest()}
        told = {name: file[name] for name in found}
        if told != found:
            yield f"the manifest tells {told} of {file['key']}, found {found}"


def _of_ledger(manifest, rows_imported, rows_written):
    ledger, bulk = manifest["ledger"], 0 if manifest["ingestionMode"] == "PUT" else rows_imported
    read = ledger["readBulk"] + ledger["readPut"]
    if read != sum(ledger[name] for name in ("exactDuplicates", "superseded", "filtered", "written")):
        yield f"the ledger does not balance: {ledger}"
    if ledger["written"] != rows_written or ledger["readBulk"] != bulk:
        yield f"the ledger {ledger} is not of {bulk} imported rows read and {rows_written} written"
