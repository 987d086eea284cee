"""Online emergency access of tokens: one at a time for each token, with its codes.

Rules: a caller that changes it has locked the account of the token's user (`accounts.lock_accounts`); an access ends
together with all its codes (`end_emergency` in storage/sign_in/statements.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, literal, or_, select

from sparekey.core.emergency.online import EmergencyKind, IfAvailable
from sparekey.storage.rows import by_name
from sparekey.storage.sealed_rows import insert_row, with_seal
from sparekey.storage.tables import account, online_emergency, online_emergency_code


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineAccess:
    """The online emergency access of a token; times are unix seconds."""

    token_id: str
    account_id: str
    kind: EmergencyKind
    if_available: IfAvailable
    expires_at: int | None
    created_at: int
    created_by: str
    codes: int  # number of codes
    used: int  # number of codes that were used at least once
    last_used_at: int | None
    giver: str | None  # the login of the user who gave it; None: not a user, or the user was deleted
    giver_domain_id: str | None


def insert_access(connection: Connection, values: Mapping[str, object], codes: Iterable[tuple[str, bytes]]) -> None:
    """Add an access with its codes. `values`: by column name. `codes`: id and sealed value of each code."""
    insert_row(connection, online_emergency, values)
    rows = [
        with_seal(
            connection,
            online_emergency_code,
            {"id": code_id, "token_id": values["token_id"], "code_sealed": sealed, "used_at": None},
        )
        for code_id, sealed in codes
    ]
    connection.execute(insert(online_emergency_code), rows)


def find_access(connection: Connection, token_id: str) -> OnlineAccess | None:
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
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    columns = by_name(row)
    del columns["seal"]
    kinds = {"kind": EmergencyKind(row.kind), "if_available": IfAvailable(row.if_available)}
    return OnlineAccess(**columns | kinds)


def users_with_own(connection: Connection, domain_ids: frozenset[str], now: int) -> list[str]:
    """Return the ids of these domains' accounts with unexpired access that their users gave themselves."""
    query = (
        select(online_emergency.c.account_id)
        .join(account, account.c.id == online_emergency.c.account_id)
        .where(account.c.domain_id.in_(domain_ids), online_emergency.c.created_by == literal("user:") + account.c.id)
        .where(or_(online_emergency.c.expires_at.is_(None), online_emergency.c.expires_at > now))
        .distinct()
    )
    return [str(account_id) for account_id in connection.execute(query).scalars()]


def tokens_with_access_by(connection: Connection, account_id: str, giver: str) -> list[str]:
    """Return the ids of this user's tokens to which this actor gave access."""
    query = select(online_emergency.c.token_id).where(online_emergency.c.account_id == account_id)
    return list(connection.execute(query.where(online_emergency.c.created_by == giver)).scalars())
