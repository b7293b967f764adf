"""Each page of the console as people meet it: light and dark, wide and narrow, by keyboard, and checked by axe-core.

Pictures go to the folder that LADE_SCREENSHOTS names. A new page is one line of PAGES.
"""

import os
from pathlib import Path

import pytest

from support.browser import NARROW, WIDE, Visitor, axe_source
from support.console import World
from support.server import Server

# The narrowest window in which nothing may stick out.
SLIM = {"width": 360, "height": 740}
# A page's name, its path below /console/, and what one comes for: a button or link that the keyboard reaches.
PAGES = [
    ("dataset-groups", "groups", "Create dataset group"),
    ("dataset-group-create", "groups/create", "Create dataset group and continue"),
    ("dataset-group", "groups/{group}", "Import"),
    ("dataset-group-empty", "groups/{empty}", "Create dataset"),
    ("dataset-group-delete", "groups/{group}/delete", "Delete"),
    ("dataset-create", "groups/{empty}/create-dataset?type=INTERACTIONS", "Next"),
    ("dataset", "groups/{group}/datasets/ITEMS", "Create dataset export job"),
    ("datasets", "groups/{group}/datasets", None),
    ("dataset-of-interactions", "groups/{group}/datasets/INTERACTIONS", "Create dataset export job"),
    ("dataset-records", "groups/{group}/datasets/ITEMS?preview=1&id=i2#records", "Show records"),
    ("dataset-delete", "groups/{group}/datasets/ITEMS/delete", "Delete"),
    ("replace-schema", "groups/{group}/datasets/ITEMS/replace-schema", "Replace schema"),
    ("jobs", "groups/{group}/jobs", None),
    ("jobs-of-a-type", "groups/{group}/jobs?type=EXPORT&status=ACTIVE", None),
    ("dataset-import", "groups/{group}/datasets/ITEMS/import", "Start import"),
    ("dataset-export", "groups/{group}/datasets/ITEMS/export", "Create dataset export job"),
    ("records-of-items", "groups/{group}/datasets/ITEMS/records", "Create record(s)"),
    ("records-of-interactions", "groups/{group}/datasets/INTERACTIONS/records", "Create record(s)"),
    ("event-tracker-create", "groups/{group}/trackers/create", "Next"),
    ("event-trackers", "groups/{group}/trackers", None),
    ("event-tracker", "groups/{group}/trackers/{tracker}", None),
    ("data-deletion-jobs", "groups/{group}/deletions", None),
    ("data-deletion-job-create", "groups/{group}/deletions/create", None),
    ("tags", "groups/{group}/tags", None),
    ("metric-attribution", "groups/{group}/metrics", None),
    ("metric-attribution-edit", "groups/{group}/metrics/edit", None),
    ("metric-attribution-create", "groups/{empty}/metrics/create", None),
    ("analysis", "groups/{group}/analysis", "Run analysis"),
    ("schemas", "schemas", None),
    ("job-of-export", "jobs/export/{export}", None),
    ("job-check", "jobs/export/{export}/check", None),
    ("job-of-import", "jobs/import/{import}", None),
    ("job-that-failed", "jobs/import/{failed}", None),
    ("job-of-deletion", "jobs/deletion/{deletion}", None),
    ("buckets", "buckets", "Create bucket"),
    ("bucket", "buckets/{bucket}", "Upload"),
    ("bucket-folder", "buckets/{bucket}?prefix=in%2F", "Upload"),
    ("bucket-policy", "buckets/{bucket}/policy", "Save changes"),
    ("object-delete", "buckets/{bucket}/delete-object?key=in%2Fitems.csv", "Delete"),
    ("roles", "roles", "Create role"),
    ("role-create", "roles/create", "Create role"),
    ("role", "roles/{role}", "Add policy"),
    ("role-policy", "roles/{role}/policies/{policy}", "Save changes"),
    ("role-delete", "roles/{role}/delete", "Delete"),
    ("keys", "keys", "Create key"),
    ("key", "keys/{key}", "Save changes"),
    ("not-found", "nowhere", None),
]
# Checks the whole page as it looks now, or one rule; what hinders nobody much is left out.
CHECK = """async (rule) => (await axe.run(rule ? { runOnly: [rule] } : {})).violations
  .filter((found) => ["serious", "critical"].includes(found.impact))
  .map((found) => `${found.id}: ${found.help}\\n` + found.nodes.map((node) => "    " + node.html).join("\\n"))"""
