"""Jobs share a budget of memory and take turns between datasets; upkeep keeps runs few beside them."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.schemas import INTERACTIONS, ITEMS
from support.server import Server
from support.workshop import Workshop

HEADER = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n"


@pytest.fixture
def serve(tmp_path):
    """Starts servers with an environment of their own."""
    servers = []

    def start(**env):
        servers.append(Server(tmp_path / f"own-{len(servers)}", env=env).start())
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.kill()


def clicks(count, start=0):
    return HEADER + "".join(f"u{n % 1000},i{n},click,{n}\n" for n in range(start, start + count))


def until(holds, within_s=60):
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def exports(workshop):
    pages = workshop.personalize.get_paginator("list_dataset_export_jobs").paginate()
    return [job for page in pages for job in page["datasetExportJobs"]]


def run_files(server):
    return sorted(file.name for file in (server.data_dir / "runs").glob("*.parquet"))


def test_a_dataset_with_one_job_does_not_wait_for_forty_of_another(serve):
    workshop = Workshop(serve(LADE_JOBS_CONCURRENT="1").endpoint)
    many, one = (workshop.make_group(interactions=INTERACTIONS).interactions for _ in range(2))
    for dataset in (many, one):
        workshop.import_csv(dataset, clicks(5000))
    with ThreadPoolExecutor(4) as pool:
        others = list(pool.map(lambda _: workshop.start_export(many), range(40)))
    arn = workshop.start_export(one)
    job = workshop.wait_export(arn)
    others = [workshop.wait_export(other) for other in others]
    assert all(each["status"] == "ACTIVE" for each in [job, *others])
    between = [each for each in others
               if job["creationDateTime"] < each["lastUpdatedDateTime"] < job["lastUpdatedDateTime"]]
    after = [each for each in others if each["lastUpdatedDateTime"] > job["lastUpdatedDateTime"]]
    assert len(between) <= 2, "the one that was running, and one that ended beside the call"
    assert len(after) >= 5, "otherwise there was nothing to be fair about"


def test_a_hundred_jobs_at_once_stay_within_the_memory_of_one(serve):
    server = serve(LADE_JOBS_CONCURRENT="8", LADE_JOBS_MEMORY="64MiB")
    workshop = Workshop(server.endpoint)
    datasets = [workshop.make_group(interactions=INTERACTIONS).interactions for _ in range(4)]
    location = workshop.upload(clicks(20_000))
    with ThreadPoolExecutor(8) as pool:
        imports = list(pool.map(lambda dataset: workshop.start_import(dataset, location), datasets))
        for arn in imports:
            assert workshop.wait_import(arn)["status"] == "ACTIVE"
        arns = list(pool.map(lambda n: workshop.start_export(datasets[n % 4]), range(100)))
    seen = 0
    while (statuses := [job["status"] for job in exports(workshop)]).count("ACTIVE") < len(arns):
        assert "CREATE FAILED" not in statuses
        seen = max(seen, statuses.count("CREATE IN_PROGRESS"))
        # A list is pages: between two of them a job may end and the next begin.
        assert seen <= 2, "64 MiB are enough for one job at a time"
    assert seen >= 1


def test_an_import_with_little_memory_leaves_others_theirs(serve):
    server = serve(LADE_JOBS_CONCURRENT="2", LADE_JOBS_MEMORY="128MiB")
    assert "up to 2 jobs share 128 MiB of memory" in server.tail()
    workshop = Workshop(server.endpoint)
    dataset = workshop.make_group(interactions=INTERACTIONS).interactions
    workshop.import_csv(dataset, clicks(50_000))
    arns = [workshop.start_import(dataset, workshop.upload(clicks(50_000, 50_000)), "INCREMENTAL")]
    arns += [workshop.start_export(dataset) for _ in range(5)]
    assert workshop.wait_import(arns[0])["status"] == "ACTIVE"
    assert all(workshop.wait_export(arn)["status"] == "ACTIVE" for arn in arns[1:])
    assert len(workshop.export(dataset, "BULK").rows) == 100_000


@pytest.mark.parametrize("name, value, sentence", [
    ("LADE_JOB_MEMORY", "15MiB", "the setting job_memory must be at least 16MiB"),
    ("LADE_JOBS_MEMORY", "63MiB", "the setting jobs_memory must be at least 64MiB"),
    ("LADE_JOB_MEMORY", "plenty", "plenty is no size; write one such as 256MiB"),
    ("LADE_JOBS_MEMORY", "-1", "-1 is no size; write one such as 256MiB"),
])
def test_memory_that_makes_no_sense_is_refused_with_a_sentence(tmp_path, name, value, sentence):
    server = Server(tmp_path, env={name: value}).spawn()
    assert server.process.wait(30) != 0
    assert sentence in server.tail()


def test_many_flushes_end_in_few_runs_and_a_put_export_reads_no_bulk_run(serve):
    server = serve(LADE_FLUSH_AFTER_S="0")
    workshop = Workshop(server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, "ITEM_ID,PRICE,CATEGORY_L1\n" + "".join(f"b{n},{n},A\n" for n in range(1000)))
    [bulk] = run_files(server)
    flushed = lambda: (server.folder / "stderr").read_text().count("flushed")
    for n in range(12):
        workshop.put_items(items, (f"i{n}", {"price": n, "categoryL1": "A"}))
        until(lambda: flushed() > n)
    # Three of a size may lie there: a fourth one makes them one.
    until(lambda: len(run_files(server)) <= 1 + 3)
    expected = sorted(f"i{n},{n}.0,A" for n in range(12))
    away = server.data_dir / "runs" / bulk
    away.rename(server.folder / bulk)
    exported = workshop.export(items, "PUT")
    assert exported.lines == expected
    assert (exported.ledger["readBulk"], exported.ledger["readPut"]) == (0, 12)
    (server.folder / bulk).rename(away)
    assert len(workshop.export(items, "ALL").rows) == 1012


def test_incremental_imports_end_in_few_runs_and_duplicates_are_counted(serve):
    server = serve()
    workshop = Workshop(server.endpoint)
    dataset = workshop.make_group(interactions=INTERACTIONS).interactions
    location = workshop.upload(clicks(200))
    for mode in ["FULL"] + 9 * ["INCREMENTAL"]:
        assert workshop.wait_import(workshop.start_import(dataset, location, mode))["status"] == "ACTIVE"
    # They are of two sizes at most, with three runs each.
    until(lambda: len(run_files(server)) <= 6)
    exported = workshop.export(dataset, "BULK")
    assert exported.lines == sorted(clicks(200).splitlines()[1:])
    assert (exported.ledger["readBulk"], exported.ledger["exactDuplicates"]) == (2000, 1800)
