"""The console from an empty server to a downloaded export, in a browser alone, by the steps that "Exporting a dataset" prints.

Who reads this as a person: each call below is a click or something typed; nothing goes around the pages.
"""

import json
from collections import Counter

import pytest
from playwright.sync_api import expect

from support.export import parse
from support.policies import (EXPORT, IMPORT, bucket_policy, encrypting_role_policy, key_policy, role_policy,
                              trust_policy)
from support.schemas import INTERACTIONS, ITEMS, avro, column_names
from support.worked_examples import ITEMS_STAGES

HISTORY = ITEMS_STAGES["first"]
IMPORTED = [row for step in HISTORY.steps if step.how == "FULL" for row in step.rows]
PUTS = [step.rows for step in HISTORY.steps if step.how == "put"]
# The document's words for the modes.
CHOICES = {"BULK": "Bulk", "PUT": "Incremental", "ALL": "Both"}
# Above the size from which an upload goes in parts.
EVENTS = 330_000
JOB_MS = 60_000


def csv_of(fields, rows):
    return "\n".join([",".join(column_names(fields)), *rows, ""]).encode()


@pytest.fixture
def visitor(visitors, own_server):
    return visitors(own_server.endpoint)


def test_the_documents_procedure_works_from_an_empty_server_to_the_files(visitor):
    visitor.sign_in()
    expect(visitor.page.get_by_role("heading", name="No dataset group yet")).to_be_visible()
    make_bucket(visitor, "data", bucket_policy("data", IMPORT))
    events = csv_of(INTERACTIONS, (f"u{n % 5000},i{n % 700},view,{1_700_000_000 + n}" for n in range(EVENTS)))
    upload(visitor, "data", "in/", "interactions.csv", events)
    upload(visitor, "data", "in/", "items.csv", csv_of(ITEMS, IMPORTED))
    # The document's own policy, as its text stands for an output bucket.
    make_bucket(visitor, "output", bucket_policy("output", EXPORT))
    key = make_key(visitor)
    role = make_role(visitor, key)
    give_key(visitor, key, role)

    make_group(visitor)
    make_dataset(visitor, "Item interactions", INTERACTIONS, "INTERACTIONS")
    import_data(visitor, "s3://data/in/interactions.csv")
    make_dataset(visitor, "Items", ITEMS, "ITEMS")
    import_data(visitor, "s3://data/in/items.csv")
    for rows in PUTS:
        put_items(visitor, rows)

    for mode, choice in CHOICES.items():
        export(visitor, f"items-{mode}", choice, key if mode == "ALL" else None)
        assert_exported(visitor, f"items-{mode}", HISTORY.exports[mode])


def make_bucket(visitor, name, policy):
    visitor.pane("Buckets")
    visitor.fill("New bucket", name)
    visitor.button("Create bucket")
    visitor.link("Bucket policy")
    visitor.fill("Policy", policy)
    visitor.button("Save changes")
    expect(visitor.page.get_by_role("status")).to_contain_text("kept")
    expect(visitor.page.get_by_label("Policy", exact=True)).to_have_value(json.dumps(json.loads(policy), indent=2))


def upload(visitor, bucket, folder, name, content):
    visitor.pane("Buckets")
    visitor.link(bucket)
    visitor.fill("Folder", folder)
    file = {"name": name, "mimeType": "text/csv", "buffer": content}
    visitor.page.get_by_label("File", exact=True).set_input_files(files=[file])
    visitor.button("Upload")
    link = visitor.page.get_by_role("link", name=name, exact=True)
    assert visitor.download(link) == content


def make_key(visitor):
    visitor.pane("KMS keys")
    visitor.fill("Description", "encrypts exports")
    visitor.button("Create key")
    expect(visitor.page.get_by_text("Enabled", exact=True)).to_be_visible()
    return visitor.page.get_by_text("arn:aws:kms:").first.inner_text()


def make_role(visitor, key):
    """A role as the guide makes it, for import and export, and with what a key needs; its ARN."""
    visitor.pane("IAM roles")
    visitor.link("Create role")
    visitor.fill("Role name", "PersonalizeRole")
    visitor.fill("Trust policy", trust_policy())
    visitor.fill("Policy name", "import")
    visitor.fill("Permissions", role_policy("data", IMPORT))
    visitor.button("Create role")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("PersonalizeRole")
    for name, document in [("export", role_policy("output", EXPORT)), ("key", encrypting_role_policy(key))]:
        visitor.link("Add policy")
        visitor.fill("Policy name", name)
        visitor.fill("Policy", document)
        visitor.button("Save changes")
        expect(visitor.page.get_by_text(name, exact=True)).to_be_visible()
    return visitor.page.get_by_text("arn:aws:iam:").first.inner_text()


