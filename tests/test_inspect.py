"""`lade inspect`: runs, segments and manifests as they lie on the disk, beside the server that works on them."""

import json
import os
import shutil
import subprocess
import time

import pytest

from support.lade import lade
from support.schemas import INTERACTIONS
from support.server import Server, bare_environment, binary
from support.workshop import Workshop


def inspect(*arguments):
    done = subprocess.run([binary(), "inspect", *map(str, arguments)], env=bare_environment(), capture_output=True, text=True)
    return done, [json.loads(line) for line in done.stdout.splitlines()] if "--json" in arguments else None


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server with a bulk run, a put run, and more in its log; the dataset, and the tracker."""
    if os.environ.get("LADE_TEST_CATALOG"):
        pytest.skip("a catalog in PostgreSQL is not looked at")
    server = Server(tmp_path_factory.mktemp("inspected"), arguments=["--flush-after-s", "1"]).start()
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    lines = "".join(f"u{n % 50},i{n},click,{n}\n" for n in range(3_000))
    workshop.import_csv(group.interactions, f"USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n{lines}u1,i1,click,1\n")
    workshop.put_event(group.tracking_id, "u", "i", "click", 5)
    runs = server.data_dir / "runs"
    deadline = time.monotonic() + 20
    while len(list(runs.glob("*.parquet"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield server, workshop, group
    server.kill()


def runs(server):
    return {found["origin"]: found for found in inspect("--json", server.data_dir / "runs")[1]}


def test_runs_tell_what_they_hold_while_the_server_runs(world):
    server, workshop, group = world
    found = runs(server)
    bulk, put = found["BULK"], found["PUT"]
    assert bulk["isSealed"] and len(bulk["keyId"]) == 16
    assert (bulk["datasetArn"], bulk["isListed"], bulk["damage"]) == (group.interactions, True, None)
    assert (bulk["rows"], bulk["records"], put["rows"], put["records"]) == (3_000, 3_001, 1, 1)
    assert sum(of["rows"] for of in bulk["rowGroups"]) == 3_000
    assert [column["name"] for column in bulk["columns"]][:4] == ["USER_ID", "ITEM_ID", "EVENT_TYPE", "TIMESTAMP"]
    numbers = [bulk["sequenceMin"], bulk["sequenceMax"], put["sequenceMin"]]
    assert 0 < numbers[0] <= numbers[1] < numbers[2]
    assert numbers[0] != 0 and bulk["sequenceBase"] > 0
    done, _ = inspect(bulk["path"])
    assert done.returncode == 0 and f"BULK of {group.interactions}" in done.stdout and "3,000 rows" in done.stdout
    done, found = inspect("--quick", "--json", bulk["path"])
    assert done.returncode == 0 and found[0]["rows"] == 3_000 and found[0]["records"] is None


def test_looking_changes_nothing(world):
    server, _, _ = world
    before = {path: path.stat().st_mtime_ns for folder in ("runs", "log") for path in (server.data_dir / folder).iterdir()}
    for path in before:
        path.chmod(0o400)
    assert inspect(server.data_dir)[0].returncode == 0
    for path in before:
        path.chmod(0o600)
    after = {path: path.stat().st_mtime_ns for folder in ("runs", "log") for path in (server.data_dir / folder).iterdir()}
    assert {path: after.get(path) for path in before} == before


def test_without_the_master_key_what_lies_open_is_shown(world, tmp_path):
    server, _, group = world
    bulk = runs(server)["BULK"]
    done, [found] = inspect("--json", bulk["path"], "--master-key-file", tmp_path / "none")
    assert done.returncode == 0
    assert "master key is not here" in found["closed"] and found["datasetArn"] == group.interactions and "rows" not in found
    other = tmp_path / "key"
    other.write_bytes(b"k" * 32)
    assert "another master key" in inspect("--json", bulk["path"], "--master-key-file", other)[1][0]["closed"]
    copy = shutil.copy(bulk["path"], tmp_path)
    done, [found] = inspect("--json", copy)
    assert done.returncode == 0 and found["isSealed"] and found["origin"] is None and "--data-dir" in found["closed"]
    done, [found] = inspect("--json", copy, "--data-dir", server.data_dir)
    assert done.returncode == 0 and found["rows"] == 3_000


def test_a_damaged_run_exits_with_one(world, tmp_path):
    server, _, _ = world
    copy = tmp_path / runs(server)["BULK"]["path"].rsplit("/", 1)[1]
    shutil.copy(runs(server)["BULK"]["path"], copy)
    body = bytearray(copy.read_bytes())
    body[60] ^= 1
    copy.write_bytes(body)
    done, [found] = inspect("--json", copy, "--data-dir", server.data_dir)
    assert done.returncode == 1 and found["damage"] and "damaged" in done.stderr
    assert "DAMAGED" in inspect(copy, "--data-dir", server.data_dir)[0].stdout


def test_segments_tell_their_frames_and_where_they_are_damaged(world, tmp_path):
    server, workshop, group = world
    for n in range(3):
        workshop.put_event(group.tracking_id, "u", f"j{n}", "click", 5)
    done, segments = inspect("--json", server.data_dir / "log")
    assert done.returncode == 0, done.stderr
    last = segments[-1]
    assert last["frames"] >= 3 and last["sealedFrames"] == last["frames"] and last["damage"] is None
    [of] = last["datasets"]
    assert (of["datasetArn"], of["records"]) == (group.interactions, last["records"])
    assert last["start"] + 32 == last["positionMin"] < last["end"] and last["sequenceMin"] <= last["sequenceMax"]
    copy = tmp_path / last["path"].rsplit("/", 1)[1]
    shutil.copy(last["path"], copy)
    body = bytearray(copy.read_bytes())
    at = last["positionMin"] - last["start"]
    body[at + 50] ^= 1
    copy.write_bytes(body)
    done, [found] = inspect("--json", copy)
    assert (done.returncode, found["damage"]["byte"], found["frames"]) == (1, at, 0)
    assert f"DAMAGED at byte {at}" in inspect(copy)[0].stdout


def test_a_manifest_is_checked_against_its_files(world, tmp_path):
    server, workshop, group = world
    folder = tmp_path / "export"
    done = lade(server, "export", group.interactions, f"s3://{workshop.target}/out/", "--role-arn", workshop.export_role,
                "--mode", "BULK", "--download", str(folder))
    assert done.returncode == 0, done.stderr
    done, [found] = inspect("--json", folder)
    assert done.returncode == 0 and found["ledgerBalances"] and found["differences"] == [] and found["rows"] == 3_000
    assert "verify reads them" in inspect(folder / "_manifest.json")[0].stdout
    (alone := tmp_path / "alone").mkdir()
    shutil.copy(folder / "_manifest.json", alone)
    assert "its files are not here" in inspect(alone)[0].stdout
    with open(folder / "INTERACTIONS-00000.csv", "a") as file:
        file.write("x")
    done, [found] = inspect("--json", folder)
    assert done.returncode == 1 and found["differences"][0]["what"] == "bytes"
    manifest = json.loads((folder / "_manifest.json").read_text())
    manifest["ledger"]["readBulk"] += 1
    (alone / "_manifest.json").write_text(json.dumps(manifest))
    done, [found] = inspect("--json", alone)
    assert done.returncode == 1 and not found["ledgerBalances"]


def test_what_is_none_of_these_is_refused_by_name(tmp_path):
    (tmp_path / "x.txt").write_text("hello")
    done, _ = inspect(tmp_path / "x.txt")
    assert done.returncode == 1 and "x.txt is no run, no segment" in done.stderr
    done, _ = inspect(tmp_path)
    assert done.returncode == 1 and "holds no run" in done.stderr
    assert inspect(tmp_path / "none")[0].returncode == 1 and inspect()[0].returncode == 2
