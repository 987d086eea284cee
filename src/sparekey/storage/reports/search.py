"""Searches that stay fast among a million: the condition that leaves the fewest rows leads, the others are looked at.

How much the indexes would give for each condition is counted first, up to a bound. Where that is few, these rows are
gone through, sorted and cut. Where every condition leaves many, the list is gone through in its order, and the first
ones that fit are soon together; where they are not, because they all stand at its end, what the index gives is taken.

A list has one order of its own, in which the indexes of states, words and domains are, too; any other order has just
the one index by which the list is gone through.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
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

from sparekey.core.list_order import Order
from sparekey.core.search_words import serial_key
from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import NEVER, NO_END, account, account_word, device, security_domain, token

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
class Key:
    """What rows are sorted by: a column; `missing`: what a row without it counts as, to the letter of the index."""

    column: str
    missing: int | None = None

    @property
    def name(self) -> str:
        """By which a part of the table has it beside its columns, for its order to be known outside."""
        return self.column if self.missing is None else f"{self.column}_sorted"

    def of(self, row: Any) -> ColumnElement[Any]:
        """Of the columns of the table, or of a part of it."""
        if self.name in row:
            found: ColumnElement[Any] = row[self.name]
            return found
        return func.coalesce(row[self.column], literal_column(str(self.missing)))

    def hidden(self, row: Any) -> ColumnElement[Any]:
        """The same, as no index has it: or the list might be gone through in its order after all."""
        return func.coalesce(self.of(row), "") if self.missing is None else self.of(row) + 0

    def in_row(self, row: AnyRow) -> Any:
        value = getattr(row, self.column)
        return self.missing if value is None else value


@dataclass(frozen=True)
class List:
    """`shown`: its rows, of the table or of a part of it, with what is shown beside them. `key`: what keys are.
    `own`: whether it is in its own order, as the indexes of states, words and domains are."""

    table: Table
    key: str
    order: tuple[Key, ...]
    shown: Callable[[FromClause], Select[Any]]
    own: bool = True
    descending: bool = False

    def sorting(self, row: Any) -> list[ColumnElement[Any]]:
        """ORDER BY, of the columns of the table or of a part of it."""
        return [self._directed(each.of(row)) for each in self.order]

    def sorting_hidden(self) -> list[ColumnElement[Any]]:
        """The same, as no index has it."""
        return [self._directed(each.hidden(self.table.c)) for each in self.order]

    def in_order(self, rows: Sequence[AnyRow]) -> list[AnyRow]:
        """As the database sorts them."""
        return sorted(rows, key=lambda row: [each.in_row(row) for each in self.order], reverse=self.descending)

    def beyond(self, *last: Any) -> Holds:
        """What comes after the row with these values."""

        def holds(row: Any) -> ColumnElement[bool]:
            keys = [each.of(row) for each in self.order]
            here, there = (tuple_(*keys), tuple_(*last)) if len(keys) > 1 else (keys[0], last[0])
            return here < there if self.descending else here > there

        return holds

    def _directed(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return column.desc() if self.descending else column


@dataclass(frozen=True)
class Page:
    """What is shown of a list at once: `limit` rows after the one with the key `after`; "": from the first."""

    order: Order
    limit: int
    after: str = ""


@dataclass(frozen=True)
class Search:
    """`bounds`: what narrows the list itself, by an index that is in its order. `conditions`: those first that are the
    way out where the list's first rows do not fit. `lists`: it may be put together from the lists of these domains."""

    listing: List
    limit: int
    bounds: list[Holds] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    lists: Domains = None


@dataclass(frozen=True)
class State:
    """`holds`: as no index answers it. `index`: as the state's index has it, to the letter, or SQLite would not know it
    again; "": it has none. `in_order`: that index is in the list's own order."""

    holds: Holds
    index: str = ""
    in_order: bool = True


