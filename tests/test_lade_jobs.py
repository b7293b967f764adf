"""Jobs as they can be watched and cancelled under /lade/v1/jobs."""

import time
from urllib.parse import quote

import pytest

from support.lade import ask, cancel, job, job_path
from support.policies import allow
from support.server import Server
from support.workshop import Workshop, unique, wait

PRICED = "ITEM_ID:string PRICE:float"
CLICKS = "USER_ID:string ITEM_ID:string TIMESTAMP:long"
ROWS = 400_000
REASON = "cancelled by arn:aws:iam::000000000000:root"


@pytest.fixture(scope="module")
def large():
    return "ITEM_ID,PRICE\n" + "".join(f"item-{n},{n}.5\n" for n in range(ROWS))


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory):
    """A server that runs one job at a time, on little memory and one thread's patience."""
    server = Server(tmp_path_factory.mktemp("one"), env={"LADE_JOBS_CONCURRENT": "1"}).start()
    yield server
    assert server.stop() == 0, server.tail()


@pytest.fixture(scope="module")
def shop(one_worker):
    return Workshop(one_worker.endpoint)


def ended(endpoint, arn):
    return wait(lambda: job(endpoint, arn), ends=("ACTIVE", "CREATE FAILED", "COMPLETED", "FAILED"))


def test_progress_only_rises_and_ends_at_its_total(one_worker, shop, large):
    group = shop.make_group(items=PRICED)
    arn = shop.start_import(group.items, shop.upload(large))
    seen = []
    while (found := job(one_worker.endpoint, arn))["status"] not in ("ACTIVE", "CREATE FAILED"):
        seen.append(found["progress"])
        time.sleep(0.02)
    seen.append(found["progress"])
    assert found["status"] == "ACTIVE", found
    for name in ("rowsDone", "bytesDone"):
        values = [progress[name] for progress in seen]
        assert values == sorted(values), values
    assert {progress["bytesTotal"] for progress in seen} <= {None, len(large)}
    last = {"rowsDone": ROWS, "rowsTotal": ROWS, "bytesDone": len(large), "bytesTotal": len(large), "etaSeconds": None}
    assert found["progress"] == last
    assert found["ledger"] == {"rowsRead": ROWS, "exactDuplicates": 0, "rowsRejected": 0, "rowsKept": ROWS}
    assert (found["type"], found["datasetArn"], found["attempts"]) == ("IMPORT", group.items, 1)


def test_an_ended_export_tells_its_files_and_ledger(server, workshop):
    group = workshop.make_group(items=PRICED)
    workshop.import_csv(group.items, "ITEM_ID,PRICE\na,1\na,1\nb,2\n")
    arn = workshop.start_export(group.items, "ALL")
    export = workshop.read_export(arn)
    found = job(server.endpoint, arn)
    assert found["ledger"] == export.ledger and found["files"] == export.manifest["files"]
    assert found["progress"]["rowsDone"] == found["progress"]["rowsTotal"] == 2
    assert found["progress"]["bytesDone"] == sum(file["bytes"] for file in found["files"])
    assert (found["mode"], found["failureReason"], found["rejects"]) == ("ALL", None, None)


def test_a_failed_import_tells_its_reason_and_no_ledger(server, workshop):
    group = workshop.make_group(items=PRICED)
    arn = workshop.start_import(group.items, workshop.upload("ITEM_ID,PRICE\na,dear\n"))
    found = ended(server.endpoint, arn)
    assert found["status"] == "CREATE FAILED" and "PRICE" in found["failureReason"]
    assert found["ledger"] is None and found["files"] is None


def test_a_data_deletion_job_tells_what_it_deleted(server, workshop):
    group = workshop.make_group(interactions=CLICKS)
    workshop.import_csv(group.interactions, "USER_ID,ITEM_ID,TIMESTAMP\nu,a,1\nu,b,2\nv,a,1\n")
    arn = workshop.personalize.create_data_deletion_job(
        jobName=unique("deletion"), datasetGroupArn=group.arn, roleArn=workshop.import_role,
        dataSource={"dataLocation": workshop.upload("USER_ID\nu\n")},
    )["dataDeletionJobArn"]
    found = ended(server.endpoint, arn)
    assert (found["status"], found["type"], found["datasetGroupArn"]) == ("COMPLETED", "DELETION", group.arn)
    assert found["ledger"] == {"recordsDeleted": 2}
    assert found["progress"]["rowsDone"] == found["progress"]["rowsTotal"] > 0


# Cancelling


def test_a_pending_job_is_cancelled_at_once(one_worker, shop, large):
    group = shop.make_group(items=PRICED)
    location = shop.upload(large)
    running, pending = (shop.start_import(group.items, location) for _ in range(2))
    status, found = cancel(one_worker.endpoint, pending)
    assert (status, found["status"], found["failureReason"]) == (200, "CREATE FAILED", REASON), found
    described = shop.personalize.describe_dataset_import_job(datasetImportJobArn=pending)["datasetImportJob"]
    assert (described["status"], described["failureReason"]) == ("CREATE FAILED", REASON)
    assert ended(one_worker.endpoint, running)["status"] == "ACTIVE"


