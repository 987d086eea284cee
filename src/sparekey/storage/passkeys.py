"""Passkeys, and what authenticators are asked to sign: found by what the browser says, used once."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import account, passkey, passkey_challenge


def insert_passkey(connection: Connection, values: Mapping[str, Any]) -> None:
    connection.execute(insert(passkey).values(last_used_at=None, **values))


def find_by_credential(connection: Connection, credential_id: bytes) -> AnyRow | None:
    """The passkey with login, domain, state and failures of its account."""
    query = (
        select(
            passkey, account.c.login, account.c.domain_id, account.c.enabled,
            account.c.expires_at.label("account_expires_at"), account.c.failures, account.c.first_failure_at,
            account.c.locked_at,
        )
        .join(account, account.c.id == passkey.c.account_id)
        .where(passkey.c.credential_id == credential_id)
    )  # fmt: skip
    return connection.execute(query).one_or_none()


def list_of_account(connection: Connection, account_id: str) -> Sequence[AnyRow]:
    """Oldest first."""
    query = select(passkey).where(passkey.c.account_id == account_id).order_by(passkey.c.created_at, passkey.c.id)
    return connection.execute(query).all()


def count_of_account(connection: Connection, account_id: str) -> int:
    query = select(func.count()).select_from(passkey).where(passkey.c.account_id == account_id)
    return connection.execute(query).scalar_one()


def mark_used(connection: Connection, passkey_id: str, before: int, count: int, now: int) -> bool:
    """Whether its count still was `before`: of two answers at once one is good."""
    used = connection.execute(
        update(passkey)
        .where(passkey.c.id == passkey_id, passkey.c.sign_count == before)
        .values(sign_count=count, last_used_at=now)
    )
    return used.rowcount == 1


def delete_passkey(connection: Connection, account_id: str, passkey_id: str) -> AnyRow | None:
    """The passkey of this account that is gone now; None: there was none."""
    query = delete(passkey).where(passkey.c.id == passkey_id, passkey.c.account_id == account_id).returning(passkey)
    return connection.execute(query).one_or_none()


def delete_of_account(connection: Connection, account_id: str) -> int:
    """How many there were."""
    return connection.execute(delete(passkey).where(passkey.c.account_id == account_id)).rowcount


def insert_challenge(connection: Connection, challenge_id: str, expires_at: int, now: int) -> None:
    """Those that expired go."""
    connection.execute(delete(passkey_challenge).where(passkey_challenge.c.expires_at <= now))
    connection.execute(insert(passkey_challenge).values(id=challenge_id, expires_at=expires_at))


def take_challenge(connection: Connection, challenge_id: str, now: int) -> bool:
    """Whether it was there and had not expired; it is gone now."""
    taken = connection.execute(
        delete(passkey_challenge)
        .where(passkey_challenge.c.id == challenge_id)
        .returning(passkey_challenge.c.expires_at)
    )
    expires_at = taken.scalar_one_or_none()
    return expires_at is not None and now < expires_at
