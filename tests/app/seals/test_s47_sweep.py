"""The sweep of S47: an attacker with SQL write access, without keys, at every sealed column of every table.

What the seals do not cover has a reason in `storage/seal_sides.py`; a house test compares it with the tables. A whole
old row that is put back with its seal is not refused here: the comparison with the chained log finds it.
"""

from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Integer, LargeBinary, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from sparekey.app.instance import Instance
from sparekey.storage.rows import by_name
from sparekey.storage.seal_sides import SEAL, SIDES, kinds_of
from sparekey.storage.sealed_rows import unsealed
from sparekey.storage.tables import metadata
from tests.app.seals.sealed_world import SealedWorld, a_sealed_world

SEALED = sorted(name for name, sides in SIDES.items() if SEAL in sides.sealed)


@pytest.fixture
def world(any_server: Instance) -> SealedWorld:
    return a_sealed_world(any_server)


def another_value(world: SealedWorld, column: Column[Any], value: Any) -> object:
    """Return another value of the column's type; of a reference, another row if there is one."""
    for key in column.foreign_keys:
        with world.instance.database.read() as connection:
            others = connection.execute(select(key.column).where(key.column != value)).scalars().all()
        return others[0] if others else None
    if isinstance(column.type, Boolean):
        return not value
    if isinstance(column.type, LargeBinary):
        return b"x" + bytes(value or b"")[1:]
    if isinstance(column.type, Integer):
        return int(value or 0) + 1
    return "x" + str(value or "")[1:]


def write(world: SealedWorld, table: Table, row: dict[str, Any], values: dict[str, Any]) -> bool:
    """Change the row as the attacker would. Return False if the database itself refuses."""
    found = [column == row[column.name] for column in table.primary_key.columns]
    try:
        with world.instance.database.write() as connection:
            assert connection.execute(update(table).where(*found).values(**values)).rowcount == 1
    except IntegrityError:
        return False
    return True


def test_s47_what_is_changed_in_any_sealed_column_decides_nothing(world: SealedWorld) -> None:
    assert sorted(world.reads) == SEALED
    for name in SEALED:
        table = metadata.tables[name]
        row = world.row(table)
        assert world.decides(name), name
        keys = {column.name for column in table.primary_key.columns}
        tried = 0
        columns = [column for seal, kind in kinds_of(name).items() for column in (*kind.columns, seal)]
        for column in columns:
            other = another_value(world, table.c[column], row[column])
            if column in keys or other == row[column] or not write(world, table, row, {column: other}):
                continue
            tried += 1
            assert not world.decides(name), (name, column)
            assert write(world, table, row, {column: row[column]})
            assert world.decides(name), (name, column)
        assert tried, name
        assert write(world, table, row, {SEAL: None})
        assert not world.decides(name), name
        assert write(world, table, row, {SEAL: row[SEAL]})
    told = "".join(world.alarms())
    assert [name for name in SEALED if f'"table":"{name}"' not in told] == []


def test_s47_the_seal_of_another_row_or_key_is_none(world: SealedWorld) -> None:
    for name in SEALED:
        table = metadata.tables[name]
        row = world.row(table)
        seal = row[SEAL]
        for other in (b"", seal[:4], bytes(4) + seal[4:], seal + b"x", seal[:4] + bytes(32)):
            assert write(world, table, row, {SEAL: other})
            assert not world.decides(name), name
        assert write(world, table, row, {SEAL: seal})
        assert world.decides(name)


def test_s47_a_copy_of_a_row_with_another_key_is_altered(world: SealedWorld) -> None:
    """Inserts: every table whose rows have an id of their own, with the seal of the row that was copied."""
    tried = 0
    for name in SEALED:
        table = metadata.tables[name]
        if [column.name for column in table.primary_key.columns] != ["id"]:
            continue
        with world.instance.database.write() as connection:
            copied = world_row(connection, table) | {"id": "0" * 32}
            for column in table.columns:
                if column.unique or column.name in ("version", "role"):
                    copied[column.name] = another_value_plain(copied[column.name])
            connection.execute(insert(table).values(**copied))
            assert (copied["id"],) in unsealed(connection, table), name
        tried += 1
    assert tried >= 12


def world_row(connection: Any, table: Table) -> dict[str, Any]:
    return by_name(connection.execute(select(table).limit(1)).one())


def another_value_plain(value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bytes):
        return b"y" + value[1:]
    return value + 1 if isinstance(value, int) else "y" + value[1:]


def test_s47_the_sweep_leaves_no_row_unsealed(world: SealedWorld) -> None:
    """The use cases of the world seal what they write."""
    with world.instance.database.read() as connection:
        assert [name for name in SEALED if unsealed(connection, metadata.tables[name])] == []
