"""One transaction per thing that happens.

Rules: `read` sees one snapshot and cannot write; `write` is committed when its block ends and rolled back when an
exception leaves it, so a denial, which must be counted, is a value and never an exception; nothing is tried again in
secret: a caller that loses a race learns it from its conditional write.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sparekey.storage.engine import WRITES, is_in_memory

_WAIT_SECONDS: Final = 5  # as long as SQLite itself waits for another process


class Database:
    """The database, as everything above storage uses it. One per process, shared by its threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Final = engine
        self._writer = engine.execution_options(**{WRITES: True})
        if engine.dialect.name == "postgresql":
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._glancer = engine.execution_options(isolation_level="AUTOCOMMIT")
            self._write_turn: AbstractContextManager[object] = nullcontext()
        else:
            self._reader = engine.execution_options(**{WRITES: False})
            self._glancer = self._reader
            self._write_turn = _WriterQueue()
        self._read_turn = self._write_turn if is_in_memory(engine) else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection on one snapshot (PostgreSQL: REPEATABLE READ, read only); a write raises."""
        with self._read_turn, self._reader.connect() as connection:
            yield connection

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """For reads of which each statement may have a snapshot of its own: no trips for BEGIN and ROLLBACK.

        It is not made read-only, so only for statements that read.
        """
        with self._read_turn, self._glancer.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction (PostgreSQL: READ COMMITTED; SQLite: BEGIN IMMEDIATE). Never nest two in one thread."""
        with self._write_turn, self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Closes every connection that is not in use."""
        self.engine.dispose()


class _WriterQueue:
    """Writers of one process wait here, first come first served.

    SQLite's own waiting polls with ever longer sleeps, which leaves the disk idle and lets some wait much longer than
    others. It still settles the order between processes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=_WAIT_SECONDS):
            raise PoolTimeout(f"the database was busy with other writes for {_WAIT_SECONDS} s")

    def __exit__(self, *_: object) -> None:
        self._lock.release()
