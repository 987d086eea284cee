"""Runs searches so that they stay fast among a million rows: the condition that leaves the fewest rows leads.

The rows that the index of each condition gives are counted first, up to a bound. If one condition gives few, its rows
are fetched, tested, sorted and cut. If every condition gives many, the list is read in its order, because enough rows
that fit are usually found soon. If they are not, because they are all at the end of the list, the index of the best
condition is used after all.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

from sqlalchemy import ColumnElement, Connection, FromClause, func, select, union_all

from sparekey.storage.rows import AnyRow, AnySelect
from sparekey.storage.search import limits
from sparekey.storage.search.narrowing import among, name_of_belonging
from sparekey.storage.search.queries import Condition, Search

_STEERED: Final = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")


def run(connection: Connection, *searches: Search) -> list[Sequence[AnyRow]]:
    """Return the rows of each search."""
    counts = _count(connection, {condition.name: condition for search in searches for condition in search.conditions})
    return [_rows(connection, search, counts) for search in searches]


def _count(connection: Connection, conditions: Mapping[str, Condition]) -> Mapping[str, int]:
    """Count the rows that the index of each condition gives, up to a bound."""
    if not conditions:
        return {}
    counts = [
        select(func.count()).select_from(condition.counted.limit(max(condition.few, limits.LOOKED_AT) + 1).subquery())
        for condition in conditions.values()
    ]
    columns = [count.scalar_subquery().label(f"count_{number}") for number, count in enumerate(counts)]
    if connection.dialect.name == "postgresql":
        # Valid until the end of the transaction. PostgreSQL does not know these counts, nor that the first rows of a
        # list are found soon, and would otherwise read a whole table.
        columns += [func.set_config(name, "off", True).label(name) for name in _STEERED]
    return dict(zip(conditions, connection.execute(select(*columns)).one(), strict=False))


def _rows(connection: Connection, search: Search, counts: Mapping[str, int]) -> Sequence[AnyRow]:
    table = search.listing.table
    bounds = [bound(table.c) for bound in search.bounds]
    whole = _fitting(search, table).where(*bounds)
    leading = min(search.conditions, key=lambda condition: counts[condition.name] / condition.few, default=None)
    if leading is not None and counts[leading.name] <= leading.few:
        return connection.execute(_led(connection, search, whole, leading)).all()
    if search.lists:
        return connection.execute(_put_together(connection, search, bounds)).all()
    keyed = [condition for condition in search.conditions if condition.leads]
    if not keyed:
        return connection.execute(whole).all()
    smallest = min(keyed, key=lambda condition: counts[condition.name])
    if len(keyed) > 1 and counts[smallest.name] <= limits.LOOKED_AT:
        return connection.execute(_led(connection, search, whole, smallest)).all()
    beside = [key.of(table.c).label(key.name) for key in search.listing.order if key.missing is not None]
    part = select(table, *beside).where(*bounds).order_by(*search.listing.sorting(table.c))
    rows = _among_the_first(connection, search, part)
    if len(rows) == search.limit or connection.execute(part.offset(limits.LOOKED_AT).limit(1)).first() is None:
        return rows
    # a condition that was counted to its end goes first, then the one that was named first
    way_out = min(
        search.conditions,
        key=lambda condition: counts[condition.name] if counts[condition.name] <= limits.LOOKED_AT else inf,
    )
    return connection.execute(_led(connection, search, whole, way_out)).all()


def _led(connection: Connection, search: Search, whole: AnySelect, leading: Condition) -> AnySelect:
    """Return the search with this condition written so that its index finds the rows."""
    if leading.leads is None:
        return whole
    led = whole.where(leading.leads(connection))
    return led if leading.in_order else led.order_by(None).order_by(*search.listing.sorting_hidden())


def _put_together(connection: Connection, search: Search, bounds: Sequence[ColumnElement[bool]]) -> AnySelect:
    """Return the search from the first keys of each domain's list, which an index gives in the order of the list."""
    listing, table = search.listing, search.listing.table
    belonging = name_of_belonging(table)
    tests = [
        condition.holds(table.c) for condition in search.conditions if condition.holds and condition.name != belonging
    ]
    columns = dict.fromkeys([*(key.column for key in listing.order), listing.key])
    part = select(*(table.c[name] for name in columns)).where(*bounds, *tests)
    part = part.order_by(*listing.sorting(table.c)).limit(search.limit)
    lists = [part.where(table.c.domain_id == domain_id).subquery() for domain_id in sorted(search.lists or ())]
    every = union_all(*map(select, lists)).subquery()
    keys = select(every.c[listing.key]).order_by(*listing.sorting(every.c)).limit(search.limit)
    found = listing.shown(table).where(among(connection, table.c[listing.key], keys))
    return found.order_by(*listing.sorting_hidden())


def _among_the_first(connection: Connection, search: Search, part: AnySelect) -> Sequence[AnyRow]:
    """Return the rows that fit among the first rows of the list."""
    fitting = _fitting(search, part.limit(limits.LOOKED_AT).subquery())
    if connection.dialect.name == "sqlite":
        # SQLite reads the part in its order, but would sort it again, and read all of it to do so.
        return search.listing.in_order(connection.execute(fitting.order_by(None)).all())
    return connection.execute(fitting).all()


def _fitting(search: Search, part: FromClause) -> AnySelect:
    """Return the rows of this part of the table that meet every condition."""
    fitting = search.listing.shown(part).where(
        *(condition.holds(part.c) for condition in search.conditions if condition.holds)
    )
    return fitting.order_by(*search.listing.sorting(part.c)).limit(search.limit)
