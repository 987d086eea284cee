"""Statements of the sign-in path, executed by the driver itself: each sign-in pays for every microsecond here.

On PostgreSQL, SQLAlchemy would describe the seventy columns of a snapshot again for each result, and that takes as long
as the statement. On SQLite it executes these statements as it does all others.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import Connection, Dialect, TextClause
from sqlalchemy.exc import DBAPIError

from sparekey.storage.rows import AnyRow

Values = Mapping[str, object]
_Psycopg: TypeAlias = Any  # Any: SQLAlchemy declares protocols here that the classes of psycopg do not meet


def fetch_rows(connection: Connection, statement: TextClause, values: Values) -> Sequence[AnyRow]:
    """Execute a statement that reads. Return its rows, to be read by position. Raises DBAPIError."""
    driver = postgresql_driver(connection)
    if driver is None:
        return connection.execute(statement, values).all()
    rows: Sequence[AnyRow] = _execute(connection, driver, statement, values).fetchall()
    return rows


def count_changed(connection: Connection, statement: TextClause, values: Values) -> int:
    """Execute a statement that writes. Return the number of rows that it changed. Raises DBAPIError."""
    driver = postgresql_driver(connection)
    if driver is None:
        return connection.execute(statement, values).rowcount
    changed: int = _execute(connection, driver, statement, values).rowcount
    return changed


def postgresql_driver(connection: Connection) -> _Psycopg | None:
    """Return psycopg's own connection, or None on SQLite.

    SQLAlchemy loads psycopg for the first PostgreSQL database: a command on SQLite starts without it, 0.1 s sooner.
    """
    return connection.connection.driver_connection if connection.dialect.name == "postgresql" else None


def _execute(connection: Connection, driver: _Psycopg, statement: TextClause, values: Values) -> _Psycopg:
    try:
        return driver.execute(_text_for(connection.dialect, statement), values)
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_elsewhere(connection, driver, error) from error


def as_elsewhere(connection: Connection, driver: _Psycopg, error: _Psycopg) -> Exception:
    """Return the error as SQLAlchemy raises it for a single statement, so that callers handle one kind (S06)."""
    gone = connection.dialect.is_disconnect(error, driver, None)
    if gone:
        connection.invalidate(error)
    wrapped: Exception = DBAPIError.instance(
        None,
        None,
        error,
        connection.dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=gone,
        dialect=connection.dialect,
    )
    return wrapped


@cache
def _text_for(dialect: Dialect, statement: TextClause) -> str:
    """Return the statement with the driver's own parameter marks."""
    return str(statement.compile(dialect=dialect))
