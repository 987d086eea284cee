"""Users' accounts."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final, TypedDict, Unpack

from sqlalchemy import Connection, Select, func, select, text

from sparekey.core.search_words import fold_name, words_of
from sparekey.storage.failure_counts import CLEARED, COUNT_COLUMNS, COUNT_NAMES, CountColumns
from sparekey.storage.people.search_words import as_text, insert_words, replace_words
from sparekey.storage.rows import AnyRow, AnyValues, all_as
from sparekey.storage.sealed_counts import STORED_SEAL, counts_in, lock_counts
from sparekey.storage.sealed_rows import intact_rows, one, update_rows, with_seal
from sparekey.storage.tables import account, emergency_code, passkey, security_domain

_IN_ONE_QUERY: Final = 500  # values; SQLite takes 32,766, PostgreSQL plans shorter lists better


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(CountColumns):
    """An account with the name of its security domain (`domain`); times are unix seconds."""

    id: str
    login: str
    name: str
    mail: str  # empty: the user gets no notices
    domain_id: str
    domain: str
    enabled: bool
    expires_at: int | None
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountWithCounts:
    """An account, with the numbers that matter after a theft: kinds of valid emergency codes, and passkeys."""

    account: Account
    codes: int
    passkeys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """The values of a new account, which starts enabled."""

    id: str
    login: str
    name: str
    domain_id: str
    mail: str = ""
    expires_at: int | None = None
    created_at: int


class AccountChanges(TypedDict, total=False):
    """Columns that an edit of an account sets."""

    name: str
    mail: str
    expires_at: int | None


# Plain text and one call of the driver for many rows: an import brings a hundred thousand.
_INSERT: Final = text("""
    INSERT INTO account (id, login, name, domain_id, mail, expires_at, enabled, failures, created_at, words, name_key,
                         seal, counts_seal)
    VALUES (:id, :login, :name, :domain_id, :mail, :expires_at, :enabled, 0, :created_at, :words, :name_key, :seal,
            :counts_seal)
""")


_BEGINNING: Final = {"enabled": True, **CLEARED}


def insert_account(connection: Connection, account_id: str, login: str, name: str, domain_id: str, now: int) -> None:
    insert_accounts(
        connection, [NewAccount(id=account_id, login=login, name=name, domain_id=domain_id, created_at=now)]
    )


def insert_accounts(connection: Connection, accounts: Sequence[NewAccount]) -> None:
    words = [words_of(user.login, user.name, user.mail) for user in accounts]
    values = [
        with_seal(connection, account, asdict(user) | _BEGINNING)
        | {"words": as_text(found), "name_key": fold_name(user.name)}
        for user, found in zip(accounts, words, strict=True)
    ]
    connection.execute(_INSERT, values)
    insert_words(connection, zip((user.login for user in accounts), words, strict=True))


def find_taken(connection: Connection, logins: Sequence[str]) -> dict[str, str]:
    """Return the login names among these that users already have, each with the id of the user's domain."""
    taken: dict[str, str] = {}
    for start in range(0, len(logins), _IN_ONE_QUERY):
        some = account.c.login.in_(logins[start : start + _IN_ONE_QUERY])
        rows = connection.execute(select(account.c.login, account.c.domain_id).where(some))
        taken.update((row.login, row.domain_id) for row in rows)
    return taken


def find_account(connection: Connection, login: str) -> Account | None:
    return _find(connection, _accounts().where(account.c.login == login))


def find_account_by_id(connection: Connection, account_id: str) -> Account | None:
    return _find(connection, _accounts().where(account.c.id == account_id))


def _find(connection: Connection, query: Select[*tuple[object, ...]]) -> Account | None:
    rows = intact_rows(connection, query.add_columns(STORED_SEAL), account)
    return one([account_of(row, counts_in(connection, row, row.id)) for row in rows])


