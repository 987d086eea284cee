"""Searches that stay fast among a million: the condition that leaves the fewest rows leads, the others are looked at.

How much the indexes would give for each condition is counted first, up to a bound. Where that is few, these rows are
gone through, sorted and cut. Where every condition leaves many, the list is gone through in its order, and the first
ones that fit are soon together; where they are not, because they all stand at its end, what the index gives is taken.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from sqlalchemy import (
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

FEW: Final = 5_000  # rows that are fetched and sorted at once
FEW_WORDS: Final = 50_000  # the same of the index of words, of which only those are fetched that are shown
LOOKED_AT: Final = 20_000  # rows of a list in its order, before another way is taken
LISTS_AT_ONCE: Final = 64  # domains that each have a list of their own in an index
LISTS_WITH_WORDS: Final = 16  # the same, where each list is gone through further
_STEERED: Final = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
_LAST: Final = "\U0010ffff"  # sorts after every character

Domains = frozenset[str] | None  # ids; None: all of them
Holds = Callable[[Any], ColumnElement[bool]]  # of the columns of a row


@dataclass(frozen=True)
class Condition:
    """One thing that has to hold.

    `name`: the same of the same one. `counted`: what an index gives for it; where that is at most `few`, it may lead.
    `leads`: the same, as an index answers it; None: the list itself is so short. `holds`: a look at one row, which no
    index answers; None: the bounds say so.
    """

    name: str
    counted: Select[Any]
    few: int
    leads: Callable[[Connection], ColumnElement[bool]] | None = None
    holds: Holds | None = None
    in_order: bool = False  # its index gives the rows in the order of the list


@dataclass(frozen=True)
class List:
    """`shown`: its rows, of the table or of a part of it, with what is shown beside them. `key`: what keys are."""

    table: Table
    key: str
    order: tuple[str, ...]
    shown: Callable[[FromClause], Select[Any]]


@dataclass(frozen=True)
class Search:
    """`bounds`: what narrows the list itself, by an index that is in its order. `conditions`: those first that are the
    way out where the list's first rows do not fit. `lists`: it may be put together from the lists of these domains."""

    listing: List
    limit: int
    bounds: list[Holds] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    lists: Domains = None


def accounts_found(typed: Sequence[str], state: str, within: Domains, limit: int, after: str) -> Search:
    """Accounts with all these words, in order of login after this one; `state` "": whatever.

    Each row with the name of its `domain`.
    """
    lists = None if state in ("disabled", "locked") else _lists(within, LISTS_WITH_WORDS if typed else LISTS_AT_ONCE)
    search = Search(_ACCOUNTS, limit, [lambda row: row.login > after], lists=lists)
    search.conditions.extend(_word(each) for each in _longest(typed))
    _in_state(search, _ACCOUNT_STATES.get(state))
    _belongs(search, within)
    return search


def tokens_found(state: str, kind: str, within: Domains, limit: int, after: str, now: int) -> Search:
    """Tokens in order of serial without case, after this one; state and kind "": whatever.

    Each row with `login` and the name of its `domain`.
    """
    search = Search(_TOKENS, limit)
    _in_state(search, _TOKEN_STATES.get(state))
    if after:
        search.bounds.append(lambda row: tuple_(row.serial_key, row.serial) > tuple_(serial_key(after), after))
    if kind:
        search.bounds.append(lambda row: row.type == kind)
    if state == "expired":
        over = select(token.c.id).where(token.c.expires_at <= now)
        search.conditions.append(
            Condition("over", over, FEW, lambda _: token.c.expires_at <= now, lambda row: row.expires_at + 0 <= now)
        )
    if within is not None:
        search.conditions.append(_tokens_in(within))
    return search


def by_serial(search: Search, beginning: str) -> Search:
    """Those of the tokens whose serial begins so."""
    return _beginning(search, "serial_key", serial_key(beginning))


