"""`lade export --download`: the files of an export on this machine, proven, whole or not at all."""

import http.client
import http.server
import json
import re
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.lade import lade
from support.workshop import unique

PRICED = "ITEM_ID:string PRICE:float"


@pytest.fixture(scope="module")
def dataset(workshop):
    items = workshop.make_group(items=PRICED).items
    workshop.import_csv(items, "ITEM_ID,PRICE\n" + "".join(f"item-{n:08},{n}\n" for n in range(100_000)))
    return items


@pytest.fixture
def export(server, workshop, dataset):
    def export(folder, *more, env=None, path=None):
        name = unique("down")
        path = path or f"s3://{workshop.target}/out/"
        done = lade(server, "export", dataset, path, "--role-arn", workshop.export_role, "--name", name, "--download",
                    str(folder), *more, env=env)
        return done, name

    return export


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_files_and_manifest_are_there_and_proven(server, workshop, export, tmp_path):
    done, name = export(tmp_path / "new" / "folder", "--wait", "--json", "--tag", "lade:file-size=1MiB")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "new" / "folder"
    files = json.loads(done.stdout)["files"]
    assert names(folder) == [*sorted(file["key"].split("/")[-1] for file in files), "_manifest.json"] and len(files) > 1
    for path in folder.iterdir():
        body = workshop.s3.get_object(Bucket=workshop.target, Key=f"out/{name}/{path.name}")["Body"].read()
        assert path.read_bytes() == body
    assert f"{len(files)} files" in done.stderr and str(folder) in done.stderr
    assert lade(server, "verify", str(folder)).returncode == 0


@pytest.mark.parametrize("tag", ["lade:manifest=off", "lade:output=digest"])
def test_what_could_not_be_proven_makes_no_job(workshop, export, tmp_path, tag):
    done, name = export(tmp_path / "x", "--tag", tag)
    assert done.returncode == 1 and "manifest" in done.stderr and not (tmp_path / "x").exists(), done.stderr
    jobs = workshop.personalize.list_dataset_export_jobs()["datasetExportJobs"]
    assert name not in [job["jobName"] for job in jobs]


@pytest.mark.parametrize("options", [["--format", "parquet"], ["--format", "jsonl", "--compression", "gzip", "--losers"]])
def test_files_of_other_forms_are_downloaded_too(server, workshop, export, tmp_path, options):
    done, _ = export(tmp_path / "x", *options, path=f"s3://{workshop.target}")
    assert done.returncode == 0, done.stderr
    assert lade(server, "verify", str(tmp_path / "x")).returncode == 0


def test_files_of_others_are_not_replaced_unless_it_is_forced(server, workshop, export, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "ITEMS-00000.csv").write_text("mine")
    (tmp_path / "ITEMS-00007.csv").write_text("mine")
    done, name = export(tmp_path)
    assert done.returncode == 1 and "--force" in done.stderr and "is there already" in done.stderr
    assert (tmp_path / "ITEMS-00000.csv").read_text() == "mine"
    assert name not in lade(server, "status").stdout, "no job is made for a folder that is taken"
    done, _ = export(tmp_path, "--force")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "notes.txt").read_text() == "mine" != (tmp_path / "ITEMS-00000.csv").read_text()
    assert "ITEMS-00007.csv is not of this export" in done.stderr
    (tmp_path / "ITEMS-00007.csv").unlink()
    assert lade(server, "verify", str(tmp_path)).returncode == 0


class Damaging(http.server.BaseHTTPRequestHandler):
    """Passes every request on to the real server, and changes one byte of a data file on its way back."""

    protocol_version = "HTTP/1.1"

    def handle_any(self):
        connection = http.client.HTTPConnection(self.server.real, timeout=30)
        connection.request(self.command, self.path, headers=dict(self.headers.items()))
        answer = connection.getresponse()
        body = bytearray(answer.read())
        if self.path.endswith(".csv"):
            body[-3] ^= 1
        self.send_response_only(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        connection.close()

    do_GET = do_HEAD = handle_any

    def log_message(self, *_):
        pass


def test_a_damaged_file_leaves_nothing_behind(server, export, tmp_path):
    front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Damaging)
    front.daemon_threads, front.real = True, urlsplit(server.endpoint).netloc
    threading.Thread(target=front.serve_forever, daemon=True).start()
    try:
        done, name = export(tmp_path / "d", env={"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{front.server_port}"})
    finally:
        front.shutdown()
    assert done.returncode == 1
    assert re.search(r"the export is at s3://\S+/" + name + "/, but was not downloaded", done.stderr), done.stderr
    assert "ITEMS-00000.csv: crc64nvme" in done.stderr
    assert names(tmp_path / "d") == []


def test_a_job_that_fails_downloads_nothing(server, workshop, dataset, tmp_path):
    done = lade(server, "export", dataset, "s3://no-such-bucket/", "--role-arn", workshop.export_role, "--download",
                str(tmp_path / "d"))
    assert done.returncode == 1 and not (tmp_path / "d").exists()


@pytest.mark.parametrize("options", [["--no-wait", "--download", "d"], ["--force"], ["--wait", "--no-wait"]])
def test_options_that_make_no_sense_exit_with_two(server, options):
    assert lade(server, "export", "arn", "s3://b/", "--role-arn", "r", *options).returncode == 2
