"""Exports with options, which travel as tags of the job: what is written, how, and what is refused."""

import csv
import gzip
import hashlib
import io
import json
import os
import threading
from collections import Counter

import pytest
from blake3 import blake3

from support.export import crc64nvme, parse
from support.lade import job as lade_job
from support.schemas import ACTION_INTERACTIONS, ACTIONS, INTERACTIONS, ITEMS, column_names
from support.server import Server
from support.workshop import Workshop, unique

FIELDS = "ITEM_ID:string PRICE:float? STOCK:int? SOLD:long? NEW:boolean? TEXT:string?"
NAMES = column_names(FIELDS)
HEADER = ",".join(NAMES) + "\n"
RULES = ("exactDuplicates", "superseded", "filtered")


def tags(**options):
    """`file_size="1MiB"` is the tag lade:file-size."""
    return [{"tagKey": "lade:" + key.replace("_", "-"), "tagValue": value} for key, value in options.items()]


class Job:
    """An ended export: its objects, its manifest, and its records as dictionaries of text."""

    def __init__(self, workshop, dataset, mode="ALL", **options):
        self.arn = workshop.start_export(dataset, mode, tags=tags(**options))
        self.description = workshop.wait_export(self.arn)
        assert self.description["status"] == "ACTIVE", self.description
        self.name = self.description["jobName"]
        self.folder = f"out/{self.name}/"
        listed = workshop.s3.list_objects_v2(Bucket=workshop.target, Prefix=self.folder)["Contents"]
        self.objects = {entry["Key"]: workshop.s3.get_object(Bucket=workshop.target, Key=entry["Key"])
                        for entry in listed}
        self.bodies = {key.removeprefix(self.folder): found["Body"].read() for key, found in self.objects.items()}
        self.manifest = json.loads(self.bodies["_manifest.json"])
        self.check()

    def check(self):
        ledger = self.manifest["ledger"]
        assert ledger["readBulk"] + ledger["readPut"] == sum(ledger[k] for k in (*RULES, "written")), ledger
        assert sum(entry["rows"] for entry in self.manifest["files"]) == ledger["written"] == len(self.rows)
        losers = self.manifest.get("losers", {"files": []})
        for entry in self.manifest["files"] + losers["files"]:
            body = self.bodies[entry["key"].removeprefix(self.folder)]
            assert (entry["bytes"], entry["crc64nvme"]) == (len(body), crc64nvme(body))
            assert entry["blake3"] == blake3(body).hexdigest()
        assert len(self.bodies) == len(self.manifest["files"]) + len(losers["files"]) + 1

    @property
    def files(self):
        return {name: body for name, body in self.bodies.items() if not name.startswith("_")}

    @property
    def texts(self):
        return [unpack(name, body) for name, body in self.files.items()]

    @property
    def rows(self):
        """The records: of CSV as dictionaries of text, otherwise of values."""
        if self.manifest["format"] == "parquet":
            parquet = pytest.importorskip("pyarrow.parquet")
            return [row for body in self.files.values() for row in parquet.read_table(io.BytesIO(body)).to_pylist()]
        if self.manifest["format"] == "jsonl":
            return [json.loads(line) for text in self.texts for line in text.decode().splitlines()]
        if self.manifest.get("csv") == "aws":
            return [row for text in self.texts for row in csv.DictReader(
                io.StringIO(text.decode(), newline=""), escapechar="\\", doublequote=False)]
        return [dict(zip(lines[0], line)) for lines in map(parse, self.texts) for line in lines[1:]]

    @property
    def lines(self):
        """The records as short text, sorted."""
        return sorted(",".join("" if value is None else str(value) for value in row.values()) for row in self.rows)

    @property
    def losers(self):
        """Of what was left out: the record and the rule, with how many of them there were."""
        found = Counter()
        for entry in self.manifest["losers"]["files"]:
            head, *rows = parse(self.bodies[entry["key"].removeprefix(self.folder)])
            assert head[-2:] == ["_RULE", "_COPIES"] and len(rows) == entry["rows"]
            for row in rows:
                found[",".join(row[:-2]), row[-2]] += int(row[-1])
        return dict(found)


