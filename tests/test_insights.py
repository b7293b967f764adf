"""The analysis of a group's data: every figure beside a count by hand or a naive model, and who may ask for it."""

import json
import math
import random
import statistics
import threading
from collections import Counter
from urllib.parse import quote

import pytest

from support.lade import ask, lade
from support.policies import allow
from support.schemas import ACTION_INTERACTIONS, ACTIONS
from support.workshop import Workshop, wait
from test_actions import interaction, put, put_actions, tracked
from test_at_rest import CANARY, files_with, make_sealed_group
from test_data_deletion import delete

CLICKS = "USER_ID:string ITEM_ID:string EVENT_TYPE:string TIMESTAMP:long DEVICE:string?:categorical"
GOODS = ("ITEM_ID:string PRICE:float? STOCK:int? GENRES:string?:categorical STORY:string?:textual "
         "FRAGILE:boolean? CREATION_TIMESTAMP:long?")
PEOPLE = "USER_ID:string AGE:int? TOWN:string?:categorical"
OPEN = ("CREATE PENDING", "CREATE IN_PROGRESS")


def path(group_arn):
    return f"/analyses?datasetGroupArn={quote(group_arn, safe='')}"


def begin(endpoint, group_arn, **key):
    return ask(endpoint, "POST", "/analyses", body={"datasetGroupArn": group_arn}, **key)


def found(endpoint, group_arn, **key):
    status, body = ask(endpoint, "GET", path(group_arn), **key)
    assert status == 200, body
    return body


def analyze(endpoint, group_arn):
    """Runs an analysis to its end; what it found."""
    status, body = begin(endpoint, group_arn)
    assert status == 200, body
    done = wait(lambda: found(endpoint, group_arn))
    assert done["status"] == "ACTIVE", done
    return done


def insights(analysis, dataset_type=None):
    """{(code, dataset type, column): measured}; none comes twice."""
    listed = {(i["code"], i["datasetType"], i.get("column")): i["measured"] for i in analysis["insights"]
              if dataset_type in (None, i["datasetType"])}
    assert len(listed) == len([i for i in analysis["insights"] if dataset_type in (None, i["datasetType"])])
    return listed


def of_type(analysis, dataset_type):
    return next(d for d in analysis["datasets"] if d["datasetType"] == dataset_type)


def csv(fields, rows):
    names = [field.split(":")[0] for field in fields.split()]
    return "\n".join([",".join(names), *(",".join(map(str, row)) for row in rows)]) + "\n"


# Figures by hand


@pytest.fixture(scope="module")
def shop(workshop):
    """20 users with two clicks and 30 with one, on items i0 … i9 of 40, and 10 clicks of what is in no dataset."""
    group = workshop.make_group(items=GOODS, users=PEOPLE, interactions=CLICKS, tracker=True)
    clicks = [(f"u{n % 50}", f"i{n % 10}", f"kind{n % 11}", 1_700_000_000, "phone" if n % 2 else "") for n in range(70)]
    workshop.import_csv(group.interactions, csv(CLICKS, clicks + clicks[:30]))
    for n in range(10):
        workshop.put_event(group.tracking_id, f"stranger{n}", f"gone{n % 2}", "kind0", 1_700_000_000)
    # The puts say again what was imported: equal records count once.
    workshop.put_event(group.tracking_id, "u0", "i0", "kind0", 1_700_000_000)
    goods = [(f"i{n}", n if n < 39 else 5_000, 1, "|".join(f"g{(n + k) % 31}" for k in range(3)),
              "text" if n < 33 else "", "true" if n % 4 else "false", "" if n >= 26 else 1_700_000_000 + n)
             for n in range(40)]
    workshop.import_csv(group.items, csv(GOODS, goods))
    workshop.import_csv(group.users, csv(PEOPLE, [(f"u{n}", 30 + n, "Lund") for n in range(60)]))
    workshop.put_users(group.users, ("u0", {"age": 77}), ("u59", {"town": "Kiel"}))
    return group


