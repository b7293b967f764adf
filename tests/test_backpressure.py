"""Too many records at once: who puts too much is told to wait, and who puts little is not."""

import json
from contextlib import ExitStack, closing

import pytest

from support import raw
from support.server import Server
from support.workshop import Workshop

NOTES = "ITEM_ID:string TEXT:string:textual"
FLOODING = 32


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A server with room for few waiting records."""
    server = Server(tmp_path_factory.mktemp("narrow"), env={"LADE_PUT_QUEUE": "64KiB"}).start()
    yield server
    assert server.stop() == 0, server.tail()


def put_items(endpoint, dataset, key, text):
    item = {"itemId": key, "properties": json.dumps({"text": text})}
    body = json.dumps({"datasetArn": dataset, "items": [item]}).encode()
    return raw.packed(endpoint, "POST", "/items", body, {"Content-Type": "application/json"})


def test_a_flooded_dataset_is_throttled_and_another_is_not(narrow, note):
    workshop = Workshop(narrow.endpoint)
    flooded, quiet = (workshop.make_group(items=NOTES).items for _ in range(2))
    large = put_items(narrow.endpoint, flooded, "large", "x" * 20_000)
    small = put_items(narrow.endpoint, quiet, "small", "y")
    answers, quiet_answers = [], []
    with ExitStack() as stack:
        flood = [stack.enter_context(closing(raw.connect(narrow.endpoint))) for _ in range(FLOODING)]
        calm = stack.enter_context(closing(raw.connect(narrow.endpoint)))
        for _ in range(40):
            for connection in flood:
                connection.sendall(large)
            calm.sendall(small)
            quiet_answers.append(raw.receive(calm))
            answers += [raw.receive(connection) for connection in flood]
    throttled = [answer for answer in answers if answer.status != 200]
    note(f"{len(throttled)} of {len(answers)} large puts were throttled, of {len(quiet_answers)} small ones none")
    assert [answer.status for answer in quiet_answers] == [200] * len(quiet_answers)
    assert throttled and len(throttled) < len(answers)
    for answer in throttled:
        assert (answer.status, answer.code) == (400, "ThrottlingException"), answer
        assert answer.headers["x-amzn-errortype"] == "ThrottlingException"


def test_a_record_larger_than_the_whole_queue_is_refused_for_good(narrow):
    workshop = Workshop(narrow.endpoint)
    dataset = workshop.make_group(items=NOTES).items
    items = [(f"i{n}", {"text": "x" * 20_000}) for n in range(4)]
    with pytest.raises(workshop.events.exceptions.InvalidInputException):
        workshop.put_items(dataset, *items)
    workshop.put_items(dataset, *items[:1])
