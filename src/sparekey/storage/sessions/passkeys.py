"""Passkeys, and the challenges that authenticators have answered. A challenge can be answered once."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from sqlalchemy import Connection, delete, func, select, text

from sparekey.durations import DAY_SECONDS
from sparekey.storage.rows import all_as, one_as
from sparekey.storage.sealed_rows import all_intact, insert_row, one_intact, update_rows
from sparekey.storage.tables import passkey, passkey_challenge


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A passkey of a user; times are unix seconds."""

    id: str
    account_id: str
    name: str
    host: str  # the one name of this server at which it can be used
    credential_id: bytes
    public_key: bytes  # COSE
    sign_count: int  # of the authenticator; 0: it does not count
    created_at: int
    last_used_at: int | None


_COLUMNS: Final = [passkey.c[field.name] for field in fields(Passkey)]


def insert_passkey(connection: Connection, values: Mapping[str, object]) -> None:
    insert_row(connection, passkey, {"last_used_at": None, **values})


def find_by_credential(connection: Connection, credential_id: bytes) -> Passkey | None:
    query = select(passkey).where(passkey.c.credential_id == credential_id)
    return one_intact(Passkey, connection, query, passkey)


def list_of_account(connection: Connection, account_id: str) -> list[Passkey]:
    """Return the passkeys of the account, oldest first."""
    query = select(passkey).where(passkey.c.account_id == account_id).order_by(passkey.c.created_at, passkey.c.id)
    return all_intact(Passkey, connection, query, passkey)


def count_of_account(connection: Connection, account_id: str) -> int:
    query = select(func.count()).select_from(passkey).where(passkey.c.account_id == account_id)
    return connection.execute(query).scalar_one()


def mark_used(connection: Connection, passkey_id: str, count: int, now: int) -> None:
    """Save the sign count. The caller has locked the account, so that a second answer sees the count of the first."""
    update_rows(connection, passkey, [passkey.c.id == passkey_id], {"sign_count": count, "last_used_at": now})


def delete_passkey(connection: Connection, account_id: str, passkey_id: str) -> Passkey | None:
    """Delete the passkey of this account and return it; None: there was none."""
    query = delete(passkey).where(passkey.c.id == passkey_id, passkey.c.account_id == account_id).returning(*_COLUMNS)
    return one_as(Passkey, connection.execute(query))


def delete_of_account(connection: Connection, account_id: str) -> list[Passkey]:
    """Delete the passkeys of the account and return them."""
    query = delete(passkey).where(passkey.c.account_id == account_id).returning(*_COLUMNS)
    return all_as(Passkey, connection.execute(query))


def use_challenge(connection: Connection, challenge_id: str, expires_at: int, now: int) -> bool:
    """Use up the challenge. Return False if it was used before: of two answers at once, one inserts its row.

    Rows are deleted only a day after the challenge has expired, because another server's clock may be behind (S01).
    """
    over = select(passkey_challenge.c.id).where(passkey_challenge.c.expires_at <= now - _KEPT)
    over = over.with_for_update(skip_locked=True)  # do not wait for another deletion of the same rows
    connection.execute(delete(passkey_challenge).where(passkey_challenge.c.id.in_(over)))
    return connection.execute(_USE, {"id": challenge_id, "expires_at": expires_at}).rowcount == 1


_KEPT: Final = DAY_SECONDS  # seconds
# Runs on both SQLite and PostgreSQL
_USE: Final = text("INSERT INTO passkey_challenge (id, expires_at) VALUES (:id, :expires_at) ON CONFLICT DO NOTHING")
