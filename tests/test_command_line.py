"""The commands that a person types: import, export, status, cancel; what they print and how they end."""

import json
import re
import signal
import subprocess

import pytest

from support.lade import cancel, job, lade
from support.server import ROOT_KEY, ROOT_SECRET, bare_environment, binary
from support.workshop import unique, wait

PRICED = "ITEM_ID:string PRICE:float"


@pytest.fixture(scope="module")
def dataset(workshop):
    return workshop.make_group(items=PRICED).items


def test_an_import_and_an_export_end_with_their_ledgers(server, workshop, dataset):
    source = workshop.upload("ITEM_ID,PRICE\na,1\na,1\nb,2\n")
    done = lade(server, "import", dataset, source, "--role-arn", workshop.import_role)
    assert done.returncode == 0, done.stderr
    assert "3 read = 1 duplicates + 2 kept" in done.stdout
    name = unique("export")
    done = lade(server, "export", dataset, f"s3://{workshop.target}/out/", "--role-arn", workshop.export_role,
                "--name", name, "--mode", "all", "--tag", "team=data")
    assert done.returncode == 0, done.stderr
    assert "3 bulk + 0 put = 1 duplicates + 0 superseded + 0 filtered + 2 written" in done.stdout
    assert f"out/{name}/ITEMS-00000.csv" in done.stdout
    arn = re.search(r"arn:aws:personalize:\S+", done.stdout).group()
    tags = workshop.personalize.list_tags_for_resource(resourceArn=arn)["tags"]
    assert tags == [{"tagKey": "team", "tagValue": "data"}]
    done = lade(server, "verify", f"s3://{workshop.target}/out/{name}/")
    assert done.returncode == 0, done.stdout + done.stderr


def test_progress_goes_to_standard_error_a_line_per_change(server, workshop, dataset):
    text = "ITEM_ID,PRICE\n" + "".join(f"i{n},{n}\n" for n in range(300_000))
    done = lade(server, "import", dataset, workshop.upload(text), "--role-arn", workshop.import_role, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ledger"]["rowsKept"] == 300_000
    lines = done.stderr.splitlines()
    assert all(re.match(r"import import-\d+: CREATE ", line) for line in lines), lines
    assert len(set(lines)) == len(lines)


def test_a_failed_job_exits_with_one_and_its_reason(server, workshop, dataset):
    source = workshop.upload("ITEM_ID,PRICE\na,dear\n")
    done = lade(server, "import", dataset, source, "--role-arn", workshop.import_role)
    assert done.returncode == 1
    assert "the job failed" in done.stderr and "PRICE" in done.stderr
    arn = re.search(r"arn:aws:personalize:\S+", done.stdout).group()
    assert lade(server, "status", arn).returncode == 1


def test_a_refusal_is_told_in_the_servers_words(server, workshop, dataset):
    done = lade(server, "export", dataset + "X", f"s3://{workshop.target}/", "--role-arn", workshop.export_role)
    assert done.returncode == 1
    assert "ResourceNotFoundException" in done.stderr and dataset + "X" in done.stderr


def test_status_shows_one_job_or_all(server, workshop, dataset):
    arn = workshop.import_csv(dataset, "ITEM_ID,PRICE\na,1\n")["datasetImportJobArn"]
    done = lade(server, "status", arn, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, job(server.endpoint, arn))
    assert arn in lade(server, "status").stdout
    listed = [json.loads(line) for line in lade(server, "status", "--json").stdout.splitlines()]
    assert arn in [found["jobArn"] for found in listed]
    assert lade(server, "status", arn, "--watch").returncode == 0
    done = lade(server, "status", arn + "-none")
    assert done.returncode == 1 and arn + "-none" in done.stderr


def test_without_waiting_the_arn_is_printed(server, workshop, dataset):
    source = workshop.upload("ITEM_ID,PRICE\na,1\n")
    done = lade(server, "import", dataset, source, "--role-arn", workshop.import_role, "--no-wait", "--name", unique("i"))
    assert done.returncode == 0, done.stderr
    assert workshop.wait_import(done.stdout.strip())["status"] == "ACTIVE"


def test_cancel_refuses_what_has_ended(server, workshop, dataset):
    arn = workshop.import_csv(dataset, "ITEM_ID,PRICE\na,1\n")["datasetImportJobArn"]
    done = lade(server, "cancel", arn)
    assert done.returncode == 1 and "ResourceInUseException" in done.stderr


def test_ctrl_c_leaves_the_job_and_says_what_can_be_done(server, workshop, dataset):
    text = "ITEM_ID,PRICE\n" + "".join(f"i{n},{n}\n" for n in range(1_500_000))
    source, name = workshop.upload(text), unique("left")
    process = subprocess.Popen(
        [binary(), "import", dataset, source, "--role-arn", workshop.import_role, "--name", name],
        env=server.client_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    arn = f"arn:aws:personalize:us-east-1:000000000000:dataset-import-job/{name}"
    first = process.stderr.readline()
    assert name in first
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"lade status {arn}" in errors and f"lade cancel {arn}" in errors, errors
    cancel(server.endpoint, arn)
    assert wait(lambda: job(server.endpoint, arn))["status"] in ("CREATE FAILED", "ACTIVE")


def test_the_server_of_a_data_folder_needs_no_environment(server, workshop, dataset):
    env = {**bare_environment(), "LADE_ROOT_ACCESS_KEY_ID": ROOT_KEY, "LADE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET}
    done = subprocess.run([binary(), "status", "--data-dir", str(server.data_dir)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [
    ["export"], ["export", "arn", "s3://b/"], ["export", "arn", "s3://b/", "--role-arn", "r", "--mode", "SOME"],
    ["import", "arn", "s3://b/", "--role-arn", "r", "--tag", "nothing"], ["verify"], ["cancel"],
])
def test_usage_errors_exit_with_two_and_name_what_is_wrong(server, arguments):
    done = lade(server, *arguments)
    assert done.returncode == 2
    wrong = {"SOME": "--mode", "nothing": "--tag"}.get(arguments[-1], "Usage")
    assert wrong in done.stderr


@pytest.mark.parametrize("command", ["import", "export", "status", "cancel", "verify", "diff", "insights"])
def test_help_has_an_example(server, command):
    done = lade(server, command, "--help")
    assert done.returncode == 0 and f"  lade {command} " in done.stdout


def test_an_address_that_is_none_is_refused_by_name(server):
    done = lade(server, "status", "--endpoint-url", "ftp://127.0.0.1:1")
    assert done.returncode == 1 and "ftp://127.0.0.1:1" in done.stderr
