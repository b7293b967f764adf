"""Bulk import: what is read, what is refused, and that a failed job leaves everything as it was."""

import pytest

from support.schemas import INTERACTIONS, ITEMS, ITEMS_NULLABLE, USERS
from support.workshop import unique

CONFORM = ("Input csv has rows that do not conform to the dataset schema. Please ensure all required data fields are "
           "present and that they are of the type specified in the schema.")


@pytest.fixture
def group(workshop):
    return workshop.make_group(items=ITEMS, interactions=INTERACTIONS)


def refused(workshop, *arguments, **more):
    with pytest.raises(workshop.personalize.exceptions.InvalidInputException) as caught:
        workshop.start_import(*arguments, **more)
    return caught.value.response["Error"]["Message"]


def outcome(workshop, dataset, text, mode="FULL"):
    """The reason why an import of this text fails, whether at once or while it runs."""
    location = workshop.upload(text)
    try:
        arn = workshop.start_import(dataset, location, mode)
    except workshop.personalize.exceptions.InvalidInputException as error:
        return error.response["Error"]["Message"]
    job = workshop.wait_import(arn)
    assert job["status"] == "CREATE FAILED", job
    return job["failureReason"]


def bulk(workshop, dataset):
    return workshop.export(dataset, "BULK").lines


def test_missing_columns_are_told_at_create(workshop, group):
    location = workshop.upload("USER_ID,EVENT_TYPE,TIMESTAMP\nu1,click,1\n")
    text = refused(workshop, group.interactions, location)
    assert text.startswith("Input csv is missing the following columns: [ITEM_ID]")


def test_columns_may_come_in_any_order_and_more_of_them(workshop, group):
    workshop.import_csv(group.interactions, "EXTRA,TIMESTAMP,ITEM_ID,EVENT_TYPE,USER_ID\nx,1,i1,click,u1\n")
    exported = workshop.export(group.interactions, "BULK")
    assert (exported.header, exported.lines) == (["USER_ID", "ITEM_ID", "EVENT_TYPE", "TIMESTAMP"], ["u1,i1,click,1"])


