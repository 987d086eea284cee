"""Sessions: found by the hash of their token, with the present state of the account.

The functions work on sessions of administrators, unless `table` names those of users (`user_session`). A session of
one kind is never found among the other kind.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, Select, Table, delete, func, literal, select, tuple_

from sparekey.storage.failure_counts import COUNT_COLUMNS, CountColumns
from sparekey.storage.people.roles import OF_GRANTS, HeldRole, held_role, with_grants
from sparekey.storage.rows import AnyRow, AnySelect, all_as
from sparekey.storage.sealed_counts import STORED_SEAL, counts_in
from sparekey.storage.sealed_rows import insert_row, intact_rows, one, one_intact, update_rows
from sparekey.storage.tables import account, admin_session, security_domain, user_session


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession(CountColumns):
    """A session with the present state of its account; times are unix seconds."""

    account_id: str
    login: str
    domain_id: str
    last_used_at: int
    expires_at: int
    second_factor_at: int
    enabled: bool
    account_expires_at: int | None
    method: str  # of the last second factor: of core.reasons.Method; "": it is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAndGrants:
    """An administrator's session, with the roles that the administrator holds."""

    session: StoredSession
    grants: tuple[HeldRole, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """The last second factor of a session."""

    account_id: str
    method: str  # of core.reasons.Method; "": it is not known
    second_factor_at: int
    token_id: str | None  # the token used, in a session of a user


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSession:
    """A session of an administrator, as lists show it; times are unix seconds."""

    id: str
    account_id: str
    login: str
    domain: str
    method: str
    address: str
    created_at: int
    last_used_at: int
    expires_at: int


def insert_session(
    connection: Connection,
    session_id: str,
    account_id: str,
    now: int,
    expires_at: int,
    table: Table = admin_session,
    **more: str | None,
) -> None:
    """Insert a session whose second factor was shown now. `more`: columns that only this table has."""
    values = {
        "id": session_id,
        "account_id": account_id,
        "created_at": now,
        "last_used_at": now,
        "expires_at": expires_at,
        "second_factor_at": now,
    }
    insert_row(connection, table, {**values, **more})


def find_session(connection: Connection, session_id: str, table: Table = admin_session) -> StoredSession | None:
    query = _with_account(table).where(table.c.id == session_id)
    return one([_session(connection, row) for row in intact_rows(connection, query, table, account)])


def find_with_grants(connection: Connection, session_id: str) -> SessionAndGrants | None:
    """Return an administrator's session and grants, read in one statement because every page needs both."""
    query = with_grants(_with_account(admin_session), account.c.id).where(admin_session.c.id == session_id)
    rows = intact_rows(connection, query, admin_session, account, *OF_GRANTS)
    if not rows:
        return None
    return SessionAndGrants(session=_session(connection, rows[0]), grants=tuple(filter(None, map(held_role, rows))))


def _session(connection: Connection, row: AnyRow) -> StoredSession:
    return StoredSession(
        account_id=row.account_id,
        login=row.login,
        domain_id=row.domain_id,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        second_factor_at=row.second_factor_at,
        enabled=row.enabled,
        account_expires_at=row.account_expires_at,
        method=row.method,
        **counts_in(connection, row, row.account_id),
    )


def _with_account(table: Table) -> AnySelect:
    return select(
        table.c.account_id,
        table.c.last_used_at,
        table.c.expires_at,
        table.c.second_factor_at,
        account.c.login,
        account.c.domain_id,
        account.c.enabled,
        account.c.expires_at.label("account_expires_at"),
        table.c.method,
        *COUNT_COLUMNS,
        STORED_SEAL,
    ).join(account, account.c.id == table.c.account_id)


def mark_used(connection: Connection, session_id: str, now: int, table: Table = admin_session) -> None:
    """Save the time of the last use. It never goes back."""
    update_rows(connection, table, (table.c.id == session_id, table.c.last_used_at < now), {"last_used_at": now})


def refresh_second_factor(
    connection: Connection, session_id: str, now: int, table: Table = admin_session, **more: str | None
) -> None:
    """Save that the second factor was shown now. `more`: columns that only this table has."""
    values = {"second_factor_at": now, "last_used_at": now, **more}
    update_rows(connection, table, [table.c.id == session_id], values)


def find_second_factor(connection: Connection, session_id: str, table: Table = admin_session) -> SecondFactor | None:
    token_id = table.c.get("token_id", literal(None))
    query = select(table.c.account_id, table.c.method, table.c.second_factor_at, token_id.label("token_id"))
    return one_intact(SecondFactor, connection, query.where(table.c.id == session_id), table)


def delete_session(connection: Connection, session_id: str, table: Table = admin_session) -> bool:
    """Delete the session. Return False if it was gone already."""
    return connection.execute(delete(table).where(table.c.id == session_id)).rowcount == 1


def delete_of_account(connection: Connection, account_id: str | None, but: str = "") -> None:
    """Delete all sessions of this user, of both kinds, except the one with the id `but`. None deletes nothing."""
    for table in (admin_session, user_session):
        connection.execute(delete(table).where(table.c.account_id == account_id, table.c.id != but))


def delete_of_administrator(connection: Connection, account_id: str) -> None:
    """Delete all administrator sessions of this user, at the console and over REST."""
    connection.execute(delete(admin_session).where(admin_session.c.account_id == account_id))


def delete_of_user(connection: Connection, account_id: str) -> None:
    """Delete all sessions of this user at self-service."""
    connection.execute(delete(user_session).where(user_session.c.account_id == account_id))


def delete_over(connection: Connection, expired_by: int, unused_since: int, table: Table = admin_session) -> None:
    """Delete the sessions that expired by `expired_by` or were not used after `unused_since` (unix seconds)."""
    connection.execute(delete(table).where((table.c.expires_at <= expired_by) | (table.c.last_used_at <= unused_since)))


def list_open(
    connection: Connection,
    now: int,
    unused_since: int,
    limit: int,
    after: tuple[str, str],
    within: Collection[str] | None = None,
) -> list[ListedSession]:
    """Return sessions of administrators in order of login and id, from the one after `after`.

    `within`: only those of users in these domains.
    """
    query = _open(now, unused_since).where(tuple_(account.c.login, admin_session.c.id) > tuple_(*after))
    query = query.order_by(account.c.login, admin_session.c.id).limit(limit)
    if within is not None:
        query = query.where(account.c.domain_id.in_(within))
    return all_as(ListedSession, connection.execute(query))


def list_of_account(connection: Connection, account_id: str, now: int, unused_since: int) -> list[ListedSession]:
    """Return the sessions of one administrator; the one used last comes first."""
    query = _open(now, unused_since).where(admin_session.c.account_id == account_id)
    query = query.order_by(admin_session.c.last_used_at.desc(), admin_session.c.id)
    return all_as(ListedSession, connection.execute(query))


def find_named(connection: Connection, name: str) -> ListedSession | None:
    """Return the session of an administrator whose id begins with `name` (16 hex digits)."""
    query = _listed().where(func.substr(admin_session.c.id, 1, len(name)) == name)
    return next(iter(all_as(ListedSession, connection.execute(query.limit(1)))), None)


def _open(now: int, unused_since: int) -> Select[*tuple[object, ...]]:
    return _listed().where(
        admin_session.c.expires_at > now, admin_session.c.last_used_at > unused_since, account.c.enabled
    )


def _listed() -> Select[*tuple[object, ...]]:
    """Select the columns of `ListedSession`."""
    session = admin_session.c
    return (
        select(
            session.id,
            session.account_id,
            account.c.login,
            security_domain.c.name.label("domain"),
            session.method,
            session.address,
            session.created_at,
            session.last_used_at,
            session.expires_at,
        )
        .join(account, account.c.id == session.account_id)
        .join(security_domain, security_domain.c.id == account.c.domain_id)
    )
