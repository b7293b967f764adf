"""`lade admin prune-jobs`: old jobs go when told to, with all that stands beside them; data, names and open jobs stay."""

import json
import threading
import time
from urllib.parse import quote

import pytest

from support.catalog import of_a_file, rows
from support.lade import ask, job, lade
from support.policies import allow
from support.schemas import INTERACTIONS
from support.server import ROOT_SECRET
from support.workshop import Workshop, unique, wait
from test_audit import find

PRICED = "ITEM_ID:string PRICE:float"
CSV = "ITEM_ID,PRICE\na,1\nb,2\n"
NOW = ("admin", "prune-jobs", "--older-than", "0s")
TABLES = ("job", "job_event", "reject_report", "reject_file", "job_task", "metric_report", "analysis")


def pruned(server, *more, env=None):
    done = lade(server, *NOW, "--json", *more, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def counts(server, *tables):
    return [int(rows(server, f"SELECT count(*) FROM {table}")[0][0]) for table in tables]


def later(server):
    """What ended in this millisecond is not yet older than nothing."""
    time.sleep(0.01)


def tolerant(workshop, dataset):
    """An import that leaves a row out."""
    arn = workshop.start_import(dataset, workshop.upload(CSV + "c,dear\n"),
                                tags=[{"tagKey": "lade:tolerance", "tagValue": "5"}])
    assert workshop.wait_import(arn)["status"] == "ACTIVE"
    return arn


def delete(workshop, group):
    arn = workshop.personalize.create_data_deletion_job(
        jobName=unique("deletion"), datasetGroupArn=group.arn, roleArn=workshop.import_role,
        dataSource={"dataLocation": workshop.upload("USER_ID\nnobody\n")})["dataDeletionJobArn"]
    describe = workshop.personalize.describe_data_deletion_job
    done = wait(lambda: describe(dataDeletionJobArn=arn)["dataDeletionJob"], ("COMPLETED", "FAILED"))
    assert done["status"] == "COMPLETED"
    return arn


def analyze(server, group):
    path = f"/analyses?datasetGroupArn={quote(group.arn, safe='')}"
    assert ask(server.endpoint, "POST", "/analyses", body={"datasetGroupArn": group.arn})[0] == 200
    wait(lambda: ask(server.endpoint, "GET", path)[1])
    return path


def test_old_jobs_are_counted_and_go_when_told_to(own_server):
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(items=PRICED, interactions=INTERACTIONS)
    first = tolerant(workshop, group.items)
    last = workshop.start_import(group.items, workshop.upload(CSV))
    workshop.wait_import(last)
    name = unique("export")
    export = workshop.start_export(group.items, "ALL", name=name)
    before = workshop.read_export(export)
    deletion, analysis = delete(workshop, group), analyze(own_server, group)
    later(own_server)
    told = lade(own_server, *NOW)
    assert told.returncode == 0 and "Nothing was removed: add --yes" in told.stdout, told
    assert "1  imports" in told.stdout and "1  reject reports" in told.stdout
    dry = pruned(own_server, "--dataset-group", group.arn)
    assert dry["dryRun"] and dry["isComplete"]
    assert dry["jobs"] == {"import": 1, "export": 1, "deletion": 1, "update": 0, "analysis": 1}
    assert (dry["rejectReports"], dry["analysisResults"], dry["tags"]) == (1, 1, 1) and dry["events"] >= 9
    for arn in (first, last, export, deletion):
        assert job(own_server.endpoint, arn)["jobArn"] == arn
    # Nothing is that old.
    old = lade(own_server, "admin", "prune-jobs", "--older-than", "90d", "--yes")
    assert old.returncode == 0 and old.stdout.startswith("No job that ended before 20"), old
    done = pruned(own_server, "--yes")
    assert done == {**dry, "dryRun": False, "endedBefore": done["endedBefore"]}
    for arn in (first, export, deletion):
        assert ask(own_server.endpoint, "GET", f"/jobs/{quote(arn, safe='')}")[0] == 404
    with pytest.raises(workshop.personalize.exceptions.ResourceNotFoundException):
        workshop.personalize.describe_dataset_export_job(datasetExportJobArn=export)
    # The import that filled the dataset stays, and with it what it stands for.
    assert counts(own_server, *TABLES) == [1, 3, 0, 0, 0, 0, 0]
    found = ask(own_server.endpoint, "GET", analysis)[1]
    assert (found["status"], found["result"]) == ("NONE", None)
    assert "PruneJobs" in {line["eventName"] for line in find(own_server, eventName="PruneJobs", status=200)}
    workshop.import_csv(group.items, "ITEM_ID,PRICE\nz,9\n", mode="INCREMENTAL")
    # Names stay taken, also after a restart, until they are freed.
    own_server.restart()
    workshop = workshop.at(own_server.endpoint)
    with pytest.raises(workshop.personalize.exceptions.ResourceAlreadyExistsException):
        workshop.start_export(group.items, "ALL", name=name)
    assert pruned(own_server, "--free-names")["namesFreed"] == 3
    assert pruned(own_server, "--free-names", "--yes")["namesFreed"] == 3
    after = workshop.read_export(workshop.start_export(group.items, "ALL", name=name))
    assert sorted(after.rows) == sorted([*before.rows, ("z", "9.0")])


def test_a_group_alone_and_by_permission(server, workshop):
    one, other = workshop.make_group(items=PRICED), workshop.make_group(items=PRICED)
    jobs = []
    for group in (one, other):
        for _ in range(2):
            jobs.append(workshop.start_import(group.items, workshop.upload(CSV)))
            workshop.wait_import(jobs[-1])
    later(server)
    user = workshop.make_user("keeper", allow("personalize:PruneJobs", one.arn))
    body = {"olderThanSeconds": 0, "dryRun": False}
    keys = {"key": user.key, "secret": user.session.get_credentials().secret_key}
    for more in ({}, {"datasetGroupArn": other.arn}):
        status, said = ask(server.endpoint, "POST", "/prunings", body={**body, **more}, **keys)
        assert status in (400, 403) and "personalize:PruneJobs" in str(said), said
    status, done = ask(server.endpoint, "POST", "/prunings", body={**body, "datasetGroupArn": one.arn}, **keys)
    assert status == 200 and done["jobs"]["import"] == 1, done
    found = [ask(server.endpoint, "GET", f"/jobs/{quote(arn, safe='')}")[0] for arn in jobs]
    assert found == [404, 200, 200, 200]
    for wrong in ({}, {"olderThanSeconds": -1}, {"olderThanSeconds": 1, "dataset": "x"},
                  {"olderThanSeconds": 1, "datasetGroupArn": one.items}):
        assert ask(server.endpoint, "POST", "/prunings", body=wrong)[0] == 400, wrong
    assert ask(server.endpoint, "GET", "/prunings")[0] == 404
    refused = lade(server, "admin", "prune-jobs", "--older-than", "soon")
    assert refused.returncode == 2 and "90d" in refused.stderr


@of_a_file
def test_many_jobs_go_while_others_write(own_server):
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(items=PRICED)
    workshop.import_csv(group.items, CSV)
    columns = "role_arn, request, status, created_ms, updated_ms, attempts, fence, lease_until_ms, rows_done, rows_total, bytes_done"
    rows(own_server, f"""INSERT INTO job (arn, name, kind, subject_arn, dataset_id, {columns})
        WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 5000)
        SELECT arn || '-' || n, name || n, 'EXPORT', subject_arn, dataset_id, {columns} FROM job, many WHERE kind = 'IMPORT'""")
    later(own_server)
    done, slowest = threading.Event(), [0]

    def write():
        while not done.is_set():
            start = time.monotonic()
            workshop.personalize.tag_resource(resourceArn=group.arn, tags=[{"tagKey": "k", "tagValue": "v"}])
            slowest[0] = max(slowest[0], time.monotonic() - start)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        said = lade(own_server, *NOW, "--yes")
    finally:
        done.set()
        writer.join()
    assert said.returncode == 0, said.stderr
    assert "5000 jobs that ended before" in said.stdout and "2000 jobs removed" not in said.stdout
    assert [line for line in said.stderr.splitlines() if line.endswith("jobs removed")] == [
        "4000 jobs removed", "5000 jobs removed"]
    assert slowest[0] < 2, f"a call waited for {slowest[0]:.1f} s"
    assert counts(own_server, "job") == [1] and counts(own_server, "pruned_job") == [5000]


def test_a_server_with_other_keys_says_who_may(server):
    done = lade(server, *NOW, env={"AWS_SECRET_ACCESS_KEY": ROOT_SECRET + "x"})
    assert done.returncode == 1 and "signature" in done.stderr
