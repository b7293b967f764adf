"""Exports: the three modes, what counts as a duplicate, the files, and what is refused."""

import os
import random
import time
from collections import Counter

import pytest

from model import Dataset
from support.export import Export
from support.schemas import INTERACTIONS, ITEMS, ITEMS_NULLABLE, USERS, column_names
from support.server import Server
from support.workshop import Workshop, unique

MODES = ("BULK", "PUT", "ALL")
ITEMS_HEADER = "ITEM_ID,PRICE,CATEGORY_L1\n"


def item(key, price, category):
    return key, {"price": price, "categoryL1": category}


def exports(workshop, dataset):
    return {mode: workshop.export(dataset, mode) for mode in MODES}


def lines(workshop, dataset):
    return {mode: export.lines for mode, export in exports(workshop, dataset).items()}


def refused(call, exception):
    with pytest.raises(exception) as caught:
        call()
    return caught.value.response["Error"]["Message"]


def test_worked_example_items(workshop):
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, ITEMS_HEADER + "i1,10,A\ni2,20,B\ni2,25,B\ni1,10,A\n")
    workshop.put_items(items, item("i1", 11, "A"), item("i3", 30, "C"))
    workshop.put_items(items, item("i3", 30, "C"))
    workshop.put_items(items, item("i3", 31, "C"))
    workshop.put_items(items, item("i2", 25, "B"))
    put = ["i1,11.0,A", "i2,25.0,B", "i3,30.0,C", "i3,31.0,C"]
    first = exports(workshop, items)
    assert {mode: export.lines for mode, export in first.items()} == {
        "BULK": ["i1,10.0,A", "i2,20.0,B", "i2,25.0,B"],
        "PUT": put,
        "ALL": ["i1,11.0,A", "i2,25.0,B", "i3,31.0,C"],
    }
    assert [row[1] for row in first["PUT"].rows if row[0] == "i3"] == ["30.0", "31.0"], "in order of arrival"
    assert [row[1] for row in first["BULK"].rows if row[0] == "i2"] == ["20.0", "25.0"], "in order of arrival"
    assert first["BULK"].ledger == {"readBulk": 4, "readPut": 0, "exactDuplicates": 1, "superseded": 0,
                                    "filtered": 0, "written": 3}
    assert first["PUT"].ledger["readPut"] == 5 and first["PUT"].ledger["exactDuplicates"] == 1
    assert (first["ALL"].ledger["readBulk"], first["ALL"].ledger["readPut"], first["ALL"].ledger["written"]) == (4, 5, 3)

    workshop.import_csv(items, ITEMS_HEADER + "i1,12,A\n")
    assert lines(workshop, items) == {
        "BULK": ["i1,12.0,A"], "PUT": put, "ALL": ["i1,12.0,A", "i2,25.0,B", "i3,31.0,C"]}

    workshop.import_csv(items, ITEMS_HEADER + "i1,13,A\ni4,40,D\n", "INCREMENTAL")
    everything = ["i1,13.0,A", "i2,25.0,B", "i3,31.0,C", "i4,40.0,D"]
    assert lines(workshop, items) == {"BULK": ["i1,12.0,A", "i1,13.0,A", "i4,40.0,D"], "PUT": put, "ALL": everything}

    workshop.put_items(items, item("i4", 40, "D"))
    assert lines(workshop, items) == {
        "BULK": ["i1,12.0,A", "i1,13.0,A", "i4,40.0,D"], "PUT": [*put, "i4,40.0,D"], "ALL": everything}


def test_worked_example_users(workshop):
    users = workshop.make_group(users=USERS).users
    workshop.import_csv(users, "USER_ID,AGE,GENDER\nu1,30,F\nu1,31,F\nu2,40,\n")
    workshop.put_users(users, ("u2", {"age": 40}))
    workshop.put_users(users, ("u1", {"age": 31, "gender": "F"}))
    assert lines(workshop, users) == {
        "BULK": ["u1,30,F", "u1,31,F", "u2,40,"], "PUT": ["u1,31,F", "u2,40,"], "ALL": ["u1,31,F", "u2,40,"]}


