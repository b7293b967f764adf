"""docs/compatibility.md against the service's model, the server and the tests that it names."""

import ast
import re
from pathlib import Path

import pytest

from support import raw, service_model

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs/compatibility.md").read_text()
ROWS = {match[1]: (match[2], match[3]) for match in re.finditer(r"^\| `(\w+)` \| (\w+) \|(.*)\|$", PAGE, re.M)}
NAMED = re.findall(r"`(test_\w+)::(\w+)`", PAGE)


def functions(name):
    tree = ast.parse((TESTS / f"{name}.py").read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_page_has_every_operation_once():
    known = {*service_model.control_names(), *service_model.events_names(), *service_model.runtime_paths()}
    assert set(ROWS) == known
    assert len(re.findall(r"^\| `\w+` \| \w+ \|", PAGE, re.M)) == len(known)
    assert {verdict for verdict, _ in ROWS.values()} == {"same", "differs", "refused"}


def test_what_differs_is_said_and_every_row_names_a_test():
    for name, (verdict, rest) in ROWS.items():
        note, tests = [cell.strip() for cell in rest.rsplit("|", 1)]
        assert re.search(r"`test_\w+::\w+`", tests), name
        assert verdict != "differs" or note, name


@pytest.mark.parametrize("file, function", sorted(set(NAMED)))
def test_a_test_that_is_named_is_there(file, function):
    assert function in functions(file)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_what_the_page_says_is_offered_is(server, name):
    path = service_model.runtime_paths().get(name) or service_model.path(name)
    answer = raw.events(server.endpoint, path, {}) if path else raw.control(server.endpoint, name, {})
    told = answer.body.decode()
    is_empty_list = name.startswith("List") and name not in service_model.DATA_SIDE
    is_refused = is_empty_list or "is not offered by this version" in told
    assert (ROWS[name][0] == "refused") == is_refused, told
