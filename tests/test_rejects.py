"""Rows that an import finds wrong: reported, left out up to a tolerance, mended and imported; checks without import."""

import json
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from support.lade import ask, job, job_path, lade
from support.policies import allow
from support.server import REGION, ROOT_KEY, ROOT_SECRET, Server
from support.workshop import Workshop, unique, wait

PRICED = "ITEM_ID:string PRICE:float"
CLICKS = "USER_ID:string ITEM_ID:string TIMESTAMP:long"
HEADER = "ITEM_ID,PRICE\r\n"
# A quoted line break, a dear price, text behind a quote, too few values, a price that is missing an id.
TEXT = "\ufeff" + HEADER + '"a\r\nb",1\r\n\r\n"c\nd",dear\r\n"e"f,2\r\ng\r\n,3\r\nh,4'
WRONG = ['"c\nd",dear\r\n', '"e"f,2\r\n', "g\r\n", ",3\r\n"]


def tags(**options):
    return [{"key": f"lade:{key.replace('_', '-')}", "value": str(value)} for key, value in options.items()]


def start(workshop, dataset, location, mode="FULL", **options):
    named = [{"tagKey": tag["key"], "tagValue": tag["value"]} for tag in tags(**options)]
    return workshop.start_import(dataset, location, mode, tags=named)


def ended(endpoint, arn):
    return wait(lambda: job(endpoint, arn))


def fetch(endpoint, path, key=ROOT_KEY, secret=ROOT_SECRET):
    request = AWSRequest("GET", f"{endpoint}/lade/v1{path}")
    SigV4Auth(Credentials(key, secret), "personalize", REGION).add_auth(request)
    with urllib.request.urlopen(urllib.request.Request(request.url, headers=dict(request.headers))) as answer:
        return answer.headers["content-type"], answer.read().decode()


def rejects(endpoint, arn, part=0):
    kind, text = fetch(endpoint, job_path(arn, f"/rejects.csv?part={part}"))
    assert kind.startswith("text/csv")
    return text


def places(found):
    return [(row["line"], row["byte"], row["column"]) for row in found["rejects"]["rows"]]


def byte(part):
    return len(TEXT[: TEXT.index(part)].encode())


EXPECTED = [(6, byte("dear"), "PRICE"), (7, byte("f,2"), None), (8, byte("g\r"), None), (9, byte(",3"), "ITEM_ID")]


def test_a_failed_import_reports_every_wrong_row_in_its_place(server, workshop):
    group = workshop.make_group(items=PRICED)
    location = workshop.upload(TEXT)
    arn = workshop.start_import(group.items, location)
    found = ended(server.endpoint, arn)
    assert found["status"] == "CREATE FAILED" and found["ledger"] is None
    assert found["failureReason"].startswith("Input csv has rows that do not conform to the dataset schema.")
    assert "line 6, column PRICE" in found["failureReason"]
    assert places(found) == EXPECTED
    first = found["rejects"]["rows"][0]
    assert first["file"] == location.split("/", 3)[3]
    assert (first["value"], first["rule"]) == ("dear", '"dear" is not a decimal number')
    assert (found["rejects"]["count"], found["rejects"]["isComplete"], found["rejects"]["files"]) == (4, True, [])
    listed = ask(server.endpoint, "GET", "/jobs?maxResults=100")[1]["jobs"]
    assert next(j for j in listed if j["jobArn"] == arn)["rejects"] == {"count": 4, "isComplete": True}
    shown = lade(server, "status", arn)
    assert shown.returncode == 1 and "line 6, byte" in shown.stdout and "line 9, byte" in shown.stdout, shown.stdout


def test_a_long_value_is_reported_short(server, workshop):
    group = workshop.make_group(items=PRICED)
    arn = workshop.start_import(group.items, workshop.upload("ITEM_ID,PRICE\n" + "a" * 5000 + ",1\n"))
    row = ended(server.endpoint, arn)["rejects"]["rows"][0]
    assert len(row["value"]) < 100 and len(row["rule"]) < 200
    assert row["column"] == "ITEM_ID"


def test_tolerated_rows_are_left_out_mended_and_imported(server, workshop):
    group = workshop.make_group(items=PRICED)
    arn = start(workshop, group.items, workshop.upload(TEXT), tolerance=4)
    found = ended(server.endpoint, arn)
    assert found["status"] == "ACTIVE", found
    assert found["ledger"] == {"rowsRead": 6, "exactDuplicates": 0, "rowsRejected": 4, "rowsKept": 2}
    assert (found["tolerance"], places(found)) == (4, EXPECTED)
    assert found["rejects"]["files"] == [
        {"part": 0, "dialect": "aws", "rows": 4, "bytes": len(HEADER) + len("".join(WRONG))}
    ]
    left_out = rejects(server.endpoint, arn)
    assert left_out == HEADER + "".join(WRONG)
    assert sorted(row[0] for row in workshop.export(group.items, "BULK").rows) == ["a\r\nb", "h"]
    mended = left_out.replace("dear", "9").replace('"e"f', "ef").replace("g\r", "g,7\r").replace("\n,3", "\ni,3")
    again = ended(server.endpoint, start(workshop, group.items, workshop.upload(mended), "INCREMENTAL"))
    assert again["status"] == "ACTIVE", again
    assert len(workshop.export(group.items, "BULK").rows) == 6