def test_a_running_import_is_cancelled_and_imports_nothing(one_worker, shop, large):
    group = shop.make_group(items=PRICED)
    location = shop.upload(large, key=f"{unique('many')}/a.csv")
    folder = location.rsplit("/", 1)[0]
    for n in range(4):
        shop.upload(large.replace("item-", f"more-{n}-"), key=f"{folder.split('/', 3)[3]}/{n}.csv")
    arn = shop.start_import(group.items, f"{folder}/")
    wait(lambda: job(one_worker.endpoint, arn), ends=("CREATE IN_PROGRESS",))
    status, found = cancel(one_worker.endpoint, arn)
    assert status == 200, found
    assert found["cancelledBy"] == "arn:aws:iam::000000000000:root"
    found = ended(one_worker.endpoint, arn)
    assert (found["status"], found["failureReason"], found["ledger"]) == ("CREATE FAILED", REASON, None)
    assert shop.export(group.items, "ALL").rows == []


def test_a_running_export_is_cancelled_and_leaves_nothing_on_the_store(one_worker, shop, large):
    group = shop.make_group(items=PRICED)
    shop.import_csv(group.items, large)
    name, cancelled = unique("gone"), False
    # An export may be faster than the wish that it end.
    for attempt in range(10):
        arn = shop.start_export(group.items, "ALL", name=f"{name}-{attempt}")
        status, found = cancel(one_worker.endpoint, arn)
        found = ended(one_worker.endpoint, arn)
        if status == 200:
            cancelled = True
            assert (found["status"], found["failureReason"]) == ("CREATE FAILED", REASON)
            listed = shop.s3.list_objects_v2(Bucket=shop.target, Prefix=f"out/{name}-{attempt}/")
            assert listed["KeyCount"] == 0
        else:
            assert (status, found["status"]) == (409, "ACTIVE")
    assert cancelled
    assert "Uploads" not in shop.s3.list_multipart_uploads(Bucket=shop.target)


def test_an_ended_job_is_not_cancelled(server, workshop):
    group = workshop.make_group(items=PRICED)
    arn = workshop.import_csv(group.items, "ITEM_ID,PRICE\na,1\n")["datasetImportJobArn"]
    status, refusal = cancel(server.endpoint, arn)
    assert (status, refusal["__type"]) == (409, "ResourceInUseException")
    assert arn in refusal["message"]
    assert job(server.endpoint, arn)["status"] == "ACTIVE"


# Who may, and what there is not


def test_permissions_are_those_of_the_services_own_operations(server, workshop):
    group = workshop.make_group(items=PRICED)
    arn = workshop.import_csv(group.items, "ITEM_ID,PRICE\na,1\n")["datasetImportJobArn"]
    user = workshop.make_user("watcher")
    key = workshop.iam.create_access_key(UserName=user.name)["AccessKey"]
    as_user = lambda method, path: ask(server.endpoint, method, path, key["AccessKeyId"], key["SecretAccessKey"])
    asked = {
        ("GET", job_path(arn)): ["personalize:DescribeDatasetImportJob"],
        ("POST", job_path(arn, "/cancel")): ["personalize:CreateDatasetImportJob"],
        ("GET", "/jobs"): ["personalize:ListDatasetImportJobs", "personalize:ListDatasetExportJobs",
                           "personalize:ListDataDeletionJobs"],
    }
    for (method, path), actions in asked.items():
        workshop.set_policy(user, allow("s3:*"))
        status, refusal = as_user(method, path)
        assert (status, refusal["__type"]) == (403, "AccessDeniedException"), path
        assert user.arn in refusal["message"] and actions[0] in refusal["message"]
        workshop.set_policy(user, allow(actions))
        assert as_user(method, path)[0] in (200, 409), path


def test_what_there_is_not_is_404(server, workshop):
    for path in (job_path("arn:aws:personalize:us-east-1:000000000000:dataset-import-job/none"),
                 job_path("arn:aws:personalize:us-east-1:000000000000:dataset/g/ITEMS"), "/nothing"):
        status, refusal = ask(server.endpoint, "GET", path)
        assert (status, refusal["__type"]) == (404, "ResourceNotFoundException"), path
    assert ask(server.endpoint, "GET", job_path("no-arn"))[0] == 400
    assert ask(server.endpoint, "DELETE", "/jobs")[0] == 404


def test_a_request_without_a_signature_is_refused_in_json(server):
    import json
    import urllib.error
    import urllib.request

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{server.endpoint}/lade/v1/jobs", timeout=10)
    assert refused.value.code == 403
    assert json.loads(refused.value.read())["__type"] == "MissingAuthenticationTokenException"


def test_a_list_is_paged_newest_first(server, workshop):
    group = workshop.make_group(items=PRICED)
    made = [workshop.import_csv(group.items, "ITEM_ID,PRICE\na,1\n")["datasetImportJobArn"] for _ in range(3)]
    seen, token = [], ""
    while True:
        status, page = ask(server.endpoint, "GET", f"/jobs?datasetArn={quote(group.items, safe='')}&maxResults=2{token}")
        assert status == 200, page
        seen += [found["jobArn"] for found in page["jobs"]]
        if not page["nextToken"]:
            break
        token = f"&nextToken={page['nextToken']}"
    assert seen == made[::-1]
    assert ask(server.endpoint, "GET", "/jobs?maxResults=0")[0] == 400
