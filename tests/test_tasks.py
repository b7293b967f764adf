"""Jobs cut into tasks: what comes out is, byte for byte, what one process makes of the whole."""

import json
import random

import pytest

from support.lade import cancel, job as lade_job
from support.server import Server
from support.workshop import Workshop, unique

ITEMS = "ITEM_ID:string TEXT:string? PRICE:float?"
INTERACTIONS = "USER_ID:string ITEM_ID:string TIMESTAMP:long EVENT_TYPE:string"
# Some of them are cut within quotes.
TASK_SIZE = "30000"
OPTIONS = [
    {"lade:columns": "ITEM_ID TEXT _SEQ _ORIGIN"},
    {"lade:format": "jsonl", "lade:compression": "gzip", "lade:hash": "sha256"},
    {"lade:format": "parquet"},
    {"lade:csv": "aws", "lade:losers": "true"},
]


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """One that does jobs as a whole, and one that cuts them, both new: their records get the same numbers."""
    env = {"LADE_FILE_SIZE_MAX": "1MiB", "LADE_IMPORT_TASK_SIZE": TASK_SIZE}
    whole = Server(tmp_path_factory.mktemp("whole"), env=env).start()
    cut = Server(tmp_path_factory.mktemp("cut"), env={**env, "LADE_CUT_JOBS": "true"}).start()
    yield Workshop(whole.endpoint), Workshop(cut.endpoint)
    assert [whole.stop(), cut.stop()] == [0, 0], cut.tail()


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


