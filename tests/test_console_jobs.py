"""Jobs in the console: progress that moves, a denial that explains itself, the manifest's check, and downloads."""

import json
import re

import pytest
from playwright.sync_api import expect

from support.policies import EXPORT
from support.schemas import INTERACTIONS, ITEMS_NULLABLE
from support.server import Server
from support.workshop import Workshop

FORMULA = "=HYPERLINK(1)"
ITEMS_CSV = f'ITEM_ID,PRICE,GENRES,DESCRIPTION\ni1,-1.5,a|b,"{FORMULA}, ""quoted"""\ni2,2,,plain\n'
EVENTS = 400_000


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("jobs")).start()
    try:
        workshop = Workshop(server.endpoint)
        workshop.group = workshop.make_group(items=ITEMS_NULLABLE, interactions=INTERACTIONS)
        workshop.import_csv(workshop.group.items, ITEMS_CSV)
        yield workshop
    finally:
        assert server.stop() == 0, server.tail()


@pytest.fixture
def visitor(visitors, place):
    return visitors(place.endpoint).sign_in()


def job_page(visitor, arn):
    kind, name = re.fullmatch(r".*:dataset-(import|export)-job/(.*)", arn).groups()
    visitor.go(f"/console/jobs/{kind}/{name}")
    return visitor


def test_progress_moves_until_the_job_is_active(visitor, place):
    rows = "".join(f"u{n % 5000},i{n % 700},view,{1_700_000_000 + n}\n" for n in range(EVENTS))
    location = place.upload("USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + rows)
    # What the page asks for, seen on its way: nobody has to be quick enough to look.
    told = []
    visitor.page.on("response", lambda answer: told.append(answer) if answer.url.endswith("/progress") else None)
    job_page(visitor, place.start_import(place.group.interactions, location))
    expect(visitor.page.locator("[data-status]")).to_have_text("Active", timeout=60_000)
    assert told, "the page looked by itself"
    assert visitor.page.get_by_role("heading", name="Progress").count() == 0, "the page of a job that has ended"
    expect(visitor.section("Where every record went")).to_contain_text("400\u202f000")


def test_a_denied_export_says_what_to_paste_and_where(visitor, place):
    bucket = place.make_bucket("closed", policy="")
    role = place.make_role("exporter", bucket, EXPORT)
    # Each denial names what is missing first.
    for _ in range(3):
        ask_for_export(visitor, place, bucket, role)
        if visitor.heading() == "Dataset overview":
            break
        mend(visitor, visitor.page.get_by_role("alert"), bucket)
    row = visitor.section("Dataset export jobs").get_by_role("row").nth(1)
    expect(row.get_by_text("Active", exact=True)).to_be_visible()


def ask_for_export(visitor, place, bucket, role):
    """Sends the form; a refusal is what the test wants to see."""
    before = len(visitor.faults)
    visitor.go(f"/console/groups/{place.group.arn.rsplit('/', 1)[1]}/datasets/ITEMS/export")
    visitor.page.get_by_label("IAM service role", exact=True).select_option(role.rsplit("/", 1)[1])
    visitor.fill("Amazon S3 data output path", f"s3://{bucket}/out")
    with visitor.page.expect_navigation():
        visitor.button("Create dataset export job")
    assert all("answered 400" in fault for fault in visitor.faults[before:]), visitor.faults[before:]
    visitor.faults[before:] = []


def mend(visitor, alert, bucket):
    """Pastes the statement that a denial offers where it says."""
    expect(alert).to_contain_text("s3:")
    statement = json.loads(alert.locator("#mend-statement").text_content())
    visitor.go(alert.get_by_role("link").first.get_attribute("href"))
    assert visitor.heading() == f"Bucket policy of {bucket}"
    written = visitor.page.get_by_label("Policy", exact=True).input_value()
    policy = json.loads(written) if written else {"Version": "2012-10-17", "Statement": []}
    policy["Statement"].append(statement)
    visitor.fill("Policy", json.dumps(policy))
    visitor.button("Save changes")
    expect(visitor.page.get_by_role("status")).to_contain_text("kept")


def test_the_check_of_a_manifest_finds_what_was_changed(visitor, place):
    export = place.start_export(place.group.items, "ALL")
    assert place.wait_export(export)["status"] == "ACTIVE"
    job_page(visitor, export).button("Check manifest")
    expect(visitor.page.get_by_role("status")).to_contain_text("Nothing differs.")
    keys = [found["Key"] for found in place.s3.list_objects_v2(Bucket=place.target)["Contents"]]
    key = next(found for found in keys if export.rsplit("/", 1)[1] in found and found.endswith(".csv"))
    body = place.s3.get_object(Bucket=place.target, Key=key)["Body"].read()
    place.s3.put_object(Bucket=place.target, Key=key, Body=body.replace(b"plain", b"plane"))
    job_page(visitor, export).button("Check manifest")
    expect(visitor.page.get_by_role("alert")).to_contain_text("from the manifest")


def test_a_file_comes_as_it_is_or_without_formulas(visitor, place):
    export = place.start_export(place.group.items, "ALL")
    assert place.wait_export(export)["status"] == "ACTIVE"
    page = job_page(visitor, export).page
    plain = visitor.download(page.get_by_role("link", name="As it is")).decode()
    safe = visitor.download(page.get_by_role("link", name="Spreadsheet-safe")).decode()
    assert f'"{FORMULA}, ""quoted"""' in plain and ",-1.5," in plain
    assert f'"\'{FORMULA}, ""quoted"""' in safe and ",'-1.5," in safe
    assert safe.replace("'", "") == plain


def test_a_record_is_found_by_its_id_and_hostile_values_are_text(visitor, place):
    place.put_items(place.group.items, ("evil", {"description": "<script>alert(1)</script>\u202e{{7*7}}"}))
    visitor.go(f"/console/groups/{place.group.arn.rsplit('/', 1)[1]}/datasets/ITEMS")
    visitor.fill("ITEM_ID", "evil")
    visitor.button("Show records")
    cells = visitor.section("Records").get_by_role("cell")
    expect(cells.filter(has_text="<script>alert(1)</script>")).to_be_visible()
    visitor.fill("ITEM_ID", "nobody")
    visitor.button("Show records")
    expect(visitor.section("Records").get_by_role("status")).to_contain_text("There is no record of nobody")


def test_cancelling_asks_first(visitor, place):
    rows = "".join(f"u{n % 5000},i{n % 700},view,{1_700_000_000 + n}\n" for n in range(EVENTS))
    location = place.upload("USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + rows)
    jobs = [place.start_import(place.group.interactions, location) for _ in range(4)]
    name = jobs[-1].rsplit("/", 1)[1]
    visitor.go(f"/console/jobs/import/{name}/cancel")
    expect(visitor.page.get_by_role("main")).to_contain_text("None of its rows are imported")
    visitor.button("Cancel job")
    expect(visitor.page.get_by_role("alert")).to_contain_text("cancel", ignore_case=True, timeout=60_000)
    for job in jobs[:-1]:
        place.wait_import(job)
