"""Sessions of administrators: found by the hash of their token, with the account as it is now."""

from sqlalchemy import Connection, delete, insert, select, update

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import account, admin_session


def insert_session(connection: Connection, session_id: str, account_id: str, now: int, expires_at: int) -> None:
    connection.execute(
        insert(admin_session).values(
            id=session_id,
            account_id=account_id,
            created_at=now,
            last_used_at=now,
            expires_at=expires_at,
            second_factor_at=now,
        )
    )


def find_session(connection: Connection, session_id: str) -> AnyRow | None:
    """The session, with login, domain, state and failures of its account."""
    query = (
        select(
            admin_session.c.account_id, admin_session.c.last_used_at, admin_session.c.expires_at,
            admin_session.c.second_factor_at, account.c.login, account.c.domain_id, account.c.enabled,
            account.c.expires_at.label("account_expires_at"), account.c.failures, account.c.first_failure_at,
            account.c.locked_at,
        )
        .join(account, account.c.id == admin_session.c.account_id)
        .where(admin_session.c.id == session_id)
    )  # fmt: skip
    return connection.execute(query).one_or_none()


def mark_used(connection: Connection, session_id: str, now: int) -> None:
    """Only ever later."""
    connection.execute(
        update(admin_session)
        .where(admin_session.c.id == session_id, admin_session.c.last_used_at < now)
        .values(last_used_at=now)
    )


def refresh_second_factor(connection: Connection, session_id: str, now: int) -> None:
    connection.execute(
        update(admin_session).where(admin_session.c.id == session_id).values(second_factor_at=now, last_used_at=now)
    )


def delete_session(connection: Connection, session_id: str) -> bool:
    """Whether it was there."""
    return connection.execute(delete(admin_session).where(admin_session.c.id == session_id)).rowcount == 1


def delete_of_account(connection: Connection, account_id: str | None) -> None:
    """All of this user; None: of nobody."""
    connection.execute(delete(admin_session).where(admin_session.c.account_id == account_id))


def delete_over(connection: Connection, expired_by: int, unused_since: int) -> None:
    """Sessions that ended by this moment, or were last used by that one."""
    connection.execute(
        delete(admin_session).where(
            (admin_session.c.expires_at <= expired_by) | (admin_session.c.last_used_at <= unused_since)
        )
    )
