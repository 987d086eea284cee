"""One sealed row of any table as it is stored, to show it or to accept it (app/audit_log/altered_rows.py).

Values have the types of the database driver, because an intruder can store any type in any column of SQLite.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, Table, select, update

from sparekey.storage.rows import by_name
from sparekey.storage.seal_sides import SIDES, kinds_of, row_kinds_of
from sparekey.storage.sealed_rows import as_stored, seals_of
from sparekey.storage.tables import metadata

Values = Mapping[str, object]


def sealed_tables() -> list[Table]:
    """Return the tables whose rows have a seal."""
    return [metadata.tables[name] for name, sides in SIDES.items() if sides.sealed]


def find_values(connection: Connection, table: Table, key: Sequence[str], *, lock: bool = False) -> Values | None:
    """Return the sealed columns of the row with this key, and its seals; None: there is no such row."""
    names = dict.fromkeys(name for seal, kind in kinds_of(table.name).items() for name in (*kind.columns, seal))
    query = select(*(as_stored(table.c[name]) for name in names)).where(*_is(table, key))
    row = connection.execute(query.with_for_update(of=table) if lock else query).one_or_none()
    return None if row is None else by_name(row)


def broken_seals(connection: Connection, table: Table, row: Values) -> list[str]:
    """Return the names of the seals that do not hold."""
    seals = seals_of(connection).seals
    return [
        seal
        for seal, kind in kinds_of(table.name).items()
        if not seals.holds(kind, [row[name] for name in kind.columns], row[seal])
    ]


def seal_as_it_is(connection: Connection, table: Table, key: Sequence[str], row: Values) -> None:
    """Seal a row, which the caller has locked, but no group that is verified apart.

    Raises TypeError, ValueError or KeyError for a foreign type.
    """
    seals, kinds = seals_of(connection).seals, row_kinds_of(table.name)
    new = {seal: seals.seal(kind, [row[name] for name in kind.columns]) for seal, kind in kinds.items()}
    connection.execute(update(table).where(*_is(table, key)).values(new))


def _is(table: Table, key: Sequence[str]) -> list[ColumnElement[bool]]:
    return [column == part for column, part in zip(table.primary_key.columns, key, strict=True)]
