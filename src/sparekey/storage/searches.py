"""Searches that stay fast among a million: the condition that leaves the fewest rows leads, the others are looked at.

How much the indexes would give for each condition is counted first, up to a bound. Where that is few, these rows are
gone through, sorted and cut. Where every condition leaves many, the list is gone through in its order, and the first
ones that fit are soon together; where they are not, because they all stand at its end, what the index gives is taken.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    and_,
    any_,
    func,
    literal_column,
    select,
    tuple_,
    union_all,
)

from sparekey.core.search_words import serial_key
from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import account, account_word, device, security_domain, token

FEW: Final = 10_000  # rows that are gone through and sorted at once
LOOKED_AT: Final = 5_000  # rows of a list in its order, before another way is taken
LISTS_AT_ONCE: Final = 64  # domains that each have a list of their own in an index
_LAST: Final = "\U0010ffff"  # sorts after every character

Domains = frozenset[str] | None  # ids; None: all of them
Holds = Callable[[Any], ColumnElement[bool]]  # of the columns of a row


@dataclass(frozen=True)
class Condition:
    """One thing that has to hold: the keys of the rows that an index gives for it, and a look at one row."""

    keys: Select[Any]
    holds: Holds


@dataclass(frozen=True)
class List:
    """`shown`: its rows, of the table or of a part of it, with what is shown beside them. `key`: what keys are."""

    table: Table
    key: str
    order: tuple[str, ...]
    shown: Callable[[FromClause], Select[Any]]


@dataclass(frozen=True)
class Wish:
    """`bounds`: what narrows the list itself, by an index that is in its order. `conditions`: the narrowest first, as
    far as one can guess. `within`: the domains to which the rows themselves belong."""

    bounds: Sequence[Holds]
    conditions: Sequence[Condition]
    limit: int
    within: Domains = None


def search_accounts(
    connection: Connection, typed: Sequence[str], state: str, within: Domains, limit: int, after: str
) -> Sequence[AnyRow]:
    """In order of login, after this one, with the name of the `domain`; `state` "": whatever."""
    bounds = [lambda row: row.login > after, *_ACCOUNT_STATES[state]]
    return _search(connection, _ACCOUNTS, Wish(bounds, [_word(each) for each in _longest(typed)], limit, within))


@dataclass(frozen=True)
class TokenWish:
    """Tokens whose serial begins so, and those of users who have all the words in one of the domains `users_within`;
    "": whatever. In order of serial without case, after this one."""

    beginning: str
    typed: Sequence[str]
    state: str
    type: str
    within: Domains
    users_within: Domains
    limit: int
    after: str
    now: int


def search_tokens(connection: Connection, wish: TokenWish) -> Sequence[AnyRow]:
    """With `login` and the name of the `domain`."""
    bounds, conditions = _of_tokens(connection, wish)
    if not wish.beginning:
        return _search(connection, _TOKENS, Wish(bounds, conditions, wish.limit))
    beginning = serial_key(wish.beginning)
    by_serial = [*bounds, lambda row: _begins(row.serial_key, beginning)]
    rows = _search(connection, _TOKENS, Wish(by_serial, conditions, wish.limit))
    if not wish.typed:
        return rows
    words = [_word_of_user(connection, each) for each in _longest(wish.typed)]
    known = [] if wish.users_within is None else [_tokens_of_users_in(connection, wish.users_within)]
    more = _search(connection, _TOKENS, Wish(bounds, [*words, *known, *conditions], wish.limit))
    both = {row.serial: row for row in [*rows, *more]}
    return sorted(both.values(), key=lambda row: (row.serial_key, row.serial))[: wish.limit]


def _of_tokens(connection: Connection, wish: TokenWish) -> tuple[list[Holds], list[Condition]]:
    """What has to hold whatever is typed."""
    bounds: list[Holds] = [*_TOKEN_STATES.get(wish.state, ())]
    conditions = []
    if wish.after:
        bounds.append(lambda row: tuple_(row.serial_key, row.serial) > tuple_(serial_key(wish.after), wish.after))
    if wish.type:
        bounds.append(lambda row: row.type == wish.type)
    if wish.state == "expired":
        over = select(token.c.id).where(token.c.expires_at <= wish.now)
        conditions.append(Condition(over, lambda row: row.expires_at + 0 <= wish.now))
    if wish.within is not None:
        conditions.append(_tokens_in(connection, wish.within))
    return bounds, conditions


def search_devices(
    connection: Connection,
    beginning: str,
    state: str,
    within: Domains,
    limit: int,
    after: str,
    silent_since: int,
) -> Sequence[AnyRow]:
    """In order of name without case and accents, after the one with this id, with the name of the `domain`."""
    bounds: list[Holds] = [*_DEVICE_STATES.get(state, ())]
    if after:
        last = connection.execute(select(device.c.name_key).where(device.c.id == after)).scalar()
        bounds.append(lambda row: tuple_(row.name_key, row.id) > tuple_(last or "", after))
    if beginning:
        bounds.append(lambda row: _begins(row.name_key, beginning))
    if state == "silent":
        bounds.append(lambda row: func.coalesce(row.last_contact, 0) <= silent_since)
    return _search(connection, _DEVICES, Wish(bounds, (), limit, within))


def _search(connection: Connection, listing: List, wish: Wish) -> Sequence[AnyRow]:
    table, within = listing.table, wish.within
    bounds = [each(table.c) for each in wish.bounds]
    order = [table.c[name] for name in listing.order]
    part = select(table).where(*bounds).order_by(*order)
    conditions = [*wish.conditions]
    if within is not None:
        inside = select(table.c[listing.key]).where(table.c.domain_id.in_(within))
        conditions.append(Condition(inside, lambda row: func.coalesce(row.domain_id, "").in_(within)))
    whole = _fitting(listing, table, conditions, wish.limit).where(*bounds)
    leading = _fewest(connection, conditions)
    if leading is None and within is not None and len(within) <= LISTS_AT_ONCE:
        fitting = part.where(*(each.holds(table.c) for each in wish.conditions)).limit(wish.limit)
        lists = [select(fitting.where(table.c.domain_id == each).subquery()) for each in sorted(within)]
        return connection.execute(_fitting(listing, union_all(*lists).subquery(), (), wish.limit)).all()
    if leading is None and conditions:
        begun = part.limit(LOOKED_AT).subquery()
        rows = connection.execute(_fitting(listing, begun, conditions, wish.limit)).all()
        if len(rows) == wish.limit:
            return rows
        leading = conditions[0]
    if leading is not None:
        whole = whole.where(_among(connection, table.c[listing.key], leading.keys))
    return connection.execute(whole).all()


def _fitting(listing: List, part: FromClause, conditions: Sequence[Condition], limit: int) -> Select[Any]:
    order = [part.c[name] for name in listing.order]
    fitting = listing.shown(part).where(*(each.holds(part.c) for each in conditions))
    return fitting.order_by(*order).limit(limit)


def _fewest(connection: Connection, conditions: Sequence[Condition]) -> Condition | None:
    """The one whose index gives the fewest rows, if these are few."""
    if not conditions:
        return None
    counts = [select(func.count()).select_from(each.keys.limit(FEW + 1).subquery()) for each in conditions]
    columns = [count.scalar_subquery().label(f"count_{number}") for number, count in enumerate(counts)]
    if connection.dialect.name == "postgresql":
        # From here to the end of the transaction: it knows neither what was counted, nor that the first rows of a list
        # are soon together, and would rather read the table from end to end.
        columns.append(func.set_config("enable_seqscan", "off", True).label("steered"))
    found = list(connection.execute(select(*columns)).one())[: len(conditions)]
    least = min(found)
    return conditions[found.index(least)] if least <= FEW else None


def _among(connection: Connection, column: ColumnElement[Any], keys: Select[Any]) -> ColumnElement[bool]:
    """On PostgreSQL as an array, which is there before the index is gone through, and is never joined the other way."""
    if connection.dialect.name == "postgresql":
        return column == any_(func.array(keys.scalar_subquery()))
    return column.in_(keys)


def _begins(column: Any, beginning: str) -> ColumnElement[bool]:
    """As a range of an index, in order of bytes."""
    return and_(column >= beginning, column < beginning + _LAST)


def _longest(typed: Sequence[str]) -> list[str]:
    return sorted(typed, key=len, reverse=True)


def _logins(beginning: str) -> Select[Any]:
    return select(account_word.c.login).where(_begins(account_word.c.word, beginning))


def _word(beginning: str) -> Condition:
    return Condition(_logins(beginning), lambda row: row.words.contains(f" {beginning}", autoescape=True))


def _word_of_user(connection: Connection, beginning: str) -> Condition:
    owned = select(token.c.id).join(account, token.c.account_id == account.c.id)
    keys = owned.where(_among(connection, account.c.login, _logins(beginning)))
    return Condition(keys, lambda _: account.c.words.contains(f" {beginning}", autoescape=True))


def _tokens_of_users_in(connection: Connection, within: frozenset[str]) -> Condition:
    users = select(account.c.id).where(account.c.domain_id.in_(within))
    keys = select(token.c.id).where(_among(connection, token.c.account_id, users))
    return Condition(keys, lambda _: func.coalesce(account.c.domain_id, "").in_(within))


def _tokens_in(connection: Connection, within: frozenset[str]) -> Condition:
    """Where its user is; of a token that nobody has, its own domain."""
    nobodys = select(token.c.id).where(token.c.account_id.is_(None), token.c.domain_id.in_(within))
    keys = union_all(_tokens_of_users_in(connection, within).keys, nobodys).subquery()
    return Condition(select(keys.c.id), lambda row: func.coalesce(account.c.domain_id, row.domain_id, "").in_(within))


def _with_domain(part: FromClause) -> Select[Any]:
    return select(part, security_domain.c.name.label("domain")).join(
        security_domain, part.c.domain_id == security_domain.c.id
    )


def _with_user(part: FromClause) -> Select[Any]:
    return (
        select(part, account.c.login, security_domain.c.name.label("domain"))
        .outerjoin(account, part.c.account_id == account.c.id)
        .outerjoin(security_domain, security_domain.c.id == func.coalesce(account.c.domain_id, part.c.domain_id))
    )


_ACCOUNTS: Final = List(account, "login", ("login",), _with_domain)
_TOKENS: Final = List(token, "id", ("serial_key", "serial"), _with_user)
_DEVICES: Final = List(device, "id", ("name_key", "id"), _with_domain)


def _as_written(condition: str) -> Holds:
    """As the index of this state has it, or no database would know it again."""
    return lambda _: literal_column(condition, Boolean)


_ACCOUNT_STATES: Final[Mapping[str, Sequence[Holds]]] = {
    "": (),
    "enabled": (lambda row: row.enabled.is_(True),),
    "disabled": (_as_written("NOT account.enabled"),),
    "locked": (lambda row: row.locked_at.is_not(None),),
}
_TOKEN_STATES: Final[Mapping[str, Sequence[Holds]]] = {
    "assigned": (lambda row: row.account_id.is_not(None),),
    "unassigned": (lambda row: row.account_id.is_(None),),
    "disabled": (_as_written("NOT token.enabled"),),
    "lost": (_as_written("token.lost"),),
}
_DEVICE_STATES: Final[Mapping[str, Sequence[Holds]]] = {
    "active": (lambda row: row.revoked_at.is_(None),),
    "revoked": (lambda row: row.revoked_at.is_not(None),),
    "silent": (lambda row: row.revoked_at.is_(None),),
}