def test_one_row_more_than_tolerated_imports_nothing(server, workshop):
    group = workshop.make_group(items=PRICED)
    arn = start(workshop, group.items, workshop.upload(TEXT), tolerance=3)
    found = ended(server.endpoint, arn)
    assert (found["status"], found["ledger"], places(found)) == ("CREATE FAILED", None, EXPECTED)
    assert found["rejects"]["files"] == []
    assert ask(server.endpoint, "GET", job_path(arn, "/rejects.csv"))[0] == 404
    assert workshop.export(group.items, "ALL").rows == []


def test_files_with_other_headers_are_left_out_apart(server, workshop):
    group = workshop.make_group(items=PRICED)
    folder = unique("folder")
    for name, text in [("a", "ITEM_ID,PRICE\na,x\n"), ("b", "PRICE,ITEM_ID\ny,b\n"), ("c", "ITEM_ID,PRICE\nc,z")]:
        workshop.upload(text, key=f"{folder}/{name}.csv")
    arn = start(workshop, group.items, f"s3://{workshop.source}/{folder}/", tolerance=3)
    assert [file["rows"] for file in ended(server.endpoint, arn)["rejects"]["files"]] == [2, 1]
    assert rejects(server.endpoint, arn) == "ITEM_ID,PRICE\na,x\nc,z\n"
    assert rejects(server.endpoint, arn, 1) == "PRICE,ITEM_ID\ny,b\n"
    assert ask(server.endpoint, "GET", job_path(arn, "/rejects.csv?part=x"))[0] == 400


def test_a_check_imports_nothing(server, workshop):
    group = workshop.make_group(items=PRICED)
    workshop.import_csv(group.items, "ITEM_ID,PRICE\nold,1\n")
    before = workshop.export(group.items, "ALL").rows
    right = ended(server.endpoint, start(workshop, group.items, workshop.upload("ITEM_ID,PRICE\na,1\na,1\nb,2\n"),
                                         validate_only="true"))
    assert right["status"] == "ACTIVE" and right["validateOnly"] is True
    expected = {"rowsRead": 3, "exactDuplicates": 1, "rowsRejected": 0, "rowsKept": 0, "rowsValid": 2}
    assert (right["ledger"], right["rejects"]) == (expected, None)
    location = workshop.upload(TEXT)
    wrong = ended(server.endpoint, start(workshop, group.items, location, validate_only="true"))
    assert (wrong["status"], places(wrong)) == ("CREATE FAILED", EXPECTED)
    both = ended(server.endpoint, start(workshop, group.items, location, validate_only="true", tolerance=4))
    assert (both["status"], both["ledger"]["rowsKept"], both["ledger"]["rowsValid"]) == ("ACTIVE", 0, 2)
    assert rejects(server.endpoint, both["jobArn"]) == HEADER + "".join(WRONG)
    assert workshop.export(group.items, "ALL").rows == before


def test_a_check_is_no_import_that_others_could_be_added_to(server, workshop):
    group = workshop.make_group(items=PRICED)
    location = workshop.upload("ITEM_ID,PRICE\na,1\n")
    assert ended(server.endpoint, start(workshop, group.items, location, validate_only="true"))["status"] == "ACTIVE"
    with pytest.raises(ClientError, match="needs an earlier import"):
        start(workshop, group.items, location, "INCREMENTAL")


@pytest.mark.parametrize("options, text", [
    ({"tolerance": "-1"}, "lade:tolerance must be a number of rows"),
    ({"tolerance": "many"}, "lade:tolerance must be a number of rows"),
    ({"validate_only": "yes"}, "lade:validate-only must be true or false"),
    ({"manifest": "off"}, "There is no option lade:manifest of an import"),
])
def test_options_that_make_no_sense_are_refused_at_once(workshop, options, text):
    group = workshop.make_group(items=PRICED)
    with pytest.raises(ClientError) as refused:
        start(workshop, group.items, workshop.upload("ITEM_ID,PRICE\na,1\n"), **options)
    error = refused.value.response["Error"]
    assert error["Code"] == "InvalidInputException" and text in error["Message"]


