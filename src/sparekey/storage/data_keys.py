"""Data keys, stored only as the keystore wrapped them."""

from collections.abc import Mapping

from sqlalchemy import Connection, insert, select

from sparekey.storage.tables import data_key


def list_wrapped(connection: Connection) -> Mapping[int, bytes]:
    """Return every wrapped data key, by version."""
    rows = connection.execute(select(data_key.c.version, data_key.c.wrapped))
    return {row.version: bytes(row.wrapped) for row in rows}


def insert_wrapped(connection: Connection, version: int, wrapped: bytes, now: int) -> None:
    """Add a data key. Raises IntegrityError if the version exists already."""
    connection.execute(insert(data_key), {"version": version, "wrapped": wrapped, "created_at": now})