def unpack(name, body):
    if name.endswith(".gz"):
        return gzip.decompress(body)
    if name.endswith(".zst"):
        pyarrow = pytest.importorskip("pyarrow")
        return pyarrow.CompressedInputStream(pyarrow.BufferReader(body), "zstd").read()
    return body


def refused(workshop, dataset, mode="ALL", **options):
    with pytest.raises(workshop.personalize.exceptions.InvalidInputException) as caught:
        workshop.start_export(dataset, mode, tags=tags(**options))
    return caught.value.response["Error"]["Message"]


def typed(row):
    """A record of CSV as values."""
    price, stock, sold, new = row["PRICE"], row["STOCK"], row["SOLD"], row["NEW"]
    return {"ITEM_ID": row["ITEM_ID"], "PRICE": float(price) if price else None, "STOCK": int(stock) if stock else None,
            "SOLD": int(sold) if sold else None, "NEW": new == "true" if new else None, "TEXT": row["TEXT"] or None}


@pytest.fixture(scope="module")
def items(workshop):
    dataset = workshop.make_group(items=FIELDS).items
    text = (f'i1,10.5,1,100,true,plain\ni1,10.5,1,100,true,plain\ni2,,,,,\n'
            f'i3,19.99,-5,{2**53 + 1},false,"a ""quote"", \\back\\ é\tand\nlines"\n'
            f'i4,1e300,7,-9,true," edge \\\\"\ni5,0.1,2147483647,5,,日本\n')
    workshop.import_csv(dataset, HEADER + text)
    workshop.put_items(dataset, ("i1", {"price": 11, "stock": 2}), ("i5", {"price": 0.1, "stock": 2147483647,
                                                                         "sold": 5, "text": "日本"}))
    return dataset


@pytest.fixture(scope="module")
def plain(workshop, items):
    return Job(workshop, items)


class TestRefusals:
    @pytest.mark.parametrize("key, value, allowed", [
        ("format", "xml", "csv, jsonl or parquet"), ("compression", "lz4", "none, gzip or zstd"), ("csv", "x", "aws"),
        ("columns", "ITEM_ID NONE", "some of ITEM_ID"), ("where", "NONE:eq:1", "a FIELD of ITEM_ID"),
        ("where", "STOCK:eq:many", "type int"), ("file-size", "3", "1MiB"), ("hash", "md5", "sha256"),
        ("losers", "yes", "true or false"), ("since", "no-such-job", "export job that there is"),
        ("allow", "all", "actions"), ("formats", "csv", "lade:format")])
    def test_a_refusal_names_key_value_and_what_is_allowed(self, workshop, items, key, value, allowed):
        message = refused(workshop, items, **{key: value})
        assert f"lade:{key}" in message and f'"{value}"' in message and allowed in message

    def test_options_that_exclude_each_other_are_refused(self, workshop, items):
        assert "exclude each other" in refused(workshop, items, format="parquet", csv="aws")
        assert "exclude each other" in refused(workshop, items, losers="true", manifest="off")

    def test_options_are_settled_when_the_job_is_made_and_shown(self, server, workshop, items):
        job = Job(workshop, items, format="jsonl", columns="ITEM_ID")
        options = {"lade:format": "jsonl", "lade:columns": "ITEM_ID"}
        assert job.manifest["options"] == lade_job(server.endpoint, job.arn)["options"] == options
        invalid = workshop.personalize.exceptions.InvalidInputException
        with pytest.raises(invalid, match="lade:format"):
            workshop.personalize.tag_resource(resourceArn=job.arn, tags=tags(format="csv"))
        with pytest.raises(invalid, match="lade:format"):
            workshop.personalize.untag_resource(resourceArn=job.arn, tagKeys=["lade:format"])

    def test_a_policy_that_admits_csv_alone_is_told_which_object_it_does_not(self, workshop, items):
        bucket = workshop.target
        only = lambda *names: json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"},
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": [f"arn:aws:s3:::{bucket}/{n}" for n in names]}]})
        for names, options, missing in [(["*.csv"], {}, "_manifest.json"),
                                        (["*.csv", "*/_manifest.json"], {"format": "parquet"}, "probe.parquet")]:
            role = workshop.make_role("narrow", bucket, policy=only(*names))
            name = unique("narrow")
            with pytest.raises(workshop.personalize.exceptions.InvalidInputException) as caught:
                workshop.start_export(items, name=name, roleArn=role, tags=tags(**options))
            message = caught.value.response["Error"]["Message"]
            assert "s3:PutObject" in message and f"arn:aws:s3:::{bucket}/out/{name}/{missing}" in message, message