def test_worked_example_interactions(workshop):
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    workshop.import_csv(group.interactions, "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n"
                        "u1,i1,click,100\nu1,i1,click,100\nu1,i1,view,100\n")
    workshop.put_event(group.tracking_id, "u1", "i1", "click", 100, eventId="x")
    workshop.put_event(group.tracking_id, "u1", "i1", "click", 101, eventId="y")
    workshop.put_event(group.tracking_id, "u1", "i1", "click", 101, "s2", eventId="z")
    workshop.put_event(group.tracking_id, None, "i2", "view", 102, "s9")
    assert lines(workshop, group.interactions) == {
        "BULK": ["u1,i1,click,100", "u1,i1,view,100"],
        "PUT": ["s9,i2,view,102", "u1,i1,click,100", "u1,i1,click,101"],
        "ALL": ["s9,i2,view,102", "u1,i1,click,100", "u1,i1,click,101", "u1,i1,view,100"],
    }


def test_the_newest_wins_whether_bulk_or_put(workshop):
    items = workshop.make_group(items=ITEMS).items
    workshop.put_items(items, item("i1", 1, "A"))
    workshop.import_csv(items, ITEMS_HEADER + "i1,2,A\n")
    assert workshop.export(items, "ALL").lines == ["i1,2.0,A"]
    workshop.put_items(items, item("i1", 1, "A"))
    assert workshop.export(items, "ALL").lines == ["i1,1.0,A"]


def test_put_is_the_default_mode(workshop):
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, ITEMS_HEADER + "i1,1,A\n")
    workshop.put_items(items, item("i2", 2, "B"))
    arn = workshop.start_export(items)
    assert workshop.read_export(arn).lines == ["i2,2.0,B"]
    assert workshop.wait_export(arn)["ingestionMode"] == "PUT"


def test_the_same_id_twice_in_one_call(workshop):
    items = workshop.make_group(items=ITEMS).items
    workshop.put_items(items, item("i9", 1, "A"), item("i9", 2, "A"))
    assert workshop.export(items, "ALL").lines == ["i9,2.0,A"]
    assert workshop.export(items, "PUT").rows == [("i9", "1.0", "A"), ("i9", "2.0", "A")]


def test_a_put_is_in_the_export_made_right_after_it_and_not_in_one_before(workshop):
    items = workshop.make_group(items=ITEMS).items
    arns = []
    for n in range(20):
        workshop.put_items(items, item(f"i{n:02}", n, "A"))
        arns.append(workshop.start_export(items, "PUT"))
    for n, arn in enumerate(arns):
        assert [row[0] for row in sorted(workshop.read_export(arn).rows)] == [f"i{m:02}" for m in range(n + 1)]


def test_nothing_to_export_is_a_file_with_a_header(workshop):
    items = workshop.make_group(items=ITEMS).items
    for mode in MODES:
        exported = workshop.export(items, mode)
        assert exported.bodies[exported.data_keys[0]] == ITEMS_HEADER.encode() and len(exported.data_keys) == 1


def test_actions_cannot_be_exported(workshop):
    group = workshop.make_group()
    actions = workshop.make_dataset(group.arn, "ACTIONS", "ACTION_ID:string COLOR:string:categorical")
    text = refused(lambda: workshop.start_export(actions), workshop.personalize.exceptions.InvalidInputException)
    assert text == "Dataset export is not supported for datasets of type ACTIONS."
    assert workshop.personalize.list_dataset_export_jobs(datasetArn=actions)["datasetExportJobs"] == []


def test_random_histories_match_the_model(workshop, note):
    """Small key and value spaces, so that ids and whole records collide often."""
    seed = int(os.environ.get("LADE_TEST_SEED") or random.randrange(1 << 32))
    note(f"test_export: LADE_TEST_SEED={seed}")
    chance = random.Random(seed)
    dataset, model = workshop.make_group(items=ITEMS).items, Dataset(column_names(ITEMS), "ITEM_ID")
    draw = lambda: (f"i{chance.randrange(6)}", f"{chance.randrange(3)}.5", chance.choice("AB"))
    for step in range(12):
        rows = [draw() for _ in range(chance.randrange(1, 10))]
        if step and chance.random() < 0.6:
            workshop.put_items(dataset, *[item(key, float(price), category) for key, price, category in rows])
            model.put(*rows)
        else:
            mode = "FULL" if step == 0 or chance.random() < 0.4 else "INCREMENTAL"
            workshop.import_csv(dataset, ITEMS_HEADER + "".join(",".join(row) + "\n" for row in rows), mode)
            model.import_full(rows) if mode == "FULL" else model.import_incremental(rows)
        if step % 3 == 2:
            for mode in MODES:
                assert workshop.export(dataset, mode).multiset == model.export(mode), (seed, step, mode)


