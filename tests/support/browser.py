"""Chromium for tests of the console: one for each process, a context of its own for each test.

All that a page does wrong is noted while it is looked at and fails the test at its end: errors of scripts and on the
console, violations of the content security policy, dialogs, requests that fail or leave the server, and answers of 400
and above that nobody expected.
"""

import os
import re
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from support.server import ROOT_KEY, ROOT_SECRET

CHROMIUM = os.environ.get("LADE_CHROMIUM") or "/usr/bin/chromium"
INSTALL = "sudo apt-get install --no-install-recommends chromium fonts-dejavu-core fonts-noto-color-emoji"
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 375, "height": 800}
PATIENCE_MS = 15_000

# Tells of violations as the browser itself sees them; scripts of the checker are not subject to a page's policy.
WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) =>
  noteViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
"""


def start():
    """Playwright and its browser; where there is none, continuous integration fails, and others are told."""
    if not shutil.which(CHROMIUM):
        text = f"there is no {CHROMIUM}; to install it: {INSTALL}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(text)
    playwright = sync_playwright().start()
    # Chromium refuses its sandbox to root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright, playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)


def axe_source():
    """The text of axe-core, which `cargo xtask test` installs beside these tests' own interpreter."""
    folder = Path(os.environ.get("LADE_JS") or Path(sys.prefix).parent / "js")
    path = folder / "node_modules/axe-core/axe.min.js"
    if not path.exists():
        text = f"there is no {path}; to install it: npm ci in a copy of tests/js, named in LADE_JS"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(text)
    return path.read_text()


class Visitor:
    """Somebody before a browser: a context of its own, with one page, at a server."""

    def __init__(self, browser, endpoint, viewport=None, **more):
        self.endpoint = endpoint.rstrip("/")
        self.faults = []
        self.expected = []
        self.context = browser.new_context(
            base_url=self.endpoint, viewport=viewport or WIDE, locale="en-GB", timezone_id="UTC", **more)
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.expose_function("noteViolation", lambda text: self.note("policy violated", text))
        self.context.add_init_script(WATCH_POLICY)
        self.context.on("page", self._watch)
        self.context.on("request", self._request)
        self.context.on("response", self._response)
        self.context.on("requestfailed", self._failed)
        self.page = self.context.new_page()

    # What is watched

    def note(self, kind, text):
        self.faults.append(f"{kind}: {text}")

    def _watch(self, page):
        page.on("pageerror", lambda error: self.note("script failed", error))
        page.on("console", self._console)
        page.on("dialog", self._dialog)
        page.on("crash", lambda: self.note("crash", page.url))

    def _console(self, message):
        # What an answer's status is, the answer itself tells.
        if message.type in ("error", "assert") and "the server responded with a status of" not in message.text:
            self.note("console", message.text)

    def _dialog(self, dialog):
        self.note("dialog", dialog.message)
        dialog.dismiss()

    def _request(self, request):
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and f"{address.scheme}://{address.netloc}" != self.endpoint:
            self.note("request to another place", request.url)

    def _response(self, response):
        if response.status >= 400:
            self.note(f"answered {response.status}", f"{response.request.method} {response.url}")

    def _failed(self, request):
        # Browsers give up what a page had asked when it is left, and what turns out to be a download.
        if request.failure != "net::ERR_ABORTED":
            self.note("request failed", f"{request.url} {request.failure}")

    @contextmanager
    def expecting(self, pattern):
        """Takes faults that match, such as `answered 403`, for what the test wants; there has to be one."""
        before = len(self.faults)
        yield
        new = self.faults[before:]
        left = [fault for fault in new if not re.search(pattern, fault)]
        assert len(left) < len(new), f"no {pattern!r} in {new}"
        self.faults[before:] = left

    def close(self):
        self.context.close()
        assert not self.faults, "\n".join(self.faults)

    # What visitors do

    def go(self, path):
        return self.page.goto(path)

    def sign_in(self, key=ROOT_KEY, secret=ROOT_SECRET, path="/personalize/home"):
        """Opens the console, signs in, and is where they wanted to be."""
        self.go(path)
        self.page.get_by_label("Access key ID").fill(key)
        self.page.get_by_label("Secret access key").fill(secret)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Sign out").wait_for()
        return self

    def heading(self):
        return self.page.get_by_role("heading", level=1).inner_text()

    def pane(self, name):
        """Chooses a link of the navigation pane."""
        self.page.get_by_role("navigation", name="Navigation").get_by_role("link", name=name, exact=True).click()

    def link(self, name):
        self.page.get_by_role("main").get_by_role("link", name=name, exact=True).click()

    def button(self, name):
        self.page.get_by_role("main").get_by_role("button", name=name, exact=True).click()

    def fill(self, label, text):
        self.page.get_by_label(label, exact=True).fill(text)

    def choose(self, label):
        self.page.get_by_role("radio", name=label).check()

    def section(self, heading):
        """The part of the page below a heading."""
        titled = self.page.get_by_role("heading", name=heading, exact=True)
        return self.page.locator("section").filter(has=titled)

    def download(self, link):
        """Clicks a link that gives a file; its bytes."""
        with self.page.expect_download() as waiting:
            link.click()
        return Path(waiting.value.path()).read_bytes()

    def overflow(self):
        """By how many pixels the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