class TestSelection:
    def test_columns_are_chosen_and_ordered(self, workshop, items, plain):
        job = Job(workshop, items, columns="STOCK ITEM_ID")
        assert [list(row) for row in job.rows] == [["STOCK", "ITEM_ID"]] * len(plain.rows)
        assert Counter(job.lines) == Counter(f"{row['STOCK']},{row['ITEM_ID']}" for row in plain.rows)
        assert job.manifest["columns"] == ["STOCK", "ITEM_ID"]

    def test_a_column_alone_loses_no_null(self, workshop, items, plain):
        job = Job(workshop, items, columns="STOCK")
        assert Counter(job.lines) == Counter(row["STOCK"] for row in plain.rows)

    def test_sequence_and_origin_tell_how_a_record_came(self, workshop):
        dataset = workshop.make_group(interactions=INTERACTIONS, tracker=True)
        workshop.import_csv(dataset.interactions, "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\nu1,i,x,1\nu2,i,x,1\n")
        for user in ("u2", "u3"):
            workshop.put_event(dataset.tracking_id, user, "i", "x", 1)
        job = Job(workshop, dataset.interactions, columns="USER_ID _ORIGIN _SEQ", format="jsonl")
        assert {row["USER_ID"]: row["_ORIGIN"] for row in job.rows} == {"u1": "BULK", "u2": "BULK|PUT", "u3": "PUT"}
        numbers = {row["USER_ID"]: row["_SEQ"] for row in job.rows}
        assert numbers["u1"] < numbers["u2"] < numbers["u3"] < job.manifest["snapshot"]["sequence"]

    @pytest.mark.parametrize("condition, kept", [
        ("STOCK:ge:2", "i1 i4 i5"), ("STOCK:lt:2", "i3"), ("STOCK:null", "i2"), ("PRICE:notnull", "i1 i3 i4 i5"),
        ("PRICE:eq:19.99", "i3"), ("PRICE:le:11", "i1 i5"), ("NEW:eq:true", "i4"), ("NEW:ne:true", "i3"),
        ("ITEM_ID:in:i2 i4 i9", "i2 i4"), ("ITEM_ID:gt:i3", "i4 i5"), ("TEXT:prefix:a ", "i3"), ("TEXT:eq:日本", "i5")])
    def test_conditions_keep_what_they_say(self, workshop, items, condition, kept):
        job = Job(workshop, items, where=condition, columns="ITEM_ID PRICE")
        assert sorted(row["ITEM_ID"] for row in job.rows) == kept.split()
        assert job.manifest["ledger"]["filtered"] == 5 - len(kept.split())

    def test_all_conditions_have_to_hold_and_come_after_deduplication(self, workshop, items):
        options = {"where": "STOCK:ge:1", "where-2": "STOCK:lt:2"}
        assert Job(workshop, items, **options).rows == []
        job = Job(workshop, items, "BULK", **options)
        assert [row["ITEM_ID"] for row in job.rows] == ["i1"], "the newest of i1 has another stock, the bulk one has not"

    def test_files_have_the_size_asked_for(self, workshop):
        dataset = workshop.make_group(items=ITEMS).items
        workshop.import_csv(dataset, "ITEM_ID,PRICE,CATEGORY_L1\n" + "".join(f"i{n},1,{n:0100}\n" for n in range(30000)))
        for options in ({}, {"format": "parquet"}):
            assert len(Job(workshop, dataset, file_size="1MiB", **options).files) == 4


