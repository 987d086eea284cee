"""Links that make a user a super administrator: found by the hash of their code, used once."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from sparekey.storage.sealed_rows import insert_row, one_intact, update_rows
from sparekey.storage.tables import account, admin_link


@dataclass(frozen=True, slots=True, kw_only=True)
class UsableLink:
    """A link that can be used now, with its user; None: the user does not exist yet."""

    id: str
    account_id: str | None
    login: str | None
    expires_at: int


def insert_link(connection: Connection, values: Mapping[str, object]) -> None:
    insert_row(connection, admin_link, {"used_at": None, **values})


def delete_over(connection: Connection, expired_by: int) -> None:
    """Delete the links that had expired by then. The audit log keeps what was done with them."""
    connection.execute(delete(admin_link).where(admin_link.c.expires_at <= expired_by))


def find_link(connection: Connection, link_id: str, now: int) -> UsableLink | None:
    query = (
        select(admin_link.c.id, admin_link.c.account_id, account.c.login, admin_link.c.expires_at)
        .outerjoin(account, account.c.id == admin_link.c.account_id)
        .where(admin_link.c.id == link_id, admin_link.c.used_at.is_(None), admin_link.c.expires_at > now)
    )
    return one_intact(UsableLink, connection, query, admin_link, account)


def use_link(connection: Connection, link_id: str, now: int) -> bool:
    """Use up the link. Return True if it was still valid."""
    usable = (admin_link.c.id == link_id, admin_link.c.used_at.is_(None), admin_link.c.expires_at > now)
    return update_rows(connection, admin_link, usable, {"used_at": now}) == 1