class TestFiles:
    def test_layout_with_and_without_slash_and_at_the_root(self, workshop):
        items = workshop.make_group(items=ITEMS).items
        folder = unique("nightly-path")
        for path, prefix in [(f"/{folder}", f"{folder}/"), (f"/{folder}/", f"{folder}/"), ("", ""), ("/", "")]:
            name = unique("nightly")
            path = f"s3://{workshop.target}{path}"
            arn = workshop.start_export(items, name=name, path=path)
            exported = workshop.read_export(arn)
            assert exported.keys == [f"{prefix}{name}/ITEMS-00000.csv", f"{prefix}{name}/_manifest.json"]
            assert workshop.wait_export(arn)["jobOutput"]["s3DataDestination"] == {"path": path}

    def test_the_manifest_names_job_dataset_and_mode(self, workshop):
        items = workshop.make_group(items=ITEMS).items
        workshop.put_items(items, item("i1", 1, "A"))
        arn = workshop.start_export(items, "ALL")
        manifest = workshop.read_export(arn).manifest
        assert (manifest["version"], manifest["format"]) == (1, "csv")
        assert (manifest["jobArn"], manifest["datasetArn"], manifest["ingestionMode"]) == (arn, items, "ALL")
        assert [field["name"] for field in manifest["schema"]["fields"]] == column_names(ITEMS)
        assert manifest["snapshot"]["sequence"] > 0 and manifest["snapshot"]["takenAt"].endswith("Z")

    def test_objects_carry_their_type_and_dialect(self, workshop):
        exported = workshop.export(workshop.make_group(items=ITEMS).items)
        head = workshop.s3.head_object(Bucket=exported.bucket, Key=exported.data_keys[0])
        assert head["ContentType"] == "text/csv; charset=utf-8"
        assert head["Metadata"]["personalize-csv"] == "rfc4180"

    def test_any_text_comes_back_through_a_standard_csv_reader(self, workshop):
        items = workshop.make_group(items=ITEMS_NULLABLE).items
        texts = ["comma, quote \" and\nline break", "\r\n", " blanks ", "=1+1", "a\\b", "a\\\\b", 'x\\"y', "ünïcödé 🎬", "\t"]
        for n, text in enumerate(texts):
            workshop.put_items(items, (f"i{n}", {"description": text}))
        rows = {row[0]: row[3] for row in workshop.export(items, "PUT").rows}
        assert rows == {f"i{n}": text for n, text in enumerate(texts)}

    def test_numbers_keep_their_value(self, workshop):
        group = workshop.make_group(users="USER_ID:string A:double B:long? C:boolean?")
        workshop.import_csv(group.users, "USER_ID,A,B,C\nu1,15,-9223372036854775808,true\nu2,19.99,,false\n"
                                         "u3,16777217,0,\nu4,1e16,1,\nu5,0.00001,1,\nu6,0.000001,1,\nu7,-0.75,1,\n")
        rows = {row[0]: row[1:] for row in workshop.export(group.users, "BULK").rows}
        assert rows["u1"] == ("15.0", "-9223372036854775808", "true")
        assert rows["u2"] == ("19.99", "", "false")
        assert rows["u3"][0] == "16777217.0" and rows["u5"][0] == "0.00001" and rows["u7"][0] == "-0.75"
        assert float(rows["u4"][0]) == 1e16 and "e" in rows["u4"][0].lower()
        assert float(rows["u6"][0]) == 1e-6 and "e" in rows["u6"][0].lower()

    def test_an_export_can_be_imported_and_exported_to_the_same_bytes(self, workshop):
        items = workshop.make_group(items=ITEMS_NULLABLE).items
        workshop.import_csv(items, 'ITEM_ID,PRICE,GENRES,DESCRIPTION\ni1,1.5,a|b,"x, ""y"" z"\ni2,,,\ni2,2,,"line\nbreak"\n'
                                   'i3,3,,"a\\\\b"\ni4,4,,"a\\\\\\\\b"\ni5,5,,"x\\\\\\"y"\ni6,6,,a\\b\n')
        name = unique("round")
        both = workshop.make_bucket("round", ["s3:GetObject", "s3:PutObject", "s3:ListBucket"])
        role = workshop.make_role("round", both, ["s3:GetObject", "s3:PutObject", "s3:ListBucket"])
        first = workshop.export(items, "BULK", name=name, path=f"s3://{both}/out", roleArn=role)
        again = workshop.make_group(items=ITEMS_NULLABLE).items
        location = f"s3://{both}/out/{name}/"
        assert workshop.wait_import(workshop.start_import(again, location, roleArn=role))["status"] == "ACTIVE"
        second = workshop.export(again, "BULK")
        assert list(first.bodies.values())[0] == list(second.bodies.values())[0]

    def test_equal_data_gives_equal_bytes(self, workshop):
        items = workshop.make_group(items=ITEMS).items
        rows = "".join(f"i{n},{n},A\n" for n in range(5000))
        workshop.import_csv(items, ITEMS_HEADER + rows)
        bodies = [workshop.export(items, "ALL") for _ in range(2)]
        assert bodies[0].bodies[bodies[0].data_keys[0]] == bodies[1].bodies[bodies[1].data_keys[0]]
        other = workshop.make_group(items=ITEMS).items
        workshop.import_csv(other, ITEMS_HEADER + "".join(reversed(rows.splitlines(keepends=True))))
        reversed_data = workshop.export(other, "ALL")
        assert reversed_data.bodies[reversed_data.data_keys[0]] == bodies[0].bodies[bodies[0].data_keys[0]]

    def test_a_finished_name_cannot_be_used_again(self, workshop):
        group = workshop.make_group(items=ITEMS, users=USERS)
        name = unique("once")
        workshop.export(group.items, name=name)
        text = refused(lambda: workshop.start_export(group.users, name=name),
                       workshop.personalize.exceptions.ResourceAlreadyExistsException)
        assert text.endswith(f":dataset-export-job/{name} already exists.")

    def test_ten_thousand_of_each_kind(self, workshop):
        group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
        rows = [(f"u{n % 97}", f"i{n % 89}", "click", str(n % 2000)) for n in range(10_000)]
        text = "".join(",".join(row) + "\n" for row in rows)
        workshop.import_csv(group.interactions, "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + text)
        exported = workshop.export(group.interactions, "BULK")
        assert exported.multiset == Counter(set(rows))


class TestRefusals:
    def test_paths_that_are_none(self, workshop):
        items = workshop.make_group(items=ITEMS).items
        invalid = workshop.personalize.exceptions.InvalidInputException
        for path in ("https://example.com/out", "s3:///out", "s3://UPPER_case!/out"):
            text = refused(lambda: workshop.start_export(items, path=path), invalid)
            assert text.startswith("Invalid S3 output path"), (path, text)

    def test_unknown_and_malformed_datasets(self, workshop):
        exceptions = workshop.personalize.exceptions
        unknown = "arn:aws:personalize:us-east-1:000000000000:dataset/nobody/ITEMS"
        text = refused(lambda: workshop.start_export(unknown), exceptions.ResourceNotFoundException)
        assert text == f"The given dataset does not exist: {unknown}"
        refused(lambda: workshop.start_export("nonsense"), exceptions.InvalidInputException)

    def test_unknown_extensions_are_refused(self, workshop):
        items = workshop.make_group(items=ITEMS).items
        tags = [{"tagKey": "lade:no-such-thing", "tagValue": "1"}]
        refused(lambda: workshop.start_export(items, tags=tags), workshop.personalize.exceptions.InvalidInputException)

    def test_a_key_that_is_not_there_is_refused(self, workshop):
        items = workshop.make_group(items=ITEMS).items
        destination = {"path": f"s3://{workshop.target}/out",
                       "kmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000"}
        create = lambda: workshop.personalize.create_dataset_export_job(
            jobName=unique("kms"), datasetArn=items, roleArn=workshop.export_role,
            jobOutput={"s3DataDestination": destination})
        refused(create, workshop.personalize.exceptions.InvalidInputException)


def test_the_status_walks_forward(workshop):
    items = workshop.make_group(items=ITEMS).items
    arn = workshop.start_export(items)
    steps, seen, updated = ["CREATE PENDING", "CREATE IN_PROGRESS", "ACTIVE"], [], None
    deadline = time.monotonic() + 60
    while not seen or seen[-1] != "ACTIVE":
        assert time.monotonic() < deadline
        job = workshop.personalize.describe_dataset_export_job(datasetExportJobArn=arn)["datasetExportJob"]
        assert updated is None or job["lastUpdatedDateTime"] >= updated
        updated = job["lastUpdatedDateTime"]
        seen += [job["status"]] if not seen or seen[-1] != job["status"] else []
    assert seen == [step for step in steps if step in seen]


def test_objects_appear_only_when_all_are_there(workshop):
    """While the job is not ACTIVE its folder is empty or whole."""
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, ITEMS_HEADER + "".join(f"i{n},{n},A\n" for n in range(50_000)))
    name = unique("atomic")
    arn = workshop.start_export(items, "BULK", name=name)
    while True:
        keys = workshop.s3.list_objects_v2(Bucket=workshop.target, Prefix=f"out/{name}/").get("Contents", [])
        job = workshop.personalize.describe_dataset_export_job(datasetExportJobArn=arn)["datasetExportJob"]
        if job["status"] == "ACTIVE":
            break
        assert job["status"].startswith("CREATE ") and job["status"] != "CREATE FAILED", job
        if any(entry["Key"].endswith("_manifest.json") for entry in keys):
            Export(workshop.s3, f"s3://{workshop.target}/out", name).check()
    assert len(workshop.read_export(arn).rows) == 50_000