def find_with_counts(connection: Connection, account_ids: Collection[str], now: int) -> list[AccountWithCounts]:
    """Return these accounts in order of login, with their numbers at `now`.

    Each token with emergency codes counts as one code, and so does the emergency passcode.
    """
    owner = func.coalesce(emergency_code.c.token_id, emergency_code.c.account_id)
    codes = select(func.count(owner.distinct())).where(
        emergency_code.c.account_id == account.c.id, emergency_code.c.not_after > now
    )
    keys = select(func.count()).select_from(passkey).where(passkey.c.account_id == account.c.id)
    numbers = (codes.scalar_subquery().label("codes"), keys.scalar_subquery().label("passkeys"))
    query = _accounts().add_columns(*numbers).where(account.c.id.in_(account_ids)).order_by(account.c.login)
    return [
        AccountWithCounts(account=account_of(row), codes=row.codes, passkeys=row.passkeys)
        for row in connection.execute(query)
    ]


def list_accounts(
    connection: Connection, limit: int, after: str = "", within: Iterable[str] | None = None
) -> list[Account]:
    """Return accounts in order of login, after the login `after`. `within`: ids of domains; None: all of them."""
    query = _accounts().where(account.c.login > after).order_by(account.c.login).limit(limit)
    if within is not None:
        query = query.where(account.c.domain_id.in_(within))
    return all_as(Account, connection.execute(query))


def account_of(row: AnyRow, counts: AnyValues | None = None) -> Account:
    """Read an account from a row that has further columns, such as one of `searches`.

    `counts`: the counts of failures, verified; None: those of the row, for a list.
    """
    return Account(
        id=row.id,
        login=row.login,
        name=row.name,
        mail=row.mail,
        domain_id=row.domain_id,
        domain=row.domain,
        enabled=row.enabled,
        expires_at=row.expires_at,
        created_at=row.created_at,
        **(counts or {name: getattr(row, name) for name in COUNT_NAMES}),
    )


def lock_accounts(connection: Connection, account_ids: Iterable[str]) -> None:
    """Make other changes of these accounts, and of the rows that belong to them, wait until the transaction ends.

    Take these locks before those of tokens, codes and devices' data. They are taken in order of id, as a sign-in does,
    so that no two transactions wait for each other. (SQLite has only one writer at a time.)
    """
    query = select(account.c.id).where(account.c.id.in_(set(account_ids))).order_by(account.c.id)
    connection.execute(query.with_for_update(key_share=True)).all()


def set_enabled(connection: Connection, account_id: str, *, enabled: bool) -> bool:
    """Enable or disable the account. Return True if that changed it."""
    where = (account.c.id == account_id, account.c.enabled.is_not(enabled))
    return update_rows(connection, account, where, {"enabled": enabled}) == 1


def unlock(connection: Connection, account_id: str) -> int | None:
    """Clear the locks and the counts of failures, at all interfaces.

    Return the new version of the counts; None: none was set.
    """
    held = lock_counts(connection, account_id)
    return None if held is None else held.clear(connection)


def update_account(connection: Connection, account_id: str, **changes: Unpack[AccountChanges]) -> None:
    """Change the account, with the words that find it and the key that sorts it."""
    values: dict[str, object] = {**changes}
    if "name" in changes or "mail" in changes:
        columns = (account.c.login, account.c.name, account.c.mail, account.c.words)
        row = connection.execute(select(*columns).where(account.c.id == account_id)).one()
        name = changes.get("name", row.name)
        words = words_of(row.login, name, changes.get("mail", row.mail))
        replace_words(connection, row.login, row.words, words)
        values |= {"words": as_text(words), "name_key": fold_name(name)}
    update_rows(connection, account, [account.c.id == account_id], values)


def set_domain(connection: Connection, account_id: str, domain_id: str) -> None:
    update_rows(connection, account, [account.c.id == account_id], {"domain_id": domain_id})


def _accounts() -> Select[*tuple[object, ...]]:
    """Select the columns of `Account`."""
    columns = (
        account.c.id,
        account.c.login,
        account.c.name,
        account.c.mail,
        account.c.domain_id,
        security_domain.c.name.label("domain"),
        account.c.enabled,
        account.c.expires_at,
        account.c.created_at,
        *COUNT_COLUMNS,
    )
    return select(*columns).join(security_domain, account.c.domain_id == security_domain.c.id)