def test_every_insight_has_the_figures_that_a_count_by_hand_gives(server, shop):
    measured = insights(analyze(server.endpoint, shop.arn))
    assert measured.pop(("FEW_INTERACTIONS", "INTERACTIONS", None)) == {
        "interactions": 80, "needed": 1000, "missing": 920}
    assert measured.pop(("FEW_USERS_WITH_TWO_INTERACTIONS", "INTERACTIONS", None)) == {
        "users": 20, "needed": 25, "missing": 5}
    assert measured.pop(("MANY_EVENT_TYPES", "INTERACTIONS", "EVENT_TYPE")) == {
        "eventTypes": 11, "most": 10, "isEstimate": False}
    assert measured.pop(("SAME_TIMESTAMP", "INTERACTIONS", "TIMESTAMP")) == {
        "records": 80, "timestamp": 1_700_000_000}
    assert measured.pop(("INTERACTIONS_OF_UNKNOWN_ITEMS", "INTERACTIONS", "ITEM_ID")) == {
        "records": 80, "ofUnknown": 10, "share": 0.125, "unknownIds": 2, "isEstimate": False}
    assert measured.pop(("INTERACTIONS_OF_UNKNOWN_USERS", "INTERACTIONS", "USER_ID")) == {
        "records": 80, "ofUnknown": 10, "share": 0.125, "unknownIds": 10, "isEstimate": False}
    assert measured.pop(("ITEMS_WITHOUT_INTERACTIONS", "ITEMS", None)) == {
        "items": 40, "withoutInteractions": 30, "share": 0.75, "isEstimate": False}
    assert measured.pop(("USERS_WITHOUT_INTERACTIONS", "USERS", None)) == {
        "users": 60, "withoutInteractions": 10, "share": 10 / 60, "isEstimate": False}
    # Devices: 35 of the imported 70 are missing and all 10 of those that were put.
    assert measured.pop(("ROWS_WITH_MISSING_VALUES", "INTERACTIONS", None)) == {
        "records": 80, "withMissingValues": 45, "share": 45 / 80}
    assert measured.pop(("INCOMPLETE_COLUMN", "INTERACTIONS", "DEVICE")) == {"complete": 35 / 80, "least": 0.7}
    assert measured.pop(("ROWS_WITH_MISSING_VALUES", "ITEMS", None))["withMissingValues"] == 14
    assert measured.pop(("INCOMPLETE_COLUMN", "ITEMS", "CREATION_TIMESTAMP")) == {"complete": 0.65, "least": 0.7}
    assert measured.pop(("INCOMPLETE_TEXT", "ITEMS", "STORY")) == {"complete": 33 / 40, "least": 0.85}
    assert measured.pop(("MANY_CATEGORIES", "ITEMS", "GENRES")) == {
        "categories": 31, "most": 30, "isEstimate": False}
    # Prices 0 … 38 and 5,000: quartiles 9.75 and 29.25, so fences -48.75 and 87.75. STOCK is 1 everywhere.
    prices = measured.pop(("OUTLIERS", "ITEMS", "PRICE"))
    assert (prices["outliers"], prices["low"], prices["high"], prices["max"]) == (1, -48.75, 87.75, 5000.0)
    # Two users were put whole: one without a town, one without an age.
    assert measured.pop(("ROWS_WITH_MISSING_VALUES", "USERS", None)) == {
        "records": 60, "withMissingValues": 2, "share": 2 / 60}
    assert measured == {}


def test_insights_say_what_is_so_and_what_to_do(server, shop):
    analysis = analyze(server.endpoint, shop.arn)
    for insight in analysis["insights"]:
        assert insight["severity"] in ("warning", "info") and insight["action"].endswith("."), insight
        assert insight["text"].endswith(".") and any(c.isdigit() for c in insight["text"]), insight
    severity = {i["code"]: i["severity"] for i in analysis["insights"] if i["datasetType"] != "USERS"}
    assert severity["ITEMS_WITHOUT_INTERACTIONS"] == "warning"
    assert severity["INTERACTIONS_OF_UNKNOWN_USERS"] == "info"
    text = next(i["text"] for i in analysis["insights"] if i["code"] == "ITEMS_WITHOUT_INTERACTIONS")
    assert text == "30 of the 40 items (75 %) have no record in the Interactions dataset."


