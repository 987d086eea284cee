"""Rows as the types of their nouns, and the type of a row whose columns are read by name."""

from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Result, Row

AnyRow: TypeAlias = Row[*tuple[Any, ...]]  # Any: the columns of a query have no types
T = TypeVar("T")


def one_as(kind: type[T], result: Result[Any]) -> T | None:  # Any: as in AnyRow
    """Return the only row as this kind, whose fields are the columns; None if there is no row."""
    row = result.one_or_none()
    return None if row is None else kind(**row._mapping)  # noqa: SLF001 -- SQLAlchemy documents it as public


def all_as(kind: type[T], result: Result[Any]) -> list[T]:  # Any: as in AnyRow
    """Return every row as this kind, whose fields are the columns."""
    return [kind(**row._mapping) for row in result]  # noqa: SLF001 -- SQLAlchemy documents it as public
