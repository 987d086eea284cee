"""The unit of work: one transaction per operation.

Rules: `read` sees one snapshot and cannot write; `write` is committed when its block ends and rolled back when an
exception leaves it, so a denial, which must be counted, is a value and never an exception; no transaction is retried
automatically: a caller that loses a race learns it from its conditional write.
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
    """The database as the layers above storage use it. Each process has one, shared by its threads."""

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
        """Open a connection on one snapshot (PostgreSQL: REPEATABLE READ, read only). A write raises."""
        with self._read_turn, self._reader.connect() as connection:
            yield connection

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """Open a connection for reads that need no common snapshot. It saves the round trips for BEGIN and ROLLBACK.

        Only use it for statements that read, because it is not read-only.
        """
        with self._read_turn, self._glancer.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Begin a transaction (PostgreSQL: READ COMMITTED; SQLite: BEGIN IMMEDIATE). Never nest two in one thread."""
        with self._write_turn, self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.engine.dispose()


class _WriterQueue:
    """The queue of the writers of one process, first come first served.

    SQLite itself polls with ever longer sleeps, so that the disk is idle and some writers wait much longer than others.
    Between processes, SQLite still decides the order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=_WAIT_SECONDS):
            raise PoolTimeout(f"the database was busy with other writes for {_WAIT_SECONDS} s")

    def __exit__(self, *_: object) -> None:
        self._lock.release()