def test_datasets_and_columns_are_summed_up(server, shop):
    analysis = analyze(server.endpoint, shop.arn)
    assert [d["datasetType"] for d in analysis["datasets"]] == ["INTERACTIONS", "ITEMS", "USERS"]
    clicks, goods, people = analysis["datasets"]
    assert (clicks["rows"], goods["rows"], people["rows"]) == (80, 40, 60)
    assert clicks["datasetArn"] == shop.interactions
    assert clicks["distinctUsers"] == {"count": 60, "isEstimate": False}
    assert clicks["distinctItems"] == {"count": 12, "isEstimate": False}
    assert clicks["timeSpan"] == {"first": 1_700_000_000, "last": 1_700_000_000}
    assert (analysis["result"]["rows"], analysis["progress"]["rowsDone"] >= 180) == (180, True)
    columns = {c["name"]: c for c in goods["columns"]}
    assert columns["FRAGILE"]["top"] == [{"value": "true", "count": 30}, {"value": "false", "count": 10}]
    assert columns["PRICE"]["quartiles"] == [9.75, 19.5, 29.25]
    assert (columns["CREATION_TIMESTAMP"]["min"], columns["CREATION_TIMESTAMP"]["max"]) == (1_700_000_000, 1_700_000_025)
    # Ids and texts are never shown.
    assert columns["ITEM_ID"]["top"] is None and columns["STORY"]["top"] is None
    # Of u0 and u59 the put record is the newest.
    age = {c["name"]: c for c in people["columns"]}["AGE"]
    assert (age["max"], age["distinct"], age["complete"]) == (88, 58, pytest.approx(59 / 60)), age


# Figures of a naive model


def naive(values, kind):
    """What a column's summary must be, of the values that it has in all records."""
    there = [value for value in values if value not in ("", None)]
    summary = {"complete": len(there) / len(values) if values else 1, "min": None, "max": None, "quartiles": None}
    if kind == "categorical":
        there = [part for value in there for part in value.split("|") if part]
    if kind in ("categorical", "event"):
        summary["top"] = Counter(there)
    if kind == "number" and there:
        summary["min"], summary["max"] = min(there), max(there)
        summary["quartiles"] = statistics.quantiles(there, n=4, method="inclusive") if len(there) > 1 else there * 3
    return {**summary, "distinct": len(set(there))}


