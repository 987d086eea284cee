"""Many tokens at once: which serial numbers are taken, and rows in bulk.

Rules: an import is to run at 10,000 records a second, so PostgreSQL gets its rows by COPY and SQLite by one call of the
driver for many; in the caller's transaction, so that a file's tokens are there together or not at all.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, select

from sparekey.core.search_words import serial_key
from sparekey.storage.bulk import insert_many
from sparekey.storage.tables import token

_IN_ONE_QUERY: Final = 500  # values; SQLite takes 32,766, PostgreSQL plans shorter lists better

# What the caller gives of a token, and what is the same of each that nobody has and nobody has used.
TOKEN_COLUMNS: Final = (
    "id",
    "serial",
    "type",
    "domain_id",
    "digits",
    "interval",
    "algorithm",
    "seed_sealed",
    "last_step",
    "replay_step",
    "expires_at",
    "with_pin",
    "created_at",
)
_FRESH: Final = {"drift": 0, "enabled": False, "lost": False, "offline_code_online": False}
_AUDIT_COLUMNS: Final = ("at", "actor", "action", "account_id", "token_id", "device_id", "result", "detail")


def find_taken(connection: Connection, serials: Sequence[str]) -> set[str]:
    """Those of the serial numbers that a token has."""
    taken: set[str] = set()
    for start in range(0, len(serials), _IN_ONE_QUERY):
        query = select(token.c.serial).where(token.c.serial.in_(serials[start : start + _IN_ONE_QUERY]))
        taken.update(connection.execute(query).scalars())
    return taken


def insert_tokens(
    connection: Connection, rows: Sequence[Mapping[str, Any]], audit_rows: Sequence[Mapping[str, Any]]
) -> None:
    """`rows`: with TOKEN_COLUMNS; `audit_rows`: what is put on record with them."""
    values = [{**row, **_FRESH, "serial_key": serial_key(row["serial"])} for row in rows]
    insert_many(connection, "token", (*TOKEN_COLUMNS, *_FRESH, "serial_key"), values)
    insert_many(connection, "audit", _AUDIT_COLUMNS, audit_rows)
