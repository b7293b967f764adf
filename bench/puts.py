"""PutEvents from several processes at once, each with one connection that stays open; all rows of a CSV."""

import csv
import http.client
import itertools
import json
import multiprocessing
import time
from urllib.parse import urlsplit

from support.raw import signed_headers

EVENTS_PER_CALL = 10
CONNECTIONS = 4


def put_all(endpoint, tracking_id, path):
    """Puts every row, in calls of up to ten events of one user; rows and seconds."""
    calls = list(_calls(path))
    parts = [(endpoint, tracking_id, calls[n::CONNECTIONS]) for n in range(CONNECTIONS)]
    begin = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(CONNECTIONS) as pool:
        pool.starmap(_put, parts)
    return sum(len(rows) for rows in calls), time.perf_counter() - begin


def _calls(path):
    with open(path, newline="", encoding="utf-8") as file:
        for _, rows in itertools.groupby(csv.DictReader(file), key=lambda row: row["USER_ID"]):
            while chunk := list(itertools.islice(rows, EVENTS_PER_CALL)):
                yield chunk


def _put(endpoint, tracking_id, calls):
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=60)
    headers = {"Host": urlsplit(endpoint).netloc, "Content-Type": "application/json"}
    for rows in calls:
        body = json.dumps({
            "trackingId": tracking_id, "sessionId": "bench", "userId": rows[0]["USER_ID"],
            "eventList": [{"eventType": row["EVENT_TYPE"], "itemId": row["ITEM_ID"], "sentAt": int(row["TIMESTAMP"]),
                           "eventValue": float(row["EVENT_VALUE"])} for row in rows],
        }).encode()
        connection.request("POST", "/events", body, signed_headers(endpoint, "POST", "/events", body, headers))
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise RuntimeError(f"PutEvents: {response.status} {text[:500]}")
    connection.close()
