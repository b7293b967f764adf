"""Other programs read an export where it lies: by ranges, as DuckDB's httpfs does, and, where they are there, DuckDB, s3fs, rclone.

    python3 -m venv readers && readers/bin/pip install s3fs duckdb duckdb-extension-httpfs && sudo apt-get install rclone
    LADE_READERS=readers/bin/python pytest tests/test_readers.py

runs the programs themselves; s3fs pins another botocore than these suites, so that they have a place of their own.
"""

import csv
import io
import json
import os
import subprocess

import pytest
from botocore.exceptions import ClientError

from support.policies import allow
from support.server import REGION, bare_environment
from support.workshop import unique

ITEMS = "ITEM_ID:string PRICE:float CATEGORY:string?:categorical"
COUNT = 3000
PYTHON = os.environ.get("LADE_READERS")



def by_command(test):
    """A test that is there only where it was asked for."""
    test.__test__ = bool(PYTHON)
    return test


class Exported:
    """A folder with an export, and a user who may read it and nothing else."""

    def __init__(self, workshop):
        group = workshop.make_group(items=ITEMS)
        self.rows = sorted((f"i{n}", f"{n / 4}", f"c{n % 7}" if n % 3 else "") for n in range(COUNT))
        text = io.StringIO()
        csv.writer(text).writerows([("ITEM_ID", "PRICE", "CATEGORY"), *self.rows])
        workshop.import_csv(group.items, text.getvalue())
        self.folder = unique("read")
        arn = workshop.start_export(group.items, "ALL", path=f"s3://{workshop.target}/{self.folder}")
        workshop.read_export(arn)
        self.bucket = workshop.target
        listed = workshop.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.folder}/")["Contents"]
        self.keys = [entry["Key"] for entry in listed if entry["Key"].endswith(".csv")]
        bucket = f"arn:aws:s3:::{self.bucket}"
        self.user = workshop.make_user("reader", allow("s3:ListBucket", bucket), allow("s3:GetObject", f"{bucket}/*"))


@pytest.fixture(scope="module")
def exported(workshop):
    return Exported(workshop)