def test_a_dataset_in_use_by_an_export_cannot_be_deleted(workshop):
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, ITEMS_HEADER + "".join(f"i{n},{n},A\n" for n in range(50_000)))
    arn = workshop.start_export(items, "BULK")
    try:
        workshop.personalize.delete_dataset(datasetArn=items)
    except workshop.personalize.exceptions.ResourceInUseException:
        assert workshop.wait_export(arn)["status"] == "ACTIVE"
    else:
        assert workshop.wait_export(arn)["status"] == "ACTIVE", "it was deleted, so the export must have ended before"


def test_a_large_export_has_several_files(tmp_path):
    """Each with the header, none splitting a record, numbered without gaps."""
    server = Server(tmp_path / "small-files", arguments=["--file-size-max", "1MiB"]).start()
    try:
        workshop = Workshop(server.endpoint)
        items = workshop.make_group(items=ITEMS_NULLABLE).items
        rows = [(f"i{n}", f"{n}.0", "a|b", f'line {n}\nand "quoted", {"x" * 100}') for n in range(30_000)]
        text = "".join(f'{key},{price},{genres},"{words.replace(chr(34), chr(34) * 2)}"\n'
                       for key, price, genres, words in rows)
        workshop.import_csv(items, "ITEM_ID,PRICE,GENRES,DESCRIPTION\n" + text)
        exported = workshop.export(items, "BULK")
        count = len(exported.data_keys)
        assert count > 2 and count & (count - 1) == 0
        assert exported.names == [f"ITEMS-{n:05}.csv" for n in range(count)] + ["_manifest.json"]
        assert exported.multiset == Counter(rows)
        assert server.stop() == 0
    finally:
        server.kill()


