"""Read and write rows with seals (`core.row_seals`): the only way to rows of tables that have one.

Rules:
- A row is sealed in the statement that writes it. A change locks the row, verifies its seal, and seals the new values:
  an altered row never gets a seal by a later change.
- A row whose seal does not hold does not exist for a query that decides. It is noted, and the unit of work raises the
  alarm after the transaction.
- A change of an altered row goes through and leaves it without a valid seal, so that an intruder cannot keep an
  administrator from disabling what was altered.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Final, TypeVar

from sqlalchemy import (
    Alias,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Label,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.sql.selectable import NamedFromClause
from sqlalchemy.types import NullType

from sparekey.core.row_seals import SealedKind
from sparekey.storage.rows import AnyColumn, AnyRow, AnySelect, by_name
from sparekey.storage.seal_sides import is_seal, kinds_of, row_kinds_of
from sparekey.storage.seals_in_use import SEALS, SealsInUse
from sparekey.storage.tables import (
    admin_link,
    admin_session,
    api_client,
    device_invitation,
    sign_in_challenge,
    user_session,
)

T = TypeVar("T")
Values = Mapping[str, object]

_CHUNK: Final = 2_000  # rows
_KEY_OF: Final = "key_of_"  # before the names of parameters


def seals_of(connection: Connection) -> SealsInUse:
    """Return the seals of the connection's database. Raises LookupError if they are not open."""
    found: SealsInUse | None = connection.get_execution_options().get(SEALS)
    if found is None:
        raise LookupError("the row seals of this database are not open; see Database.use_seals")
    return found


def with_seal(connection: Connection, table: Table, values: Values) -> dict[str, object]:
    """Return the values of a new row with its seals."""
    seals = seals_of(connection).seals
    row = {**_defaults(table), **values}
    return {
        **values,
        **{seal: seals.seal(kind, [row[name] for name in kind.columns]) for seal, kind in kinds_of(table.name).items()},
    }


def insert_row(connection: Connection, table: Table, values: Values) -> None:
    """Insert one row with its seals."""
    connection.execute(insert(table).values(**with_seal(connection, table, values)))


def update_rows(
    connection: Connection,
    table: Table,
    where: Iterable[ColumnElement[bool]],
    values: Values | Callable[[AnyRow], Values],
) -> int:
    """Change the rows and seal them again. Return the number of those that were not altered before.

    `values`: by column; or a function of the sealed columns of the locked row. The condition is checked with the row
    locked, so that of two changes at once only one finds the row as it was.
    """
    seals, kinds = seals_of(connection), kinds_of(table.name)
    if not callable(values):
        kinds = {seal: kind for seal, kind in kinds.items() if values.keys() & set(kind.columns)}
    keys = [column.name for column in table.primary_key.columns]
    names = dict.fromkeys([*keys, *kinds, *(name for kind in kinds.values() for name in kind.columns)])
    query = select(*(table.c[name] for name in names)).where(*where).order_by(*table.primary_key.columns)
    rows = connection.execute(query.with_for_update(of=table, key_share=True)).all()
    changes, intact = [], 0
    for row in rows:
        new = values(row) if callable(values) else values
        before = by_name(row)
        sealed = _sealed(seals, table, kinds, before, new)
        intact += sealed is not None
        changes.append({f"{_KEY_OF}{name}": before[name] for name in keys} | {**new} | (sealed or {}))
    found = [table.c[name] == bindparam(f"{_KEY_OF}{name}") for name in keys]
    for columns in {tuple(change) for change in changes}:  # an altered row gets no seal
        same = [change for change in changes if tuple(change) == columns]
        connection.execute(update(table).where(*found).values(_bound(same[0])), same)
    return intact


def _sealed(
    seals: SealsInUse, table: Table, kinds: Mapping[str, SealedKind], before: Values, new: Values
) -> dict[str, object] | None:
    """Return the new seals; None: the row was altered before."""
    after = {**before, **new}
    found: dict[str, object] = {}
    for seal, kind in kinds.items():
        if not seals.seals.holds(kind, [before[name] for name in kind.columns], before[seal]):
            seals.note(table.name, _key(table, before))
            return None
        found[seal] = seals.seals.seal(kind, [after[name] for name in kind.columns])
    return found


def _bound(change: Values) -> dict[str, ColumnElement[object]]:
    """Return the changed columns, each with a parameter of its name."""
    return {name: bindparam(name) for name in change if not name.startswith(_KEY_OF)}


def intact_rows(connection: Connection, query: AnySelect, *sources: NamedFromClause) -> list[AnyRow]:
    """Return the rows of the query in which the seals of these tables hold. An outer join may leave a table out."""
    columns = [column for source in sources for column in _evidence(source)]
    rows = connection.execute(query.add_columns(*columns)).all()
    if not rows:
        return []
    seals = seals_of(connection)
    first = len(rows[0]) - len(columns)
    return [row for row in rows if _holds(seals, sources, row, first)]


def _holds(seals: SealsInUse, sources: Sequence[NamedFromClause], row: AnyRow, start: int) -> bool:
    for source in sources:
        table = _table(source)
        for kind in row_kinds_of(table.name).values():
            end = start + len(kind.columns)
            values, seal = row[start:end], row[end]
            start = end + 1
            if values[0] is None and seal is None:
                continue  # the first column is of the key: no row was joined
            if not seals.seals.holds_again(kind, tuple(values), seal):
                seals.note(table.name, _key(table, dict(zip(kind.columns, values, strict=True))))
                return False
    return True


