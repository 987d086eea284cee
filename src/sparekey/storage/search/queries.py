"""The parts of a search: the list, its order, and the conditions that its rows meet.

A list has one order of its own, which the indexes of states, words and domains have, too. Every other order has a
single index, by which the list is read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Connection, FromClause, Table, func, literal_column, tuple_
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import KeyedColumnElement

from sparekey.core.list_order import Order
from sparekey.storage.rows import AnyColumn, AnySelect

T = TypeVar("T")

# The columns of a table, or of a part of it
Columns: TypeAlias = ReadOnlyColumnCollection[str, KeyedColumnElement[Any]]  # Any: columns of every type
RowTest: TypeAlias = Callable[[Columns], ColumnElement[bool]]
Domains: TypeAlias = frozenset[str] | None  # ids; None: all of them


@dataclass(frozen=True)
class Condition:
    """A condition that every row of a search meets.

    `name`: equal conditions have equal names. `counted`: the rows that an index gives for it; the condition may lead
    the search if these are at most `few`. `leads`: the condition as an index answers it; None if the bounds of the
    search already imply it. `holds`: a test of one row, written so that no index answers it; None if the bounds of the
    search already imply it.
    """

    name: str
    counted: AnySelect
    few: int
    leads: Callable[[Connection], ColumnElement[bool]] | None = None
    holds: RowTest | None = None
    in_order: bool = False  # its index gives the rows in the order of the list


@dataclass(frozen=True)
class Key:
    """A column that rows are sorted by. `missing`: what an empty column counts as, exactly as the index has it."""

    column: str
    missing: int | None = None

    @property
    def name(self) -> str:
        """The name under which a part of the table carries the key, so that its order is known outside."""
        return self.column if self.missing is None else f"{self.column}_sorted"

    def of(self, columns: Columns) -> AnyColumn:
        """Return the key from the columns of the table, or of a part of it."""
        if self.name in columns:
            return columns[self.name]
        return func.coalesce(columns[self.column], literal_column(str(self.missing)))

    def hidden(self, columns: Columns) -> AnyColumn:
        """Return the key in a form that no index has. Otherwise the database might read the list in its order."""
        return func.coalesce(self.of(columns), "") if self.missing is None else self.of(columns) + 0

    def in_row(self, row: object) -> str | int:
        """Return the key of a fetched row. Raises LookupError if the row has none and the key must have a value."""
        value: str | int | None = getattr(row, self.column)
        if value is not None:
            return value
        if self.missing is None:
            raise LookupError(f"a row has no {self.column}, by which its list is sorted")
        return self.missing


@dataclass(frozen=True)
class Listing:
    """A table in one order. `shown`: selects its rows, from the table or a part of it, with what is shown beside them.

    `key`: the column by which a page names its last row. `own`: True if this is the list's own order (see above).
    """

    table: Table
    key: str
    order: tuple[Key, ...]
    shown: Callable[[FromClause], AnySelect]
    own: bool = True
    descending: bool = False

    def sorting(self, columns: Columns) -> list[AnyColumn]:
        """Return ORDER BY, for the columns of the table or of a part of it."""
        return [self._directed(key.of(columns)) for key in self.order]

    def sorting_hidden(self) -> list[AnyColumn]:
        """Return ORDER BY in a form that no index has."""
        return [self._directed(key.hidden(self.table.c)) for key in self.order]

    def in_order(self, rows: Sequence[T]) -> list[T]:
        """Sort fetched rows, or objects with the attributes of their keys, as the database sorts them."""
        return sorted(rows, key=lambda row: [key.in_row(row) for key in self.order], reverse=self.descending)

    def beyond(self, *last: str | int) -> RowTest:
        """Return the test for the rows after the row with these keys."""

        def holds(columns: Columns) -> ColumnElement[bool]:
            keys = [key.of(columns) for key in self.order]
            row_key, last_key = (tuple_(*keys), tuple_(*last)) if len(keys) > 1 else (keys[0], last[0])
            return row_key < last_key if self.descending else row_key > last_key

        return holds

    def _directed(self, column: AnyColumn) -> AnyColumn:
        return column.desc() if self.descending else column


@dataclass(frozen=True)
class ListPage:
    """One page of a list: `limit` rows after the row with the key `after`; "": from the first row."""

    order: Order
    limit: int
    after: str = ""


@dataclass(frozen=True)
class Search:
    """A search of one list.

    `bounds`: narrow the list itself, by an index in the order of the list. `conditions`: the first ones are the way out
    if the first rows of the list do not fit. `lists`: the search may be put together from the lists of these domains.
    """

    listing: Listing
    limit: int
    bounds: list[RowTest] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    lists: Domains = None


@dataclass(frozen=True)
class RowState:
    """A state of a row.

    `holds`: as no index answers it. `index`: exactly as the index of the state has it, or SQLite would not recognise
    it; "": the state has no index. `in_order`: that index is in the list's own order.
    """

    holds: RowTest
    index: str = ""
    in_order: bool = True