class TestOptions:
    def test_the_manifest_can_be_left_out(self, workshop):
        items = workshop.make_group(items=ITEMS).items
        workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}))
        arn = workshop.start_export(items, tags=[{"tagKey": "lade:manifest", "tagValue": "off"}])
        job = workshop.wait_export(arn)
        assert job["status"] == "ACTIVE"
        folder = f"out/{job['jobName']}/"
        listed = workshop.s3.list_objects_v2(Bucket=workshop.target, Prefix=folder)["Contents"]
        assert [entry["Key"] for entry in listed] == [folder + "ITEMS-00000.csv"]

    @pytest.mark.parametrize("key, value", [
        ("lade:manifest", "maybe"), ("lade:manifesto", "off"), ("lade:", "x"), ("lade:MANIFEST", "off")])
    def test_an_option_that_there_is_not_is_refused(self, workshop, key, value):
        items = workshop.make_group(items=ITEMS).items
        with pytest.raises(workshop.personalize.exceptions.InvalidInputException, match=key):
            workshop.start_export(items, tags=[{"tagKey": key, "tagValue": value}])

    def test_options_are_settled_when_the_job_is_made(self, workshop):
        items = workshop.make_group(items=ITEMS).items
        arn = workshop.start_export(items, tags=[{"tagKey": "lade:manifest", "tagValue": "on"}])
        invalid = workshop.personalize.exceptions.InvalidInputException
        with pytest.raises(invalid, match="lade:manifest"):
            workshop.personalize.tag_resource(resourceArn=arn, tags=[{"tagKey": "lade:manifest", "tagValue": "off"}])
        with pytest.raises(invalid, match="lade:manifest"):
            workshop.personalize.untag_resource(resourceArn=arn, tagKeys=["lade:manifest"])
        workshop.read_export(arn)