def all_intact(make: type[T], connection: Connection, query: AnySelect, *sources: NamedFromClause) -> list[T]:
    """Return the rows in which the seals of these tables hold as this kind, whose fields are the query's columns."""
    names = [column.name for column in query.selected_columns]
    return [
        make(**{name: value for name, value in zip(names, row, strict=False) if not is_seal(name)})
        for row in intact_rows(connection, query, *sources)
    ]


def one_intact(make: type[T], connection: Connection, query: AnySelect, *sources: NamedFromClause) -> T | None:
    """Return the only row as this kind; None if there is none, or if a seal of these tables does not hold."""
    return one(all_intact(make, connection, query, *sources))


def one(found: Sequence[T]) -> T | None:
    """Return the only element; None if there is none. Raises ValueError if there are several."""
    if len(found) > 1:
        raise ValueError(f"{len(found)} rows where there can be one")
    return found[0] if found else None


def unsealed(connection: Connection, table: Table, at: str | None = None) -> list[tuple[object, ...]]:
    """Return the keys of the rows whose seals do not hold. `at`: by the columns that were sealed at that revision."""
    seals = seals_of(connection).seals
    found = []
    for row in _each_row(connection, table, at):
        told = by_name(row)
        for seal, kind in kinds_of(table.name, at).items():
            if not seals.holds(kind, [told[name] for name in kind.columns], told[seal]):
                found.append(_key_of(table, told))
                break
    return found


def count_rows(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def seal_all(connection: Connection, table: Table, but: Iterable[tuple[object, ...]] = ()) -> int:
    """Seal every row as it is, except those with these keys. Return the number. Only an upgrade may do this."""
    seals, kinds, skipped, sealed = seals_of(connection).seals, kinds_of(table.name), frozenset(but), 0
    keys = [column.name for column in table.primary_key.columns]
    found = update(table).where(*(table.c[name] == bindparam(f"{_KEY_OF}{name}") for name in keys))
    changes: list[dict[str, object]] = []
    for row in _each_row(connection, table):
        told = by_name(row)
        if _key_of(table, told) in skipped:
            continue
        values = {seal: seals.seal(kind, [told[name] for name in kind.columns]) for seal, kind in kinds.items()}
        changes.append({f"{_KEY_OF}{name}": told[name] for name in keys} | values)
        if len(changes) == _CHUNK:
            connection.execute(found, changes)
            sealed, changes = sealed + len(changes), []
    if changes:
        connection.execute(found, changes)
    return sealed + len(changes)


def key_ids(connection: Connection) -> None:
    """Replace plain hashes of secrets by ids under the key, so that what is out goes on working. Only once.

    Open challenges with a PIN end: their PIN is encrypted for the former id, and they last two minutes anyway.
    """
    seals = seals_of(connection).seals
    connection.execute(delete(sign_in_challenge).where(sign_in_challenge.c.pin_sealed.is_not(None)))
    for column in (api_client.c.key_hash, device_invitation.c.secret_hash):
        _replace(connection, column, seals.id_of)
    for column in (admin_session.c.id, user_session.c.id, sign_in_challenge.c.id, admin_link.c.id):
        _replace(connection, column, lambda value: seals.id_of(bytes.fromhex(value)).hex())


def _replace(connection: Connection, column: Column[T], new_value: Callable[[T], object]) -> None:
    for old in connection.execute(select(column)).scalars().all():
        connection.execute(update(column.table).where(column == old).values({column.name: new_value(old)}))


def _each_row(connection: Connection, table: Table, at: str | None = None) -> Iterable[AnyRow]:
    """Yield the keys, sealed columns and seals of all rows in order of key, a chunk in memory at a time."""
    key, kinds = list(table.primary_key.columns), kinds_of(table.name, at)
    names = dict.fromkeys(
        [*(column.name for column in key), *kinds, *(name for kind in kinds.values() for name in kind.columns)]
    )
    query = select(*(as_stored(table.c[name]) for name in names)).order_by(*key).limit(_CHUNK)
    rows = connection.execute(query).all()
    while rows:
        yield from rows
        last = [getattr(rows[-1], column.name) for column in key]
        rows = connection.execute(query.where(tuple_(*key) > tuple_(*last))).all()


def as_stored(column: Column[T]) -> Label[None]:
    """Return the column with the type of the database driver: one row of a foreign type must not hide the others."""
    return type_coerce(column, NullType()).label(column.name)


def _evidence(source: NamedFromClause) -> tuple[ColumnElement[object], ...]:
    table = _table(source)
    return tuple(
        source.c[name].label(f"{source.name}~{name}")
        for seal, kind in row_kinds_of(table.name).items()
        for name in (*kind.columns, seal)
    )


def _table(source: NamedFromClause) -> Table:
    table = source.element if isinstance(source, Alias) else source
    if not isinstance(table, Table):
        raise TypeError("give a table or an alias of one")
    return table


def _key_of(table: Table, row: Values) -> tuple[object, ...]:
    return tuple(row[column.name] for column in table.primary_key.columns)


def _key(table: Table, row: Values) -> str:
    return "/".join(str(part) for part in _key_of(table, row))


@cache
def _defaults(table: Table) -> Mapping[str, object]:
    """Return the values of columns that an INSERT leaves out."""
    found: dict[str, object] = {}
    for column in table.columns:
        default = column.server_default
        text = None if default is None else str(getattr(default, "arg", ""))
        found[column.name] = text if text is None else _value(column, text)
    return found


def _value(column: AnyColumn, text: str) -> object:
    """Return a default as a value of the column's type."""
    if isinstance(column.type, Boolean):
        return text == "true"
    return int(text) if isinstance(column.type, Integer) else text
