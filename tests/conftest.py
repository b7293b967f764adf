"""One server for all tests of a process, and the clients and workshop that go with it."""

import pytest

from support import browser as chromium
from support import postgres as postgresql
from support import proxies, radosgw
from support.server import Server
from support.workshop import Workshop

# Not every distribution has this store; that its tests were left out is told at the end.
collect_ignore = [] if radosgw.is_installed() else ["test_radosgw.py"]
_proxies_missing = set(proxies.KINDS) - set(proxies.installed())

_servers = []
_notes = []
_said = []


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("shared")).start()
    _servers.append(server)
    yield server
    assert server.stop() == 0, server.tail()


@pytest.fixture(scope="session")
def workshop(server):
    return Workshop(server.endpoint)


@pytest.fixture
def own_server(tmp_path):
    """A server that a test may stop, kill and start again."""
    server = Server(tmp_path / "own").start()
    yield server
    if server.process.poll() is None:
        server.kill()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A PostgreSQL for all tests of a process, each of which takes a database of its own."""
    postgresql.require()
    postgres = postgresql.Postgres(tmp_path_factory.mktemp("postgres")).start()
    yield postgres
    postgres.stop()


@pytest.fixture(scope="session")
def browser():
    playwright, browser = chromium.start()
    yield browser
    browser.close()
    playwright.stop()


@pytest.fixture
def visitors(browser):
    """Makes visitors at an address; whatever their pages did wrong fails the test."""
    made = []

    def make(endpoint, **more):
        made.append(chromium.Visitor(browser, endpoint, **more))
        return made[-1]

    yield make
    for visitor in made:
        visitor.close()


@pytest.fixture(scope="session")
def note():
    """Takes a line to print at the end of the run: a figure that was measured, a seed."""
    return _notes.append


def pytest_sessionfinish(session):
    """Where tests run in several processes, each hands what it noted to the one that prints."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["notes"] = _notes
        output["said"] = [server.tail() for server in _servers]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    output = getattr(node, "workeroutput", {})
    _notes.extend(output.get("notes", []))
    _said.extend(output.get("said", []))


def pytest_terminal_summary(terminalreporter):
    """What the tests noted and, after failures, the end of what the shared servers said."""
    if collect_ignore:
        install = "sudo apt-get install --no-install-recommends radosgw ceph-mon ceph-osd"
        _notes.append(f"{', '.join(collect_ignore)} left out: there is no radosgw; to install it: {install}")
    if _proxies_missing:
        names = " ".join(sorted(_proxies_missing))
        _notes.append(f"test_proxies.py without {names}; to install: sudo apt-get install --no-install-recommends {names}")
    if _notes:
        terminalreporter.write_sep("-", "noted")
        terminalreporter.write("".join(line + "\n" for line in _notes))
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        for tail in _said + [server.tail() for server in _servers]:
            terminalreporter.write_sep("-", "a shared server's last lines")
            terminalreporter.write_line(tail)
