"""Several statements sent at once: on PostgreSQL in one round trip (pipeline mode), on SQLite one by one.

The sign-in path waits mostly for the network, so it sends independent statements together.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import Connection, Dialect, TextClause
from sqlalchemy.exc import DBAPIError

Statement = tuple[TextClause, Mapping[str, object]]


def execute_together(connection: Connection, statements: Sequence[Statement]) -> list[int]:
    """Execute all in order in the caller's transaction. Return the number of rows that each touched.

    All are executed even if one touches no row; the caller must then roll back if it needs that row. Raises DBAPIError
    as a single statement would.
    """
    driver = postgresql_driver(connection)
    if driver is None:
        return [connection.execute(statement, values).rowcount for statement, values in statements]
    texts = [(_text_for(connection.dialect, statement), values) for statement, values in statements]
    try:
        with driver.pipeline():
            cursors = [driver.execute(*statement) for statement in texts]
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_elsewhere(connection, driver, error) from error
    return [cursor.rowcount for cursor in cursors]


_Psycopg: TypeAlias = Any  # Any: SQLAlchemy declares protocols here that the classes of psycopg do not meet


def postgresql_driver(connection: Connection) -> _Psycopg | None:
    """Return psycopg's own connection, or None on SQLite.

    SQLAlchemy loads psycopg for the first PostgreSQL database: a command on SQLite starts without it, 0.1 s sooner.
    """
    return connection.connection.driver_connection if connection.dialect.name == "postgresql" else None


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