def by_user(search: Search, typed: Sequence[str], within: Domains) -> Search:
    """Those of the tokens whose users have all these words, and are in these domains."""
    words = [_word_of_user(each) for each in _longest(typed)]
    known = [] if within is None else [_tokens_of_users_in(within)]
    return Search(_TOKENS_OF_USERS, search.limit, search.bounds, [*words, *known, *search.conditions])


def devices_found(
    connection: Connection, beginning: str, state: str, within: Domains, limit: int, after: str, silent_since: int
) -> Search:
    """Devices whose folded name begins so, in order of that, after the one with this id; `state` "": whatever.

    Each row with the name of its `domain`.
    """
    search = Search(_DEVICES, limit, lists=None if state == "revoked" else _lists(within, LISTS_AT_ONCE))
    _in_state(search, _DEVICE_STATES.get(state))
    if after:
        last = connection.execute(select(device.c.name_key).where(device.c.id == after)).scalar() or ""
        search.bounds.append(lambda row: tuple_(row.name_key, row.id) > tuple_(last, after))
    if state == "silent":
        silent = select(device.c.id).where(device.c.last_contact <= silent_since)
        holds: Holds = lambda row: row.last_contact + 0 <= silent_since  # noqa: E731 -- a value like others
        search.conditions.append(
            Condition("silent", silent, FEW, lambda _: device.c.last_contact <= silent_since, holds)
        )
    _belongs(search, within)
    return _beginning(search, "name_key", beginning) if beginning else search


def run(connection: Connection, *searches: Search) -> list[Sequence[AnyRow]]:
    """The rows of each."""
    counts = _count(connection, {each.name: each for search in searches for each in search.conditions})
    return [_rows(connection, search, counts) for search in searches]


def _count(connection: Connection, conditions: Mapping[str, Condition]) -> Mapping[str, int]:
    """How much the index of each gives, up to a bound."""
    if not conditions:
        return {}
    counts = [
        select(func.count()).select_from(each.counted.limit(max(each.few, LOOKED_AT) + 1).subquery())
        for each in conditions.values()
    ]
    columns = [count.scalar_subquery().label(f"count_{number}") for number, count in enumerate(counts)]
    if connection.dialect.name == "postgresql":
        # From here to the end of the transaction: it does not know what was counted, nor that the first rows of a list
        # are soon together, and would rather read a table from end to end.
        columns += [func.set_config(name, "off", True).label(name) for name in _STEERED]
    return dict(zip(conditions, connection.execute(select(*columns)).one(), strict=False))


def _rows(connection: Connection, search: Search, counts: Mapping[str, int]) -> Sequence[AnyRow]:
    table = search.listing.table
    bounds = [each(table.c) for each in search.bounds]
    whole = _fitting(search, table).where(*bounds)
    leading = min(search.conditions, key=lambda each: counts[each.name] / each.few, default=None)
    if leading is not None and counts[leading.name] <= leading.few:
        return connection.execute(_led(connection, search, whole, leading)).all()
    part = select(table).where(*bounds).order_by(*(table.c[name] for name in search.listing.order))
    if search.lists:
        looked_at = [each.holds(table.c) for each in search.conditions if each.holds and each.name != _belonging(table)]
        fitting = part.where(*looked_at).limit(search.limit)
        lists = [fitting.where(table.c.domain_id == each).subquery() for each in sorted(search.lists)]
        return connection.execute(_fitting(search, union_all(*map(select, lists)).subquery())).all()
    keyed = [each for each in search.conditions if each.leads]
    if not keyed:
        return connection.execute(whole).all()
    smallest = min(keyed, key=lambda each: counts[each.name])
    if len(keyed) > 1 and counts[smallest.name] <= LOOKED_AT:
        return connection.execute(_led(connection, search, whole, smallest)).all()
    rows = _among_the_first(connection, search, part)
    if len(rows) == search.limit:
        return rows
    return connection.execute(_led(connection, search, whole, search.conditions[0])).all()


