"""The unit of work: one transaction per operation.

Rules: `read` sees one snapshot and cannot write; `write` is committed when its block ends and rolled back when an
exception leaves it, so a denial, which must be counted, is a value and never an exception; no transaction is retried
automatically: a caller that loses a race learns it from its conditional write; the alarm for altered
rows that a transaction has met (`storage.sealed_rows`) follows after it, when the thread has no other one open.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sparekey.core.row_seals import RowSeals
from sparekey.storage.engine import WRITES, is_in_memory
from sparekey.storage.seals_in_use import SEALS, AlteredRow, SealsInUse

_WAIT_SECONDS: Final = 5  # as long as SQLite itself waits for another process


class Database:
    """The database as the layers above storage use it. Each process has one, shared by its threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Final = engine
        self._writer = engine.execution_options(**{WRITES: True})
        self._is_postgresql = engine.dialect.name == "postgresql"
        if self._is_postgresql:
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._glancer = engine.execution_options(isolation_level="AUTOCOMMIT")
            self._write_turn: AbstractContextManager[object] = nullcontext()
        else:
            self._reader = engine.execution_options(**{WRITES: False})
            self._glancer = self._reader
            self._write_turn = _WriterQueue()
        self._read_turn = self._write_turn if is_in_memory(engine) else nullcontext()
        self._seals: SealsInUse | None = None
        self._tell: Callable[[Sequence[AlteredRow]], None] | None = None
        self._open = _OpenInThread()

    def use_seals(self, seals: RowSeals, tell: Callable[[Sequence[AlteredRow]], None]) -> None:
        """Open the row seals for every later transaction. `tell` raises the alarm for altered rows; it may write."""
        self._seals, self._tell = SealsInUse(seals), tell
        option = {SEALS: self._seals}
        self._writer = self._writer.execution_options(**option)
        self._reader = self._reader.execution_options(**option)
        self._glancer = self._glancer.execution_options(**option)

    @property
    def seals(self) -> RowSeals:
        """The row seals. Raises LookupError if they are not open."""
        if self._seals is None:
            raise LookupError("the row seals of this database are not open")
        return self._seals.seals

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection on one snapshot (PostgreSQL: REPEATABLE READ, read only). A write raises."""
        with self._telling(), self._read_turn, self._reader.connect() as connection:
            yield connection

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """Open a connection for reads that need no common snapshot. It saves the round trips for BEGIN and ROLLBACK.

        Only use it for statements that read, because it is not read-only.
        """
        with self._telling(), self._read_turn, self._glancer.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Begin a transaction (PostgreSQL: READ COMMITTED; SQLite: BEGIN IMMEDIATE). Never nest two in one thread."""
        with self._telling(), self._write_turn, self._writer.begin() as connection:
            yield connection

    def write_at_once(self) -> AbstractContextManager[Connection]:
        """Open a connection for one statement that writes, a transaction of its own. On SQLite it is `write`.

        On PostgreSQL it saves the round trips for BEGIN and COMMIT: the statement is committed when it returns.
        """
        return self.glance() if self._is_postgresql else self.write()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        self._open.transactions += 1
        try:
            yield
        finally:
            self._open.transactions -= 1
            if self._seals is not None and self._seals.has_noted and not self._open.transactions:
                self._tell_altered(self._seals)

    def _tell_altered(self, seals: SealsInUse) -> None:
        altered = seals.take()
        self._open.transactions += 1  # what `tell` meets waits for the next transaction
        try:
            if self._tell is not None:
                self._tell(altered)
        except Exception:  # noqa: BLE001 -- the row is refused whether or not the alarm can be written
            for row in altered:
                seals.note(row.table, row.key)  # the next transaction of any thread tries again
        finally:
            self._open.transactions -= 1

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.engine.dispose()


class _OpenInThread(threading.local):
    """The number of open transactions of this thread."""

    transactions = 0


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
