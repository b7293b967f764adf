"""Where servers under test keep their catalog: LADE_TEST_CATALOG=postgres gives each folder a database of PostgreSQL."""

import atexit
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from support.postgres import Postgres, require

_shared = []


def is_on_postgres():
    return os.environ.get("LADE_TEST_CATALOG") == "postgres"


# For what only a file can be looked at for, or have done to it.
of_a_file = pytest.mark.skipif(is_on_postgres(), reason="the catalog is in PostgreSQL, and this is of a file")


def rows(server, text):
    """What a statement answers, or changes, in a server's catalog: rows of texts."""
    if is_on_postgres():
        return shared().query(server.env["LADE_CATALOG"], text)
    mode = "ro" if text.startswith("SELECT") else "rw"
    file = sqlite3.connect(f"file:{server.data_dir}/catalog.db?mode={mode}", uri=True)
    with closing(file), file:
        return [[str(value) for value in row] for row in file.execute(text)]


def environment(folder):
    """What a server has to be given; one that is started again on a folder finds its database again."""
    if not is_on_postgres():
        return {}
    note = Path(folder) / "catalog"
    if not note.exists():
        note.write_text(shared().database())
    return on_postgres(note.read_text(), folder)


def on_postgres(url, folder):
    """What a server has to be given to keep its catalog at a URL."""
    key = Path(folder) / "data" / "master_key"
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_bytes(os.urandom(32))
    return {"LADE_CATALOG": url, "LADE_MASTER_KEY_FILE": str(key)}


def shared():
    """The server of all databases, which ends with the tests."""
    if not _shared:
        require()
        folder = tempfile.mkdtemp(prefix="lade-catalogs-")
        _shared.append(Postgres(folder).start())
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        atexit.register(_shared[0].stop)
    return _shared[0]
