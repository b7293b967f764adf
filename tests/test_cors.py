"""Calls from pages: preflights and the headers that let a page read the answer, on the events paths only."""

import pytest

from support import raw
from support.schemas import INTERACTIONS
from support.server import Server
from support.workshop import Workshop

ORIGIN = "https://shop.example"
ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-amz-date"}


@pytest.fixture(scope="module")
def open_to_pages(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("cors"), env={"LADE_CORS_ORIGINS": f"{ORIGIN},http://localhost:3000"})
    yield server.start()
    assert server.stop() == 0, server.tail()


def preflight(server, path="/events", origin=ORIGIN):
    return raw.send(server.endpoint, "OPTIONS", path, headers={"Origin": origin, **ASKED}, sign=False)


@pytest.mark.parametrize("path", ["/events", "/items", "/users", "/actions", "/action-interactions"])
def test_a_preflight_of_a_named_origin_is_granted(open_to_pages, path):
    answer = preflight(open_to_pages, path)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "authorization,x-amz-date"


@pytest.mark.parametrize("origin", ["https://other.example", "https://shop.example.other", "http://shop.example", "null"])
def test_a_preflight_of_another_origin_is_refused(open_to_pages, origin):
    answer = preflight(open_to_pages, origin=origin)
    assert answer.status == 403 and "access-control-allow-origin" not in answer.headers


def test_no_origin_is_let_in_by_default(server):
    answer = preflight(server)
    assert answer.status == 403 and "access-control-allow-origin" not in answer.headers


def test_the_control_plane_is_not_for_pages(open_to_pages):
    answer = preflight(open_to_pages, "/")
    assert answer.status >= 400 and "access-control-allow-origin" not in answer.headers


def test_a_page_reads_the_answer_to_its_events(open_to_pages):
    workshop = Workshop(open_to_pages.endpoint)
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    body = {"trackingId": group.tracking_id, "sessionId": "s", "userId": "u",
            "eventList": [{"eventType": "click", "sentAt": 1, "itemId": "i"}]}
    for wrong, status in (({}, 200), ({"trackingId": "none"}, 400)):
        headers = {"Content-Type": "application/json", "Origin": ORIGIN}
        payload = raw.json.dumps({**body, **wrong}).encode()
        answer = raw.send(open_to_pages.endpoint, "POST", "/events", payload, headers)
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "x-amzn-errortype" in answer.headers["access-control-expose-headers"]
    assert workshop.export(group.interactions).lines == ["u,i,click,1"]


def test_a_page_of_another_origin_gets_no_right_to_read(open_to_pages):
    headers = {"Content-Type": "application/json", "Origin": "https://other.example"}
    answer = raw.send(open_to_pages.endpoint, "POST", "/events", b"{}", headers)
    assert answer.status == 400 and "access-control-allow-origin" not in answer.headers