FOCUSED = """() => {
  const at = document.activeElement;
  const style = getComputedStyle(at), box = at.getBoundingClientRect();
  return {
    tag: at.tagName, text: (at.innerText || at.value || "").trim(),
    isMarked: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
    isSeen: box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0 && box.top < innerHeight,
  };
}"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("console")).start()
    try:
        yield World(server)
    finally:
        assert server.stop() == 0, server.tail()


@pytest.fixture(scope="module")
def visitor(browser, world):
    visitor = Visitor(browser, world.server.endpoint).sign_in()
    yield visitor
    visitor.close()


@pytest.fixture(scope="module")
def axe():
    return axe_source()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = Path(os.environ.get("LADE_SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def assert_looks_right(visitor, axe, pictures, name):
    """In both colours and widths: nothing that hinders, nothing that sticks out."""
    page = visitor.page
    assert page.title().endswith(" · Lade") and page.get_by_role("heading", level=1).count() == 1
    page.evaluate(axe)  # by the checker's hand, which no policy of a page binds
    for colours, rule in (("light", None), ("dark", "color-contrast")):
        page.emulate_media(color_scheme=colours)
        found = page.evaluate(CHECK, rule)
        assert not found, f"{name}, {colours}:\n" + "\n".join(found)
        for width, window in (("wide", WIDE), ("narrow", NARROW)):
            page.set_viewport_size(window)
            page.screenshot(path=pictures / f"{name}-{width}-{colours}.png", full_page=True)
    page.set_viewport_size(SLIM)
    assert visitor.overflow() <= 0, f"{name} sticks out by {visitor.overflow()} pixels"
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")


def assert_keys_reach(visitor, action):
    """The first key offers to skip what all pages begin with; others lead on, visibly, to what one came for."""
    page = visitor.page
    # Where a page puts the cursor into a field, keys go on from there: here they begin at the top.
    page.evaluate("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')")
    page.keyboard.press("Tab")
    first = page.evaluate(FOCUSED)
    assert first["text"] == "Skip to content" and first["isSeen"], first
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at["tag"] == "BODY":
            break
        assert at["isMarked"] and at["isSeen"], f"one can't see where one is: {at}"
        reached.append(at["text"])
        if at["text"] == action:
            return
    raise AssertionError(f"no {action!r} among {reached}")


@pytest.mark.parametrize("name, path, action", PAGES, ids=[name for name, *_ in PAGES])
def test_a_page_looks_right_and_works_by_keyboard(world, visitor, axe, pictures, name, path, action):
    seen = len(visitor.faults)
    if name == "not-found":
        with visitor.expecting("answered 404"):
            visitor.go(world.path(path))
    else:
        visitor.go(world.path(path))
    # Faults are of the page that has them, not of those after it.
    faults, visitor.faults[seen:] = visitor.faults[seen:], []
    assert not faults
    if action:
        assert_keys_reach(visitor, action)
    assert_looks_right(visitor, axe, pictures, name)


def test_an_analysis_tells_insights_and_looks_right(world, visitor, axe, pictures):
    visitor.go(world.path("groups/{group}/analysis"))
    visitor.button("Run analysis")
    # Nobody reloads the page.
    visitor.page.get_by_role("heading", name="Insights", exact=True).wait_for()
    assert "The Interactions dataset has" in visitor.section("Insights").inner_text()
    assert_looks_right(visitor, axe, pictures, "analysis-done")


def test_signing_in_looks_right_and_works_by_keyboard(visitors, world, axe, pictures):
    visitor = visitors(world.server.endpoint)
    visitor.go("/console/sign-in")
    assert visitor.page.evaluate("document.activeElement.id") == "access-key-id", "one may type at once"
    assert_keys_reach(visitor, "Sign in")
    assert_looks_right(visitor, axe, pictures, "sign-in")
    visitor.fill("Access key ID", "AKIAUNKNOWN000000000")
    visitor.fill("Secret access key", "wrong")
    with visitor.expecting("answered 403"):
        visitor.page.keyboard.press("Enter")
        visitor.page.get_by_role("alert").wait_for()
    assert visitor.page.get_by_label("Access key ID").input_value() == "AKIAUNKNOWN000000000"
    assert visitor.page.get_by_label("Secret access key").input_value() == ""
    assert_looks_right(visitor, axe, pictures, "sign-in-refused")


def test_all_pages_work_without_scripts(visitors, world):
    visitor = visitors(world.server.endpoint, java_script_enabled=False).sign_in()
    for name, path, action in PAGES:
        if name != "not-found":
            visitor.go(world.path(path))
            assert visitor.page.get_by_role("heading", level=1).count() == 1, name
