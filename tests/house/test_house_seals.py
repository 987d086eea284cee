"""House rule of row seals (S47): each column takes a side, and only one module writes rows that have a seal."""

import re
from pathlib import Path

import pytest

from sparekey.storage.schema import known_revisions
from sparekey.storage.seal_sides import SEALED_SINCE, SIDES, is_seal
from sparekey.storage.tables import metadata
from tools.tree import ROOT

SEALED = {name for name, sides in SIDES.items() if sides.sealed}
STORAGE = sorted(
    path
    for path in (ROOT / "src" / "sparekey" / "storage").rglob("*.py")
    if "migrations" not in path.parts and path.name != "sealed_rows.py"
)
# Plain updates of columns that no seal covers, or whose seal the statement brings with it.
PLAIN = {
    "sealed_counts.py": {"account"},  # the counts
    "devices.py": {"device", "device_account", "device_token"},  # last contact, events, generation, last use
    "offline.py": {"emergency_code"},  # marks of a code
    "outbox.py": {"outbox"},  # attempts
    "rate_limit.py": {"operator_lift"},  # warned
    "statements.py": {"account", "token", "emergency_code", "online_emergency_code"},
    "chain.py": {"audit"},  # the number of the batch
}


def test_each_table_and_column_takes_a_side() -> None:
    """A new column is sealed, or has a reason why an intruder who writes it gains nothing."""
    assert sorted(SIDES) == sorted(metadata.tables)
    for name, table in metadata.tables.items():
        sides = SIDES[name]
        seals = {column.name for column in table.columns if is_seal(column.name)}
        sealed = [column for columns in sides.sealed.values() for column in columns]
        named = {*sealed, *sides.free}
        assert named == {column.name for column in table.columns} - set(sides.sealed), name
        assert not set(sealed) & set(sides.free), name
        assert set(sides.sealed) <= seals, name
        assert all(len(reason) > 10 for reason in sides.free.values()), name


def test_each_seal_names_its_row() -> None:
    for name in SEALED:
        keys = [column.name for column in metadata.tables[name].primary_key.columns]
        for columns in SIDES[name].sealed.values():
            assert list(columns[: len(keys)]) == keys, name


def test_the_newest_change_of_the_seals_is_a_known_revision() -> None:
    later = [revision for sides in SIDES.values() for revision in sides.since.values()]
    assert SEALED_SINCE in known_revisions()
    assert max([*later, SEALED_SINCE]) == SEALED_SINCE


@pytest.mark.parametrize("path", STORAGE, ids=lambda path: path.stem)
def test_only_one_module_writes_sealed_columns(path: Path) -> None:
    source = path.read_text()
    inserted = {name for names in re.findall(r"\binsert\((\w+)\)|INSERT INTO (\w+)", source) for name in names}
    if "with_seal(" not in source:
        assert inserted & SEALED == set()
    updated = {name for names in re.findall(r"\bupdate\((\w+)\)|UPDATE (\w+) SET", source) for name in names}
    assert updated & SEALED <= PLAIN.get(path.name, set())
