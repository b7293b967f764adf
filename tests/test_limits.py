"""Data at its limits, with as little memory as a job may have: one user with everything, one item again and again."""

from collections import Counter

import pytest

from support.schemas import INTERACTIONS, ITEMS
from support.server import Server
from support.workshop import Workshop

LEAST_MEMORY = "16MiB"


@pytest.fixture(scope="module")
def least(tmp_path_factory):
    """A server whose jobs have the least memory that is accepted."""
    server = Server(tmp_path_factory.mktemp("least"), env={"LADE_JOB_MEMORY": LEAST_MEMORY}).start()
    yield server
    assert server.stop() == 0, server.tail()


@pytest.fixture(scope="module")
def small(least):
    return Workshop(least.endpoint)


def test_one_user_has_300_000_events(small, least, note):
    dataset = small.make_group(interactions=INTERACTIONS).interactions
    lines = [f"u1,i{n % 5000},click,{n // 3}" for n in range(300_000)]
    least.forget_peak()
    small.import_csv(dataset, "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "\n".join(lines) + "\n")
    exported = small.export(dataset, "BULK")
    note(f"one user of 300,000 events: peak {least.peak_rss_mib():.0f} MiB at job_memory {LEAST_MEMORY}")
    assert Counter(map(",".join, exported.rows)) == Counter(lines)
    assert exported.ledger["written"] == 300_000


def test_one_item_has_100_000_records_in_order_of_arrival(small, least, note):
    items = small.make_group(items=ITEMS).items
    lines = [f"i1,{n * 7919 % 100_000}.0,A" for n in range(100_000)]
    least.forget_peak()
    for first in range(0, len(lines), 25_000):
        text = "ITEM_ID,PRICE,CATEGORY_L1\n" + "\n".join(lines[first:first + 25_000]) + "\n"
        small.import_csv(items, text, "INCREMENTAL" if first else "FULL")
    exported = small.export(items, "BULK")
    note(f"one item of 100,000 records: peak {least.peak_rss_mib():.0f} MiB at job_memory {LEAST_MEMORY}")
    assert [",".join(row) for row in exported.rows] == lines
    assert small.export(items, "ALL").rows == [tuple(lines[-1].split(","))]


def test_500_000_users_have_an_event_each(small, least, note):
    dataset = small.make_group(interactions=INTERACTIONS).interactions
    lines = [f"u{n},i1,click,{n}" for n in range(500_000)]
    least.forget_peak()
    small.import_csv(dataset, "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "\n".join(lines) + "\n")
    exported = small.export(dataset, "BULK")
    note(f"500,000 users: peak {least.peak_rss_mib():.0f} MiB at job_memory {LEAST_MEMORY}")
    assert sorted(map(",".join, exported.rows)) == sorted(lines)


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_field_of_64_mb_is_refused_and_leaves_nothing(small, least, note, quote):
    items = small.make_group(items=ITEMS).items
    runs = lambda: sorted(file.name for file in (least.data_dir / "runs").iterdir())
    before = runs()
    body = b"ITEM_ID,PRICE,CATEGORY_L1\ni0,1,A\n" + f"i1,2,{quote}".encode() + b"x" * 64_000_000 + f"{quote}\n".encode()
    location = small.upload(body)
    least.forget_peak()
    idle = least.peak_rss_mib()
    job = small.wait_import(small.start_import(items, location))
    grown = least.peak_rss_mib() - idle
    note(f"a field of 64 MB{' in quotes' if quote else ''}: peak {grown:.0f} MiB over idle")
    assert job["status"] == "CREATE FAILED"
    reason = job["failureReason"]
    assert "a record of more than 16777216 bytes" in reason, reason
    assert "line 3" in reason and location.rpartition("/")[2] in reason, reason
    assert grown < 128
    assert not set(runs()) - set(before)
    assert not list((least.data_dir / "scratch").iterdir())
    assert small.export(items, "ALL").rows == []


def test_memory_does_not_grow_from_job_to_job(own_server, note):
    workshop = Workshop(own_server.endpoint)
    dataset = workshop.make_group(interactions=INTERACTIONS).interactions
    text = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "".join(f"u{n % 7919},i{n % 997},click,{n}\n" for n in range(500_000))
    location = workshop.upload(text)
    peaks = []
    for _ in range(8):
        own_server.forget_peak()
        assert workshop.wait_import(workshop.start_import(dataset, location))["status"] == "ACTIVE"
        assert workshop.wait_export(workshop.start_export(dataset, "BULK"))["status"] == "ACTIVE"
        peaks.append(own_server.peak_rss_mib())
    note("peaks of eight imports and exports, MiB: " + " ".join(f"{peak:.0f}" for peak in peaks))
    assert max(peaks[4:]) < 1.3 * max(peaks[:2])