def same(column, expected):
    for member in ("complete", "distinct", "min", "max"):
        assert column[member] == pytest.approx(expected[member]), (member, column, expected)
    assert not column["isEstimate"] and column["estimates"] == []
    if expected["quartiles"] is None:
        assert column["quartiles"] is None
    else:
        assert all(math.isclose(a, b, abs_tol=1e-9) for a, b in zip(column["quartiles"], expected["quartiles"]))
    if "top" in expected:
        counts = [top["count"] for top in column["top"]]
        assert counts == sorted(expected["top"].values(), reverse=True)[:10]
        assert all(expected["top"][top["value"]] == top["count"] for top in column["top"])


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_a_naive_model(server, workshop, seed):
    pick = random.Random(seed)
    group = workshop.make_group(items=GOODS, interactions=CLICKS)
    clicks = [(f"u{pick.randrange(40)}", f"i{pick.randrange(60)}", pick.choice("abc"), pick.randrange(5),
               pick.choice(["", "tv", "phone|tv", "watch|"])) for _ in range(1_500)]
    half = len(clicks) // 2
    workshop.import_csv(group.interactions, csv(CLICKS, clicks[:half]))
    workshop.import_csv(group.interactions, csv(CLICKS, clicks[half:] + clicks[:100]), "INCREMENTAL")
    goods = {}
    for _ in range(2):
        rows = [(f"i{n}", round(pick.gauss(20, 9), 2) if pick.random() < 0.9 else "",
                 pick.randrange(100) if n % 40 else 10_000, "|".join(pick.sample("klmnop", 2)),
                 pick.choice(["", "text"]), pick.choice(["", "true", "false"]), n) for n in pick.sample(range(80), 50)]
        workshop.import_csv(group.items, csv(GOODS, rows), "INCREMENTAL" if goods else "FULL")
        goods.update({row[0]: row for row in rows})
    analysis = analyze(server.endpoint, group.arn)
    kept, goods = sorted(set(clicks)), list(goods.values())
    for dataset_type, rows, kinds in (
        ("INTERACTIONS", kept, ["id", "id", "event", "number", "categorical"]),
        ("ITEMS", goods, ["id", "number", "number", "categorical", "text", "text", "number"]),
    ):
        dataset = of_type(analysis, dataset_type)
        assert dataset["rows"] == len(rows)
        assert dataset["rowsWithMissingValues"] == sum("" in row for row in rows)
        for n, kind in enumerate(kinds):
            same(dataset["columns"][n], naive([row[n] for row in rows], kind))
    measured, known = insights(analysis), {row[0] for row in goods}
    unknown = measured[("INTERACTIONS_OF_UNKNOWN_ITEMS", "INTERACTIONS", "ITEM_ID")]
    assert unknown["ofUnknown"] == sum(row[1] not in known for row in kept)
    without = measured[("ITEMS_WITHOUT_INTERACTIONS", "ITEMS", None)]["withoutInteractions"]
    assert without == len(known - {row[1] for row in kept})
    stock = [row[2] for row in goods]
    first, _, third = statistics.quantiles(stock, n=4, method="inclusive")
    far = sum(not first - 3 * (third - first) <= n <= third + 3 * (third - first) for n in stock)
    assert measured.get(("OUTLIERS", "ITEMS", "STOCK"), {"outliers": 0})["outliers"] == far


def test_actions_are_analyzed_too(server, workshop):
    group = workshop.make_group()
    actions = workshop.make_dataset(group.arn, "ACTIONS", ACTIONS)
    taken = workshop.make_dataset(group.arn, "ACTION_INTERACTIONS", ACTION_INTERACTIONS)
    put_actions(workshop, actions, *[(f"a{n}", {"kind": "x", "value": n + 1}) for n in range(4)])
    put(workshop, tracked(workshop, taken), *[interaction(f"a{3 + n % 2}", userId=f"u{n}") for n in range(6)])
    measured = insights(analyze(server.endpoint, group.arn))
    assert measured[("ACTIONS_WITHOUT_INTERACTIONS", "ACTIONS", None)]["withoutInteractions"] == 3
    unknown = measured[("INTERACTIONS_OF_UNKNOWN_ACTIONS", "ACTION_INTERACTIONS", "ACTION_ID")]
    assert (unknown["ofUnknown"], unknown["records"]) == (3, 6)
    assert ("SAME_TIMESTAMP", "ACTION_INTERACTIONS", "TIMESTAMP") in measured


def test_a_dataset_without_records_has_no_shares(server, workshop):
    group = workshop.make_group(items=GOODS, users=PEOPLE, interactions=CLICKS)
    analysis = analyze(server.endpoint, group.arn)
    assert {code for code, *_ in insights(analysis)} == {"FEW_INTERACTIONS", "FEW_USERS_WITH_TWO_INTERACTIONS"}
    assert [d["rows"] for d in analysis["datasets"]] == [0, 0, 0]
    assert all(c["complete"] == 1 and c["distinct"] == 0 for c in of_type(analysis, "ITEMS")["columns"])


# Who may, and what is no group


