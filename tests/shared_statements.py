"""One cache of compiled statements for all databases of a process.

Each test has a database and an engine of its own, and an engine would compile each statement again: a fifth of the time
of a test with a database. A compiled statement belongs to a dialect, so the engines share that, too.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Dialect

from sparekey.core.row_seals import RowSeals
from sparekey.secret import Secret
from sparekey.storage.engine import open_engine
from sparekey.storage.unit_of_work import Database

# For tests of parts that need no server; a server opens seals under its own keys.
_SEALS: Final = RowSeals({1: Secret(bytes(32))}, Secret(bytes(32)))
_BY_KIND: Final[dict[str, tuple[Dialect, dict[Any, Any]]]] = {}


def open_database(url: str) -> Database:
    """Open a database whose engine shares its compiled statements with the others of its kind."""
    engine = open_engine(url)
    engine.dialect, statements = _BY_KIND.setdefault(engine.dialect.name, (engine.dialect, {}))
    engine.update_execution_options(compiled_cache=statements)
    database = Database(engine)
    database.use_seals(_SEALS, lambda _: None)
    return database


def open_copy(tables: Path) -> Database:
    """Open a copy of this SQLite file in memory."""
    database = open_database("sqlite://")
    with closing(sqlite3.connect(tables)) as original, database.engine.connect() as connection:
        memory = connection.connection.driver_connection
        assert memory is not None
        original.backup(memory)
    return database
