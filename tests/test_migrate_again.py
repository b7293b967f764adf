"""`lade migrate` a second time: what changed at the source arrives, nothing of the first time is mixed in; and a reader of
its output who goes ends nothing in the middle."""

import json
import os
import re
import subprocess

import pytest

from support.lade import lade
from support.quick_aws import QuickAws
from support.schemas import ITEMS_NULLABLE
from support.server import REGION, ROOT_KEY, ROOT_SECRET, Server, binary
from support.workshop import Workshop, wait

USERS = "USER_ID:string AGE:int?"
TIME = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
SOURCE_KEYS = {"SOURCE_AWS_ACCESS_KEY_ID": ROOT_KEY, "SOURCE_AWS_SECRET_ACCESS_KEY": ROOT_SECRET}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("source")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("target")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def shop(source):
    return Workshop(source.endpoint)


@pytest.fixture(scope="module")
def here(target):
    return Workshop(target.endpoint)


def name(arn):
    return arn.rsplit("/", 1)[-1]


def items(numbers):
    return "ITEM_ID,PRICE,GENRES,DESCRIPTION\n" + "".join(f"i{n},{n},,\n" for n in numbers)


def users(numbers):
    return "USER_ID,AGE\n" + "".join(f"u{n},{n}\n" for n in numbers)


def from_aws(source, shop, group, work):
    return ["migrate", "from-aws", "--group", name(group.arn), "--source-endpoint-url", source.endpoint, "--source-region",
            REGION, "--work", str(work), "--staging", f"s3://{shop.target}/moving", "--source-role-arn", shop.export_role]


def gone(here, group):
    here.personalize.delete_dataset(datasetArn=group.items)
    left = lambda: len(here.personalize.list_datasets(datasetGroupArn=group.arn)["datasets"])
    wait(lambda: {"status": str(left())}, ends=("0",))
    here.personalize.delete_dataset_group(datasetGroupArn=group.arn)
    listed = lambda: [found["name"] for found in here.personalize.list_dataset_groups()["datasetGroups"]]
    wait(lambda: {"status": str(name(group.arn) in listed())}, ends=("False",))


def same(shop, here, dataset, modes):
    for mode in modes:
        assert here.export(dataset, mode).multiset == shop.export(dataset, mode).multiset, mode


def made_on_the_way(at):
    buckets = [found["Name"] for found in at.s3.list_buckets()["Buckets"]]
    roles = [found["RoleName"] for found in at.iam.list_roles()["Roles"]]
    return [found for found in buckets + roles if found.startswith("lade-migrate")]


def test_an_emptied_group_gets_what_is_at_the_source_now(source, shop, target, here, tmp_path):
    group = shop.make_group(items=ITEMS_NULLABLE)
    shop.import_csv(group.items, items(range(20)))
    shop.put_items(group.items, ("i1", {"price": 0.5}))
    work = tmp_path / "work"
    run = lambda *more: lade(target, *from_aws(source, shop, group, work), "--verify", *more, env=SOURCE_KEYS)
    first = run()
    assert first.returncode == 0, first.stderr + first.stdout
    told = re.search(rf"ITEMS: 20 imported, 1 put, as exported at ({TIME})", first.stdout)
    assert told, first.stdout
    # The same command alone goes on with the exports of the first, and says how old they are.
    shop.import_csv(group.items, items(range(100, 130)))
    shop.put_items(group.items, ("i100", {"price": 0.25}), ("i7", {"price": 7.5}))
    again = run()
    assert again.returncode == 0 and told[0] in again.stdout, again.stderr + again.stdout
    old_files = set((work / "data").rglob("*.csv"))
    (work / "refused").mkdir()
    (work / "refused" / f"{name(group.arn)}-ITEMS.csv").write_text("of the first time\n")
    gone(here, group)
    second = run("--json")
    assert second.returncode == 0, second.stderr + second.stdout
    [brought] = json.loads(second.stdout)["datasets"]
    assert (brought["imported"], brought["put"]) == (30, 3)
    assert brought["exportedAt"] >= told[1]
    same(shop, here, group.items, ("BULK", "PUT", "ALL"))
    # Copies of what is nowhere any more are not kept.
    kept = set((work / "data").rglob("*.csv")) & old_files
    assert {path.name for path in kept} <= {"again.csv", "newest.csv"}
    assert not list((work / "refused").iterdir())


def test_each_folder_for_aws_replaces_what_the_last_one_brought(source, shop, target, here, tmp_path):
    group = shop.make_group(users=USERS)
    shop.put_users(group.users, ("u-put", {"age": 1}))
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    aws = QuickAws(bin_folder, target.client_environment())
    env = {**target.client_environment(), "BUCKET": here.source, "ROLE_ARN": here.import_role, "REGION": REGION,
           "POLL_S": "0.05", "PATH": f"{bin_folder}:{os.environ['PATH']}"}

    def written(folder):
        done = lade(source, "migrate", "to-aws", "--group", name(group.arn), "--out", str(tmp_path / folder))
        assert done.returncode == 0, done.stderr

    def imported(folder, **more):
        done = subprocess.run([tmp_path / folder / "import.sh"], env={**env, **more}, capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stderr.count("importing "), done.stderr.count("is there")

    def is_as_at_the_source():
        everything = shop.export(group.users, "BULK").multiset + shop.export(group.users, "PUT").multiset
        assert here.export(group.users, "BULK").multiset == everything

    try:
        shop.import_csv(group.users, users(range(10)))
        written("a")
        # A larger dataset has more files than what comes after it.
        (tmp_path / "a" / "data" / "USERS" / "bulk" / "00001.csv").write_text(users([77]))
        assert imported("a", PREFIX="own/") == (2, 0)
        assert {"u77", "u-put"} <= {row[0] for row in here.export(group.users, "BULK").multiset}
        shop.import_csv(group.users, users(range(5, 8)))
        written("b")
        assert imported("b", PREFIX="own/") == (2, 0)
        is_as_at_the_source()
        # Records that were there before are brought again.
        shop.import_csv(group.users, users(range(10)))
        written("c")
        assert imported("c") == (2, 0)
        is_as_at_the_source()
    finally:
        aws.stop()
    listed = here.s3.list_objects_v2(Bucket=here.source)["Contents"]
    folders = {found["Key"].split("/USERS/")[0] for found in listed if "/USERS/" in found["Key"]}
    assert sorted(re.sub(r"/[0-9a-f]{12}$", "/MARK", folder) for folder in folders) == [
        f"lade/{name(group.arn)}/MARK", "own/MARK", "own/MARK"]


def test_a_reader_who_goes_ends_nothing_in_the_middle(source, shop, target, here, tmp_path):
    group = shop.make_group(items=ITEMS_NULLABLE)
    shop.import_csv(group.items, items(range(5)))
    shop.put_items(group.items, ("i1", {"price": 0.5}))

    def unread(server, *arguments):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([binary(), *arguments], env={**server.client_environment(), **SOURCE_KEYS}, timeout=60,
                              stdin=subprocess.DEVNULL, stdout=writer, stderr=writer)
        os.close(writer)
        return done.returncode

    out = tmp_path / "out"
    assert unread(source, "migrate", "to-aws", "--group", name(group.arn), "--out", str(out)) == 0
    assert made_on_the_way(shop) == []
    assert (out / "import.sh").stat().st_mode & 0o111 and (out / "data" / "ITEMS" / "put" / "00000.csv").exists()
    assert unread(target, *from_aws(source, shop, group, tmp_path / "work"), "--verify") == 0
    assert made_on_the_way(here) == []
    same(shop, here, group.items, ("BULK", "PUT", "ALL"))