def environment(server, user):
    credentials = user.session.get_credentials()
    return {**bare_environment(), "ENDPOINT": server.endpoint, "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key, "AWS_DEFAULT_REGION": REGION}


def run(server, exported, script):
    """Runs a script in the readers' Python; what it prints as JSON."""
    env = {**environment(server, exported.user), "BUCKET": exported.bucket, "FOLDER": exported.folder}
    done = subprocess.run([PYTHON, "-c", script], env=env, capture_output=True, text=True, timeout=100,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_ranges_of_an_export_put_together_are_the_export(exported):
    """Looks first, then reads by ranges from the end and from the start, each held to the version that was looked at."""
    s3 = exported.user.s3
    for key in exported.keys:
        head = s3.head_object(Bucket=exported.bucket, Key=key)
        size, etag = head["ContentLength"], head["ETag"]
        assert head["AcceptRanges"] == "bytes"
        whole = s3.get_object(Bucket=exported.bucket, Key=key)["Body"].read()

        def part(first, last):
            found = s3.get_object(Bucket=exported.bucket, Key=key, Range=f"bytes={first}-{last}", IfMatch=etag)
            assert found["ResponseMetadata"]["HTTPStatusCode"] == 206
            assert found["ContentRange"] == f"bytes {first}-{min(last, size - 1)}/{size}"
            return found["Body"].read()

        step = max(size // 7, 1)
        ends = list(range(0, size, step))
        assert b"".join(reversed([part(at, at + step - 1) for at in reversed(ends)])) == whole
        assert part(size - 10, size + 100) == whole[-10:]
        assert s3.get_object(Bucket=exported.bucket, Key=key, Range="bytes=-10")["Body"].read() == whole[-10:]
        with pytest.raises(ClientError) as caught:
            part(size, size + 10)
        assert caught.value.response["Error"]["Code"] == "InvalidRange"
        with pytest.raises(ClientError) as caught:
            s3.get_object(Bucket=exported.bucket, Key=key, Range="bytes=0-9", IfMatch='"another"')
        assert caught.value.response["Error"]["Code"] == "PreconditionFailed"


@by_command
def test_duckdb_reads_it_by_its_glob(server, exported):
    script = """
import duckdb, json, os, pathlib
try:
    import duckdb_extension_httpfs as package
    (extension,) = pathlib.Path(package.__file__).parent.rglob("httpfs.duckdb_extension*")
    duckdb.sql(f"LOAD '{extension}'")
except ImportError:
    duckdb.sql("LOAD httpfs")
duckdb.sql(f'''CREATE SECRET (TYPE s3, KEY_ID '{os.environ["AWS_ACCESS_KEY_ID"]}', SECRET '{os.environ["AWS_SECRET_ACCESS_KEY"]}',
    REGION '{os.environ["AWS_DEFAULT_REGION"]}', ENDPOINT '{os.environ["ENDPOINT"].removeprefix("http://")}', URL_STYLE 'path',
    USE_SSL false)''')
rows = duckdb.sql(f'''SELECT * FROM read_csv('s3://{os.environ["BUCKET"]}/{os.environ["FOLDER"]}/**/*.csv', all_varchar = true,
    header = true) ORDER BY ALL''').fetchall()
print(json.dumps([[value or "" for value in row] for row in rows]))
"""
    found = run(server, exported, script)
    assert [(key, float(price), category) for key, price, category in found] == [
        (key, float(price), category) for key, price, category in exported.rows]


@by_command
def test_s3fs_lists_seeks_and_reads_it(server, exported):
    script = """
import csv, io, json, os, s3fs
s3 = s3fs.S3FileSystem(endpoint_url=os.environ["ENDPOINT"], default_block_size=5 << 10, default_cache_type="readahead")
paths = s3.glob(f'{os.environ["BUCKET"]}/{os.environ["FOLDER"]}/**/*.csv')
rows = []
for path in paths:
    with s3.open(path, "rb") as file:
        file.seek(-20, 2)
        end = file.read()
        file.seek(0)
        text = file.read()
    assert text.endswith(end) and len(text) == s3.info(path)["size"]
    rows += list(csv.reader(io.StringIO(text.decode())))[1:]
print(json.dumps(sorted(rows)))
"""
    found = run(server, exported, script)
    assert [(key, float(price), category) for key, price, category in found] == [
        (key, float(price), category) for key, price, category in exported.rows]


@by_command
def test_rclone_copies_it_and_finds_it_the_same(server, exported, tmp_path):
    env = {**environment(server, exported.user), "RCLONE_CONFIG": str(tmp_path / "rclone.conf"),
           "RCLONE_CONFIG_LADE_TYPE": "s3", "RCLONE_CONFIG_LADE_PROVIDER": "Other", "RCLONE_CONFIG_LADE_ENV_AUTH": "true",
           "RCLONE_CONFIG_LADE_ENDPOINT": server.endpoint, "RCLONE_CONFIG_LADE_REGION": REGION}
    (tmp_path / "rclone.conf").touch()
    there, here = f"lade:{exported.bucket}/{exported.folder}", str(tmp_path / "copy")

    def rclone(*arguments):
        done = subprocess.run(["rclone", *arguments], env=env, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return done.stdout

    names = rclone("lsf", "-R", "--files-only", there).split()
    assert sorted(f"{exported.folder}/{name}" for name in names if name.endswith(".csv")) == sorted(exported.keys)
    rclone("copy", there, here)
    rclone("check", "--download", there, here)
    rows = [row for name in names if name.endswith(".csv")
            for row in list(csv.reader(open(tmp_path / "copy" / name, newline="")))[1:]]
    assert sorted((key, float(price), category) for key, price, category in rows) == [
        (key, float(price), category) for key, price, category in exported.rows]