def _among_the_first(connection: Connection, search: Search, part: Select[Any]) -> Sequence[AnyRow]:
    fitting = _fitting(search, part.limit(LOOKED_AT).subquery())
    if connection.dialect.name == "sqlite":
        # It goes through the part in its order, but would sort it once more, and read all of it for that.
        rows = connection.execute(fitting.order_by(None)).all()
        return sorted(rows, key=lambda row: [getattr(row, name) for name in search.listing.order])
    return connection.execute(fitting).all()


def _fitting(search: Search, part: FromClause) -> Select[Any]:
    fitting = search.listing.shown(part).where(*(each.holds(part.c) for each in search.conditions if each.holds))
    return fitting.order_by(*(part.c[name] for name in search.listing.order)).limit(search.limit)


def _led(connection: Connection, search: Search, whole: Select[Any], leading: Condition) -> Select[Any]:
    if leading.leads is None:
        return whole
    led = whole.where(leading.leads(connection))
    if leading.in_order:
        return led
    # ordered by what no index has, or the list might be gone through in its order after all
    order = [func.coalesce(search.listing.table.c[name], "") for name in search.listing.order]
    return led.order_by(None).order_by(*order)


def _among(connection: Connection, column: ColumnElement[Any], keys: Select[Any]) -> ColumnElement[bool]:
    """On PostgreSQL as an array, which is there before the index is gone through, and is never joined the other way."""
    if connection.dialect.name == "postgresql":
        return column == any_(func.array(keys.scalar_subquery()))
    return column.in_(keys)


def _beginning(search: Search, column: str, beginning: str) -> Search:
    """Of the list, the part whose first order column begins so."""
    listing = search.listing
    bound: Holds = lambda row: _begins(row[column], beginning)  # noqa: E731 -- a value like others
    counted = select(listing.table.c[listing.key]).where(bound(listing.table.c))
    condition = Condition(f"{listing.table.name} {beginning}", counted, LOOKED_AT)
    return Search(listing, search.limit, [*search.bounds, bound], [*search.conditions, condition], search.lists)


def _begins(column: Any, beginning: str) -> ColumnElement[bool]:
    """As a range of an index, in order of bytes."""
    return and_(column >= beginning, column < beginning + _LAST)


def _in_state(search: Search, bound: Holds | None) -> None:
    if bound is None:
        return
    search.bounds.append(bound)
    table = search.listing.table
    if bound in _INDEXED:
        counted = select(table.c[search.listing.key]).where(bound(table.c))
        search.conditions.append(Condition(f"state of {table.name}", counted, LOOKED_AT))


def _lists(within: Domains, most: int) -> Domains:
    return within if within is not None and len(within) <= most else None


def _belonging(table: Table) -> str:
    return f"{table.name} in"


def _belongs(search: Search, within: Domains) -> None:
    """To one of the domains."""
    if within is None:
        return
    table, key = search.listing.table, search.listing.key
    inside = select(table.c[key]).where(table.c.domain_id.in_(within))
    search.conditions.append(
        Condition(
            _belonging(table),
            inside,
            FEW,
            lambda _: table.c.domain_id.in_(within),
            lambda row: _is_in(within, row.domain_id),
        )
    )


def _is_in(within: frozenset[str], *domains: ColumnElement[Any]) -> ColumnElement[bool]:
    """The first of these domains that is there, so that no index answers it."""
    return func.coalesce(*domains, "").in_(within)


def _longest(typed: Sequence[str]) -> list[str]:
    return sorted(typed, key=len, reverse=True)


def _logins(beginning: str) -> Select[Any]:
    return select(account_word.c.login).where(_begins(account_word.c.word, beginning))


def _leads_to_users(beginning: str) -> Callable[[Connection], ColumnElement[bool]]:
    return lambda connection: _among(connection, account.c.login, _logins(beginning))


