"""Users' accounts."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, select, text, update

from sparekey.core.search_words import fold_name, words_of
from sparekey.storage.people.search_words import as_text, insert_words, replace_words
from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import account, emergency_code, passkey, security_domain

_IN_ONE_QUERY: Final = 500  # values; SQLite takes 32,766, PostgreSQL plans shorter lists better

# Plain text and one call of the driver for many rows: an import brings a hundred thousand.
_INSERT: Final = text("""
    INSERT INTO account (id, login, name, domain_id, mail, expires_at, enabled, failures, created_at, words, name_key)
    VALUES (:id, :login, :name, :domain_id, :mail, :expires_at, :enabled, 0, :created_at, :words, :name_key)
""")


def insert_account(connection: Connection, account_id: str, login: str, name: str, domain_id: str, now: int) -> None:
    values = {"id": account_id, "login": login, "name": name, "domain_id": domain_id, "created_at": now}
    insert_accounts(connection, [{**values, "mail": "", "expires_at": None}])


def insert_accounts(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """`rows`: id, login, name, domain_id, mail, expires_at and created_at of each; they are enabled."""
    words = [words_of(row["login"], row["name"], row["mail"]) for row in rows]
    values = [
        {**row, "enabled": True, "words": as_text(found), "name_key": fold_name(row["name"])}
        for row, found in zip(rows, words, strict=True)
    ]
    connection.execute(_INSERT, values)
    insert_words(connection, zip((row["login"] for row in rows), words, strict=True))


def find_taken(connection: Connection, logins: Sequence[str]) -> set[str]:
    """Those of the login names that somebody has."""
    taken: set[str] = set()
    for start in range(0, len(logins), _IN_ONE_QUERY):
        query = select(account.c.login).where(account.c.login.in_(logins[start : start + _IN_ONE_QUERY]))
        taken.update(connection.execute(query).scalars())
    return taken


def find_account(connection: Connection, login: str) -> AnyRow | None:
    """With the name of its `domain`."""
    query = select(account, security_domain.c.name.label("domain")).join(
        security_domain, account.c.domain_id == security_domain.c.id
    )
    return connection.execute(query.where(account.c.login == login)).one_or_none()


def find_with_counts(connection: Connection, account_ids: Collection[str], now: int) -> Sequence[AnyRow]:
    """Those of these ids, by login, each with how many kinds of emergency codes work (`codes`: the passcode, and one of
    each token that has them), and with how many `passkeys` it has."""
    owner = func.coalesce(emergency_code.c.token_id, emergency_code.c.account_id)
    codes = select(func.count(owner.distinct())).where(
        emergency_code.c.account_id == account.c.id, emergency_code.c.not_after > now
    )
    keys = select(func.count()).select_from(passkey).where(passkey.c.account_id == account.c.id)
    query = select(account, codes.scalar_subquery().label("codes"), keys.scalar_subquery().label("passkeys"))
    return connection.execute(query.where(account.c.id.in_(account_ids)).order_by(account.c.login)).all()


def find_account_by_id(connection: Connection, account_id: str) -> AnyRow | None:
    return connection.execute(select(account).where(account.c.id == account_id)).one_or_none()


def list_accounts(
    connection: Connection, limit: int, after: str = "", within: Iterable[str] | None = None
) -> Sequence[AnyRow]:
    """In order of login, from the one after `after`; within these domains if given."""
    query = (
        select(account, security_domain.c.name.label("domain"))
        .join(security_domain, account.c.domain_id == security_domain.c.id)
        .where(account.c.login > after)
        .order_by(account.c.login)
        .limit(limit)
    )
    if within is not None:
        query = query.where(account.c.domain_id.in_(within))
    return connection.execute(query).all()


def lock_accounts(connection: Connection, account_ids: Iterable[str]) -> None:
    """Other changes of these accounts and of what belongs to them wait until the transaction ends.

    Always taken before the rows of their tokens, codes and devices' data, and in order of id: so does a sign-in, and
    no two transactions wait for one another. (SQLite: its one writer is alone anyhow.)
    """
    query = select(account.c.id).where(account.c.id.in_(set(account_ids))).order_by(account.c.id)
    connection.execute(query.with_for_update(key_share=True)).all()


def set_enabled(connection: Connection, account_id: str, *, enabled: bool) -> bool:
    """Whether that changed anything."""
    changed = connection.execute(
        update(account).where(account.c.id == account_id, account.c.enabled.is_not(enabled)).values(enabled=enabled)
    )
    return changed.rowcount == 1


def unlock(connection: Connection, account_id: str) -> bool:
    """Clears lock and count; whether there was anything to clear."""
    cleared = connection.execute(
        update(account)
        .where(account.c.id == account_id, (account.c.failures > 0) | account.c.locked_at.is_not(None))
        .values(failures=0, first_failure_at=None, locked_at=None)
    )
    return cleared.rowcount == 1


def update_account(connection: Connection, account_id: str, **values: Any) -> None:
    """What names the user is found and sorted by, too."""
    if "name" in values or "mail" in values:
        columns = (account.c.login, account.c.name, account.c.mail, account.c.words)
        row = connection.execute(select(*columns).where(account.c.id == account_id)).one()
        words = words_of(row.login, values.get("name", row.name), values.get("mail", row.mail))
        replace_words(connection, row.login, row.words, words)
        values = {**values, "words": as_text(words), "name_key": fold_name(values.get("name", row.name))}
    connection.execute(update(account).where(account.c.id == account_id).values(**values))


def set_domain(connection: Connection, account_id: str, domain_id: str) -> None:
    connection.execute(update(account).where(account.c.id == account_id).values(domain_id=domain_id))
