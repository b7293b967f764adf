"""Datasets as they can be watched under /lade/v1/datasets: what they hold, and what is put to them."""

import json
import time
from urllib.parse import quote

import pytest

from support.lade import ask, lade
from support.policies import allow
from support.server import Server
from support.workshop import Workshop, unique

CLICKS = "USER_ID:string ITEM_ID:string TIMESTAMP:long"
PRICED = "ITEM_ID:string PRICE:float"


def dataset_path(arn, more=""):
    return f"/datasets/{quote(arn, safe='')}{more}"


def told(endpoint, arn):
    status, found = ask(endpoint, "GET", dataset_path(arn))
    assert status == 200, found
    return found


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A server that flushes each put within a second or two."""
    server = Server(tmp_path_factory.mktemp("quick"), arguments=["--flush-after-s", "0"]).start()
    yield server
    assert server.stop() == 0, server.tail()


def poll(ask_for, is_wanted, within_s=20):
    deadline = time.monotonic() + within_s
    while not is_wanted(found := ask_for()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_a_dataset_tells_what_an_export_reads(server, workshop):
    group = workshop.make_group(items=PRICED)
    workshop.import_csv(group.items, "ITEM_ID,PRICE\na,1\na,1\nb,2\n")
    before = time.time()
    workshop.put_items(group.items, ("a", {"price": 1}), ("c", {"price": 3}))
    found = told(server.endpoint, group.items)
    assert found["rows"] == {"bulk": 3, "put": 0, "waiting": 2}
    assert found["distinct"] == {"bulk": 2, "put": 0}
    assert (found["datasetArn"], found["datasetGroupArn"], found["datasetType"]) == (group.items, group.arn, "ITEMS")
    assert found["files"] == 1 and found["bytesAtRest"] > 0
    assert found["putsToday"] in (0, 2) and int(before) <= found["lastPutAt"] <= time.time()
    export = workshop.export(group.items, "ALL")
    assert (export.ledger["readBulk"], export.ledger["readPut"]) == (3, 2)
    assert found["sequence"] <= export.manifest["snapshot"]["sequence"]


def test_put_records_wait_until_they_are_in_a_run(quick):
    workshop = Workshop(quick.endpoint)
    group = workshop.make_group(items=PRICED)
    workshop.put_items(group.items, ("a", {"price": 1}), ("a", {"price": 1}), ("b", {"price": 2}))
    seen = poll(lambda: told(quick.endpoint, group.items), lambda found: found["rows"]["waiting"] == 0)
    assert (seen["rows"], seen["distinct"]["put"]) == ({"bulk": 0, "put": 3, "waiting": 0}, 2)


def test_what_was_put_today_is_known_after_a_restart(tmp_path):
    server = Server(tmp_path).start()
    workshop = Workshop(server.endpoint)
    group = workshop.make_group(items=PRICED)
    workshop.put_items(group.items, ("a", {"price": 1}), ("b", {"price": 2}))
    before = told(server.endpoint, group.items)
    assert server.stop() == 0, server.tail()
    server = server.start()
    after = told(server.endpoint, group.items)
    assert after["lastPutAt"] == before["lastPutAt"] and after["putsToday"] in (before["putsToday"], 0)
    assert server.stop() == 0, server.tail()


def test_a_list_shows_a_group_or_all(server, workshop):
    group = workshop.make_group(items=PRICED, interactions=CLICKS)
    workshop.import_csv(group.items, "ITEM_ID,PRICE\na,1\n")
    status, page = ask(server.endpoint, "GET", f"/datasets?datasetGroupArn={quote(group.arn, safe='')}")
    assert status == 200 and page["nextToken"] is None
    listed = {found["datasetArn"]: found for found in page["datasets"]}
    assert set(listed) == {group.items, group.interactions}
    alone = told(server.endpoint, group.items)
    assert {**listed[group.items], "sequence": 0} == {**alone, "sequence": 0}
    seen, token = [], ""
    while token is not None:
        status, page = ask(server.endpoint, "GET", f"/datasets?maxResults=1{token and '&nextToken=' + token}")
        assert status == 200 and len(page["datasets"]) == 1, page
        seen += [found["datasetArn"] for found in page["datasets"]]
        token = page["nextToken"]
    assert len(seen) == len(set(seen)) and {group.items, group.interactions} <= set(seen)


def test_permissions_are_those_to_describe_and_to_list(server, workshop):
    group = workshop.make_group(items=PRICED, users="USER_ID:string AGE:int?")
    user = workshop.make_user("watcher")
    key = workshop.iam.create_access_key(UserName=user.name)["AccessKey"]
    as_user = lambda path: ask(server.endpoint, "GET", path, key["AccessKeyId"], key["SecretAccessKey"])
    for path, action in ((dataset_path(group.items), "personalize:DescribeDataset"),
                         ("/datasets", "personalize:ListDatasets")):
        workshop.set_policy(user, allow("personalize:CreateDataset"))
        status, refusal = as_user(path)
        assert (status, refusal["__type"]) == (403, "AccessDeniedException"), path
        assert user.arn in refusal["message"] and action in refusal["message"]
        workshop.set_policy(user, allow(action))
        assert as_user(path)[0] == 200, path
    workshop.set_policy(user, allow("personalize:DescribeDataset", group.users))
    assert (as_user(dataset_path(group.users))[0], as_user(dataset_path(group.items))[0]) == (200, 403)


def test_what_there_is_not_is_404(server, workshop):
    group = workshop.make_group(items=PRICED)
    workshop.personalize.delete_dataset(datasetArn=group.items)
    foreign = group.items.replace("000000000000", "111111111111")
    for path in (dataset_path(group.items), dataset_path(foreign), dataset_path(group.arn),
                 dataset_path(group.items, "/activity"), dataset_path(foreign, "/activity"),
                 f"/datasets?datasetGroupArn={quote(group.arn + '-none', safe='')}"):
        status, refusal = ask(server.endpoint, "GET", path)
        assert (status, refusal["__type"]) == (404, "ResourceNotFoundException"), path
    assert ask(server.endpoint, "GET", dataset_path("no-arn"))[0] == 400
    assert ask(server.endpoint, "DELETE", dataset_path(group.items))[0] == 404


def test_activity_tells_puts_rows_and_jobs(server, workshop):
    group = workshop.make_group(items=PRICED)
    arn = workshop.import_csv(group.items, "ITEM_ID,PRICE\na,1\nb,2\n")["datasetImportJobArn"]
    workshop.import_csv(group.items, "ITEM_ID,PRICE\nc,3\n", mode="INCREMENTAL")
    workshop.put_items(group.items, ("a", {"price": 1}), ("b", {"price": 2}))
    exported = workshop.start_export(group.items, "ALL")
    workshop.read_export(exported)
    before = time.time()
    status, found = ask(server.endpoint, "GET", dataset_path(group.items, "/activity?minutes=3"))
    assert status == 200, found
    minutes = [puts["minute"] for puts in found["puts"]]
    assert minutes == [minutes[0] + 60 * n for n in range(3)] and minutes[-1] <= time.time()
    assert minutes[-1] > before - 60 and sum(puts["records"] for puts in found["puts"]) == 2
    assert [(point["bulk"], point["put"]) for point in found["rows"]] == [(2, 0), (3, 0)]
    assert [(job["type"], job["rows"], job["status"]) for job in found["jobs"]] == [
        ("IMPORT", 2, "ACTIVE"), ("IMPORT", 1, "ACTIVE"), ("EXPORT", 5, "ACTIVE")]
    assert [found["jobs"][n]["jobArn"] for n in (0, 2)] == [arn, exported]
    assert all(job["seconds"] >= 0 and job["createdAt"] <= before for job in found["jobs"])
    assert len(ask(server.endpoint, "GET", dataset_path(group.items, "/activity"))[1]["puts"]) == 60


def test_activity_shows_jobs_to_those_who_may_list_them(server, workshop):
    group = workshop.make_group(items=PRICED)
    workshop.import_csv(group.items, "ITEM_ID,PRICE\na,1\n")
    workshop.export(group.items, "ALL")
    user = workshop.make_user("watcher")
    key = workshop.iam.create_access_key(UserName=user.name)["AccessKey"]
    path = dataset_path(group.items, "/activity")
    as_user = lambda: ask(server.endpoint, "GET", path, key["AccessKeyId"], key["SecretAccessKey"])
    assert as_user()[0] == 403
    for more, shown in (([], []), (["ListDatasetExportJobs"], ["EXPORT"]), (["ListDatasetImportJobs"], ["IMPORT"])):
        workshop.set_policy(user, allow([f"personalize:{action}" for action in ["DescribeDataset", *more]]))
        status, found = as_user()
        assert (status, [job["type"] for job in found["jobs"]]) == (200, shown)


def test_the_command_prints_a_table_or_json(server, workshop):
    group = workshop.make_group(items=PRICED)
    workshop.import_csv(group.items, "ITEM_ID,PRICE\na,1\nb,2\n")
    done = lade(server, "datasets", group.arn)
    assert done.returncode == 0, done
    head, line = done.stdout.splitlines()
    assert head.split() == ["DATASET", "BULK", "PUT", "WAITING", "BYTES", "FILES", "PUTS", "TODAY", "LAST", "PUT"]
    name = group.items.split(":dataset/")[1]
    assert line.split()[:6] == [name, "2", "0", "0", str(told(server.endpoint, group.items)["bytesAtRest"]), "1"]
    done = lade(server, "datasets", group.arn.split("/")[1], "--json")
    assert json.loads(done.stdout)["rows"] == {"bulk": 2, "put": 0, "waiting": 0}
    assert lade(server, "datasets").stdout.count("\n") > 1
    assert lade(server, "datasets", unique("none")).returncode == 1