def give_key(visitor, key, role):
    visitor.pane("KMS keys")
    visitor.link(key.rsplit("/", 1)[1])
    visitor.fill("Key policy", key_policy(role))
    visitor.button("Save changes")
    expect(visitor.page.get_by_label("Key policy", exact=True)).to_have_value(json.dumps(json.loads(key_policy(role)), indent=2))


def make_group(visitor):
    visitor.pane("Dataset groups")
    visitor.page.get_by_role("link", name="Create dataset group").first.click()
    visitor.fill("Name", "shop")
    visitor.choose("Custom")
    visitor.page.get_by_label("Key", exact=True).first.fill("team")
    visitor.page.get_by_label("Value", exact=True).first.fill("blue")
    visitor.button("Create dataset group and continue")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("shop")


def make_dataset(visitor, label, fields, kind):
    visitor.pane("Dataset groups")
    visitor.link("shop")
    row = visitor.page.get_by_role("row").filter(has=visitor.page.get_by_role("rowheader", name=label, exact=True))
    row.get_by_role("link", name="Create dataset").click()
    visitor.fill("Dataset name", f"shop-{kind.lower()}")
    visitor.choose("Create new schema")
    visitor.fill("New schema name", f"{kind.lower()}-schema")
    visitor.fill("JSON schema code", avro(kind, fields))
    visitor.button("Next")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Import data")


def import_data(visitor, location):
    name = visitor.page.get_by_label("Dataset import job name").input_value()
    assert name.startswith("import-"), "a fresh name is proposed"
    visitor.fill("S3 Location", location)
    visitor.page.get_by_label("IAM service role").select_option("PersonalizeRole")
    visitor.button("Start import")
    wait_for_job(visitor, name)


def wait_for_job(visitor, name):
    """Chooses a job of the dataset and looks on: nobody reloads the page."""
    expect(visitor.page.get_by_role("main")).to_contain_text(name)
    if visitor.heading() != name:
        visitor.link(name)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(name)
    expect(visitor.page.locator("main .badge").first).to_have_text("Active", timeout=JOB_MS)


def put_items(visitor, rows):
    records = []
    for key, price, category in (row.split(",") for row in rows):
        properties = {"price": float(price), "categoryL1": category}
        records.append({"itemId": key, "properties": json.dumps(properties)})
    visitor.pane("Dataset groups")
    visitor.link("shop")
    visitor.pane("Datasets")
    visitor.link("Items")
    visitor.page.locator("summary").filter(has_text="Modify dataset").click()
    visitor.link("Create record")
    template = json.loads(visitor.page.get_by_label("Record input").input_value())
    assert set(template[0]) == {"itemId", "properties"}
    visitor.fill("Record input", json.dumps(records))
    visitor.button("Create record(s)")
    expect(visitor.section("Response")).to_contain_text(f"{len(rows)} record")


def export(visitor, name, choice, key):
    """The numbered steps of the document."""
    page = visitor.page
    visitor.go("/personalize/home")                                                          # 1
    visitor.pane("Dataset groups")                                                           # 2
    expect(page.get_by_role("heading", level=1)).to_have_text("Dataset groups")
    visitor.link("shop")                                                                     # 3
    visitor.pane("Datasets")                                                                 # 4
    visitor.link("Items")                                                                    # 5
    jobs = visitor.section("Dataset export jobs")
    jobs.get_by_role("link", name="Create dataset export job", exact=True).click()           # 6
    visitor.fill("Dataset export job name", name)                                            # 7
    page.get_by_label("IAM service role", exact=True).select_option("PersonalizeRole")       # 8
    visitor.fill("Amazon S3 data output path", "s3://output/folder path")                    # 9
    if key:
        page.get_by_label("KMS key ARN").fill(key)                                           # 10
    page.get_by_role("group", name="Export data type").get_by_role("radio", name=choice).check()  # 11
    visitor.button("Create dataset export job")                                              # 12
    jobs = visitor.section("Dataset export jobs")
    expect(jobs.get_by_role("columnheader", name="Export job status")).to_be_visible()
    row = jobs.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))
    # Where a person looks for it, and without a reload.
    expect(row.get_by_text("Active", exact=True)).to_be_visible(timeout=JOB_MS)


def assert_exported(visitor, name, expected):
    """Downloads what was written as a person would: bucket, folder, folder, file."""
    visitor.pane("Buckets")
    for step in ("output", "folder path/", f"{name}/"):
        visitor.link(step)
    body = visitor.download(visitor.page.get_by_role("link", name="ITEMS-00000.csv", exact=True))
    header, *rows = parse(body)
    assert header == column_names(ITEMS)
    assert Counter(",".join(row) for row in rows) == Counter(expected)
    manifest = json.loads(visitor.download(visitor.page.get_by_role("link", name="_manifest.json", exact=True)))
    assert manifest["ledger"]["written"] == len(expected)
