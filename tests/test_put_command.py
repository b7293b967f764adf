"""`lade put`: records of files, of lines of JSON and of the command line, put live and found again by an export."""

import csv
import io
import json
import subprocess

import pytest

from support.lade import lade
from support.schemas import ACTION_INTERACTIONS, ACTIONS, EVENTS, INTERACTIONS, ITEMS_NULLABLE, USERS
from support.server import Server, bare_environment, binary
from support.workshop import Workshop


@pytest.fixture(scope="module")
def group(workshop):
    return workshop.make_group(items=ITEMS_NULLABLE, users=USERS, interactions=EVENTS, tracker=True)


@pytest.fixture
def write(tmp_path):
    def write(text, name="in.csv"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def put(server, *arguments, stdin=None):
    return subprocess.run([binary(), "put", *arguments], env=server.client_environment(), input=stdin, capture_output=True,
                          text=True, timeout=60)


def rows(workshop, dataset, mode="PUT"):
    return sorted(map(tuple, workshop.export(dataset, mode).rows))


def fresh(workshop, fields=INTERACTIONS):
    return workshop.make_group(interactions=fields, tracker=True)


def test_interactions_of_a_file_come_out_as_they_stood_there(server, workshop, group, write):
    columns = EVENTS.split()
    lines = [(f"u{n % 37}", f"i{n}", "click" if n % 2 else "vi,ew", f"{n}.25" if n % 3 else "", str(n),
              'say "hi"' if n % 5 else "", str(1_700_000_000 + n), "a|b" if n % 7 else "", "r1" if n % 4 else "")
             for n in range(1_234)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[column.split(":")[0] for column in columns], *lines])
    done = put(server, group.interactions, "--from-csv", write(text.getvalue()), "--json", "--connections", "3")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    told = json.loads(done.stdout)
    assert (told["rowsRead"], told["rowsAcknowledged"], told["operation"]) == (1_234, 1_234, "PutEvents")
    # 37 users with about 33 rows each: four calls a user, not one a row.
    assert told["calls"] == 37 * 4 and told["failure"] is None and told["rowsPerSecond"] > 0
    assert rows(workshop, group.interactions) == sorted(lines)