def test_to_look_takes_the_right_to_describe_and_to_run_the_right_to_export(server, workshop, shop):
    user = workshop.make_user("analyst")
    created = workshop.iam.create_access_key(UserName=user.name)["AccessKey"]
    key = {"key": created["AccessKeyId"], "secret": created["SecretAccessKey"]}
    look, run = lambda: ask(server.endpoint, "GET", path(shop.arn), **key), lambda: begin(server.endpoint, shop.arn, **key)
    status, refusal = look()
    assert (status, refusal["__type"]) == (403, "AccessDeniedException")
    assert "personalize:DescribeDatasetGroup" in refusal["message"] and shop.arn in refusal["message"]
    describe = allow("personalize:DescribeDatasetGroup", shop.arn)
    workshop.set_policy(user, describe)
    assert look()[0] == 200
    status, refusal = run()
    assert status == 403 and "personalize:CreateDatasetExportJob" in refusal["message"]
    workshop.set_policy(user, describe, allow("personalize:CreateDatasetExportJob", shop.interactions))
    assert run()[0] == 403
    workshop.set_policy(user, describe, allow("personalize:CreateDatasetExportJob", "*"))
    assert run()[0] == 200
    workshop.set_policy(user, allow("personalize:CreateDatasetExportJob", "*"))
    assert run()[0] == 403


def test_a_group_without_datasets_or_that_is_none_is_refused(server, workshop):
    group = workshop.make_group()
    status, refusal = begin(server.endpoint, group.arn)
    assert (status, refusal["__type"]) == (400, "InvalidInputException")
    assert found(server.endpoint, group.arn)["status"] == "NONE"
    missing = group.arn + "-missing"
    assert begin(server.endpoint, missing)[0] == ask(server.endpoint, "GET", path(missing))[0] == 404
    for query in ("", "?datasetGroupArn=group", "?group=" + quote(group.arn, safe="")):
        assert ask(server.endpoint, "GET", "/analyses" + query)[0] == 400
    for body in ({}, {"datasetGroupArn": 7}, {"datasetGroupArn": group.arn, "more": 1}):
        assert ask(server.endpoint, "POST", "/analyses", body=body)[0] == 400


# While other things happen


def test_an_analysis_is_of_one_moment_while_puts_go_on(server, workshop):
    group = workshop.make_group(items="ITEM_ID:string PRICE:float", interactions=CLICKS, tracker=True)
    workshop.import_csv(group.interactions, csv(CLICKS, [(f"u{n}", "i", "view", n, "") for n in range(500)]))
    sent, answered, over = [0], [0], threading.Event()

    def load():
        while not over.is_set():
            sent[0] += 1
            # The item is there before its event is.
            workshop.put_items(group.items, (f"put{sent[0]}", {"price": 1}))
            workshop.put_event(group.tracking_id, f"p{sent[0]}", f"put{sent[0]}", "view", 1_700_000_000)
            answered[0] = sent[0]

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(5):
            before = answered[0]
            analysis = analyze(server.endpoint, group.arn)
            clicks = of_type(analysis, "INTERACTIONS")
            assert 500 + before <= clicks["rows"] <= 500 + sent[0]
            # Only the 500 imported ones are of an item that is unknown.
            assert insights(analysis)[("INTERACTIONS_OF_UNKNOWN_ITEMS", "INTERACTIONS", "ITEM_ID")]["ofUnknown"] == 500
    finally:
        over.set()
        thread.join()
    assert of_type(analyze(server.endpoint, group.arn), "INTERACTIONS")["rows"] == 500 + sent[0]


def test_the_last_result_stays_readable_and_a_second_request_gives_the_one_that_runs(server, workshop):
    group = workshop.make_group(interactions=CLICKS)
    rows = [(f"u{n % 9_000}", f"i{n % 700}", "view", n, "") for n in range(60_000)]
    workshop.import_csv(group.interactions, csv(CLICKS, rows))
    first = analyze(server.endpoint, group.arn)
    begun = begin(server.endpoint, group.arn)[1]
    again = begin(server.endpoint, group.arn)[1]
    for answer in (begun, again):
        assert of_type(answer, "INTERACTIONS")["rows"] == 60_000
        if answer["status"] in OPEN:
            assert answer["finishedAt"] is None and answer["result"] == first["result"]
    if again["status"] in OPEN and begun["status"] in OPEN and again["startedAt"] != begun["startedAt"]:
        # Then the first had ended in between.
        assert again["result"] != begun["result"]
    done = wait(lambda: found(server.endpoint, group.arn))
    assert done["status"] == "ACTIVE" and done["result"]["startedAt"] == done["startedAt"] > first["startedAt"]
    assert (done["datasets"], done["insights"]) == (first["datasets"], first["insights"])


