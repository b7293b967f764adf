"""Every constraint of the service's model, at its borders and beyond: each request gets the answer that is due."""

import json
import random
import time

import pytest

from support import constraints, service_model
from support.patterns import PATTERNS
from support.raw import Line
from support.schemas import ACTION_INTERACTIONS, EVENTS, ITEMS_NULLABLE
from support.server import Server
from support.workshop import Workshop

USERS_NULLABLE = "USER_ID:string AGE:int?"
ACTIONS_NULLABLE = "ACTION_ID:string VALUE:long? COST:float?"

# What the walk finds at least; less means that it no longer walks.
POINTS_MIN = 407
MIXTURES = 60
SHOWN = 12


DATA_SIDE = sorted(service_model.DATA_SIDE)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A server of its own: what the requests make by the thousands is in nobody's way."""
    server = Server(tmp_path_factory.mktemp("constraints")).start()
    yield server
    assert server.stop() == 0, server.tail()


@pytest.fixture(scope="module")
def line(own):
    line = Line(own.endpoint)
    yield line
    line.close()


@pytest.fixture(scope="module")
def places(own):
    """The member of each put that says where it goes, and a place that takes it."""
    workshop = Workshop(own.endpoint)
    group = workshop.make_group(items=ITEMS_NULLABLE, users=USERS_NULLABLE, interactions=EVENTS, tracker=True)
    places = {"PutEvents": ("trackingId", group.tracking_id), "PutItems": ("datasetArn", group.items),
              "PutUsers": ("datasetArn", group.users)}
    actions = workshop.make_dataset(group.arn, "ACTIONS", ACTIONS_NULLABLE)
    taken = workshop.make_dataset(group.arn, "ACTION_INTERACTIONS", ACTION_INTERACTIONS)
    tracking_id = workshop.personalize.describe_dataset(datasetArn=taken)["dataset"]["trackingId"]
    places |= {"PutActions": ("datasetArn", actions), "PutActionInteractions": ("trackingId", tracking_id)}
    return places


def sent_there(name, body, place):
    """The request, sent to a place that exists unless where it goes is what is wrong with it."""
    member, value = place
    try:
        is_wrong = any(finding.path == (member,) for finding in constraints.judge(name, body))
    except constraints.WrongType:
        is_wrong = True
    return body if is_wrong else {**body, member: value}


@pytest.fixture(scope="module")
def sent(note):
    """Counts requests and the time they take."""
    counts = {"requests": 0, "started": time.monotonic()}
    yield counts
    points = sum(len(constraints.points(name)) for name in service_model.DATA_SIDE)
    took = time.monotonic() - counts["started"]
    note(f"constraints: {points} points of the model, {counts['requests']} requests in {took:.1f} s")


def ask(line, name, body):
    path = service_model.path(name)
    return line.events(path, body) if path else line.control(name, body)


def check_all(line, name, sent, requests):
    """Sends every (label, body), and reports all that were answered wrongly at once."""
    assert b"is not offered by this version" not in ask(line, name, {}).body
    wrong = []
    for label, body in requests:
        sent["requests"] += 1
        try:
            complaint = constraints.complaint(name, body, ask(line, name, body))
        except (ConnectionError, OSError) as dropped:
            complaint = f"the connection broke: {dropped!r}"
        if complaint:
            wrong.append(f"  {label}\n      {complaint}")
    if wrong:
        pytest.fail(f"{name}: {len(wrong)} wrong answers\n" + "\n".join(wrong[:SHOWN]), pytrace=False)


class TestTheWalk:
    def test_finds_the_constraints_of_the_model(self):
        assert sum(len(constraints.points(name)) for name in service_model.DATA_SIDE) >= POINTS_MIN

    def test_knows_every_pattern_of_the_model(self):
        unknown = {pattern for name in service_model.DATA_SIDE for pattern in constraints.unknown_patterns(name)}
        assert not unknown, f"add these to support/patterns.py: {sorted(unknown)}"

    @pytest.mark.parametrize("name", sorted(service_model.DATA_SIDE))
    def test_breaks_and_keeps_every_constraint(self, name):
        broken, whole = set(), 0
        for _, body in constraints.cases(name):
            try:
                findings = constraints.judge(name, body)
            except constraints.WrongType:
                continue
            broken |= {(finding.path, finding.rule) for finding in findings}
            whole += not findings
        breakable = {point for point in constraints.points(name) if constraints.is_breakable(name, point)}
        assert not breakable - broken
        assert not constraints.judge(name, constraints.valid(name)) and whole >= len(constraints.nodes(name)) - 1

    @pytest.mark.parametrize("pattern", sorted(PATTERNS))
    def test_makes_texts_that_match_and_texts_that_do_not(self, pattern):
        known = PATTERNS[pattern]
        for fill in known.fills:
            assert known.accepts(known.make(60, fill)), fill
        assert not any(known.accepts(text) for text in known.breakers)


@pytest.mark.parametrize("name", DATA_SIDE)
def test_every_border_holds(line, sent, name):
    check_all(line, name, sent, constraints.cases(name))


@pytest.mark.parametrize("name", DATA_SIDE)
def test_all_broken_constraints_are_told_at_once(line, sent, name):
    seed = random.randrange(2**32)
    bodies = constraints.mixtures(name, random.Random(seed), MIXTURES)
    check_all(line, name, sent, [(f"seed {seed}, request {n}: {json.dumps(body)[:300]}", body)
                                 for n, body in enumerate(bodies)])


# A call of the events service may be read in two ways; a member that nobody knows sends it the longer one.
@pytest.mark.parametrize("name", sorted(service_model.events_names()))
def test_unknown_members_change_no_answer(line, places, sent, name):
    seed = random.randrange(2**32)
    bodies = [body for _, body in constraints.cases(name)] + constraints.mixtures(name, random.Random(seed), MIXTURES)
    bodies = [sent_there(name, body, places[name]) for body in bodies if isinstance(body, dict)]
    taken = 0
    for body in bodies:
        plain, strange = ask(line, name, body), ask(line, name, {"colour": [{}], **body})
        assert (plain.status, plain.body) == (strange.status, strange.body), f"seed {seed}: {body}"
        taken += plain.status == 200
    sent["requests"] += 2 * len(bodies)
    assert taken
