"""Acceptance, exports: which records come out in each mode, and which of those that resemble each other."""

import pytest

from support.schemas import INTERACTIONS, ITEMS
from support.worked_examples import (
    INTERACTIONS_STAGES, ITEMS_STAGES, MODES, USERS_STAGES, Example, assert_rows,
)
from support.workshop import unique

HEADER = "ITEM_ID,PRICE,CATEGORY_L1\n"


@pytest.fixture(scope="module")
def items(workshop):
    return Example(workshop, "items", ITEMS_STAGES)


@pytest.fixture(scope="module")
def interactions(workshop):
    return Example(workshop, "interactions", INTERACTIONS_STAGES)


def assert_stage(items, stage, mode):
    assert_rows(items.found[stage][mode], ITEMS_STAGES[stage].exports[mode])


def item(key, price, category="A"):
    return key, {"price": price, "categoryL1": category}


def test_01_bulk_keeps_same_id(items):
    assert_stage(items, "first", "BULK")
    assert [row[1] for row in items.found["first"]["BULK"].rows if row[0] == "i2"] == ["20.0", "25.0"]


def test_02_put_keeps_same_id(items):
    assert_stage(items, "first", "PUT")
    assert [row[1] for row in items.found["first"]["PUT"].rows if row[0] == "i3"] == ["30.0", "31.0"]


def test_03_all_newest_item(items):
    for stage in ITEMS_STAGES:
        assert_stage(items, stage, "ALL")
        ids = [row[0] for row in items.found[stage]["ALL"].rows]
        assert len(ids) == len(set(ids))


def test_04_all_bulk_newer_than_put(items):
    assert "i1,11.0,A" in items.found["first"]["ALL"].lines
    assert [line for line in items.found["replaced"]["ALL"].lines if line.startswith("i1,")] == ["i1,12.0,A"]


def test_05_all_put_newer_than_bulk(workshop):
    dataset = workshop.make_group(items=ITEMS).items
    workshop.import_csv(dataset, HEADER + "i1,12,A\n")
    workshop.put_items(dataset, item("i1", 11))
    assert workshop.export(dataset, "ALL").lines == ["i1,11.0,A"]


def test_06_default_mode_is_put(workshop, items):
    arn = workshop.start_export(items.dataset)
    assert_rows(workshop.read_export(arn), ITEMS_STAGES["put again"].exports["PUT"])
    assert workshop.wait_export(arn)["ingestionMode"] == "PUT"


def test_07_interactions_all_kept(interactions):
    for mode in MODES:
        assert_rows(interactions.found["first"][mode], INTERACTIONS_STAGES["first"].exports[mode])
    assert len(interactions.found["first"]["ALL"].rows) == 4


def test_08_exact_duplicates_across_sources(interactions):
    for mode in MODES:
        assert interactions.found["first"][mode].lines.count("u1,i1,click,100") == 1, mode


def test_09_different_event_id_same_event(workshop):
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    for event_id in ("x", "y"):
        workshop.put_event(group.tracking_id, "u1", "i1", "click", 100, eventId=event_id)
    assert workshop.export(group.interactions, "PUT").lines == ["u1,i1,click,100"]


def test_10_same_id_in_one_put_call(workshop):
    dataset = workshop.make_group(items=ITEMS).items
    workshop.put_items(dataset, item("i9", 1), item("i9", 2))
    assert workshop.export(dataset, "ALL").rows == [("i9", "2.0", "A")]
    assert workshop.export(dataset, "PUT").rows == [("i9", "1.0", "A"), ("i9", "2.0", "A")]


def test_11_full_import_drops_old_bulk(items):
    assert_stage(items, "replaced", "BULK")
    assert not set(items.found["replaced"]["BULK"].lines) & set(items.found["first"]["BULK"].lines)


def test_12_full_import_keeps_puts(items):
    assert_stage(items, "replaced", "PUT")
    assert items.found["replaced"]["PUT"].rows == items.found["first"]["PUT"].rows


def test_13_incremental_appends(items):
    for mode in MODES:
        assert_stage(items, "appended", mode)
    of_i1 = lambda mode: [row[1] for row in items.found["appended"][mode].rows if row[0] == "i1"]
    assert (of_i1("BULK"), of_i1("ALL")) == (["12.0", "13.0"], ["13.0"])


def test_14_failed_import_invisible(workshop):
    dataset = workshop.make_group(items=ITEMS).items
    workshop.import_csv(dataset, HEADER + "i1,1,A\n")
    workshop.put_items(dataset, item("i2", 2))
    before = {mode: workshop.export(dataset, mode).rows for mode in MODES}
    # The bad row lies far behind what is read when the job is created.
    text = HEADER + "".join(f"j{n},{n},A\n" for n in range(20_000)) + "j,cheap,A\n"
    job = workshop.wait_import(workshop.start_import(dataset, workshop.upload(text)))
    assert job["status"] == "CREATE FAILED" and job["failureReason"]
    assert {mode: workshop.export(dataset, mode).rows for mode in MODES} == before


def test_16_read_your_writes(workshop):
    dataset = workshop.make_group(items=ITEMS).items
    arns = []
    for n in range(8):
        workshop.put_items(dataset, item(f"i{n}", n))
        arns.append(workshop.start_export(dataset, "PUT"))
    for n, arn in enumerate(arns):
        assert workshop.read_export(arn).lines == [f"i{m},{m}.0,A" for m in range(n + 1)]


def test_17_empty_export(workshop):
    dataset = workshop.make_group(items=ITEMS).items
    exported = workshop.export(dataset, "PUT")
    assert list(exported.bodies[key] for key in exported.data_keys) == [HEADER.encode()]


def test_18_actions_refused(workshop):
    group = workshop.make_group()
    actions = workshop.make_dataset(group.arn, "ACTIONS", "ACTION_ID:string COLOR:string:categorical")
    name = unique("actions")
    with pytest.raises(workshop.personalize.exceptions.InvalidInputException):
        workshop.start_export(actions, name=name)
    jobs = workshop.personalize.list_dataset_export_jobs(datasetArn=actions)["datasetExportJobs"]
    assert name not in [job["jobName"] for job in jobs]


def test_19_users_export(workshop):
    users = Example(workshop, "users", USERS_STAGES)
    for mode in MODES:
        assert_rows(users.found["first"][mode], USERS_STAGES["first"].exports[mode])