def items(seed, count, line_end="\n"):
    """Lines of items, some of them equal, many with line breaks, commas and quotes in their texts."""
    luck = random.Random(seed)
    lines = []
    for _ in range(count):
        text = "".join(luck.choice(["a", "b,", "\n", '"', "é", "word ", "x\r\ny"]) for _ in range(luck.randrange(12)))
        text += "filler " * luck.randrange(120)
        price = luck.choice(["", "1.5", "2", "1e3"])
        lines.append(f"i{luck.randrange(count // 2)},{quoted(text) if text else ''},{price}")
    lines += luck.sample(lines, count // 10)
    return line_end.join(lines)


def folder(workshop, files, rfc4180=True):
    """Uploads files as a folder; its location."""
    name = unique("in")
    metadata = {"personalize-csv": "rfc4180"} if rfc4180 else {}
    for number, text in enumerate(files):
        workshop.s3.put_object(Bucket=workshop.source, Key=f"{name}/{number:03}.csv", Body=text.encode(),
                               Metadata=metadata)
    return f"s3://{workshop.source}/{name}/"


def imported(workshop, dataset, location, mode="FULL", **more):
    arn = workshop.start_import(dataset, location, mode, **more)
    job = workshop.wait_import(arn)
    return job, lade_job(workshop.endpoint, arn)


def exported(workshop, dataset, mode, options):
    """The bodies of an export by their names, its manifest without what is the job's own, and how it was done."""
    tags = [{"tagKey": key, "tagValue": value} for key, value in options.items()]
    arn = workshop.start_export(dataset, mode, tags=tags)
    job = workshop.wait_export(arn)
    assert job["status"] == "ACTIVE", job
    prefix = f"out/{job['jobName']}/"
    listed = workshop.s3.list_objects_v2(Bucket=workshop.target, Prefix=prefix)["Contents"]
    bodies = {entry["Key"].removeprefix(prefix): workshop.s3.get_object(
        Bucket=workshop.target, Key=entry["Key"])["Body"].read() for entry in listed}
    manifest = json.loads(bodies.pop("_manifest.json").replace(job["jobName"].encode(), b"JOB"))
    for own in ("jobArn", "datasetArn", "snapshot", "options"):
        manifest.pop(own, None)
    return bodies, manifest, lade_job(workshop.endpoint, arn)


def assert_equal_exports(servers, datasets, modes=("ALL", "BULK"), options=({},)):
    for mode in modes:
        for asked in options:
            (whole, manifest, _), (cut, other, job) = (
                exported(workshop, dataset, mode, asked) for workshop, dataset in zip(servers, datasets))
            assert cut == whole, (mode, asked)
            assert other == manifest, (mode, asked)
            assert len(job["tasks"]) == len(manifest["files"]), job
            assert {task["state"] for task in job["tasks"]} == {"DONE"}


def assert_nothing_open(workshop):
    assert "Uploads" not in workshop.s3.list_multipart_uploads(Bucket=workshop.target)


def test_imports_and_exports_by_tasks_are_those_of_the_whole(servers):
    head, long = "ITEM_ID,TEXT,PRICE", quoted("line\n" * 190)
    files = [
        "\ufeff" + head + "\n" + items(1, 2000),
        head + "\r\n" + items(2, 300, "\r\n") + "\r\n",
        f"PRICE,OTHER,{quoted('ITEM_ID')},TEXT\n" + "3,x,i1,a\n" * 3000,
        head + "\n",
        head + "\n\n\ni1,a,\n\n",
        head + "\n" + f"i9,{long},1\n" + items(3, 50),
    ]
    datasets = [workshop.make_group(items=ITEMS).items for workshop in servers]
    for texts, mode in ((files, "FULL"), ([head + "\n" + items(4, 400)], "INCREMENTAL")):
        (_, whole), (_, cut) = (
            imported(workshop, dataset, folder(workshop, texts), mode) for workshop, dataset in zip(servers, datasets))
        assert cut["status"] == "ACTIVE", cut
        assert cut["ledger"] == whole["ledger"]
        assert whole["status"] == "ACTIVE" and cut["progress"]["rowsDone"] == whole["progress"]["rowsDone"]
        assert len(cut["tasks"]) > 5 and "tasks" not in whole
    for workshop, dataset in zip(servers, datasets):
        for number in range(30):
            workshop.put_items(dataset, (f"i{number}", {"text": f"put {number % 3}"}))
    assert_equal_exports(servers, datasets, ("ALL", "BULK", "PUT"), ({}, *OPTIONS))
    assert_nothing_open(servers[1])


def test_interactions_by_tasks_are_those_of_the_whole(servers):
    luck = random.Random(5)
    lines = [f"u{luck.randrange(40)},i{luck.randrange(9)},{luck.randrange(10**9)},{luck.choice(['Click', 'Watch'])}"
             for _ in range(2500)]
    text = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\n" + "\n".join(lines + lines[:100])
    datasets = [workshop.make_group(interactions=INTERACTIONS).interactions for workshop in servers]
    (_, whole), (_, cut) = (
        imported(workshop, dataset, folder(workshop, [text])) for workshop, dataset in zip(servers, datasets))
    assert cut["ledger"] == whole["ledger"] and cut["ledger"]["exactDuplicates"] >= 100
    assert_equal_exports(servers, datasets, options=({}, {"lade:columns": "USER_ID TIMESTAMP _SEQ"},
                                                     {"lade:where": "ITEM_ID:eq:i3"}))


@pytest.mark.parametrize("bad", ["i1,x,dear", 'i1,"a"b,1', "i1", 'i1,"never closed'])
def test_wrong_rows_are_told_as_by_the_whole(servers, bad):
    text = "ITEM_ID,TEXT,PRICE\n" + items(6, 300) + f"\n{bad}\n" + items(7, 100)
    outcomes = []
    for workshop in servers:
        dataset = workshop.make_group(items=ITEMS).items
        location = folder(workshop, [text])
        job, shown = imported(workshop, dataset, location)
        assert job["status"] == "CREATE FAILED"
        own = location.split("/")[3]
        outcomes.append(json.loads(json.dumps([job["failureReason"], shown["rejects"]]).replace(own, "in")))
    assert outcomes[0] == outcomes[1]


def test_a_cut_export_that_is_cancelled_leaves_nothing_open(servers):
    workshop = servers[1]
    dataset = workshop.make_group(items=ITEMS).items
    assert imported(workshop, dataset, folder(workshop, ["ITEM_ID,TEXT,PRICE\n" + items(8, 2000)]))[1]["ledger"]
    arns = [workshop.start_export(dataset, "ALL") for _ in range(6)]
    for arn in arns:
        cancel(workshop.endpoint, arn)
    for arn in arns:
        assert workshop.wait_export(arn)["status"] in ("ACTIVE", "CREATE FAILED")
    assert_nothing_open(workshop)
