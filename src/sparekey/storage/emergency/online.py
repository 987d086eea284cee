"""Online emergency access of tokens: one at a time for each, with its codes; the sign-in's own SQL is in `sign_in.py`.

Rules: whoever changes it has locked the account of the token's user (`accounts.lock_accounts`); the access goes with
all its codes (`sign_in.end_emergency`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, literal, or_, select

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import account, online_emergency, online_emergency_code


def insert_access(connection: Connection, values: Mapping[str, Any], codes: Iterable[tuple[str, bytes]]) -> None:
    """`values` by column name; `codes`: id and sealed code of each."""
    connection.execute(insert(online_emergency).values(**values))
    rows = [{"id": code_id, "token_id": values["token_id"], "code_sealed": sealed} for code_id, sealed in codes]
    connection.execute(insert(online_emergency_code), rows)


def find_access(connection: Connection, token_id: str) -> AnyRow | None:
    """With `codes` (how many were made), `used` (how many of them at least once) and `last_used_at`; and with who gave
    it, if that is an account that is there: `giver`, in the domain `giver_domain_id`."""
    giver = account.alias("giver")
    query = (
        select(
            online_emergency,
            func.count(online_emergency_code.c.id).label("codes"),
            func.count(online_emergency_code.c.used_at).label("used"),
            func.max(online_emergency_code.c.used_at).label("last_used_at"),
            giver.c.login.label("giver"),
            giver.c.domain_id.label("giver_domain_id"),
        )
        .outerjoin(giver, online_emergency.c.created_by == literal("user:") + giver.c.id)
        .outerjoin(online_emergency_code, online_emergency_code.c.token_id == online_emergency.c.token_id)
        .where(online_emergency.c.token_id == token_id)
        .group_by(online_emergency.c.token_id, giver.c.id)
    )
    return connection.execute(query).one_or_none()


def users_with_own(connection: Connection, domain_ids: frozenset[str], now: int) -> list[str]:
    """The ids of these domains' accounts with access that their users gave themselves and that has not expired."""
    query = (
        select(online_emergency.c.account_id)
        .join(account, account.c.id == online_emergency.c.account_id)
        .where(account.c.domain_id.in_(domain_ids), online_emergency.c.created_by == literal("user:") + account.c.id)
        .where(or_(online_emergency.c.expires_at.is_(None), online_emergency.c.expires_at > now))
        .distinct()
    )
    return [str(account_id) for account_id in connection.execute(query).scalars()]


def given_by(connection: Connection, account_id: str, giver: str) -> Sequence[AnyRow]:
    """The access to tokens of this user that was given by whom the record names so."""
    query = select(online_emergency).where(online_emergency.c.account_id == account_id)
    return connection.execute(query.where(online_emergency.c.created_by == giver)).all()