class TestFormats:
    @pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
    @pytest.mark.parametrize("form", ["csv", "jsonl"])
    def test_what_is_written_is_the_same_in_every_form(self, workshop, items, plain, form, compression):
        job = Job(workshop, items, format=form, compression=compression)
        rows = [typed(row) for row in plain.rows]
        assert (job.rows if form == "jsonl" else [typed(row) for row in job.rows]) == rows, "in the same order"
        suffix = {"none": "", "gzip": ".gz", "zstd": ".zst"}[compression]
        assert list(job.files) == [f"ITEMS-00000.{form}{suffix}"]
        kinds = {"gzip": "application/gzip", "zstd": "application/zstd"}
        plain_kind = "text/csv; charset=utf-8" if form == "csv" else "application/x-ndjson"
        found = job.objects[job.folder + next(iter(job.files))]
        assert found["ContentType"] == kinds.get(compression, plain_kind) and "ContentEncoding" not in found
        assert job.manifest.get("compression") == (None if compression == "none" else compression)
        if form == "csv":
            assert job.texts == plain.texts

    @pytest.mark.parametrize("compression", [None, "none", "zstd"])
    def test_parquet_has_the_types_of_the_schema(self, workshop, items, plain, compression):
        parquet = pytest.importorskip("pyarrow.parquet")
        job = Job(workshop, items, format="parquet", **({"compression": compression} if compression else {}))
        assert job.rows == [typed(row) for row in plain.rows]
        file = parquet.ParquetFile(io.BytesIO(job.files["ITEMS-00000.parquet"]))
        kinds = [str(field.type) for field in file.schema_arrow]
        assert kinds == ["string", "double", "int32", "int64", "bool", "string"]
        column = file.metadata.row_group(0).column(0)
        assert column.compression == ("UNCOMPRESSED" if compression == "none" else "ZSTD")

    def test_duckdb_reads_every_form(self, workshop, items, plain, tmp_path):
        duckdb = pytest.importorskip("duckdb")
        rows = sorted(tuple(typed(row).values()) for row in plain.rows)
        for form, compression in [("parquet", "zstd"), ("jsonl", "gzip"), ("csv", "gzip"), ("csv", "zstd")]:
            (name, body), = Job(workshop, items, format=form, compression=compression).files.items()
            path = tmp_path / name
            path.write_bytes(body)
            found = duckdb.sql(f"SELECT ITEM_ID, PRICE, STOCK, SOLD, NEW, TEXT FROM '{path}' ORDER BY ALL")
            assert found.fetchall() == rows, name

    def test_the_documented_dialect_is_read_and_imported_again(self, workshop, items, plain):
        job = Job(workshop, items, csv="aws")
        assert [typed(row) for row in job.rows] == [typed(row) for row in plain.rows]
        assert job.manifest["csv"] == "aws"
        bucket = workshop.make_bucket("back", ("s3:GetObject", "s3:ListBucket"))
        for name, body in job.bodies.items():
            workshop.s3.put_object(Bucket=bucket, Key=f"in/{name}", Body=body)
        again = workshop.make_group(items=FIELDS).items
        role = workshop.make_role("reader", bucket, ("s3:GetObject", "s3:ListBucket"))
        for place in ("in/", "in/ITEMS-00000.csv"):
            arn = workshop.start_import(again, f"s3://{bucket}/{place}", roleArn=role)
            assert workshop.wait_import(arn)["status"] == "ACTIVE"
            assert Job(workshop, again).texts == plain.texts, place

    def test_an_export_of_nothing_has_a_file_in_every_form(self, workshop):
        dataset = workshop.make_group(items=FIELDS).items
        for options in ({"format": "jsonl"}, {"format": "jsonl", "compression": "gzip"}, {"format": "parquet"},
                        {"compression": "zstd"}, {"losers": "true"}):
            job = Job(workshop, dataset, **options)
            assert job.rows == [] and len(job.files) == 1

    def test_sha256_stands_in_the_manifest(self, workshop, items):
        job = Job(workshop, items, hash="sha256", losers="true")
        for entry in job.manifest["files"] + job.manifest["losers"]["files"]:
            body = job.bodies[entry["key"].removeprefix(job.folder)]
            assert entry["sha256"] == hashlib.sha256(body).hexdigest()