def test_an_analysis_goes_on_after_a_crash(own_server):
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(interactions=CLICKS)
    rows = [(f"u{n % 9_000}", f"i{n % 700}", "view", n, "") for n in range(60_000)]
    workshop.import_csv(group.interactions, csv(CLICKS, rows))
    first = analyze(own_server.endpoint, group.arn)
    begun = begin(own_server.endpoint, group.arn)[1]
    own_server.kill()
    own_server.start()
    done = wait(lambda: found(own_server.endpoint, group.arn))
    assert done["status"] == "ACTIVE" and done["startedAt"] == begun["startedAt"]
    assert done["insights"] == first["insights"]


def test_nothing_of_a_deleted_user_or_dataset_stays(server, workshop):
    group = workshop.make_group(users=PEOPLE, interactions=CLICKS)
    workshop.import_csv(group.users, csv(PEOPLE, [("u1", 7, "Lonely Town"), ("u2", 8, "Lund")]))
    towns = lambda analysis: [top["value"] for top in of_type(analysis, "USERS")["columns"][2]["top"]]
    assert towns(analyze(server.endpoint, group.arn)) == ["Lonely Town", "Lund"]
    assert delete(workshop, group, "u1") == 1
    gone = found(server.endpoint, group.arn)
    assert (gone["status"], gone["datasets"], gone["result"]) == ("NONE", [], None)
    assert towns(analyze(server.endpoint, group.arn)) == ["Lund"]
    workshop.personalize.delete_dataset(datasetArn=group.users)
    assert found(server.endpoint, group.arn)["status"] == "NONE"


def test_a_result_is_sealed_under_the_key_of_the_group(own_server):
    workshop = Workshop(own_server.endpoint)
    group = make_sealed_group(workshop)
    workshop.put_items(group.items, ("i1", {"category": f"{CANARY}-of-insights"}))
    analysis = analyze(own_server.endpoint, group.arn)
    assert of_type(analysis, "ITEMS")["columns"][1]["top"][0]["value"] == f"{CANARY}-of-insights"
    assert files_with(own_server, f"{CANARY}-of-insights") == []
    workshop.kms.disable_key(KeyId=group.key)
    # A server that has just started knows no key any more.
    workshop = workshop.at(own_server.restart().endpoint)
    status, refusal = ask(own_server.endpoint, "GET", path(group.arn))
    assert status == 400 and group.key in refusal["message"]
    workshop.kms.enable_key(KeyId=group.key)
    assert found(own_server.endpoint, group.arn)["datasets"] == analysis["datasets"]


# The command


def test_the_command_prints_tables_and_insights(server, shop):
    done = lade(server, "insights", shop.arn, "--refresh")
    assert done.returncode == 0, done
    assert "INTERACTIONS  80 rows, 60 users, 12 items, 2023-11-14T22:13:20Z to 2023-11-14T22:13:20Z" in done.stdout
    assert "0 … 9.75 … 19.5 … 29.25 … 5000" in done.stdout
    assert "warning: 30 of the 40 items (75 %) have no record in the Interactions dataset." in done.stdout
    assert "(ITEMS, MANY_CATEGORIES)" in done.stdout


def test_the_command_runs_an_analysis_where_there_is_no_result_or_it_is_asked_to(server, workshop):
    group = workshop.make_group(interactions=CLICKS)
    name = group.arn.rsplit("/", 1)[1]
    json_of = lambda *more: json.loads(lade(server, "insights", name, "--json", *more).stdout)
    first = json_of()
    assert first["status"] == "ACTIVE" and first["datasetGroupArn"] == group.arn
    assert json_of() == first
    assert json_of("--refresh")["startedAt"] > first["startedAt"]
    done = lade(server, "insights", name + "-none")
    assert done.returncode == 1 and name + "-none" in done.stderr
    done = lade(server, "insights", workshop.make_group().arn)
    assert done.returncode == 1 and "no dataset" in done.stderr
