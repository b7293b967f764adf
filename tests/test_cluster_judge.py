"""The drill's own judgement: it passes what may be, and finds each of the wrongs that it is there for."""

import random
from collections import Counter
from types import SimpleNamespace

import pytest

from support.drill import EVENTS, ITEM_IDS, Drill, History, Window


def writer():
    """w0 sent calls 1 to 6; 3 and 5 were never answered."""
    return SimpleNamespace(name="w0", sent={"events": [1, 2, 3, 4, 5, 6], "items": [1, 2, 3, 4, 5, 6]},
                           answered={"events": [1, 2, 4, 6], "items": [1, 2, 4, 6]})


def judge():
    drill = object.__new__(Drill)
    drill.writers = [writer()]
    drill.histories = {kind: History(kind) for kind in ("events", "items")}
    return drill


# Asked for when 1 and 2 were answered; created when 5 had been sent.
WINDOW = Window((0, 0), {"w0": 2}, {"w0": 5})


def export(rows, duplicates=0):
    return SimpleNamespace(rows=rows, folder="out/export-1/", ledger={"exactDuplicates": duplicates})


def events(*numbers, size=EVENTS):
    shared = [("both", f"i{n}", "shared", "7") for n in range(5)]
    return shared + [("w0", f"c{n}", "put", str(at)) for n in numbers for at in range(size)]


def newest(number):
    shared = [(f"both{n}", "0.5", "A") for n in range(5)]
    return shared + [(f"w0-{n}", f"{number}.0", "P") for n in range(ITEM_IDS)]


@pytest.mark.parametrize("numbers", [(1, 2), (1, 2, 3), (1, 2, 4), (1, 2, 4, 5), (1, 2, 3, 4, 5)])
def test_what_was_answered_with_any_of_what_was_not_is_right(numbers):
    judge().check("events", "PUT", export(events(*numbers)), WINDOW)


@pytest.mark.parametrize("rows, duplicates, wrong", [
    (events(1), 0, "lost of w0"),
    (events(1, 2, 6), 0, "from the future"),
    (events(1, 2, 5), 0, "5 without"),
    (events(1, 2) + events(4, size=3)[5:], 0, "torn"),
    (events(1, 2), 10, "twice"),
    (events(1, 2) + events(1)[5:], 0, "twice"),
    (events(1, 2)[1:], 0, "bulk rows of none of the states"),
    (events(1, 2) + [("b1", "i1", "g1", "1")], 0, "bulk rows of none of the states"),
])
def test_wrong_events_are_found(rows, duplicates, wrong):
    with pytest.raises(AssertionError, match=wrong):
        judge().check("events", "PUT", export(rows, duplicates), WINDOW)


def test_put_records_in_a_bulk_export_are_found():
    with pytest.raises(AssertionError, match="holds put records"):
        judge().check("events", "BULK", export([("w0", "c1", "put", "0")]), WINDOW)


@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_the_newest_that_was_answered_or_any_that_was_not_is_right(number):
    judge().check("items", "ALL", export(newest(number)), WINDOW)


@pytest.mark.parametrize("rows, wrong", [
    (newest(1), "1 of w0 is older than 2"),
    (newest(6), "6 of w0 is from the future"),
    (newest(4)[:-1], "w0 has"),
    (newest(4)[:-1] + newest(2)[-1:], "w0 has"),
    (newest(4)[:5], "lost all of w0"),
])
def test_wrong_newest_items_are_found(rows, wrong):
    with pytest.raises(AssertionError, match=wrong):
        judge().check("items", "ALL", export(rows), WINDOW)


def test_bulk_records_of_two_states_at_once_are_found():
    drill, chance = judge(), random.Random(1)
    history = drill.histories["events"]
    states = [history.states[0]["BULK"]]
    for _ in range(3):
        history.next_import(chance)
        states.append(history.states[-1]["BULK"])
    window = Window((1, 3), {"w0": 0}, {"w0": 0})
    rows = lambda counter: list(Counter(counter).elements())
    drill.check("events", "BULK", export(rows(states[2])), window)
    for wrong in (states[0], states[1] + states[3], states[2] - Counter(rows(states[2])[:1])):
        with pytest.raises(AssertionError, match="none of the states 1 to 3"):
            drill.check("events", "BULK", export(rows(wrong)), window)
