"""Links by which somebody becomes a super administrator: found by the hash of their code, used once."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import account, admin_link


def insert_link(connection: Connection, values: Mapping[str, Any]) -> None:
    connection.execute(insert(admin_link).values(used_at=None, **values))


def delete_over(connection: Connection, expired_by: int) -> None:
    """Links that expired by then: what was done with them is on record."""
    connection.execute(delete(admin_link).where(admin_link.c.expires_at <= expired_by))


def find_link(connection: Connection, link_id: str, now: int) -> AnyRow | None:
    """One that can be used now, with the login of its user (none: a user is still to be made)."""
    query = (
        select(admin_link, account.c.login)
        .outerjoin(account, account.c.id == admin_link.c.account_id)
        .where(admin_link.c.id == link_id, admin_link.c.used_at.is_(None), admin_link.c.expires_at > now)
    )
    return connection.execute(query).one_or_none()


def use_link(connection: Connection, link_id: str, now: int) -> bool:
    """Whether it could be used; from now on it cannot."""
    used = connection.execute(
        update(admin_link)
        .where(admin_link.c.id == link_id, admin_link.c.used_at.is_(None), admin_link.c.expires_at > now)
        .values(used_at=now)
    )
    return used.rowcount == 1
