"""A server that is stopped and started again finds everything; two never share a folder or a port."""

import subprocess
import threading
import time

from support.schemas import INTERACTIONS, ITEMS
from support.server import binary
from support.workshop import Workshop


def run_to_the_end(server, *arguments):
    """Starts a second server that is expected to refuse; its exit code and text."""
    result = subprocess.run([binary(), "serve", *arguments], env=server.env, capture_output=True, text=True, timeout=30)
    return result.returncode, result.stdout + result.stderr


def test_everything_is_found_again(own_server):
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(items=ITEMS, interactions=INTERACTIONS, tracker=True)
    workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
    workshop.put_items(group.items, ("i2", {"price": 2, "categoryL1": "B"}))
    workshop.put_event(group.tracking_id, "u1", "i1", "click", 1)
    before = {mode: workshop.export(group.items, mode).lines for mode in ("BULK", "PUT", "ALL")}
    jobs = workshop.personalize.list_dataset_export_jobs()["datasetExportJobs"]

    assert own_server.stop() == 0
    own_server.start()

    again = workshop.at(own_server.endpoint)
    assert again.personalize.list_dataset_export_jobs()["datasetExportJobs"] == jobs
    assert {mode: again.export(group.items, mode).lines for mode in ("BULK", "PUT", "ALL")} == before
    assert again.export(group.interactions).lines == ["u1,i1,click,1"]
    again.put_items(group.items, ("i3", {"price": 3, "categoryL1": "C"}))
    assert again.export(group.items, "ALL").lines == ["i1,1.0,A", "i2,2.0,B", "i3,3.0,C"]


def test_the_data_folder_is_private_and_says_where_the_server_is(own_server):
    assert own_server.data_dir.stat().st_mode & 0o077 == 0
    assert (own_server.data_dir / "address").read_text().strip() in (
        own_server.endpoint, own_server.endpoint.removeprefix("http://"))


def test_a_folder_without_its_runs_is_refused(own_server, tmp_path):
    workshop = Workshop(own_server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
    assert own_server.stop() == 0
    runs = own_server.data_dir / "runs"
    runs.rename(tmp_path / "runs")

    code, text = run_to_the_end(own_server, "--data-dir", str(own_server.data_dir), "--listen", "127.0.0.1:0")
    assert code == 1 and "data of datasets that this data folder does not hold" in text

    (tmp_path / "runs").rename(runs)
    own_server.start()
    assert workshop.at(own_server.endpoint).export(items, "BULK").lines == ["i1,1.0,A"]


def test_running_jobs_survive_a_stop(own_server):
    workshop = Workshop(own_server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    text = "ITEM_ID,PRICE,CATEGORY_L1\n" + "".join(f"i{n},{n},A\n" for n in range(100_000))
    imported = workshop.start_import(items, workshop.upload(text))
    assert own_server.stop() == 0
    own_server.start()
    again = workshop.at(own_server.endpoint)
    assert again.wait_import(imported)["status"] == "ACTIVE"
    exported = again.start_export(items, "BULK")
    assert own_server.stop() == 0
    own_server.start()
    last = workshop.at(own_server.endpoint)
    assert len(last.read_export(exported).rows) == 100_000


def test_calls_under_way_are_answered_before_the_end(own_server):
    """Every event that was acknowledged while the server was stopping is there afterwards."""
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    acknowledged, stop = [], threading.Event()

    def put():
        n = 0
        while not stop.is_set():
            n += 1
            try:
                workshop.put_event(group.tracking_id, "u1", "i1", "click", n)
            except Exception:
                return
            acknowledged.append(n)

    writer = threading.Thread(target=put)
    writer.start()
    time.sleep(0.5)
    begin = time.monotonic()
    assert own_server.stop() == 0
    assert time.monotonic() - begin < 30
    stop.set()
    writer.join()
    own_server.start()
    again = workshop.at(own_server.endpoint)
    rows = again.export(group.interactions).rows
    assert acknowledged and {str(n) for n in acknowledged} <= {row[3] for row in rows}
    assert len(rows) <= len(acknowledged) + 1


def test_a_second_process_on_the_same_folder_is_refused(own_server):
    code, text = run_to_the_end(own_server, "--data-dir", str(own_server.data_dir), "--listen", "127.0.0.1:0")
    assert code == 1 and str(own_server.data_dir) in text, text
    assert Workshop(own_server.endpoint).personalize.list_schemas()["schemas"] == []


def test_a_taken_port_is_told_with_the_flag_that_helps(own_server, tmp_path):
    taken = own_server.endpoint.removeprefix("http://")
    code, text = run_to_the_end(own_server, "--data-dir", str(tmp_path / "other"), "--listen", taken)
    assert code == 1 and taken in text and "--listen" in text, text



def test_a_log_that_can_not_be_written_stops_nobody(own_server):
    """As when the disk that takes the log is full."""
    own_server.stop()
    own_server.stderr = "/dev/full"
    own_server.start()
    workshop = Workshop(own_server.endpoint)
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    workshop.put_event(group.tracking_id, "u1", "i1", "click", 1)
    assert workshop.export(group.interactions).lines == ["u1,i1,click,1"]
    assert own_server.stop() == 0
