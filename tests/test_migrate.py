"""`lade migrate`: groups come from another server with their origins, a killed migration goes on, and a folder for AWS is
imported by its script."""

import json
import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.clients import AWS
from support import raw
from support.lade import lade
from support.quick_aws import QuickAws
from support.schemas import ACTION_INTERACTIONS, ACTIONS, EVENTS, ITEMS_NULLABLE, avro
from support.server import REGION, Server, binary
from support.workshop import Workshop, wait

DOCS = Path(__file__).parents[1] / "docs" / "migrate.md"
USERS = "USER_ID:string AGE:int? NOTE:string?"
MORE_USERS = USERS + " CITY:string?:categorical"
ITEMS_CSV = '''ITEM_ID,PRICE,GENRES,DESCRIPTION
i1,1,a|b,"says ""hi"", \\\\ and \\"bye\\""
i2,2.5,,"two
lines, ü 漢 😀"
i3,,c,\\d
"i,4",4,," blank "
i5,5,x,
'''
# An AWS CLI that finds everything, but for what it is told to fail at.
STUB = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
  *" $FAILS"*) exit 1 ;;
  *describe-*) echo ACTIVE ;;
  *list-*) echo arn:found ;;
esac
"""
MODES = ("BULK", "PUT", "ALL")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("source")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def shop(source):
    return Workshop(source.endpoint)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("target"), env={"LADE_ACCOUNT_ID": "111122223333"}).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def here(target):
    return Workshop(target.endpoint)


@pytest.fixture(scope="module")
def mover(shop):
    """Keys that are good at the source only."""
    user = shop.make_user("mover", {"Effect": "Allow", "Resource": "*",
                                    "Action": ["personalize:*", "s3:*", "iam:PassRole"]})
    keys = user.session.get_credentials()
    return {"SOURCE_AWS_ACCESS_KEY_ID": keys.access_key, "SOURCE_AWS_SECRET_ACCESS_KEY": keys.secret_key}


@pytest.fixture(scope="module")
def filled(shop):
    """Two groups with everything that an origin, a dialect or an order could lose."""
    group = shop.make_group(items=ITEMS_NULLABLE, users=USERS, interactions=EVENTS, tracker=True)
    shop.import_csv(group.items, ITEMS_CSV)
    shop.put_items(group.items, ("i1", {"price": 9, "description": 'put "quoted", \\ and\nbroken'}), ("i3", {"price": 3}))
    # i9 goes back to what it was; i2 is newest as it was imported; i5 is newest as it was put.
    for price in (1, 2, 1):
        shop.put_items(group.items, ("i9", {"price": price, "genres": "ü|漢"}))
    shop.put_items(group.items, ("i2", {"price": 0.1}), ("i5", {"price": 5.5}))
    shop.import_csv(group.items, "ITEM_ID,PRICE,GENRES,DESCRIPTION\ni2,2.75,late,\n", "INCREMENTAL")
    shop.import_csv(group.users, "USER_ID,AGE,NOTE\nu1,30,\nu2,,\"a,b\"\n")
    shop.put_users(group.users, ("u2", {"age": 41}), ("u3", {"note": "put"}))
    shop.replace_schema(group.users, MORE_USERS)
    shop.put_users(group.users, ("u1", {"age": 31, "city": "Zürich"}))
    header = "USER_ID,ITEM_ID,EVENT_TYPE,EVENT_VALUE,NUM_RATINGS,DEVICE,TIMESTAMP,IMPRESSION,RECOMMENDATION_ID\n"
    rows = [f"u{n % 7},i{n},view,{n % 3}.5,{n},,{1_700_000_000 + n},i1|i2,\n" for n in range(60)]
    shop.import_csv(group.interactions, header + "".join(rows + rows[:3]))
    for n in range(12):
        shop.put_event(group.tracking_id, f"u{n % 3}", f"i{n}", "click", 1_700_000_100 + n // 2, eventValue=n / 8,
                       properties=json.dumps({"numRatings": n, "device": "a, \"b\""}), impression=["i1", "i,2"],
                       recommendationId="r1")
    # Without a user, and without a value that imports need.
    shop.put_event(group.tracking_id, None, "i1", "click", 1_700_000_200, session="anonymous")
    # Equals an imported one.
    shop.put_event(group.tracking_id, "u0", "i0", "view", 1_700_000_000, eventValue=0.5, impression=["i1", "i2"],
                   properties='{"numRatings":0}')
    other = shop.make_group(items=ITEMS_NULLABLE)
    shop.put_items(other.items, ("only", {"price": 1}))
    for arn in (group.arn, group.items, group.tracker):
        shop.personalize.tag_resource(resourceArn=arn, tags=[{"tagKey": "team", "tagValue": "a b=c"}])
    return group, other


@pytest.fixture(scope="module")
def quick_aws(target, tmp_path_factory):
    """A folder with an `aws` that talks to the target."""
    folder = tmp_path_factory.mktemp("bin")
    aws = QuickAws(folder, target.client_environment())
    yield folder
    aws.stop()


def from_aws(source, shop, target, mover, work, *more, env=None):
    return lade(target, "migrate", "from-aws", *arguments(source, shop, work), *more, env={**mover, **(env or {})})


def arguments(source, shop, work):
    return ["--source-endpoint-url", source.endpoint, "--source-region", REGION, "--work", str(work),
            "--staging", f"s3://{shop.target}/moving", "--source-role-arn", shop.export_role]


def name(arn):
    return arn.rsplit("/", 1)[-1]


def at_target(here, arn):
    """The ARN that a dataset or group of the source has at the target."""
    return arn.replace(":000000000000:", ":111122223333:")


def name_of(shop, dataset):
    return shop.personalize.describe_dataset(datasetArn=dataset)["dataset"]["name"]


def same(shop, here, dataset, modes=MODES, **more):
    for mode in modes:
        there = shop.export(dataset, mode, **more)
        brought = here.export(at_target(here, dataset), mode, **more)
        assert there.header == brought.header
        assert there.multiset == brought.multiset, mode
        assert mode != "PUT" or there.rows, "a mode without records would prove nothing"


def test_groups_arrive_with_their_origins_order_tags_and_new_tracking_ids(source, shop, target, here, mover, filled, tmp_path):
    group, other = filled
    work = tmp_path / "work"
    groups = ["--group", name(group.arn), "--group", name(other.arn)]
    dry = from_aws(source, shop, target, mover, work, *groups, "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    told = json.loads(dry.stdout)
    assert told["isDryRun"] and not work.exists() and not any(step["isThere"] for step in told["steps"])
    assert here.personalize.list_dataset_groups()["datasetGroups"] == []
    done = from_aws(source, shop, target, mover, work, *groups, "--verify", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    told = json.loads(done.stdout)
    assert told["isSame"] and {check["differences"] for check in told["checks"]} == {0}
    assert len(told["checks"]) == 12
    reordered = {found["dataset"]: found["reordered"] for found in told["datasets"]}
    assert reordered[f"{name(group.arn)}/ITEMS"] > 0, "nothing was newest otherwise than by its origin"
    for dataset in (group.items, group.users, group.interactions):
        same(shop, here, dataset)
    same(shop, here, other.items, ("PUT", "ALL"))
    tags = here.personalize.list_tags_for_resource(resourceArn=at_target(here, group.items))["tags"]
    assert tags == [{"tagKey": "team", "tagValue": "a b=c"}]
    [tracker] = told["trackers"]
    assert tracker["oldTrackingId"] == group.tracking_id != tracker["newTrackingId"]
    [listed] = here.personalize.list_event_trackers(datasetGroupArn=at_target(here, group.arn))["eventTrackers"]
    arn = listed["eventTrackerArn"]
    found = here.personalize.describe_event_tracker(eventTrackerArn=arn)["eventTracker"]
    assert found["trackingId"] == tracker["newTrackingId"]
    # What was made for it is gone again; nothing is brought twice.
    assert not [b for b in here.s3.list_buckets()["Buckets"] if b["Name"].startswith("lade-migrate")]
    before = here.export(at_target(here, group.interactions)).ledger
    again = from_aws(source, shop, target, mover, work, *groups)
    assert again.returncode == 0, again.stderr
    assert "is there" in again.stdout and f"{group.tracking_id} is now {tracker['newTrackingId']}" in again.stdout
    assert here.export(at_target(here, group.interactions)).ledger == before
    # A dataset that was made again is filled again.
    here.personalize.delete_dataset(datasetArn=at_target(here, other.items))
    remaining = lambda: here.personalize.list_datasets(datasetGroupArn=at_target(here, other.arn))["datasets"]
    wait(lambda: {"status": str(len(remaining()))}, ends=("0",))
    again = from_aws(source, shop, target, mover, work, "--group", name(other.arn))
    assert again.returncode == 0, again.stderr
    same(shop, here, other.items, ("PUT", "ALL"))
    # Another working folder knows nothing of that: it does not mix records.
    refused = from_aws(source, shop, target, mover, tmp_path / "other", *groups)
    assert refused.returncode == 1 and "holds records that this migration did not bring" in refused.stderr


def test_a_migration_that_is_killed_goes_on_and_doubles_nothing(source, shop, target, here, mover, tmp_path):
    group = shop.make_group(items="ITEM_ID:string PRICE:float TEXT:string?:textual", interactions="USER_ID:string ITEM_ID:string TIMESTAMP:long",
                            tracker=True)
    # More than one part of an upload, and more than one range of a download.
    text = "long " * 1_950
    shop.import_csv(group.items, "ITEM_ID,PRICE,TEXT\n" + "".join(f"i{n},{n},{text}\n" for n in range(900)))
    shop.import_csv(group.interactions, "USER_ID,ITEM_ID,TIMESTAMP\n" + "".join(f"u{n},i{n},{n}\n" for n in range(2_000)))
    items = [[(f"i{(10 * call + n) % 1_500}", {"price": call}) for n in range(10)] for call in range(300)]
    # The order of two calls is theirs alone: each must be newest where it came last.
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda call: shop.put_items(group.items, *call), items[:150]))
        list(pool.map(lambda call: shop.put_items(group.items, *call), items[150:]))
        events = [[{"eventType": "e", "sentAt": 10 * call + n, "itemId": "i"} for n in range(10)] for call in range(250)]
        put = lambda call: shop.events.put_events(trackingId=group.tracking_id, sessionId="s", eventList=call)
        list(pool.map(put, events))
    work = tmp_path / "work"
    command = [binary(), "migrate", "from-aws", "--group", name(group.arn), *arguments(source, shop, work)]
    state = lambda: json.loads((work / "state.json").read_text())["datasets"] if (work / "state.json").exists() else {}
    datasets = lambda: state().values()
    moments = [
        lambda: any(export.get("jobArn") for found in datasets() for export in found["exports"].values()),
        lambda: any(found["importJob"] for found in datasets()),
        lambda: any(0 < found["putRows"] and not found["isPut"] for found in datasets()),
        lambda: sum(0 < found["putRows"] for found in datasets()) == 2,
    ]
    killed = 0
    for moment in moments:
        process = subprocess.Popen(command, env={**target.client_environment(), **mover}, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        while process.poll() is None:
            if moment():
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        killed += process.wait() == -signal.SIGKILL
        process.stderr.close()
    assert killed >= 3, "it was over before it could be killed"
    done = from_aws(source, shop, target, mover, work, "--group", name(group.arn), "--verify")
    assert done.returncode == 0, done.stderr + done.stdout
    for dataset in (group.items, group.interactions):
        same(shop, here, dataset)


def test_what_is_rare_arrives_too_and_what_is_refused_is_told(source, shop, target, here, mover, tmp_path):
    fields = "USER_ID:string ITEM_ID:string TIMESTAMP:long EVENT_ATTRIBUTION_SOURCE:string?"
    group = shop.make_group(interactions=fields, tracker=True)
    actions = shop.make_dataset(group.arn, "ACTIONS", ACTIONS)
    taken = shop.make_dataset(group.arn, "ACTION_INTERACTIONS", ACTION_INTERACTIONS)
    shop.import_csv(actions, "ACTION_ID,VALUE,KIND\na1,1,k\na2,,k\n")
    shop.events.put_actions(datasetArn=actions, actions=[{"actionId": "a1", "properties": '{"value":2,"kind":"put"}'}])
    tracking_id = shop.personalize.describe_dataset(datasetArn=taken)["dataset"]["trackingId"]
    shop.events.put_action_interactions(trackingId=tracking_id, actionInteractions=[
        {"actionId": "a1", "sessionId": "s", "userId": f"u{n}", "timestamp": 100 + n, "eventType": "Not Taken",
         "impression": ["a1", "a2"], "properties": '{"device":"ü"}'} for n in range(3)])
    put = lambda **event: raw.events(source.endpoint, "/events", {
        "trackingId": group.tracking_id, "sessionId": "s", "eventList": [{"eventType": "e", "itemId": "i", **event}]})
    answers = [
        put(sentAt=1, properties='{"eventAttributionSource":"ü"}'),
        put(sentAt=2, metricAttribution={"eventAttributionSource": "plain"}),
        put(sentAt=250_000_000_000_000),
        put(sentAt=9_100_000_000_000_000),
    ]
    assert {answer.status for answer in answers} == {200}
    shop.personalize.delete_event_tracker(eventTrackerArn=group.tracker)
    done = from_aws(source, shop, target, mover, tmp_path / "work", "--group", name(group.arn), "--verify", "--json")
    assert done.returncode == 1 and "not all records are there" in done.stderr, done.stderr
    told = json.loads(done.stdout)
    differ = {(check["dataset"], check["mode"]): check["examples"] for check in told["checks"] if check["examples"]}
    interactions = f"{name(group.arn)}/INTERACTIONS"
    assert differ == {(interactions, mode): ["- s,i,9100000000000,"] for mode in ("PUT", "ALL")}
    [brought] = [found for found in told["datasets"] if found["refused"]]
    assert (brought["dataset"], brought["refused"]) == (interactions, 1)
    [header, line] = Path(brought["refusedFile"]).read_text().splitlines()
    assert header.endswith(",_REASON") and line.startswith("s,i,9100000000000,,") and "out of range" in line
    allowed = {"tags": [{"tagKey": "lade:allow", "tagValue": "actions"}]}
    same(shop, here, actions, **allowed)
    same(shop, here, taken, **allowed)
    assert [found["name"] for found in told["trackers"]] == [name_of(shop, taken)]
    # A record that the source's ALL has and its PUT has not came between the two: it is told, and not imported.
    file = tmp_path / "work" / "state.json"
    state = json.loads(file.read_text())
    found = state["datasets"][f"{name(group.arn)}/ACTIONS"]
    del found["exports"]["ALL"]
    found.update(isOrdered=False, isChecked=False)
    file.write_text(json.dumps(state))
    shop.events.put_actions(datasetArn=actions, actions=[{"actionId": "a1", "properties": '{"kind":"late"}'}])
    late = from_aws(source, shop, target, mover, tmp_path / "work", "--group", name(group.arn), "--json")
    assert late.returncode == 1
    assert [found["tooLate"] for found in json.loads(late.stdout)["datasets"] if found["tooLate"]] == [1]
    assert here.export(at_target(here, actions), "BULK", **allowed).multiset == shop.export(actions, "BULK", **allowed).multiset
    # The tracker that was needed to put events is gone again.
    assert here.personalize.list_event_trackers(datasetGroupArn=at_target(here, group.arn))["eventTrackers"] == []


def test_what_is_at_the_target_and_differs_is_refused_before_anything_is_made(source, shop, target, here, mover, tmp_path):
    group = shop.make_group(items=ITEMS_NULLABLE)
    schema = shop.personalize.describe_dataset(datasetArn=group.items)["dataset"]["schemaArn"]
    here.personalize.create_schema(name=name(schema), schema=avro("ITEMS", "ITEM_ID:string X:float"))
    refused = from_aws(source, shop, target, mover, tmp_path / "work", "--group", name(group.arn))
    assert refused.returncode == 1
    assert f"A schema {name(schema)} is there with other fields or domain." in refused.stderr
    listed = here.personalize.list_dataset_groups()["datasetGroups"]
    assert name(group.arn) not in [found["name"] for found in listed]


def test_keys_come_from_the_environment_or_a_profile_and_are_the_sources(source, shop, target, mover, tmp_path):
    group = name(shop.make_group().arn)
    dry = lambda env, *more: from_aws(source, shop, target, env, tmp_path / "w", "--group", group, "--dry-run", *more)
    none = dry({})
    assert none.returncode == 1 and "SOURCE_AWS_ACCESS_KEY_ID" in none.stderr
    credentials = tmp_path / "credentials"
    key, secret = mover["SOURCE_AWS_ACCESS_KEY_ID"], mover["SOURCE_AWS_SECRET_ACCESS_KEY"]
    credentials.write_text(f"[there]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    with_profile = dry({"AWS_SHARED_CREDENTIALS_FILE": str(credentials)}, "--source-profile", "there")
    assert with_profile.returncode == 0, with_profile.stderr
    assert f"dataset group  {group}: would be made" in with_profile.stdout
    unknown = lade(target, "migrate", "from-aws", *arguments(source, shop, tmp_path / "w"), "--group", "none", env=mover)
    assert unknown.returncode == 1 and "there is no dataset group named none" in unknown.stderr
    assert lade(target, "migrate", "from-aws", "--group", "a", "--all").returncode == 2


def test_the_folder_for_aws_is_imported_by_its_script_once(source, shop, target, here, quick_aws, tmp_path):
    group = shop.make_group(items=ITEMS_NULLABLE, tracker=False)
    shop.import_csv(group.items, ITEMS_CSV)
    shop.put_items(group.items, ("i1", {"price": 9, "description": 'put "quoted", \\ and\nbroken \\"'}), ("i2", {"price": 1}))
    shop.import_csv(group.items, "ITEM_ID,PRICE,GENRES,DESCRIPTION\ni2,2.75,late,\"a \\\\ b, \"\"\"\n", "INCREMENTAL")
    shop.make_tracker(group.arn)
    shop.personalize.tag_resource(resourceArn=group.arn, tags=[{"tagKey": "team", "tagValue": "a b=c"}])
    out = tmp_path / "out"
    done = lade(source, "migrate", "to-aws", "--group", name(group.arn), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert f"{name(group.arn)}/ITEMS: 6 imported, 2 put, checked" in done.stdout
    assert "not empty" in lade(source, "migrate", "to-aws", "--group", name(group.arn), "--out", str(out)).stderr
    readme = (out / "README.md").read_text()
    assert "| ITEMS | 6 | 2 | 1 |" in readme and "@" not in re.sub(r"`[^`]*`", "", readme)
    env = {**target.client_environment(), "BUCKET": here.source, "ROLE_ARN": here.import_role, "REGION": REGION,
           "POLL_S": "0.1", "PATH": f"{quick_aws}:{os.environ['PATH']}"}
    run = lambda env=env: subprocess.run([out / "import.sh"], env=env, capture_output=True, text=True, timeout=120)
    # What can't be listed is not taken for missing.
    (tmp_path / "aws").write_text(STUB)
    (tmp_path / "aws").chmod(0o755)
    for fails in ("list-dataset-groups", "list-schemas", "list-datasets", "list-dataset-import-jobs", "describe-"):
        stubbed = run({**env, "PATH": f"{tmp_path}:{env['PATH']}", "FAILS": fails, "CALLS": str(tmp_path / "calls")})
        assert stubbed.returncode != 0, fails
        calls = (tmp_path / "calls").read_text()
        assert fails in calls and "create-" not in calls, calls
        (tmp_path / "calls").unlink()
    first = run()
    assert first.returncode == 0, first.stderr + first.stdout
    [old, new] = re.search(r"the tracking id was (\S+) and is now (\S+)", first.stdout).groups()
    assert old != new
    dataset = at_target(here, group.items)
    jobs = lambda: here.personalize.list_dataset_import_jobs(datasetArn=dataset)["datasetImportJobs"]
    assert len(jobs()) == 3 and {job["status"] for job in jobs()} == {"ACTIVE"}
    second = run()
    assert second.returncode == 0, second.stderr
    assert len(jobs()) == 3 and "importing" not in second.stderr and "made" not in second.stderr
    everything = shop.export(group.items, "BULK").multiset + shop.export(group.items, "PUT").multiset
    assert here.export(dataset, "BULK").multiset == everything
    assert here.export(dataset, "ALL").multiset == shop.export(group.items, "ALL").multiset
    tags = here.personalize.list_tags_for_resource(resourceArn=at_target(here, group.arn))["tags"]
    assert tags == [{"tagKey": "team", "tagValue": "a b=c"}]


def test_the_commands_of_the_page_run(source, shop, target, here, mover, tmp_path):
    group = shop.personalize.create_dataset_group(name="shop")["datasetGroupArn"]
    shop.wait_group(group)
    items = shop.make_dataset(group, "ITEMS", ITEMS_NULLABLE)
    shop.put_items(items, ("i1", {"price": 1}))
    blocks = re.findall(r"(?<!-->\n)^```sh\n(.*?)^```$", DOCS.read_text(), re.M | re.S)
    assert len(blocks) >= 2
    keys = target.client_environment()
    env = {**keys, "PATH": f"{Path(binary()).parent}:{Path(AWS).parent}:{os.environ['PATH']}", **mover,
           "SOURCE": source.endpoint, "STAGING": f"s3://{shop.target}/page", "SOURCE_ROLE_ARN": shop.export_role}
    for block in blocks:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], env=env, cwd=tmp_path, capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 0, block + done.stderr
    assert (tmp_path / "shop-for-aws" / "import.sh").stat().st_mode & 0o111