def accounts_found(connection: Connection, typed: Sequence[str], state: str, within: Domains, page: Page) -> Search:
    """Accounts with all these words, by `login` or `name`; the keys are logins; `state` "": whatever.

    Each row with the name of its `domain`.
    """
    listing = _listed(_ACCOUNTS, page.order)
    lists = None if state in ("disabled", "locked") else _lists(within, LISTS_WITH_WORDS if typed else LISTS_AT_ONCE)
    search = Search(listing, page.limit, lists=lists if listing.own else None)
    if page.after and listing.own:
        search.bounds.append(listing.beyond(page.after))
    elif page.after:
        _go_on(connection, search, account.c.login == page.after, within)
    search.conditions.extend(_word(each, in_order=listing.own) for each in _longest(typed))
    _in_state(search, _ACCOUNT_STATES.get(state))
    _belongs(search, within)
    return search


def tokens_found(connection: Connection, state: str, kind: str, within: Domains, page: Page, now: int) -> Search:
    """Tokens by `serial` without case or by `expiry`, those without an end last; the keys are serials; state and kind
    "": whatever.

    Each row with `login` and the name of its `domain`.
    """
    listing = _listed(_TOKENS, page.order)
    search = Search(listing, page.limit)
    _in_state(search, _TOKEN_STATES.get(state))
    if page.after and listing.own:
        search.bounds.append(listing.beyond(serial_key(page.after), page.after))
    elif page.after:
        _go_on(connection, search, token.c.serial == page.after, within)
    if kind:
        _of_kind(search, kind)
    if state == "expired":
        _up_to(search, "expired", _END, now)
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
    # so that users may lead to their tokens
    listing = replace(search.listing, shown=partial(_with_user, if_any=False))
    return Search(listing, search.limit, search.bounds, [*words, *known, *search.conditions])


def devices_found(
    connection: Connection, beginning: str, state: str, within: Domains, page: Page, silent_since: int
) -> Search:
    """Devices whose folded name begins so, by `name` or by last `contact`, those that never had one first; the keys are
    ids; `state` "": whatever.

    Each row with the name of its `domain`.
    """
    listing = _listed(_DEVICES, page.order)
    lists = None if state == "revoked" or not listing.own else _lists(within, LISTS_AT_ONCE)
    search = Search(listing, page.limit, lists=lists)
    _in_state(search, _DEVICE_STATES.get(state))
    if page.after:
        _go_on(connection, search, device.c.id == page.after, within)
    if state == "silent":
        _up_to(search, "silent", _CONTACT, silent_since)
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
    if search.lists:
        return connection.execute(_put_together(connection, search, bounds)).all()
    keyed = [each for each in search.conditions if each.leads]
    if not keyed:
        return connection.execute(whole).all()
    smallest = min(keyed, key=lambda each: counts[each.name])
    if len(keyed) > 1 and counts[smallest.name] <= LOOKED_AT:
        return connection.execute(_led(connection, search, whole, smallest)).all()
    beside = [each.of(table.c).label(each.name) for each in search.listing.order if each.missing is not None]
    part = select(table, *beside).where(*bounds).order_by(*search.listing.sorting(table.c))
    rows = _among_the_first(connection, search, part)
    if len(rows) == search.limit or connection.execute(part.offset(LOOKED_AT).limit(1)).first() is None:
        return rows
    # what was counted to its end goes first, then the one that was named first
    way_out = min(search.conditions, key=lambda each: counts[each.name] if counts[each.name] <= LOOKED_AT else inf)
    return connection.execute(_led(connection, search, whole, way_out)).all()


