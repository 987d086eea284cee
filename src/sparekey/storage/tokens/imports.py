"""Many tokens at once: serial numbers that are taken, and rows in bulk.

Rules: an import must reach 10,000 records a second, so PostgreSQL gets its rows by COPY and SQLite by one call of the
driver; it runs in the caller's transaction, so that all tokens of a file are imported, or none.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, func, select

from sparekey.storage.bulk import insert_many
from sparekey.storage.sealed_rows import with_seal
from sparekey.storage.tables import account, token
from sparekey.storage.tokens.tokens import UnusedToken, columns_of

_IN_ONE_QUERY: Final = 500  # values; SQLite takes 32,766, PostgreSQL plans shorter lists better


def find_taken(connection: Connection, serials: Sequence[str]) -> dict[str, str]:
    """Return the serial numbers among these that tokens already have, each with the id of the domain that they are
    in: their own, or their user's."""
    taken: dict[str, str] = {}
    place = func.coalesce(token.c.domain_id, account.c.domain_id).label("place")
    found = select(token.c.serial, place).select_from(token).outerjoin(account, token.c.account_id == account.c.id)
    for start in range(0, len(serials), _IN_ONE_QUERY):
        query = found.where(token.c.serial.in_(serials[start : start + _IN_ONE_QUERY]))
        taken.update((row.serial, row.place) for row in connection.execute(query))
    return taken


def insert_tokens(connection: Connection, new: Sequence[UnusedToken]) -> None:
    """Insert the tokens."""
    rows = [with_seal(connection, token, columns_of(unused)) for unused in new]
    insert_many(connection, "token", tuple(rows[0]) if rows else (), rows)
