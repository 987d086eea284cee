"""Sessions: found by the hash of their token, with the account as it is now.

Those of administrators, unless `table` says that they are those of users (`user_session`): the one is never found
among the others.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, func, insert, select, tuple_, update

from sparekey.storage.people.roles import with_grants
from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import account, admin_session, security_domain, user_session


def insert_session(
    connection: Connection,
    session_id: str,
    account_id: str,
    now: int,
    expires_at: int,
    table: Table = admin_session,
    **more: Any,
) -> None:
    """`more`: columns that only this table has."""
    connection.execute(
        insert(table).values(
            id=session_id,
            account_id=account_id,
            created_at=now,
            last_used_at=now,
            expires_at=expires_at,
            second_factor_at=now,
            **more,
        )
    )


def find_session(connection: Connection, session_id: str, table: Table = admin_session) -> AnyRow | None:
    """The session, with login, domain, state and failures of its account."""
    return connection.execute(_with_account(table).where(table.c.id == session_id)).one_or_none()


def find_with_grants(connection: Connection, session_id: str) -> Sequence[AnyRow]:
    """Return an administrator's session with one row per granted role: every page asks for both.

    The columns of the grant are those of `storage.people.roles.grants_of`. One row with `granted_in` None: no role.
    """
    query = with_grants(_with_account(admin_session), account.c.id).where(admin_session.c.id == session_id)
    return connection.execute(query).all()


def _with_account(table: Table) -> Select[Any]:
    return select(
        table.c.account_id,
        table.c.last_used_at,
        table.c.expires_at,
        table.c.second_factor_at,
        account.c.login,
        account.c.domain_id,
        account.c.enabled,
        account.c.expires_at.label("account_expires_at"),
        account.c.failures,
        account.c.first_failure_at,
        account.c.locked_at,
    ).join(account, account.c.id == table.c.account_id)


def mark_used(connection: Connection, session_id: str, now: int, table: Table = admin_session) -> None:
    """Only ever later."""
    connection.execute(
        update(table).where(table.c.id == session_id, table.c.last_used_at < now).values(last_used_at=now)
    )


def refresh_second_factor(
    connection: Connection, session_id: str, now: int, table: Table = admin_session, **more: Any
) -> None:
    """`more`: columns that only this table has."""
    connection.execute(
        update(table).where(table.c.id == session_id).values(second_factor_at=now, last_used_at=now, **more)
    )


def find_second_factor(connection: Connection, session_id: str, table: Table = admin_session) -> AnyRow | None:
    """What it was (`method`) and when; of users, of which token (`token_id`)."""
    return connection.execute(select(table).where(table.c.id == session_id)).one_or_none()


def delete_session(connection: Connection, session_id: str, table: Table = admin_session) -> bool:
    """Whether it was there."""
    return connection.execute(delete(table).where(table.c.id == session_id)).rowcount == 1


def delete_of_account(connection: Connection, account_id: str | None, but: str = "") -> None:
    """All of this user, of both kinds, but for the one with that id; None: of nobody."""
    for table in (admin_session, user_session):
        connection.execute(delete(table).where(table.c.account_id == account_id, table.c.id != but))


def delete_of_administrator(connection: Connection, account_id: str) -> None:
    """All at the console."""
    connection.execute(delete(admin_session).where(admin_session.c.account_id == account_id))


def delete_of_user(connection: Connection, account_id: str) -> None:
    """All at self-service."""
    connection.execute(delete(user_session).where(user_session.c.account_id == account_id))


def delete_over(connection: Connection, expired_by: int, unused_since: int, table: Table = admin_session) -> None:
    """Sessions that ended by this moment, or were last used by that one."""
    connection.execute(delete(table).where((table.c.expires_at <= expired_by) | (table.c.last_used_at <= unused_since)))


def list_open(
    connection: Connection,
    now: int,
    unused_since: int,
    limit: int,
    after: tuple[str, str],
    within: Collection[str] | None = None,
) -> Sequence[AnyRow]:
    """Sessions of administrators, by login and id, from the one after `after`; of users in these domains if given."""
    query = _open(now, unused_since).where(tuple_(account.c.login, admin_session.c.id) > tuple_(*after))
    query = query.order_by(account.c.login, admin_session.c.id).limit(limit)
    if within is not None:
        query = query.where(account.c.domain_id.in_(within))
    return connection.execute(query).all()


def list_of_account(connection: Connection, account_id: str, now: int, unused_since: int) -> Sequence[AnyRow]:
    """Those of one administrator, the one that was used last first."""
    query = _open(now, unused_since).where(admin_session.c.account_id == account_id)
    return connection.execute(query.order_by(admin_session.c.last_used_at.desc(), admin_session.c.id)).all()


def find_named(connection: Connection, name: str) -> AnyRow | None:
    """The session of administrators whose id begins so (16 hex digits)."""
    query = select(admin_session, account.c.login).join(account, account.c.id == admin_session.c.account_id)
    return connection.execute(query.where(func.substr(admin_session.c.id, 1, len(name)) == name)).first()


def _open(now: int, unused_since: int) -> Select[Any]:
    return (
        select(admin_session, account.c.login, security_domain.c.name.label("domain"))
        .join(account, account.c.id == admin_session.c.account_id)
        .join(security_domain, security_domain.c.id == account.c.domain_id)
        .where(admin_session.c.expires_at > now, admin_session.c.last_used_at > unused_since, account.c.enabled)
    )