def test_who_may_not_describe_a_job_does_not_read_what_it_left_out(server, workshop):
    group = workshop.make_group(items=PRICED)
    arn = start(workshop, group.items, workshop.upload(TEXT), tolerance=4)
    ended(server.endpoint, arn)
    user = workshop.make_user("reader")
    created = workshop.iam.create_access_key(UserName=user.name)["AccessKey"]
    key = created["AccessKeyId"], created["SecretAccessKey"]
    status, refusal = ask(server.endpoint, "GET", job_path(arn, "/rejects.csv"), *key)
    assert (status, refusal["__type"]) == (403, "AccessDeniedException"), refusal
    workshop.set_policy(user, allow("personalize:DescribeDatasetImportJob", arn))
    assert fetch(server.endpoint, job_path(arn, "/rejects.csv"), *key)[1].startswith(HEADER)


def test_the_report_is_the_same_for_large_files_and_all_threads(server, workshop):
    """Several chunks of a file are read at once; quoted line breaks and wrong rows lie at their borders."""
    rows, wrong, line, at, lines = [], [], 2, len("ITEM_ID,PRICE\n"), []
    for n in range(240_000):
        text = f'"i\n{n}",{n}.5\n' if n % 3 else f"i{n},{n}.25\n"
        if n % 997 == 0:
            text = f"w{n},x{n}\n"
            wrong.append(text)
            lines.append((line, at + len(f"w{n},"), "PRICE"))
        rows.append(text)
        line, at = line + text.count("\n"), at + len(text)
    text = "ITEM_ID,PRICE\n" + "".join(rows)
    assert len(text) > 2 * (2 << 20)
    group = workshop.make_group(items=PRICED)
    found = ended(server.endpoint, start(workshop, group.items, workshop.upload(text), tolerance=len(wrong)))
    assert found["status"] == "ACTIVE", found["failureReason"]
    assert places(found) == lines
    assert rejects(server.endpoint, found["jobArn"]) == "ITEM_ID,PRICE\n" + "".join(wrong)
    assert found["ledger"]["rowsRead"] == 240_000 and found["ledger"]["rowsRejected"] == len(wrong)


def test_the_command_line_tolerates_checks_and_saves(server, workshop, tmp_path):
    group = workshop.make_group(items=PRICED)
    location, role = workshop.upload(TEXT), workshop.import_role
    failed = lade(server, "import", group.items, location, "--role-arn", role)
    assert failed.returncode == 1 and "4 rows are wrong" in failed.stdout and "line 9, byte" in failed.stdout
    checked = lade(server, "import", group.items, location, "--role-arn", role, "--validate-only", "--tolerance", "4")
    assert checked.returncode == 0 and "nothing is imported" in checked.stdout, checked
    file = tmp_path / "rejects.csv"
    done = lade(server, "import", group.items, location, "--role-arn", role, "--tolerance", "9", "--rejects", str(file))
    assert done.returncode == 0 and "4 rejected + 2 kept" in done.stdout, done
    assert file.read_bytes().decode() == HEADER + "".join(WRONG)


def test_no_more_rows_are_told_than_the_setting_says_and_all_of_it_outlives_a_restart(tmp_path):
    server = Server(tmp_path, env={"LADE_REJECTS_TOLD_MAX": "2"}).start()
    try:
        workshop = Workshop(server.endpoint)
        group = workshop.make_group(items=PRICED)
        location = workshop.upload(TEXT)
        arn = start(workshop, group.items, location, tolerance=4)
        failed = ended(server.endpoint, workshop.start_import(group.items, location))
        assert (failed["rejects"]["count"], failed["rejects"]["isComplete"]) == (2, False)
        ended(server.endpoint, arn)
        # Values of records are sealed where they are kept.
        for file in tmp_path.rglob("*"):
            if file.is_file() and "/s3/" not in str(file) and file.name != "catalog.db":
                assert b'"e"f,2' not in file.read_bytes(), file
        assert server.stop() == 0
        server.start()
        found = job(server.endpoint, arn)
        assert (found["rejects"]["count"], places(found)) == (4, EXPECTED[:2])
        assert rejects(server.endpoint, arn) == HEADER + "".join(WRONG)
    finally:
        server.stop()


def test_a_data_deletion_job_takes_away_what_imports_of_its_group_left_out(server, workshop):
    group = workshop.make_group(interactions=CLICKS)
    text = "USER_ID,ITEM_ID,TIMESTAMP\nu,i,1\nu,i,soon\n"
    arn = start(workshop, group.interactions, workshop.upload(text), tolerance=1)
    assert ended(server.endpoint, arn)["rejects"]["files"]
    deletion = workshop.personalize.create_data_deletion_job(
        jobName=unique("deletion"), datasetGroupArn=group.arn, roleArn=workshop.import_role,
        dataSource={"dataLocation": workshop.upload("USER_ID\nu\n")},
    )["dataDeletionJobArn"]
    done = wait(lambda: job(server.endpoint, deletion), ends=("COMPLETED", "FAILED"))
    assert done["status"] == "COMPLETED", done
    left = job(server.endpoint, arn)["rejects"]
    assert (left["count"], left["files"], left["rows"]) == (1, [], None)
    assert ask(server.endpoint, "GET", job_path(arn, "/rejects.csv"))[0] == 404