def test_bytes_do_not_depend_on_threads_or_on_how_the_data_lies(tmp_path):
    """One server with one thread and one run, one with as many as there are and three runs."""
    text = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "".join(
        f"u{n * 7919 % 5003},i{n % 977},click,{n % 60}\n" for n in range(60_000))
    lines = text.splitlines(keepends=True)
    forms = [{"compression": "gzip"}, {"compression": "zstd"}, {"format": "jsonl"}, {"format": "parquet"},
             {"csv": "aws"}, {"columns": "ITEM_ID USER_ID"}, {"losers": "true"}]
    cores = os.sched_getaffinity(0)
    found = []
    for own, parts in (({min(cores)}, 1), (cores, 3)):
        os.sched_setaffinity(0, own)
        try:
            server = Server(tmp_path / str(parts)).start()
        finally:
            os.sched_setaffinity(0, cores)
        try:
            workshop = Workshop(server.endpoint)
            dataset = workshop.make_group(interactions=INTERACTIONS).interactions
            for part in range(parts):
                mode = "INCREMENTAL" if part else "FULL"
                workshop.import_csv(dataset, "".join(lines[:1] + lines[1 + part::parts]), mode)
            found.append([Job(workshop, dataset, "BULK", file_size="1MiB", **form).files for form in forms])
            assert server.stop() == 0
        finally:
            server.kill()
    assert all(len(files) > 1 for files in found[0])
    assert found[0] == found[1]


class TestSince:
    def test_two_exports_make_up_the_third_without_gap_or_overlap(self, workshop):
        for mode in ("BULK", "PUT", "ALL"):
            group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
            head = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n"
            workshop.import_csv(group.interactions, head + "u1,i,x,1\nu2,i,x,1\n")
            workshop.put_event(group.tracking_id, "u3", "i", "x", 1)
            first = Job(workshop, group.interactions, mode)
            workshop.import_csv(group.interactions, head + "u2,i,x,1\nu4,i,x,1\n", "INCREMENTAL")
            for user in ("u3", "u4", "u5"):
                workshop.put_event(group.tracking_id, user, "i", "x", 1)
            second = Job(workshop, group.interactions, mode, since=first.name)
            third = Job(workshop, group.interactions, mode)
            assert Counter(first.lines) + Counter(second.lines) == Counter(third.lines), mode
            since = second.manifest["since"]
            assert (since["jobArn"], since["sequence"]) == (first.arn, first.manifest["snapshot"]["sequence"])
            assert since["earlier"] == second.manifest["ledger"]["filtered"] == len(first.rows)
            assert Job(workshop, group.interactions, mode, since=second.arn).rows == []

    def test_newer_records_of_items_replace_the_older_ones(self, workshop):
        items = workshop.make_group(items=ITEMS).items
        put = lambda *pairs: workshop.put_items(
            items, *[(key, {"price": price, "categoryL1": "A"}) for key, price in pairs])
        put(("i1", 1), ("i2", 1), ("i3", 1), ("i3", 2))
        first = Job(workshop, items)
        put(("i2", 2), ("i4", 1), ("i3", 1))
        second = Job(workshop, items, since=first.arn)
        assert second.lines == ["i2,2.0,A", "i3,1.0,A", "i4,1.0,A"], "i3 is again what it was before"
        now = {row["ITEM_ID"]: row for row in first.rows} | {row["ITEM_ID"]: row for row in second.rows}
        assert {row["ITEM_ID"]: row for row in Job(workshop, items).rows} == now

    def test_records_under_way_when_the_snapshot_is_taken_are_in_one_of_the_two(self, workshop):
        group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
        stop = threading.Event()
        sent = []

        def put(worker):
            while not stop.is_set():
                user = f"{worker}-{len(sent)}"
                workshop.put_event(group.tracking_id, user, "i", "x", 1)
                sent.append(user)

        threads = [threading.Thread(target=put, args=(n,)) for n in range(4)]
        [thread.start() for thread in threads]
        try:
            jobs = [Job(workshop, group.interactions, "PUT")]
            for _ in range(6):
                jobs.append(Job(workshop, group.interactions, "PUT", since=jobs[-1].arn))
        finally:
            stop.set()
            [thread.join() for thread in threads]
        jobs.append(Job(workshop, group.interactions, "PUT", since=jobs[-1].arn))
        found = Counter(row["USER_ID"] for job in jobs for row in job.rows)
        assert found == Counter(set(sent))

    def test_what_does_not_fit_together_is_refused(self, workshop, items, plain):
        assert "ingestionMode" in refused(workshop, items, "PUT", since=plain.name)
        assert "lade:where" in refused(workshop, items, since=plain.name, where="STOCK:null")
        other = workshop.make_group(items=ITEMS).items
        assert "this dataset" in refused(workshop, other, since=plain.name)

    def test_after_a_full_import_or_a_deletion_all_has_to_be_exported(self, workshop):
        group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
        head = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n"
        empty = {mode: Job(workshop, group.interactions, mode) for mode in ("ALL", "PUT")}
        workshop.import_csv(group.interactions, head + "u1,i,x,1\n")
        first = Job(workshop, group.interactions, since=empty["ALL"].name)
        assert first.lines == ["u1,i,x,1"], "the first FULL import replaces nothing"
        workshop.import_csv(group.interactions, head + "u2,i,x,1\n")
        assert "FULL import" in refused(workshop, group.interactions, since=first.name)
        workshop.put_event(group.tracking_id, "u3", "i", "x", 1)
        put = Job(workshop, group.interactions, "PUT", since=empty["PUT"].name)
        assert put.lines == ["u3,i,x,1"], "a FULL import replaces no put records"


