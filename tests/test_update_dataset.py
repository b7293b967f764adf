"""A dataset's schema is replaced: what old and new records become, who has to wait, and what is refused."""

import json
import threading
import time

import pytest
from botocore.exceptions import ClientError

from support.schemas import INTERACTIONS, ITEMS, USERS, avro, column_names
from support.server import Server
from support.workshop import Workshop, wait

ARN = "arn:aws:personalize:us-east-1:000000000000:"
# The added columns do not come last, and one of them comes before an old one.
WIDER = "ITEM_ID:string COLOR:string?:categorical PRICE:float CATEGORY_L1:string:categorical AGE:int?"
HEADER = "ITEM_ID,PRICE,CATEGORY_L1\n"
WIDER_HEADER = "ITEM_ID,COLOR,PRICE,CATEGORY_L1,AGE\n"


@pytest.fixture
def serve(tmp_path):
    """Starts servers with options of their own."""
    servers = []

    def start(*arguments):
        servers.append(Server(tmp_path / f"own-{len(servers)}", arguments=arguments).start())
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.kill()


def code_of(call):
    """The code and the text of a refusal."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def described(workshop, dataset):
    return workshop.personalize.describe_dataset(datasetArn=dataset)["dataset"]


def update(workshop, dataset, schema):
    return lambda: workshop.personalize.update_dataset(datasetArn=dataset, schemaArn=schema)


def occupy(workshop):
    """Keeps the only worker of a server busy for a while; the import that does."""
    users = workshop.make_group(users=USERS).users
    rows = "".join(f"u{n},{n % 100},F\n" for n in range(1_000_000))
    arn = workshop.start_import(users, workshop.upload("USER_ID,AGE,GENDER\n" + rows))
    describe = workshop.personalize.describe_dataset_import_job
    wait(lambda: describe(datasetImportJobArn=arn)["datasetImportJob"], ends=("CREATE IN_PROGRESS",))
    return arn


def test_records_of_before_are_empty_in_the_new_columns(workshop):
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, HEADER + "i1,1,A\ni2,2,B\n")
    workshop.put_items(items, ("i2", {"price": 20, "categoryL1": "B"}), ("i3", {"price": 3, "categoryL1": "C"}))
    schema = workshop.replace_schema(items, WIDER)
    workshop.put_items(items, ("i3", {"price": 3, "categoryL1": "C", "color": "red"}),
                       ("i4", {"price": 4, "categoryL1": "D", "age": 7}))

    exported = workshop.export(items, "ALL")
    assert exported.header == column_names(WIDER)
    assert exported.lines == ["i1,,1.0,A,", "i2,,20.0,B,", "i3,red,3.0,C,", "i4,,4.0,D,7"]
    assert workshop.export(items, "BULK").lines == ["i1,,1.0,A,", "i2,,2.0,B,"]
    assert workshop.export(items, "PUT").lines == ["i2,,20.0,B,", "i3,,3.0,C,", "i3,red,3.0,C,", "i4,,4.0,D,7"]
    document = workshop.personalize.describe_schema(schemaArn=schema)["schema"]["schema"]
    assert exported.manifest["schema"] == json.loads(document) == json.loads(avro("ITEMS", WIDER))


def test_a_record_of_before_equals_one_without_the_new_value(workshop):
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, HEADER + "i1,1,A\n")
    workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}))
    workshop.replace_schema(items, WIDER)
    workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}), ("i1", {"price": 1, "categoryL1": "A", "age": 1}))
    workshop.import_csv(items, WIDER_HEADER + "i1,,1,A,\n", mode="INCREMENTAL")
    for mode, lines, duplicates in (("BULK", ["i1,,1.0,A,"], 1), ("PUT", ["i1,,1.0,A,", "i1,,1.0,A,1"], 1)):
        exported = workshop.export(items, mode)
        assert (exported.lines, exported.ledger["exactDuplicates"]) == (lines, duplicates)
    assert workshop.export(items, "ALL").lines == ["i1,,1.0,A,"]


def test_a_schema_can_be_replaced_again(workshop):
    users = workshop.make_group(users=USERS).users
    workshop.put_users(users, ("u1", {"age": 1}))
    workshop.replace_schema(users, USERS + " CITY:string?:categorical")
    workshop.put_users(users, ("u2", {"age": 2, "city": "Ulm"}))
    workshop.replace_schema(users, "CITY:string?:categorical PLAN:string?:categorical " + USERS)
    workshop.put_users(users, ("u3", {"age": 3, "city": "Bonn", "plan": "free"}))
    exported = workshop.export(users)
    assert exported.header == ["CITY", "PLAN", *column_names(USERS)]
    assert exported.lines == [",,u1,1,", "Bonn,free,u3,3,", "Ulm,,u2,2,"]


def test_only_the_order_may_change(workshop):
    items = workshop.make_group(items=ITEMS).items
    workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}))
    workshop.replace_schema(items, " ".join(reversed(ITEMS.split())))
    workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}), ("i2", {"price": 2, "categoryL1": "B"}))
    assert workshop.export(items).lines == ["A,1.0,i1", "B,2.0,i2"]


def test_an_import_after_it_needs_the_new_columns(workshop):
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, HEADER + "i1,1,A\n")
    workshop.replace_schema(items, WIDER)
    location = workshop.upload(HEADER + "i2,2,B\n")
    code, text = code_of(lambda: workshop.start_import(items, location))
    assert code == "InvalidInputException" and "COLOR" in text and "AGE" in text, text
    workshop.import_csv(items, WIDER_HEADER + "i2,blue,2,B,5\n", mode="INCREMENTAL")
    assert workshop.export(items, "BULK").lines == ["i1,,1.0,A,", "i2,blue,2.0,B,5"]
    workshop.import_csv(items, WIDER_HEADER + "i3,,3,C,\n")
    assert workshop.export(items, "BULK").lines == ["i3,,3.0,C,"]


def test_an_update_shows_its_states_and_keeps_others_away(serve):
    """The one worker is busy, so that the update waits."""
    workshop = Workshop(serve("--jobs-concurrent", "1").endpoint)
    items = workshop.make_group(items=ITEMS).items
    location = workshop.upload(HEADER + "i1,1,A\n")
    workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}))
    before = described(workshop, items)
    wider = workshop.make_schema("ITEMS", WIDER)
    busy = occupy(workshop)
    exported = workshop.start_export(items)
    assert update(workshop, items, wider)()["datasetArn"] == items

    pending = described(workshop, items)
    assert (pending["status"], pending["schemaArn"]) == ("ACTIVE", before["schemaArn"])
    assert "latestDatasetUpdate" not in before and "failureReason" not in pending["latestDatasetUpdate"]
    assert pending["latestDatasetUpdate"]["schemaArn"] == wider
    assert pending["latestDatasetUpdate"]["status"] == "UPDATE PENDING"
    put = lambda: workshop.put_items(items, ("i2", {"price": 2, "categoryL1": "B"}))
    in_use = ("ResourceInUseException", f"The dataset is being updated: {items}")
    for call in (lambda: workshop.start_import(items, location), lambda: workshop.start_export(items), put,
                 update(workshop, items, wider), lambda: workshop.personalize.delete_dataset(datasetArn=items)):
        assert code_of(call) == in_use
    with pytest.raises(ClientError) as caught:
        put()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    for schema in (wider, before["schemaArn"]):
        code, _ = code_of(lambda: workshop.personalize.delete_schema(schemaArn=schema))
        assert code == "ResourceInUseException"
    assert workshop.personalize.describe_dataset_import_job(
        datasetImportJobArn=busy)["datasetImportJob"]["status"] == "CREATE IN_PROGRESS", "too fast for this test"

    ended = workshop.wait_update(items)
    after = described(workshop, items)
    assert (ended["status"], after["schemaArn"]) == ("ACTIVE", wider)
    assert ended["creationDateTime"] == pending["latestDatasetUpdate"]["creationDateTime"]
    assert ended["lastUpdatedDateTime"] > ended["creationDateTime"]
    assert after["lastUpdatedDateTime"] > before["lastUpdatedDateTime"]
    assert workshop.read_export(exported).header == column_names(ITEMS), "the schema at its creation"
    workshop.put_items(items, ("i2", {"price": 2, "categoryL1": "B", "age": 1}))
    assert workshop.export(items).lines == ["i1,,1.0,A,", "i2,,2.0,B,1"]


def test_an_import_under_way_keeps_an_update_away(serve):
    workshop = Workshop(serve("--jobs-concurrent", "1").endpoint)
    items = workshop.make_group(items=ITEMS).items
    wider = workshop.make_schema("ITEMS", WIDER)
    occupy(workshop)
    waiting = workshop.start_import(items, workshop.upload(HEADER + "i1,1,A\n"))
    code, text = code_of(update(workshop, items, wider))
    assert code == "ResourceInUseException" and "import job" in text, text
    assert workshop.wait_import(waiting)["status"] == "ACTIVE"
    update(workshop, items, wider)()
    assert workshop.wait_update(items)["status"] == "ACTIVE"
    assert workshop.export(items, "BULK").lines == ["i1,,1.0,A,"]


def test_what_does_not_fit_is_refused_all_at_once(workshop):
    group = workshop.make_group(items=ITEMS, interactions=INTERACTIONS)
    wrong = "ITEM_ID:string PRICE:double CATEGORY_L1:string COLOR:string:categorical AGE:int?"
    code, text = code_of(update(workshop, group.items, workshop.make_schema("ITEMS", wrong)))
    assert (code, text) == ("InvalidInputException", " ".join([
        "The new schema must keep field PRICE with its type and attributes.",
        "The new schema must keep field CATEGORY_L1 with its type and attributes.",
        "New field COLOR must support null."]))
    assert "latestDatasetUpdate" not in described(workshop, group.items)
    workshop.put_items(group.items, ("i1", {"price": 1, "categoryL1": "A"}))
    assert workshop.export(group.items).header == column_names(ITEMS)

    schema = workshop.make_schema("ITEMS", WIDER)
    users = workshop.make_schema("USERS", USERS)
    shop = workshop.make_schema("ITEMS", ITEMS, "ECOMMERCE")
    own = described(workshop, group.items)["schemaArn"]
    for dataset, new, expected in [
        (group.interactions, workshop.make_schema("INTERACTIONS", INTERACTIONS), "InvalidInputException"),
        (group.items, users, "InvalidInputException"),
        (group.items, shop, "InvalidInputException"),
        (group.items, own, "InvalidInputException"),
        (group.items, f"{ARN}schema/nobody", "ResourceNotFoundException"),
        (f"{ARN}dataset/nobody/ITEMS", schema, "ResourceNotFoundException"),
    ]:
        assert code_of(update(workshop, dataset, new))[0] == expected, new


def test_a_replaced_schema_can_be_deleted_and_the_new_one_cannot(workshop):
    items = workshop.make_group(items=ITEMS).items
    old = described(workshop, items)["schemaArn"]
    workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}))
    new = workshop.replace_schema(items, WIDER)
    workshop.personalize.delete_schema(schemaArn=old)
    code, _ = code_of(lambda: workshop.personalize.delete_schema(schemaArn=new))
    assert code == "ResourceInUseException"
    assert workshop.export(items).lines == ["i1,,1.0,A,"]
    workshop.personalize.delete_dataset(datasetArn=items)
    workshop.personalize.delete_schema(schemaArn=new)


def test_an_update_that_was_killed_is_done_after_the_restart(serve):
    server = serve("--jobs-concurrent", "1")
    workshop = Workshop(server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}))
    wider = workshop.make_schema("ITEMS", WIDER)
    occupy(workshop)
    update(workshop, items, wider)()
    server.kill()
    again = workshop.at(server.start().endpoint)
    assert again.wait_update(items)["status"] == "ACTIVE"
    again.put_items(items, ("i2", {"price": 2, "categoryL1": "B", "color": "red"}))
    assert again.export(items).lines == ["i1,,1.0,A,", "i2,red,2.0,B,"]
    server.kill()
    last = workshop.at(server.start().endpoint)
    assert last.export(items).lines == ["i1,,1.0,A,", "i2,red,2.0,B,"]


def test_runs_of_all_versions_are_compacted_into_few(serve):
    server = serve("--flush-after-s", "0")
    workshop = Workshop(server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    expected, fields = set(), ITEMS.split()
    for n in range(8):
        if n in (2, 5):
            fields.insert(1, f"NEW_{n}:long?")
            workshop.replace_schema(items, " ".join(fields))
            expected = {line.replace(",", ",,", 1) for line in expected}
        added = {f"new{k}": n for k in (2, 5) if k <= n}
        # One of them is the same in every round, as far as it can be.
        workshop.put_items(items, (f"i{n}", {"price": n, "categoryL1": "A", **added}),
                           ("same", {"price": 0, "categoryL1": "A"}))
        values = "".join(f"{n}," for _ in added)
        expected |= {f"i{n},{values}{n}.0,A", f"same,{',' * len(added)}0.0,A"}
        until(lambda: server_said(server, "flushed") > n)
    until(lambda: server_said(server, "compacted"))
    exported = workshop.export(items, "PUT")
    assert exported.header == column_names(" ".join(fields))
    assert exported.lines == sorted(expected)
    assert (exported.ledger["readPut"], exported.ledger["exactDuplicates"]) == (16, 7)
    # Up to three of one size stay as they are.
    until(lambda: len(list((server.data_dir / "runs").glob("*.parquet"))) <= 3)


def server_said(server, word):
    return (server.folder / "stderr").read_text().count(word)


def until(holds, within_s=60):
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_puts_beside_updates_are_all_there_once(serve):
    """Every acknowledged put is exported, with the columns it was sent with; none is lost, none comes twice."""
    server = serve("--flush-after-s", "0")
    workshop = Workshop(server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    sent, surprises, stop = {}, [], threading.Event()
    known = []  # the columns that are there for sure

    def write(writer):
        own, number = workshop.at(server.endpoint), 0
        while not stop.is_set():
            number += 1
            key, added = f"w{writer}-{number}", {column: number for column in known}
            record = (key, {"price": number, "categoryL1": "A", **added})
            while True:
                try:
                    own.put_items(items, record)
                except ClientError as error:
                    if error.response["Error"]["Code"] == "ResourceInUseException":
                        continue
                    surprises.append(error)
                    return
                break
            sent[key] = (number, added)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    fields = ITEMS.split()
    for n in range(12):
        acknowledged = len(sent)
        until(lambda: len(sent) > acknowledged + 40)
        fields.insert(1, f"NEW_{n}:long?")
        workshop.replace_schema(items, " ".join(fields))
        known.append(f"new{n}")
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not surprises, surprises[:3]

    columns = column_names(" ".join(fields))
    expected = sorted(
        (key, *("" if f"new{name[4:]}" not in added else str(number) for name in columns[1:-2]), f"{number}.0", "A")
        for key, (number, added) in sent.items())
    exported = workshop.export(items, "ALL")
    assert exported.header == columns
    assert sorted(exported.rows) == expected
    assert exported.ledger["exactDuplicates"] == exported.ledger["superseded"] == 0
    assert workshop.export(items, "PUT").multiset == exported.multiset
    assert len(sent) > 480