def test_of_equal_ids_the_last_row_counts(server, workshop, group, write):
    lines = "".join(f"i{n % 7},{n}.5,,\n" for n in range(500))
    done = put(server, group.items, "--from-csv", write(f"ITEM_ID,PRICE,GENRES,DESCRIPTION\n{lines}"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("500 items put in ") and "rows/s" in done.stdout
    newest = rows(workshop, group.items, "ALL")
    assert newest == [(f"i{n}", f"{max(range(n, 500, 7))}.5", "", "") for n in range(7)]


def test_columns_that_may_be_null_may_be_missing_and_others_are_left_out(server, workshop, write):
    items = workshop.make_group(items=ITEMS_NULLABLE).items
    done = put(server, items, "--from-csv", write("PRICE,ITEM_ID,COLOR\n1,a,red\n"))
    assert done.returncode == 0 and "[COLOR]" in done.stderr
    assert rows(workshop, items) == [("a", "1.0", "", "")]
    done = put(server, items, "--from-csv", write("PRICE\n1\n"))
    assert done.returncode == 1 and "[ITEM_ID] are missing" in done.stderr


def test_a_wrong_row_is_named_and_those_before_it_are_there(server, workshop, group, write):
    users = workshop.make_group(users=USERS).users
    path = write("USER_ID,AGE,GENDER\n" + "".join(f"u{n},{n},\n" for n in range(25)) + "v,old,\nw,1,\n")
    done = put(server, users, "--from-csv", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f'{path}, line 27, column AGE: "old" is not a whole number' in done.stderr
    assert "25 of 25 rows that were read are acknowledged" in done.stderr
    assert len(rows(workshop, users)) == 25
    done = put(server, users, "--from-csv", path, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1 and told["rowsAcknowledged"] == 25 and "line 27, column AGE" in told["failure"]


def test_what_the_server_refuses_is_named_by_its_line(server, workshop, write):
    # Properties of an event have at most 1,024 characters.
    group = fresh(workshop, f"{INTERACTIONS} NOTE:string? NOTE2:string?")
    text = "x" * 900
    path = write(f"USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP,NOTE,NOTE2\nu,a,click,1,,\nu,b,click,2,{text},{text}\n")
    done = put(server, group.interactions, "--from-csv", path)
    assert done.returncode == 1
    assert f"{path}, line 3: " in done.stderr and "1 of 2 rows" in done.stderr, done.stderr
    assert [row[1] for row in rows(workshop, group.interactions)] == ["a"]


@pytest.mark.parametrize("connections", [1, 32])
def test_all_rows_before_one_that_the_server_refuses_are_put(server, workshop, write, connections):
    # Two have too long properties, and the first of them is told.
    group = fresh(workshop, f"{INTERACTIONS} NOTE:string? NOTE2:string?")
    header, long = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP,NOTE,NOTE2\n", "x" * 900
    lines = [f"u{n % 97},i{n},click,{n}" for n in range(6_000)]
    good = [f"{line},,\n" for line in lines]
    bad = [f"{line},{long},{long}\n" if n in (2_345, 2_351) else good[n] for n, line in enumerate(lines)]
    path = write(header + "".join(bad))
    done = put(server, group.interactions, "--from-csv", path, "--json", "--connections", str(connections))
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert f"{path}, line 2347: " in told["failure"] and "all rows before it are put" in told["failure"], told
    there = {row[1] for row in rows(workshop, group.interactions)}
    assert {f"i{n}" for n in range(2_345)} <= there
    # What is counted is there, and what is behind is not sought out.
    assert told["rowsAcknowledged"] == len(there) < told["rowsRead"] and not there & {"i2345", "i2351", "i5999"}
    done = put(server, group.interactions, "--from-csv", write(header + "".join(good[2_345:])))
    assert done.returncode == 0, done.stderr
    assert len(rows(workshop, group.interactions)) == 6_000


def test_a_refusal_ends_it_though_more_input_may_come(server, workshop):
    group = fresh(workshop, f"{INTERACTIONS} NOTE:string? NOTE2:string?")
    # Some good rows wait for others of their user; the bad one does not, as ten of its user make a call.
    good = [{"USER_ID": f"u{n % 4}", "ITEM_ID": f"i{n}", "EVENT_TYPE": "click", "TIMESTAMP": n} for n in range(25)]
    bad = {**good[0], "USER_ID": "x", "NOTE": "x" * 900, "NOTE2": "y" * 900}
    process = subprocess.Popen([binary(), "put", group.interactions, "--from-jsonl", "-"], env=server.client_environment(),
                               text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        process.stdin.write("".join(f"{json.dumps(row)}\n" for row in [*good, *[bad] * 10]))
        process.stdin.flush()
        assert process.wait(timeout=20) == 1
        told = process.stderr.read()
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
    assert "standard input, line 26: " in told and "25 of 35 rows that were read are acknowledged" in told, told
    assert len(rows(workshop, group.interactions)) == 25


def test_the_mark_of_a_text_is_no_part_of_its_first_line(server, workshop, tmp_path):
    items = workshop.make_group(items=ITEMS_NULLABLE).items
    path = tmp_path / "marked.jsonl"
    path.write_text('{"ITEM_ID": "a"}\n{"ITEM_ID": "b"}\n', encoding="utf-8-sig")
    done = put(server, items, "--from-jsonl", str(path))
    assert done.returncode == 0, done.stderr
    assert [row[0] for row in rows(workshop, items)] == ["a", "b"]


def test_events_without_a_type_are_put_as_unknown_or_as_told(server, workshop, write):
    group = fresh(workshop)
    path = write("USER_ID,ITEM_ID,TIMESTAMP\nu,a,1\nu,b,2\n")
    done = put(server, group.interactions, "--from-csv", path)
    assert done.returncode == 0 and "2 rows had no EVENT_TYPE and were put as unknown" in done.stderr
    path = write("USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\nu,c,1,\nu,d,2,buy\n")
    done = put(server, group.interactions, "--from-csv", path, "--event-type", "seen", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["eventTypesFilled"] == 1
    assert [(row[1], row[2]) for row in rows(workshop, group.interactions)] == [
        ("a", "unknown"), ("b", "unknown"), ("c", "seen"), ("d", "buy")]


def test_lines_of_json_and_single_records_are_put(server, workshop):
    group = workshop.make_group(items=ITEMS_NULLABLE)
    lines = '{"ITEM_ID": "a", "PRICE": 1.5}\n\n{"ITEM_ID": 7, "PRICE": null, "GENRES": "x\\"y"}\n'
    done = put(server, group.items, "--from-jsonl", "-", stdin=lines)
    assert done.returncode == 0, done.stderr
    done = put(server, group.items, "--record", '{"ITEM_ID": "b"}', "--record", '{"ITEM_ID": "c"}', "--json")
    assert json.loads(done.stdout)["rowsAcknowledged"] == 2, done.stderr
    assert rows(workshop, group.items) == [("7", "", 'x"y', ""), ("a", "1.5", "", ""), ("b", "", "", ""), ("c", "", "", "")]
    for line, wrong in [('{"ITEM_ID": "a", "PRIZE": 1}', "no column PRIZE"), ("[1]", "an object of JSON"),
                        ('{"ITEM_ID": "a", "PRICE": "dear"}', 'column PRICE: "dear" is not a decimal number'),
                        ('{"ITEM_ID": {}}', "column ITEM_ID"), ('{"PRICE": 1}', "column ITEM_ID: a value is required")]:
        done = put(server, group.items, "--from-jsonl", "-", stdin='{"ITEM_ID": "z"}\n' + line)
        assert done.returncode == 1 and "standard input, line 2" in done.stderr and wrong in done.stderr, done.stderr


def test_actions_and_what_users_did_with_them(server, workshop, write):
    group = fresh(workshop)
    actions = workshop.make_dataset(group.arn, "ACTIONS", ACTIONS)
    done_with = workshop.make_dataset(group.arn, "ACTION_INTERACTIONS", ACTION_INTERACTIONS)
    done = put(server, actions, "--from-csv", write("ACTION_ID,VALUE,KIND\na,1,k\nb,,k\n"), "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["operation"] == "PutActions", done.stderr
    text = "USER_ID,ACTION_ID,EVENT_TYPE,TIMESTAMP,SESSION_ID,DEVICE\nu,a,Taken,1,s,phone\nv,b,Viewed,2,,\n"
    done = put(server, done_with, "--from-csv", write(text), "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["operation"] == "PutActionInteractions", done.stderr
    # Such datasets are not exported.
    found = [json.loads(lade(server, "records", arn, "--json").stdout) for arn in (actions, done_with)]
    assert sorted(record["values"] for record in found[0]["records"]) == [["a", "1", "k"], ["b", None, "k"]]
    assert sorted(record["values"][:5] for record in found[1]["records"]) == [
        ["u", "a", "Taken", "1", "phone"], ["v", "b", "Viewed", "2", None]]
    done = put(server, done_with, "--from-csv", write("USER_ID,ACTION_ID,TIMESTAMP\nu,a,1\n"))
    assert done.returncode == 1 and "EVENT_TYPE" in done.stderr


def test_a_tracker_of_another_group_is_refused(server, workshop, group, write):
    other = fresh(workshop)
    path = write("USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\nu,a,click,1\n")
    done = put(server, other.interactions, "--from-csv", path, "--tracking-id", group.tracking_id)
    assert done.returncode == 1 and other.tracking_id in done.stderr
    done = put(server, other.interactions, "--from-csv", path, "--tracking-id", other.tracking_id)
    assert done.returncode == 0, done.stderr
    done = put(server, group.items, "--record", '{"ITEM_ID": "a"}', "--tracking-id", group.tracking_id)
    assert done.returncode == 1 and "--tracking-id is for interactions" in done.stderr
    lonely = workshop.make_group(interactions=INTERACTIONS)
    done = put(server, lonely.interactions, "--from-csv", path)
    assert done.returncode == 1 and "CreateEventTracker" in done.stderr


def test_throttled_calls_are_sent_again(tmp_path, write):
    server = Server(tmp_path / "strict", arguments=["--quotas", "aws"]).start()
    try:
        workshop = Workshop(server.endpoint)
        items = workshop.make_group(items=ITEMS_NULLABLE).items
        path = write("ITEM_ID\n" + "".join(f"i{n}\n" for n in range(200)))
        done = put(server, items, "--from-csv", path, "--json", "--connections", "32")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["rowsAcknowledged"] == 200 and told["callsRepeated"] > 0
        assert len(rows(workshop, items)) == 200
    finally:
        server.kill()


def test_a_file_that_is_not_there_or_empty_is_named(server, group, write, tmp_path):
    done = put(server, group.items, "--from-csv", str(tmp_path / "none.csv"))
    assert done.returncode == 1 and "none.csv" in done.stderr
    path = write("")
    done = put(server, group.items, "--from-csv", path)
    assert done.returncode == 1 and f"{path} is empty" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["arn"], ["arn", "--from-csv", "f", "--dialect", "x"],
                                       ["arn", "--from-csv", "f", "--connections", "0"]])
def test_wrong_options_exit_with_two(server, arguments):
    assert lade(server, "put", *arguments).returncode == 2


def test_nobody_at_the_address_is_told_with_who_named_it(write):
    env = {**bare_environment(), "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a",
           "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    done = subprocess.run([binary(), "put", "arn", "--record", "{}"], env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no server answers at http://127.0.0.1:9, the address in AWS_ENDPOINT_URL" in done.stderr
    assert "lade serve" in done.stderr
