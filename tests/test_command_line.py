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


@pytest.mark.parametrize("command", ["import", "export", "put", "status", "cancel", "verify", "diff", "insights", "inspect"])
def test_help_ends_with_an_example(server, command):
    done = lade(server, command, "--help")
    assert done.returncode == 0
    last = done.stdout.rstrip().rsplit("\n\n", 1)[-1]
    assert re.match(r"Examples?:\n", last) and f"  lade {command} " in last, done.stdout


def test_an_address_that_is_none_is_refused_by_name(server):
    done = lade(server, "status", "--endpoint-url", "ftp://127.0.0.1:1")
    assert done.returncode == 1 and "ftp://127.0.0.1:1" in done.stderr


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"], ["datasets"], ["completions", "bash"]])
def test_a_reader_that_goes_away_is_no_failure(server, workshop, dataset, arguments):
    workshop.import_csv(dataset, "ITEM_ID,PRICE\na,1\n")
    process = subprocess.Popen([binary(), *arguments], env=server.client_environment(), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert (process.wait(30), process.stderr.read()) == (0, "")
    process.stderr.close()


def test_what_was_found_out_is_still_told_when_nobody_reads(server, workshop, dataset):
    workshop.import_csv(dataset, "ITEM_ID,PRICE\na,1\n")
    found = workshop.export(dataset)
    key = found.data_keys[0]
    workshop.s3.put_object(Bucket=workshop.target, Key=key, Body=found.bodies[key] + b"x")
    process = subprocess.Popen([binary(), "verify", f"s3://{workshop.target}/{found.folder}"], text=True,
                               env=server.client_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(30) == 1 and "panicked" not in process.stderr.read()
    process.stderr.close()


def test_output_that_cannot_be_written_exits_with_one(server):
    with open("/dev/full", "w") as full:
        done = subprocess.run([binary(), "completions", "bash"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "write to standard output" in done.stderr


@pytest.mark.parametrize("shell, wanted", [("bash", "complete -F"), ("zsh", "#compdef lade"), ("fish", "complete -c lade"),
                                           ("powershell", "Register-ArgumentCompleter"), ("elvish", "edit:completion")])
def test_shells_are_told_how_to_complete(server, shell, wanted):
    done = lade(server, "completions", shell)
    assert done.returncode == 0 and wanted in done.stdout and "inspect" in done.stdout
    if shell == "bash":
        script = done.stdout + "\nCOMP_WORDS=(lade exp); COMP_CWORD=1; _lade lade exp lade; echo \"${COMPREPLY[@]}\""
        assert subprocess.run(["bash", "-c", script], capture_output=True, text=True).stdout.strip() == "export"


def test_env_is_told_as_json(server):
    env = {**bare_environment(), "LADE_ROOT_ACCESS_KEY_ID": ROOT_KEY, "LADE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET}
    done = subprocess.run([binary(), "env", "--json", "--data-dir", str(server.data_dir)], env=env, capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert (told["endpointUrl"], told["accessKeyId"], told["secretAccessKey"]) == (server.endpoint, ROOT_KEY, ROOT_SECRET)
    assert (told["region"], told["host"], told["caBundle"]) == ("us-east-1", "127.0.0.1", None)


@pytest.mark.parametrize("arguments, env, named", [
    (["status", "--endpoint-url", "http://127.0.0.1:9"], {}, "at http://127.0.0.1:9, the address in --endpoint-url"),
    (["status"], {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "at http://127.0.0.1:9, the address in AWS_ENDPOINT_URL:"),
    (["verify", "s3://bucket/p/"], {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, "the address in AWS_ENDPOINT_URL_S3:"),
])
def test_nobody_at_an_address_is_told_plainly(server, arguments, env, named):
    done = lade(server, *arguments, env=env)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("lade: no server answers ") and named in done.stderr and "lade serve" in done.stderr


def test_no_server_on_the_default_folder_is_told_plainly(tmp_path):
    env = {**bare_environment(), "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([binary(), "status"], env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr and "lade serve" in done.stderr and "AWS_ENDPOINT_URL" in done.stderr
