"""Many tokens at once: which serial numbers are taken, and rows in bulk.

Rules: plain text and one call of the driver for many rows, for an import is to run at 10,000 records a second; in the
caller's transaction, so that a file's tokens are there together or not at all.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, select, text

from sparekey.storage.audit import INSERT_ROW
from sparekey.storage.tables import token

_IN_ONE_QUERY: Final = 500  # values; SQLite takes 32,766, PostgreSQL plans shorter lists better

# A token that nobody has and nobody has used; what is not named has its default.
_INSERT_TOKEN: Final = text("""
    INSERT INTO token (id, serial, type, domain_id, digits, interval, algorithm, seed_sealed, drift, last_step,
                       replay_step, enabled, lost, expires_at, with_pin, offline_code_online, created_at)
    VALUES (:id, :serial, :type, :domain_id, :digits, :interval, :algorithm, :seed_sealed, 0, :last_step,
            :last_step, :no, :no, :expires_at, :with_pin, :no, :created_at)
""")


def find_taken(connection: Connection, serials: Sequence[str]) -> set[str]:
    """Those of the serial numbers that a token has."""
    taken: set[str] = set()
    for start in range(0, len(serials), _IN_ONE_QUERY):
        query = select(token.c.serial).where(token.c.serial.in_(serials[start : start + _IN_ONE_QUERY]))
        taken.update(connection.execute(query).scalars())
    return taken


def insert_tokens(connection: Connection, rows: Sequence[Mapping[str, Any]], audit_rows: Sequence[Any]) -> None:
    """`rows`: id, serial, type, domain_id, digits, interval, algorithm, seed_sealed, last_step, expires_at, with_pin
    and created_at; `audit_rows`: what is put on record with them."""
    connection.execute(_INSERT_TOKEN, [{**row, "no": False} for row in rows])
    connection.execute(INSERT_ROW, list(audit_rows))
