"""Opens the database: SQLite in one file, or PostgreSQL 17.

Rules: a commit that returned is on disk (SQLite: WAL and synchronous=FULL; PostgreSQL: `synchronous_commit` is left as
its administrator set it); a write transaction on SQLite begins with BEGIN IMMEDIATE, so that it waits at its start and
never fails half-way; bound values never show in an error; the SQLite file is readable by its owner only.
"""

import contextlib
import os
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

WRITES: Final = "sparekey_writes"  # execution option: this connection's transactions write

_WAIT_SECONDS: Final = 5  # for a lock or a free connection; then the attempt fails, and any error denies
# Two connections that both switch a new file to its write-ahead log fail at once instead of waiting.
_ONE_AT_A_TIME: Final = threading.Lock()
_MEMORY: Final = (None, "", ":memory:")


class DatabaseUrlError(ValueError):
    """The address of the database is not usable. The message says which addresses are."""


class DatabaseFileError(OSError):
    """The SQLite file is not safe to use. The message says what to do."""


def open_engine(url: str, *, connections: int = 16) -> Engine:
    """Return an engine for `sqlite:////path/to/file`, `sqlite://` (in memory, for tests) or `postgresql://...`.

    At most `connections` are open at once; none is opened yet. A missing SQLite file is created, empty, with mode 0600.
    Raises DatabaseUrlError if the address is not one of these, DatabaseFileError if the file is unsafe.
    """
    address = _parse(url)
    if address.get_backend_name() == "sqlite":
        return _open_sqlite(address, connections)
    return _open_postgresql(address, connections)


def is_in_memory(engine: Engine) -> bool:
    """Return True for SQLite without a file, where all threads share one connection."""
    return isinstance(engine.pool, StaticPool)


def _parse(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        # from None: the original error may repeat a password
        raise DatabaseUrlError("this is no database address; give sqlite:////PATH or postgresql://...") from None
    if address.drivername in ("postgresql", "postgresql+psycopg"):
        return address.set(drivername="postgresql+psycopg")
    if address.drivername in ("sqlite", "sqlite+pysqlite"):
        if address.query:
            raise DatabaseUrlError("a SQLite address takes no options after `?`; give sqlite:////PATH")
        return address
    raise DatabaseUrlError(f"{address.drivername} is not supported; give sqlite:////PATH or postgresql://...")


def _open_postgresql(address: URL, connections: int) -> Engine:
    return create_engine(
        address,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_WAIT_SECONDS,
        # no pre-ping: it would cost every sign-in a round trip; a broken connection denies once and empties the pool
        pool_pre_ping=False,
        isolation_level="READ COMMITTED",
        hide_parameters=True,
        connect_args={
            "connect_timeout": _WAIT_SECONDS,
            "application_name": "sparekey",
            "options": f"-c lock_timeout={_WAIT_SECONDS}s -c idle_in_transaction_session_timeout=60s",
        },
    )


def _open_sqlite(address: URL, connections: int) -> Engine:
    options: dict[str, Any] = {  # Any: as `create_engine` declares its options
        "hide_parameters": True,
        "connect_args": {"timeout": _WAIT_SECONDS},
    }
    if address.database in _MEMORY:
        # a second connection would see another, empty database
        options["poolclass"] = StaticPool
        options["connect_args"]["check_same_thread"] = False
    else:
        _make_private_file(Path(str(address.database)))
        options |= {"pool_size": connections, "max_overflow": 0, "pool_timeout": _WAIT_SECONDS}
    engine = create_engine(address, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private_file(path: Path) -> None:
    """Create the file with mode 0600 if it is missing. SQLite gives its -wal and -shm files the same mode.

    An existing file is not opened: closing it would release the locks that SQLite holds on it in this process.
    """
    try:
        with contextlib.suppress(FileExistsError):
            os.mknod(path, stat.S_IFREG | 0o600)
        mode = path.lstat().st_mode
    except OSError as error:
        raise DatabaseFileError(f"cannot make the database file {path}: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise DatabaseFileError(f"{path} is no regular file; name another one for the database")
    if mode & 0o077:
        raise DatabaseFileError(f"others may read the database file {path}; run: chmod 600 {path}")


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # With isolation_level None the driver sends no BEGIN of its own. No other mode allows BEGIN IMMEDIATE on all of our
    # Python versions.
    connection.isolation_level = None
    with _ONE_AT_A_TIME:
        _set_pragmas(connection)


def _set_pragmas(connection: sqlite3.Connection) -> None:
    for pragma in ("synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode not in ("wal", "memory"):
        raise DatabaseFileError(f"SQLite cannot use a write-ahead log here (it says {mode!r}); use a local disk")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, True)
    # A write in a read transaction would be rolled back silently. Make SQLite refuse it, as PostgreSQL does.
    if connection.info.get(WRITES) is not writes:
        connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
        connection.info[WRITES] = writes
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
