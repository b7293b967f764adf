"""Puts that go on while something is broken, and what has to be found of them afterwards."""

import threading
import time

from botocore.exceptions import ClientError


class Load:
    """Writers that put one event after the other; what they sent, what was acknowledged, how long the slowest took."""

    def __init__(self, workshop, tracking_id):
        self.workshop, self.tracking_id = workshop, tracking_id
        self.stopped = threading.Event()
        self.sent, self.acknowledged, self.refused, self.slowest_s = set(), set(), [], 0

    def write(self, writer):
        number = 0
        while not self.stopped.is_set():
            number += 1
            key, begin = f"w{writer}-{number}", time.monotonic()
            self.sent.add(key)
            try:
                self.workshop.put_event(self.tracking_id, "u", key, "e", number)
                self.acknowledged.add(key)
            except ClientError as error:
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503, error
                self.refused.append(key)
            self.slowest_s = max(self.slowest_s, time.monotonic() - begin)


def patiently(call):
    """Calls again while the service is not available."""
    while True:
        try:
            return call()
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503, error


def check(workshop, group, load):
    items = [row[1] for row in workshop.export(group.interactions, "PUT").rows]
    assert len(items) == len(set(items))
    assert load.acknowledged <= set(items) <= load.sent
    assert len(workshop.export(group.interactions, "BULK").rows) == 1000
