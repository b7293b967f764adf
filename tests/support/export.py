"""A finished export as a stock client sees it: objects, rows, manifest."""

import base64
import csv
import io
import json
from collections import Counter
from functools import cached_property

from awscrt import checksums
from blake3 import blake3


def split_path(path):
    """`s3://bucket/a/b` → bucket, `a/b/`."""
    bucket, _, prefix = path.removeprefix("s3://").partition("/")
    return bucket, prefix if not prefix or prefix.endswith("/") else prefix + "/"


class Export:
    """Reads everything below the job's folder once."""

    def __init__(self, s3, path, job_name):
        self.bucket, prefix = split_path(path)
        self.folder = f"{prefix}{job_name}/"
        listing = s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.folder)
        self.keys = [entry["Key"] for page in listing for entry in page.get("Contents", [])]
        self.bodies = {key: s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in self.keys}

    @cached_property
    def names(self):
        return [key.removeprefix(self.folder) for key in self.keys]

    @cached_property
    def data_keys(self):
        return [key for key in self.keys if key.endswith(".csv")]

    @cached_property
    def files(self):
        """Of each data file, its lines as fields, the header first."""
        return {key: parse(self.bodies[key]) for key in self.data_keys}

    @property
    def header(self):
        return next(iter(self.files.values()))[0]

    @cached_property
    def rows(self):
        """All records, file after file, in the order written."""
        return [tuple(row) for lines in self.files.values() for row in lines[1:]]

    @property
    def multiset(self):
        return Counter(self.rows)

    @property
    def lines(self):
        """The records as short text, sorted: `i1,10.0,A`."""
        return sorted(",".join(row) for row in self.rows)

    @cached_property
    def manifest(self):
        return json.loads(self.bodies[self.folder + "_manifest.json"])

    @property
    def ledger(self):
        return self.manifest["ledger"]

    def check(self):
        """The manifest tells the truth: its ledger balances, its sizes, hashes and counts are those of the objects."""
        ledger = self.ledger
        read = ledger["readBulk"] + ledger["readPut"]
        assert read == sum(ledger[k] for k in ("exactDuplicates", "superseded", "filtered", "written")), ledger
        assert ledger["written"] == len(self.rows)
        assert [file["key"] for file in self.manifest["files"]] == self.data_keys
        for file in self.manifest["files"]:
            body = self.bodies[file["key"]]
            assert file["bytes"] == len(body)
            assert file["rows"] == len(self.files[file["key"]]) - 1
            assert file["crc64nvme"] == crc64nvme(body)
            assert file["blake3"] == blake3(body).hexdigest()
        assert len({tuple(lines[0]) for lines in self.files.values()}) == 1, "every file has the same header"
        return self


def parse(body):
    """CSV bytes → lines of fields. A blank line would be lost here: an export never writes one."""
    text = body.decode("utf-8")
    assert not text.startswith("\ufeff") and text.endswith("\n")
    lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert all(len(line) == len(lines[0]) for line in lines)
    return lines


def crc64nvme(body):
    return base64.b64encode(checksums.crc64nvme(body).to_bytes(8, "big")).decode()
