"""The records of a data folder are those of one catalog: another one, or a new one, never comes to them."""

import json
import shutil
import subprocess

import pytest

from support.backup import admin
from support.catalog import on_postgres
from support.postgres import Postgres, require
from support.schemas import ITEMS
from support.server import Server, binary
from support.workshop import Workshop


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    require()
    postgres = Postgres(tmp_path_factory.mktemp("postgres")).start()
    yield postgres
    postgres.stop()


@pytest.fixture
def serve(tmp_path):
    """Starts a server on a folder of this name."""
    servers = []

    def start(name, **env):
        servers.append(Server(tmp_path / name, arguments=["--flush-after-s", "1"], env=env).start())
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.kill()


def fill(server):
    """A dataset with records of both kinds, all of them in runs, and what it holds."""
    workshop = Workshop(server.endpoint)
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
    workshop.put_items(items, ("i2", {"price": 2, "categoryL1": "B"}))
    workshop.export(items, "ALL")
    return workshop, items


def files(server):
    return sorted(path.name for path in (server.data_dir / "runs").iterdir())


def refusal(server, env=None):
    """What the server says that does not start here with these settings; no run goes by it."""
    before = files(server)
    assert before
    arguments = [binary(), "serve", "--data-dir", str(server.data_dir), "--listen", "127.0.0.1:0", "--flush-after-s", "1"]
    done = subprocess.run(arguments, env={**server.env, **(env or {})}, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1, done.stdout + done.stderr
    assert files(server) == before
    return done.stderr


def found(server, env=None):
    """What the doctor finds of the catalog: levels and advice."""
    done = admin(server, "doctor", "--data-dir", server.data_dir, "--json", env=env)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [(line["level"], line.get("advice") or "") for line in lines if line["check"] == "catalog"]


def is_whole(server, workshop, items):
    server.start()
    return workshop.at(server.endpoint).export(items, "ALL").lines == ["i1,1.0,A", "i2,2.0,B"]


def test_a_start_that_forgets_postgresql_is_refused(serve, postgres, tmp_path):
    server = serve("one", **on_postgres(postgres.database(), tmp_path / "one"))
    workshop, items = fill(server)
    assert server.stop() == 0
    forgetful = {**server.env, "LADE_CATALOG": "sqlite"}
    text = refusal(server, forgetful)
    assert "is in PostgreSQL" in text and "setting catalog" in text, text
    assert not (server.data_dir / "catalog.db").exists()
    assert [level for level, _ in found(server, forgetful)] == ["warn"]
    assert is_whole(server, workshop, items)


def test_a_start_with_another_database_is_refused(serve, postgres, tmp_path):
    for name, env in (("sqlite", {}), ("postgres", on_postgres(postgres.database(), tmp_path / "postgres"))):
        server = serve(name, **env)
        workshop, items = fill(server)
        assert server.stop() == 0
        text = refusal(server, on_postgres(postgres.database(), tmp_path / name))
        assert "another catalog" in text and "setting catalog" in text, text
        assert is_whole(server, workshop, items)


def test_a_catalog_that_is_gone_is_not_made_anew(serve, tmp_path):
    server = serve("one", LADE_CATALOG="sqlite")
    workshop, items = fill(server)
    assert server.stop() == 0
    catalog = server.data_dir / "catalog.db"
    catalog.rename(tmp_path / "kept.db")
    text = refusal(server)
    assert "is gone" in text and "backup" in text and not catalog.exists(), text
    assert found(server)[0][0] == "fail" and "backup" in found(server)[0][1]

    # An empty file is as good as none.
    catalog.write_bytes(b"")
    assert found(server)[0][0] == "fail"
    assert "another catalog" in refusal(server)
    for path in server.data_dir.glob("catalog.db*"):
        path.unlink()
    (tmp_path / "kept.db").rename(catalog)
    assert found(server)[0][0] == "ok"
    assert is_whole(server, workshop, items)


def test_the_catalog_of_another_server_is_refused(serve):
    server, other = serve("one", LADE_CATALOG="sqlite"), serve("other", LADE_CATALOG="sqlite")
    fill(other)
    workshop, items = fill(server)
    assert (server.stop(), other.stop()) == (0, 0)
    catalog = server.data_dir / "catalog.db"
    kept = catalog.read_bytes()
    # With its key, too: nothing but the mark tells them apart.
    key = (server.data_dir / "master_key").read_bytes()
    for name in ("catalog.db", "master_key"):
        shutil.copyfile(other.data_dir / name, server.data_dir / name)
    assert "another catalog" in refusal(server)
    assert found(server)[0][0] == "fail"
    for path in server.data_dir.glob("catalog.db-*"):
        path.unlink()
    catalog.write_bytes(kept)
    (server.data_dir / "master_key").write_bytes(key)
    assert is_whole(server, workshop, items)


def test_a_folder_of_an_earlier_release_becomes_its_catalogs(serve):
    server = serve("one", LADE_CATALOG="sqlite")
    workshop, items = fill(server)
    assert server.stop() == 0
    owner = server.data_dir / "catalog.owner"
    kept = owner.read_text()
    owner.unlink()
    assert is_whole(server, workshop, items)
    assert server.stop() == 0 and owner.read_text() == kept


def test_a_folder_that_holds_no_records_takes_any_catalog(serve, postgres, tmp_path):
    server = serve("one", LADE_CATALOG="sqlite")
    assert server.stop() == 0
    (server.data_dir / "catalog.db").unlink()
    assert found(server)[0][0] == "warn"
    server.start()
    assert server.stop() == 0
    server.env.update(on_postgres(postgres.database(), tmp_path / "one"))
    server.start()
    assert server.stop() == 0
