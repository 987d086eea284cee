"""The conditions that searches of users, tokens and devices share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Table,
    and_,
    any_,
    func,
    literal_column,
    select,
)

from sparekey.core.list_order import Order
from sparekey.storage.rows import AnyColumn, AnySelect
from sparekey.storage.search import limits
from sparekey.storage.search.queries import Columns, Condition, Domains, Key, Listing, RowState, RowTest, Search
from sparekey.storage.tables import account, account_word, security_domain, token

_LAST: Final = "\U0010ffff"  # sorts after every character


def in_this_order(orders: Mapping[str, Listing], order: Order) -> Listing:
    return replace(orders[order.by], descending=order.descending)


def lists_of(domains: Domains, most: int) -> Domains:
    """Return the domains if each may be read as a list of its own: if there are at most `most`."""
    return domains if domains is not None and len(domains) <= most else None


def go_on_after(connection: Connection, search: Search, last: ColumnElement[bool], domains: Domains) -> None:
    """Begin the page after this last row of the page before, or at the first row if the searcher cannot see that row.

    A row outside the searcher's domains counts as gone, because the beginning of the page would reveal its position.
    """
    listing = search.listing
    query = listing.shown(listing.table).where(last)
    if domains is not None:
        of_user = [account.c.domain_id] if listing.table is token else []
        query = query.where(is_in(domains, *of_user, listing.table.c.domain_id))
    row = connection.execute(query).one_or_none()
    if row is not None:
        search.bounds.append(listing.beyond(*(key.in_row(row) for key in listing.order)))


def starting_with(search: Search, column: str, beginning: str) -> Search:
    """Keep the rows whose column begins with this text.

    In the list's own order these rows are next to each other, because the column is the first one of that order.
    """
    table, key = search.listing.table, search.listing.key
    bound: RowTest = lambda columns: begins(columns[column], beginning)  # noqa: E731 -- a value like others
    counted, name = select(table.c[key]).where(bound(table.c)), f"{table.name} {beginning}"
    if search.listing.own:
        condition = Condition(name, counted, limits.LOOKED_AT)
        return replace(search, bounds=[*search.bounds, bound], conditions=[*search.conditions, condition])
    condition = Condition(
        name,
        counted,
        limits.FEW,
        lambda _: bound(table.c),
        lambda columns: begins(func.coalesce(columns[column], ""), beginning),
    )
    return replace(search, conditions=[*search.conditions, condition])


def up_to(search: Search, name: str, key: Key, bound: int) -> None:
    """Keep the rows whose key is at most `bound`: the beginning of the list that is sorted by it."""
    listing = search.listing
    counted = select(listing.table.c[listing.key]).where(key.of(listing.table.c) <= bound)
    if listing.order[0] == key:
        search.bounds.append(lambda columns: key.of(columns) <= bound)
        search.conditions.append(Condition(name, counted, limits.LOOKED_AT))
        return
    search.conditions.append(
        Condition(
            name,
            counted,
            limits.FEW,
            lambda _: key.of(listing.table.c) <= bound,
            lambda columns: key.hidden(columns) <= bound,
        )
    )


def in_state(search: Search, state: RowState | None) -> None:
    """Keep the rows in this state; None keeps all."""
    if state is None:
        return
    if not state.index:
        search.bounds.append(state.holds)
        return
    table = search.listing.table
    written: RowTest = lambda _: literal_column(state.index)  # noqa: E731 -- a value like others
    counted, name = select(table.c[search.listing.key]).where(written(table.c)), f"state of {table.name}"
    if search.listing.own and state.in_order:
        search.bounds.append(written)
        search.conditions.append(Condition(name, counted, limits.LOOKED_AT))
    else:
        search.conditions.append(Condition(name, counted, limits.FEW, lambda _: written(table.c), state.holds))


def belonging_to(search: Search, domains: Domains) -> None:
    """Keep the rows of these domains."""
    if domains is None:
        return
    table, key = search.listing.table, search.listing.key
    search.conditions.append(
        Condition(
            name_of_belonging(table),
            select(table.c[key]).where(table.c.domain_id.in_(domains)),
            limits.FEW,
            lambda _: table.c.domain_id.in_(domains),
            lambda columns: is_in(domains, columns.domain_id),
        )
    )


def name_of_belonging(table: Table) -> str:
    """Return the name of the condition of `belonging_to`."""
    return f"{table.name} in"


def is_in(domains: frozenset[str], *domain_ids: AnyColumn) -> ColumnElement[bool]:
    """Test the first of these domain ids that is not null, written so that no index answers it."""
    return func.coalesce(*domain_ids, "").in_(domains)


def begins(column: AnyColumn, beginning: str) -> ColumnElement[bool]:
    """Test the beginning of a column as a range of an index, in order of bytes."""
    return and_(column >= beginning, column < beginning + _LAST)


def among(connection: Connection, column: AnyColumn, keys: AnySelect) -> ColumnElement[bool]:
    """Test that the column is one of these keys.

    On PostgreSQL the keys are an array, which exists before the index is read, and which is never joined the other way.
    """
    if connection.dialect.name == "postgresql":
        return column == any_(func.array(keys.scalar_subquery()))
    return column.in_(keys)


def longest_first(words: Sequence[str]) -> list[str]:
    return sorted(words, key=len, reverse=True)


def logins_with_word(beginning: str) -> AnySelect:
    """Select the logins of the users who have a word with this beginning."""
    return select(account_word.c.login).where(begins(account_word.c.word, beginning))


def users_with_word(beginning: str) -> Callable[[Connection], ColumnElement[bool]]:
    """Return the condition of the word as its index answers it."""
    return lambda connection: among(connection, account.c.login, logins_with_word(beginning))


def has_word(columns: Columns, beginning: str) -> ColumnElement[bool]:
    """Test the words that an account keeps as text, each after a space."""
    return columns.words.contains(f" {beginning}", autoescape=True)


def with_domain(part: FromClause) -> AnySelect:
    """Select the rows with the names of their domains."""
    # with an inner join, SQLite might read the domains first
    return select(part, security_domain.c.name.label("domain")).outerjoin(
        security_domain, part.c.domain_id == security_domain.c.id
    )
