"""Where servers under test keep their catalog: LADE_TEST_CATALOG=postgres gives each folder a database of PostgreSQL."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from support.postgres import Postgres, require

_shared = []


def is_on_postgres():
    return os.environ.get("LADE_TEST_CATALOG") == "postgres"


def environment(folder):
    """What a server has to be given; one that is started again on a folder finds its database again."""
    if not is_on_postgres():
        return {}
    note = Path(folder) / "catalog"
    if not note.exists():
        note.write_text(shared().database())
    return {"LADE_CATALOG": note.read_text()}


def shared():
    """The server of all databases, which ends with the tests."""
    if not _shared:
        require()
        folder = tempfile.mkdtemp(prefix="lade-catalogs-")
        _shared.append(Postgres(folder).start())
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        atexit.register(_shared[0].stop)
    return _shared[0]
