"""Every constraint of the service's model, at its borders and beyond: each request gets the answer the model asks for."""

import json
import random
import time

import pytest

from support import constraints, service_model
from support.raw import Line
from support.server import Server

# Data side operations that this version lacks still; the suite covers an operation as soon as it is not named here.
NOT_YET = {
    "UpdateDataset", "CreateDataDeletionJob", "DescribeDataDeletionJob", "ListDataDeletionJobs",
    "CreateMetricAttribution", "DescribeMetricAttribution", "ListMetricAttributions", "ListMetricAttributionMetrics",
    "UpdateMetricAttribution", "DeleteMetricAttribution", "PutActions", "PutActionInteractions",
}
# What the walk finds at least; less means that it no longer walks.
POINTS_MIN = 399
MIXTURES = 60
SHOWN = 12


def each(names):
    """The operations as parameters; those of NOT_YET have to fail."""
    later = pytest.mark.xfail(strict=True, reason="not offered yet")
    return [pytest.param(name, marks=later) if name in NOT_YET else name for name in sorted(names)]


DATA_SIDE = each(service_model.DATA_SIDE)


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
        assert not unknown, f"add these to support/constraints.py: {sorted(unknown)}"

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

    @pytest.mark.parametrize("pattern", sorted(constraints.PATTERNS))
    def test_makes_texts_that_match_and_texts_that_do_not(self, pattern):
        known = constraints.PATTERNS[pattern]
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
