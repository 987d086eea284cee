"""Rows as the types of their nouns, and the types of queries and rows whose columns have no types."""

from typing import Any, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Result, Row, Select

AnyRow: TypeAlias = Row[*tuple[Any, ...]]  # Any: the columns of a query have no types
AnySelect: TypeAlias = Select[*tuple[Any, ...]]  # Any: as in AnyRow
AnyResult: TypeAlias = Result[*tuple[Any, ...]]  # Any: as in AnyRow
AnyColumn: TypeAlias = ColumnElement[Any]  # Any: a column of any type
AnyValues: TypeAlias = dict[str, Any]  # Any: as in AnyRow; by the names of columns
T = TypeVar("T")


def by_name(row: AnyRow) -> AnyValues:
    """Return the values of a row by the names of its columns."""
    return dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy documents it as public


def one_as(kind: type[T], result: AnyResult) -> T | None:
    """Return the only row as this kind, whose fields are the columns; None if there is no row."""
    row = result.one_or_none()
    return None if row is None else kind(**by_name(row))


def all_as(kind: type[T], result: AnyResult) -> list[T]:
    """Return every row as this kind, whose fields are the columns."""
    return [kind(**by_name(row)) for row in result]