class TestLosers:
    def test_every_record_that_is_left_out_is_written_with_its_rule(self, workshop):
        items = workshop.make_group(items=ITEMS).items
        workshop.import_csv(items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\ni1,1,A\ni1,2,A\ni2,5,B\n")
        workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}), ("i3", {"price": 7, "categoryL1": "C"}))
        job = Job(workshop, items, losers="true", where="PRICE:lt:6")
        assert job.lines == ["i1,1.0,A", "i2,5.0,B"]
        assert job.losers == {("i1,1.0,A", "exactDuplicate"): 2, ("i1,2.0,A", "superseded"): 1,
                              ("i3,7.0,C", "filtered"): 1}
        ledger = job.manifest["ledger"]
        assert [job.manifest["losers"][rule] for rule in RULES] == [ledger[rule] for rule in RULES] == [2, 1, 1]
        bulk = Job(workshop, items, "BULK", losers="true", format="jsonl")
        assert bulk.losers == {("i1,1.0,A", "exactDuplicate"): 1}
        assert bulk.manifest["ledger"]["written"] == 3

    def test_imports_of_the_folder_leave_them_out(self, workshop):
        items = workshop.make_group(items=ITEMS).items
        workshop.import_csv(items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\ni1,1,A\n")
        job = Job(workshop, items, losers="true")
        bucket = workshop.make_bucket("back", ("s3:GetObject", "s3:ListBucket"))
        for name, body in job.bodies.items():
            workshop.s3.put_object(Bucket=bucket, Key=f"in/{name}", Body=body)
        role = workshop.make_role("reader", bucket, ("s3:GetObject", "s3:ListBucket"))
        assert workshop.wait_import(workshop.start_import(items, f"s3://{bucket}/in/", roleArn=role))["status"] == "ACTIVE"
        assert Job(workshop, items).lines == ["i1,1.0,A"]


class TestActions:
    @pytest.mark.parametrize("kind, fields, text", [
        ("ACTIONS", ACTIONS, "a1,7,x\na1,7,x\na1,8,x\na2,,y\n"),
        ("ACTION_INTERACTIONS", ACTION_INTERACTIONS, "u1,a1,Taken,1,,,\nu1,a1,Taken,1,,,\nu2,a1,Viewed,2,Phone,,\n")])
    def test_datasets_of_actions_are_exported_when_it_is_allowed(self, workshop, kind, fields, text):
        dataset = workshop.make_dataset(workshop.make_group().arn, kind, fields)
        workshop.import_csv(dataset, ",".join(column_names(fields)) + "\n" + text)
        assert "not supported" in refused(workshop, dataset, format="csv")
        expected = sorted(set(text.splitlines()) - ({"a1,7,x", "a1,8,x"} if kind == "ACTIONS" else set()))
        for options in ({}, {"format": "jsonl", "compression": "gzip"}, {"format": "parquet"}):
            job = Job(workshop, dataset, allow="actions", losers="true", **options)
            assert next(iter(job.files)).startswith(f"{kind}-00000.")
            found = [line for line in job.lines if not line.startswith("a1,")]
            assert found == [line for line in expected if not line.startswith("a1,")]
            if kind == "ACTIONS":
                assert len(job.rows) == 2 and job.manifest["ledger"]["superseded"] == 1
            assert job.manifest["ledger"]["exactDuplicates"] == 1
            again = Job(workshop, dataset, allow="actions", since=job.arn, **options)
            assert again.rows == []