def _word(beginning: str) -> Condition:
    holds: Holds = lambda row: row.words.contains(f" {beginning}", autoescape=True)  # noqa: E731 -- a value like others
    return Condition(
        f"word {beginning}", _logins(beginning), FEW_WORDS, _leads_to_users(beginning), holds, in_order=True
    )


def _word_of_user(beginning: str) -> Condition:
    holds: Holds = lambda _: account.c.words.contains(f" {beginning}", autoescape=True)  # noqa: E731 -- as above
    return Condition(f"user {beginning}", _logins(beginning), FEW, _leads_to_users(beginning), holds)


def _tokens_of_users_in(within: frozenset[str]) -> Condition:
    users = select(account.c.id).where(account.c.domain_id.in_(within))
    return Condition(
        "known users", users, FEW, lambda _: account.c.domain_id.in_(within),
        lambda _: _is_in(within, account.c.domain_id),
    )  # fmt: skip


def _tokens_in(within: frozenset[str]) -> Condition:
    """Where its user is; of a token that nobody has, its own domain."""
    users = select(account.c.id).where(account.c.domain_id.in_(within))
    nobodys = select(token.c.id).where(token.c.account_id.is_(None), token.c.domain_id.in_(within))
    counted = union_all(users, nobodys).subquery()

    def leads(connection: Connection) -> ColumnElement[bool]:
        owned = select(token.c.id).where(_among(connection, token.c.account_id, users))
        return _among(connection, token.c.id, select(union_all(owned, nobodys).subquery().c.id))

    return Condition(
        "tokens in", select(counted.c.id), FEW, leads, lambda row: _is_in(within, account.c.domain_id, row.domain_id)
    )


def _with_domain(part: FromClause) -> Select[Any]:
    # an outer join, or SQLite might go through the domains first
    return select(part, security_domain.c.name.label("domain")).outerjoin(
        security_domain, part.c.domain_id == security_domain.c.id
    )


def _with_user(part: FromClause, *, if_any: bool = True) -> Select[Any]:
    domain_id = func.coalesce(account.c.domain_id, part.c.domain_id)
    return (
        select(part, account.c.login, security_domain.c.name.label("domain"))
        .join(account, part.c.account_id == account.c.id, isouter=if_any)
        .outerjoin(security_domain, security_domain.c.id == domain_id)
    )


_ACCOUNTS: Final = List(account, "login", ("login",), _with_domain)
_TOKENS: Final = List(token, "id", ("serial_key", "serial"), _with_user)
# so that users may lead to their tokens
_TOKENS_OF_USERS: Final = replace(_TOKENS, shown=partial(_with_user, if_any=False))
_DEVICES: Final = List(device, "id", ("name_key", "id"), _with_domain)


def _as_written(condition: str) -> Holds:
    """As the index of this state has it, to the letter, or SQLite would not know it again."""
    return lambda _: literal_column(condition)


_ACCOUNT_STATES: Final[Mapping[str, Holds]] = {
    "enabled": lambda row: row.enabled.is_(True),
    "disabled": _as_written("NOT account.enabled"),
    "locked": _as_written("account.locked_at IS NOT NULL"),
}
_TOKEN_STATES: Final[Mapping[str, Holds]] = {
    "assigned": lambda row: row.account_id.is_not(None),
    "unassigned": _as_written("token.account_id IS NULL"),
    "disabled": _as_written("NOT token.enabled"),
    "lost": _as_written("token.lost"),
}
_DEVICE_STATES: Final[Mapping[str, Holds]] = {
    "active": lambda row: row.revoked_at.is_(None),
    "revoked": _as_written("device.revoked_at IS NOT NULL"),
    "silent": lambda row: row.revoked_at.is_(None),
}
# states that few are in, each with an index of its own
_INDEXED: Final = (
    *(_ACCOUNT_STATES[name] for name in ("disabled", "locked")),
    *(_TOKEN_STATES[name] for name in ("unassigned", "disabled", "lost")),
    _DEVICE_STATES["revoked"],
)