def _put_together(connection: Connection, search: Search, bounds: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """From the keys that the list of each domain begins with, which its index gives by itself."""
    listing, table = search.listing, search.listing.table
    looked_at = [each.holds(table.c) for each in search.conditions if each.holds and each.name != _belonging(table)]
    columns = dict.fromkeys([*(each.column for each in listing.order), listing.key])
    part = select(*(table.c[name] for name in columns)).where(*bounds, *looked_at)
    part = part.order_by(*listing.sorting(table.c)).limit(search.limit)
    lists = [part.where(table.c.domain_id == each).subquery() for each in sorted(search.lists or ())]
    together = union_all(*map(select, lists)).subquery()
    keys = select(together.c[listing.key]).order_by(*listing.sorting(together.c)).limit(search.limit)
    found = listing.shown(table).where(_among(connection, table.c[listing.key], keys))
    return found.order_by(*listing.sorting_hidden())


def _among_the_first(connection: Connection, search: Search, part: Select[Any]) -> Sequence[AnyRow]:
    fitting = _fitting(search, part.limit(LOOKED_AT).subquery())
    if connection.dialect.name == "sqlite":
        # It goes through the part in its order, but would sort it once more, and read all of it for that.
        return search.listing.in_order(connection.execute(fitting.order_by(None)).all())
    return connection.execute(fitting).all()


def _fitting(search: Search, part: FromClause) -> Select[Any]:
    fitting = search.listing.shown(part).where(*(each.holds(part.c) for each in search.conditions if each.holds))
    return fitting.order_by(*search.listing.sorting(part.c)).limit(search.limit)


def _led(connection: Connection, search: Search, whole: Select[Any], leading: Condition) -> Select[Any]:
    if leading.leads is None:
        return whole
    led = whole.where(leading.leads(connection))
    return led if leading.in_order else led.order_by(None).order_by(*search.listing.sorting_hidden())


def _among(connection: Connection, column: ColumnElement[Any], keys: Select[Any]) -> ColumnElement[bool]:
    """On PostgreSQL as an array, which is there before the index is gone through, and is never joined the other way."""
    if connection.dialect.name == "postgresql":
        return column == any_(func.array(keys.scalar_subquery()))
    return column.in_(keys)


def _beginning(search: Search, column: str, beginning: str) -> Search:
    """Those whose column begins so; in the list's own order that is a part of it, for this is its first column."""
    table, key = search.listing.table, search.listing.key
    bound: Holds = lambda row: _begins(row[column], beginning)  # noqa: E731 -- a value like others
    counted, name = select(table.c[key]).where(bound(table.c)), f"{table.name} {beginning}"
    if search.listing.own:
        condition = Condition(name, counted, LOOKED_AT)
        return replace(search, bounds=[*search.bounds, bound], conditions=[*search.conditions, condition])
    condition = Condition(
        name, counted, FEW, lambda _: bound(table.c), lambda row: _begins(func.coalesce(row[column], ""), beginning)
    )
    return replace(search, conditions=[*search.conditions, condition])


def _begins(column: Any, beginning: str) -> ColumnElement[bool]:
    """As a range of an index, in order of bytes."""
    return and_(column >= beginning, column < beginning + _LAST)


def _listed(orders: Mapping[str, List], order: Order) -> List:
    return replace(orders[order.by], descending=order.descending)


def _go_on(connection: Connection, search: Search, last: ColumnElement[bool], within: Domains) -> None:
    """After the row that was the last one, if it is still there for who asks; else from the first.

    One that they may not see is not there: it would tell where it stands.
    """
    listing = search.listing
    query = listing.shown(listing.table).where(last)
    if within is not None:
        of_user = [account.c.domain_id] if listing.table is token else []
        query = query.where(_is_in(within, *of_user, listing.table.c.domain_id))
    row = connection.execute(query).one_or_none()
    if row is not None:
        search.bounds.append(listing.beyond(*(each.in_row(row) for each in listing.order)))


def _up_to(search: Search, name: str, key: Key, bound: int) -> None:
    """Those in which this is there and at most so much: the beginning of the list that is sorted by it."""
    listing = search.listing
    counted = select(listing.table.c[listing.key]).where(key.of(listing.table.c) <= bound)
    if listing.order[0] == key:
        search.bounds.append(lambda row: key.of(row) <= bound)
        search.conditions.append(Condition(name, counted, LOOKED_AT))
        return
    search.conditions.append(
        Condition(name, counted, FEW, lambda _: key.of(listing.table.c) <= bound, lambda row: key.hidden(row) <= bound)
    )


def _of_kind(search: Search, kind: str) -> None:
    if search.listing.own:
        search.bounds.append(lambda row: row.type == kind)
        return
    counted = select(token.c.id).where(token.c.type == kind)
    search.conditions.append(
        Condition("kind", counted, FEW, lambda _: token.c.type == kind, lambda row: func.coalesce(row.type, "") == kind)
    )


def _in_state(search: Search, state: State | None) -> None:
    if state is None:
        return
    if not state.index:
        search.bounds.append(state.holds)
        return
    table = search.listing.table
    written: Holds = lambda _: literal_column(state.index)  # noqa: E731 -- a value like others
    counted, name = select(table.c[search.listing.key]).where(written(table.c)), f"state of {table.name}"
    if search.listing.own and state.in_order:
        search.bounds.append(written)
        search.conditions.append(Condition(name, counted, LOOKED_AT))
    else:
        search.conditions.append(Condition(name, counted, FEW, lambda _: written(table.c), state.holds))


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


def _word(beginning: str, *, in_order: bool) -> Condition:
    """`in_order`: the list is by login, as the words' index is."""
    holds: Holds = lambda row: row.words.contains(f" {beginning}", autoescape=True)  # noqa: E731 -- a value like others
    few, name = FEW_WORDS if in_order else FEW_WORDS // 2, f"word {beginning}"
    return Condition(name, _logins(beginning), few, _leads_to_users(beginning), holds, in_order)


def _word_of_user(beginning: str) -> Condition:
    holds: Holds = lambda _: account.c.words.contains(f" {beginning}", autoescape=True)  # noqa: E731 -- as above
    return Condition(f"user {beginning}", _logins(beginning), FEW, _leads_to_users(beginning), holds)


def _tokens_of_users_in(within: frozenset[str]) -> Condition:
    users = select(account.c.id).where(account.c.domain_id.in_(within))
    return Condition(
        "known users",
        users,
        FEW,
        lambda _: account.c.domain_id.in_(within),
        lambda _: _is_in(within, account.c.domain_id),
    )


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


_END: Final = Key("expires_at", NO_END)
_CONTACT: Final = Key("last_contact", NEVER)

# By what each list can be sorted, its own order first.
_ACCOUNTS: Final[Mapping[str, List]] = {
    "login": List(account, "login", (Key("login"),), _with_domain),
    "name": List(account, "login", (Key("name_key"), Key("login")), _with_domain, own=False),
}
_TOKENS: Final[Mapping[str, List]] = {
    "serial": List(token, "id", (Key("serial_key"), Key("serial")), _with_user),
    "expiry": List(token, "id", (_END, Key("serial_key"), Key("serial")), _with_user, own=False),
}
_DEVICES: Final[Mapping[str, List]] = {
    "name": List(device, "id", (Key("name_key"), Key("id")), _with_domain),
    "contact": List(device, "id", (_CONTACT, Key("id")), _with_domain, own=False),
}
ACCOUNT_ORDERS: Final = tuple(_ACCOUNTS)
TOKEN_ORDERS: Final = tuple(_TOKENS)
DEVICE_ORDERS: Final = tuple(_DEVICES)

# Those that few are in have an index of their own.
_ACCOUNT_STATES: Final[Mapping[str, State]] = {
    "enabled": State(lambda row: row.enabled.is_(True)),
    "disabled": State(lambda row: func.coalesce(row.enabled, True).is_(False), "NOT account.enabled"),
    "locked": State(lambda row: row.locked_at + 0 >= 0, "account.locked_at IS NOT NULL"),
}
_TOKEN_STATES: Final[Mapping[str, State]] = {
    "assigned": State(lambda row: func.coalesce(row.account_id, "") != "", "token.account_id > ''", in_order=False),
    "unassigned": State(lambda row: func.coalesce(row.account_id, "") == "", "token.account_id IS NULL"),
    "disabled": State(lambda row: func.coalesce(row.enabled, True).is_(False), "NOT token.enabled"),
    "lost": State(lambda row: func.coalesce(row.lost, False).is_(True), "token.lost"),
}
_DEVICE_STATES: Final[Mapping[str, State]] = {
    "active": State(lambda row: row.revoked_at.is_(None)),
    "revoked": State(lambda row: row.revoked_at + 0 >= 0, "device.revoked_at IS NOT NULL"),
    "silent": State(lambda row: row.revoked_at.is_(None)),
}
