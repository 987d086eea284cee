"""Several statements sent at once: on PostgreSQL in one trip to the server (pipeline mode), on SQLite one by one.

The sign-in path waits for the network more than for anything else; what does not depend on one another goes together.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import psycopg
from sqlalchemy import Connection, Dialect, TextClause

Statement = tuple[TextClause, Mapping[str, Any]]


def execute_together(connection: Connection, statements: Sequence[Statement]) -> list[int]:
    """Executes all in order in the caller's transaction; how many rows each touched.

    All are executed even if one touches none: the caller rolls back where that must not be.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        return [connection.execute(statement, values).rowcount for statement, values in statements]
    with driver.pipeline():
        cursors = [driver.execute(_text_for(connection.dialect, statement), values) for statement, values in statements]
    return [cursor.rowcount for cursor in cursors]


@cache
def _text_for(dialect: Dialect, statement: TextClause) -> str:
    """The statement with the driver's own parameter marks."""
    return str(statement.compile(dialect=dialect))