GOOD = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\nu1,i1,click,1\nu2,i2,click,2\n"
BAD = {
    "text-in-a-long": ("u3,i3,click,soon\n", "TIMESTAMP"),
    "float-in-a-long": ("u3,i3,click,12.0\n", "TIMESTAMP"),
    "plus-sign": ("u3,i3,click,+5\n", "TIMESTAMP"),
    "long-overflow": ("u3,i3,click,9223372036854775808\n", "TIMESTAMP"),
    "empty-id": (",i3,click,3\n", "USER_ID"),
    "empty-required-value": ("u3,i3,click,\n", "TIMESTAMP"),
    "id-too-long": ("u" * 257 + ",i3,click,3\n", "USER_ID"),
    "too-few-fields": ("u3,i3,click\n", ""),
    "too-many-fields": ("u3,i3,click,3,4\n", ""),
    "unclosed-quote": ('"u3,i3,click,3\n', ""),
    "text-after-quote": ('"u3"x,i3,click,3\n', ""),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_row_fails_the_job_and_names_its_place(workshop, group, kind):
    row, column = BAD[kind]
    workshop.import_csv(group.interactions, "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\nold,i1,click,1\n")
    reason = outcome(workshop, group.interactions, GOOD + row)
    if kind != "id-too-long":
        assert reason.startswith(CONFORM), reason
    assert "data.csv" in reason and "4" in reason and column in reason, reason
    assert bulk(workshop, group.interactions) == ["old,i1,click,1"]


def test_invalid_utf8_names_file_and_line(workshop, group):
    reason = outcome(workshop, group.interactions, GOOD.encode() + b"u\xff,i3,click,3\n")
    assert "data.csv" in reason and "4" in reason and "UTF-8" in reason, reason
    assert bulk(workshop, group.interactions) == []


@pytest.mark.parametrize("header", ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP,USER_ID", ""])
def test_a_bad_header_is_refused(workshop, group, header):
    reason = outcome(workshop, group.interactions, header + ("\nu1,i1,click,1,u1\n" if header else ""))
    assert reason


def test_a_failed_import_changes_nothing_in_any_mode(workshop, group):
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
    workshop.put_items(group.items, ("i2", {"price": 2, "categoryL1": "B"}))
    before = {mode: workshop.export(group.items, mode).rows for mode in ("BULK", "PUT", "ALL")}
    for mode in ("FULL", "INCREMENTAL"):
        outcome(workshop, group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni3,3,C\ni4,cheap,D\n", mode)
    assert {mode: workshop.export(group.items, mode).rows for mode in ("BULK", "PUT", "ALL")} == before


def test_a_folder_is_read_at_its_first_level(workshop, group):
    folder = unique("folder")
    for name, item in [("b.csv", "i2"), ("a.csv", "i1"), ("C.CSV", "i3"), ("sub/d.csv", "i4"), ("_e.csv", "i5"),
                       (".f.csv", "i6"), ("g.txt", "i7")]:
        workshop.upload(f"ITEM_ID,PRICE,CATEGORY_L1\n{item},1,A\n", f"{folder}/{name}")
    workshop.s3.put_object(Bucket=workshop.source, Key=f"{folder}/", Body=b"")
    location = f"s3://{workshop.source}/{folder}/"
    job = workshop.wait_import(workshop.start_import(group.items, location))
    assert job["status"] == "ACTIVE", job
    assert bulk(workshop, group.items) == ["i1,1.0,A", "i2,1.0,A", "i3,1.0,A"]


def test_a_location_without_files_is_refused(workshop, group):
    for location in (f"s3://{workshop.source}/{unique('nothing')}.csv", f"s3://{workshop.source}/{unique('nothing')}/",
                     "https://example.com/data.csv"):
        assert refused(workshop, group.items, location).startswith("Invalid Data location.")


def test_the_first_import_cannot_be_incremental(workshop, group):
    location = workshop.upload("ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
    assert refused(workshop, group.items, location, "INCREMENTAL")
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni2,2,B\n", "INCREMENTAL")
    assert bulk(workshop, group.items) == ["i1,1.0,A", "i2,2.0,B"]


def test_a_role_is_needed(workshop, group):
    with pytest.raises(workshop.personalize.exceptions.InvalidInputException) as caught:
        workshop.personalize.create_dataset_import_job(
            jobName=unique("import"), datasetArn=group.items,
            dataSource={"dataLocation": workshop.upload("ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")})
    assert "roleArn" in str(caught.value)


def test_line_ends_blank_lines_and_a_byte_order_mark(workshop, group):
    workshop.import_csv(group.items, "\ufeffITEM_ID,PRICE,CATEGORY_L1\r\n\r\ni1,1,A\r\n\n\ni2,1.5,B\ni3,1e2,C")
    assert bulk(workshop, group.items) == ["i1,1.0,A", "i2,1.5,B", "i3,100.0,C"]


def test_quotes_and_escapes_mean_what_the_guide_says(workshop):
    group = workshop.make_group(items=ITEMS_NULLABLE)
    workshop.import_csv(group.items, "\n".join([
        '"ITEM_ID",PRICE,GENRES,DESCRIPTION',
        r'i1,1,a|b,"comma, \"quote\" and \\ backslash"',
        'i2,,"","doubled ""quote"" and\nline break"',
        r'i3,2,c,unquoted \" stays',
        r'i4,3, blank ,"\n is no escape"',
    ]) + "\n")
    rows = {row[0]: row[1:] for row in workshop.export(group.items, "BULK").rows}
    assert rows == {
        "i1": ("1.0", "a|b", 'comma, "quote" and \\ backslash'),
        "i2": ("", "", 'doubled "quote" and\nline break'),
        "i3": ("2.0", "c", r'unquoted \" stays'),
        "i4": ("3.0", " blank ", r"\n is no escape"),
    }


def test_words_for_nothing_are_words(workshop):
    group = workshop.make_group(users=USERS)
    workshop.import_csv(group.users, "USER_ID,AGE,GENDER\nu1,1,null\nu2,2,NaN\nu3,3,None\nu4,4,\n")
    assert bulk(workshop, group.users) == ["u1,1,null", "u2,2,NaN", "u3,3,None", "u4,4,"]
    assert outcome(workshop, group.users, "USER_ID,AGE,GENDER\nu1,null,F\n").startswith(CONFORM)


def test_a_header_alone_empties_items(workshop, group):
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\n")
    assert bulk(workshop, group.items) == []


def test_imports_of_one_dataset_run_in_their_order(workshop, group):
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni0,0,A\n")
    jobs = [
        workshop.start_import(group.items, workshop.upload(f"ITEM_ID,PRICE,CATEGORY_L1\nsame,{n},A\n"), "INCREMENTAL")
        for n in range(5)
    ]
    assert {workshop.wait_import(arn)["status"] for arn in jobs} == {"ACTIVE"}
    assert workshop.export(group.items, "ALL").lines == ["i0,0.0,A", "same,4.0,A"]
