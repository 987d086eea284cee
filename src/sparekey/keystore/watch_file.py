"""Keeps the facts that the audit log tells in a file beside the keys, where the owner of the database cannot reach it.

Rules: one process at a time uses the file, the one that has its lock; changes of one step are kept together or not at
all, so that after a crash the same part of the log is read again; a damaged file is renamed and begun again, because
the audit log still tells everything in it.
"""

import fcntl
import json
import os
import sqlite3
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from sparekey.core.audit_log.watched import Facts, Named, WatchedKind

_VERSION: Final = 1  # of the file, raised when facts get another meaning
_CACHED: Final = 4_096  # objects
_TABLES: Final = """
    CREATE TABLE IF NOT EXISTS head (only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER, hash BLOB);
    CREATE TABLE IF NOT EXISTS facts (kind TEXT, key TEXT, facts TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS told (kind TEXT, key TEXT, told TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
"""


class WatchFile:
    """A `WatchBook` over an SQLite file of its own. Only one thread at a time may use it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use `open` or `temporary`."""
        self._connection = connection
        self._cache: OrderedDict[Named, Facts | None] = OrderedDict()
        self._told = self._read_told()  # few: in memory, because each compared object is looked up here

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file, or make it with mode 0600. A damaged file is renamed to the first free `NAME.damaged-N`."""
        try:
            return cls(_connect(path))
        except sqlite3.DatabaseError:
            cls.set_aside(path)
            return cls(_connect(path))

    @classmethod
    def temporary(cls) -> Self:
        """Return an empty book that is deleted when it is closed."""
        connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        connection.executescript(_TABLES)
        connection.execute("BEGIN")
        return cls(connection)

    @staticmethod
    def set_aside(path: Path) -> None:
        """Rename a damaged file, which no process has open, to the first free `NAME.damaged-N`."""
        number = 1
        while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
            number += 1
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file. Changes that were not committed are discarded."""
        self._connection.close()

    def find(self, named: Named) -> Facts | None:
        if named not in self._cache:
            row = self._connection.execute("SELECT facts FROM facts WHERE kind = ? AND key = ?", named).fetchone()
            self._remember(named, json.loads(row[0]) if row else None)
        self._cache.move_to_end(named)
        return self._cache[named]

    def put(self, named: Named, facts: Facts) -> None:
        text = json.dumps(facts, separators=(",", ":"))
        self._connection.execute("INSERT OR REPLACE INTO facts (kind, key, facts) VALUES (?, ?, ?)", (*named, text))
        self._remember(named, dict(facts))

    def keys_of(self, kind: WatchedKind) -> list[str]:
        return [
            key for (key,) in self._connection.execute("SELECT key FROM facts WHERE kind = ? ORDER BY key", (kind,))
        ]

    def head(self) -> tuple[int, bytes] | None:
        row = self._connection.execute("SELECT number, hash FROM head").fetchone()
        return (row[0], row[1]) if row else None

    def set_head(self, number: int, batch_hash: bytes) -> None:
        values = (number, batch_hash)
        self._connection.execute("INSERT OR REPLACE INTO head (only, number, hash) VALUES (1, ?, ?)", values)

    def list_after(self, after: Named | None, limit: int) -> Sequence[tuple[Named, Facts]]:
        query = "SELECT kind, key, facts FROM facts WHERE (kind, key) > (?, ?) ORDER BY kind, key LIMIT ?"
        rows = self._connection.execute(query, (*(after or ("", "")), limit))
        return [((WatchedKind(kind), key), json.loads(facts)) for kind, key, facts in rows]

    def count(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM facts").fetchone()[0])

    def forget(self, named: Named) -> None:
        self._connection.execute("DELETE FROM facts WHERE kind = ? AND key = ?", named)
        self._cache.pop(named, None)

    def told(self, named: Named) -> Mapping[str, str]:
        return self._told.get(named, {})

    def set_told(self, named: Named, told: Mapping[str, str]) -> None:
        if told:
            values = (*named, json.dumps(told))
            self._connection.execute("INSERT OR REPLACE INTO told (kind, key, told) VALUES (?, ?, ?)", values)
            self._told[named] = told
        else:
            self._connection.execute("DELETE FROM told WHERE kind = ? AND key = ?", named)
            self._told.pop(named, None)

    def _read_told(self) -> dict[Named, Mapping[str, str]]:
        rows = self._connection.execute("SELECT kind, key, told FROM told")
        return {(WatchedKind(kind), key): json.loads(told) for kind, key, told in rows}

    def start_over(self) -> None:
        self._connection.execute("DELETE FROM facts")
        self._connection.execute("DELETE FROM head")
        self._cache.clear()

    def commit(self) -> None:
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN")

    def rollback(self) -> None:
        self._cache.clear()
        self._connection.execute("ROLLBACK")
        self._connection.execute("BEGIN")
        self._told = self._read_told()

    def _remember(self, named: Named, facts: Facts | None) -> None:
        self._cache[named] = facts
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)


class WatchLock:
    """The lock of the one process that watches. The system releases it when the process ends.

    It is a file lock and no row of the database: an attacker who can write there could hold it and stop the watch.
    """

    def __init__(self, path: Path) -> None:
        """Set the path of the lock's own file. Nothing is locked yet."""
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Return True if this object has the lock now."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _connect(path: Path) -> sqlite3.Connection:
    # Make it private before SQLite opens it. SQLite gives its -wal and -shm files the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # Safe because a lost commit is read from the audit log again.
        connection.execute("PRAGMA synchronous = NORMAL")
        _verify_version(connection)
        connection.executescript(f"{_TABLES} PRAGMA user_version = {_VERSION};")
        connection.execute("BEGIN")
    except BaseException:
        connection.close()
        raise
    return connection


def _verify_version(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA user_version").fetchone()[0] not in (0, _VERSION):
        raise sqlite3.DatabaseError("another version of this file")
