"""Three servers on one catalog: what is made on one holds on all, and what one was doing when it died is done by another."""

import time

import pytest
from botocore.exceptions import ClientError

from support.clients import Clients
from support.lade import ask
from support.nodes import Cluster, Node, patiently
from support.raw import send
from support.schemas import INTERACTIONS, ITEMS_NULLABLE
from support.surfer import Surfer
from support.workshop import unique, wait

SILENCE_S = 10
ROWS = 400_000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("nodes"), nodes=3)
    try:
        yield cluster.start()
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def work(cluster):
    return cluster.workshop()


def get(endpoint, path):
    status, answer = ask(endpoint, "GET", path)
    assert status == 200, answer
    return answer


def until(found, within_s, what):
    deadline = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return value


def test_what_is_made_on_one_node_is_used_on_the_others_at_once(cluster, work):
    first, second, third = work.each
    for _ in range(5):
        name = unique("user")
        first.iam.create_user(UserName=name)
        key = first.iam.create_access_key(UserName=name)["AccessKey"]
        user = Clients(second.endpoint, key["AccessKeyId"], key["SecretAccessKey"])
        with pytest.raises(ClientError, match=f"user/{name} is not authorized"):
            user.personalize.list_schemas()
    # Calls in turn: a group here, its schema there, the dataset on the third, its records anywhere.
    group = work.make_group(items=ITEMS_NULLABLE, interactions=INTERACTIONS, tracker=True)
    for number, node in enumerate(work.each):
        node.events.put_items(datasetArn=group.items, items=[{"itemId": str(number), "properties": '{"price": 1}'}])
    assert third.personalize.list_datasets(datasetGroupArn=group.arn)["datasets"]


def test_a_policy_and_a_revoked_key_hold_everywhere_within_a_second(work):
    first, second, third = work.each
    name = unique("user")
    first.iam.create_user(UserName=name)
    key = first.iam.create_access_key(UserName=name)["AccessKey"]
    there = [Clients(node.endpoint, key["AccessKeyId"], key["SecretAccessKey"]) for node in work.each]
    for clients in there:
        with pytest.raises(ClientError, match="AccessDenied"):
            clients.personalize.list_schemas()
    document = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "personalize:*", "Resource": "*"}]}'
    first.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    time.sleep(1)
    for clients in there:
        clients.personalize.list_schemas()
    second.iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    time.sleep(1)
    for clients in there:
        with pytest.raises(ClientError) as refused:
            clients.personalize.list_schemas()
        assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"


def test_who_signed_in_to_the_console_is_known_to_all_nodes(cluster):
    first, second, _ = (Surfer(node.endpoint) for node in cluster.nodes)
    assert first.sign_in(secret="wrong").status == 403
    assert first.sign_in().status == 303
    second.session = first.session
    assert second.get("/console/groups").status == 200


def test_a_deleted_dataset_takes_no_puts_anywhere(work):
    group = work.make_group(items=ITEMS_NULLABLE)
    put = lambda node: node.events.put_items(datasetArn=group.items, items=[{"itemId": "a", "properties": '{"price": 1}'}])
    for node in work.each:
        put(node)
    work.each[0].personalize.delete_dataset(datasetArn=group.items)
    time.sleep(1)
    for node in work.each:
        with pytest.raises(ClientError, match="ResourceNotFound"):
            put(node)


def test_nodes_are_listed(cluster, work):
    for node in cluster.nodes:
        assert send(node.endpoint, "GET", "/health/ready", sign=False).status == 200
        listed = get(node.endpoint, "/nodes")["nodes"]
        assert {other["url"] for other in listed} == {other.endpoint for other in cluster.nodes}
        assert [other["url"] for other in listed if other["isThis"]] == [node.endpoint]


def test_a_node_that_dies_and_one_that_sleeps_lose_nothing(cluster, work):
    datasets = [work.make_group(items=ITEMS_NULLABLE).items for _ in range(4)]
    keys = [f"nodes/{unique('items')}.csv" for _ in datasets]
    rows = "".join(f"item-{number},{number % 100},c{number % 7},\n" for number in range(ROWS))
    for key in keys:
        cluster.store.s3.put_object(Bucket=work.source, Key=key, Body="ITEM_ID,PRICE,GENRES,DESCRIPTION\n" + rows)
    jobs = [work.start_import(dataset, f"s3://{work.source}/{key}") for dataset, key in zip(datasets, keys)]
    running = lambda: dict(cluster.query("SELECT node.url, count(*) FROM job JOIN node ON node.id = job.node"
                                         " WHERE job.status = 'CREATE IN_PROGRESS' GROUP BY node.url"))
    seen = {}
    # One look at them: the next one may find a job ended.
    until(lambda: seen.update(now=running()) or len(seen["now"]) > 1, 20, "several nodes run jobs")
    busy = sorted(seen["now"], key=seen["now"].get, reverse=True)
    victims = [node for url in busy for node in cluster.nodes if node.endpoint == url][:2]
    killed, stopped = victims
    survivor = next(node for node in cluster.nodes if node not in victims)
    killed.kill()
    stopped.pause()
    began = time.monotonic()
    client = Clients(survivor.endpoint).personalize
    describe = lambda arn: client.describe_dataset_import_job(datasetImportJobArn=arn)["datasetImportJob"]
    alone = lambda: len(get(survivor.endpoint, "/nodes")["nodes"]) == 1
    until(alone, 2 * SILENCE_S, "both are given up")
    time.sleep(max(0, SILENCE_S + 2 - (time.monotonic() - began)))
    stopped.resume()
    for arn in jobs:
        assert wait(lambda: patiently(lambda: describe(arn)), within_s=120)["status"] == "ACTIVE"
    until(lambda: "begins anew" in stopped.said(), 10, stopped.tail())
    killed.start()
    for dataset in datasets:
        listed = get(survivor.endpoint, f"/datasets/{dataset}")
        assert listed["rows"]["bulk"] == ROWS, "each import counts once"
    for node in cluster.nodes:
        Clients(node.endpoint).events.put_items(datasetArn=datasets[0], items=[{"itemId": "x", "properties": "{}"}])


@pytest.mark.parametrize(("change", "word"), [
    ({"LADE_REGION": "eu-west-1"}, "region"), ({"LADE_ACCOUNT_ID": "111122223333"}, "account_id"),
    ({"LADE_MASTER_KEY_FILE": None}, "master_key_file"), ({"LADE_ROOT_ACCESS_KEY_ID": None, "LADE_ROOT_SECRET_ACCESS_KEY": None}, "root_access_key_id"),
    ({"LADE_OBJECTS": "file"}, "objects"),
])
def test_a_node_that_does_not_fit_the_others_is_refused(cluster, tmp_path, change, word):
    env = {name: value for name, value in {**cluster.env, **change}.items() if value is not None}
    if change.get("LADE_OBJECTS"):
        env = {name: value for name, value in env.items() if not name.startswith("LADE_OBJECTS_")}
    node = Node(tmp_path, "stranger", cluster.program, env).spawn()
    assert node.process.wait(30) == 1
    assert word in node.said(), node.tail()
