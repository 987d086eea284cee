"""House rules of rows: storage returns types, and explains untyped values."""

import re
from pathlib import Path

from tools.tree import ROOT, project_files

SOURCE = Path("src/sparekey")
MODULES = [name for name in project_files() if name.suffix == ".py" and name.is_relative_to(SOURCE)]


def lines_of(name: Path) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


def in_storage(name: Path) -> bool:
    return name.is_relative_to(SOURCE / "storage") and "migrations" not in name.parts


def is_without_reason(line: str) -> bool:
    """Return True if the line uses `Any` without a comment `# Any: reason`."""
    code, _, comment = line.partition("#")
    return bool(re.search(r"\bAny\b", code)) and not code.startswith("from typing import") and "Any: " not in comment


def test_only_storage_reads_rows_of_any_columns() -> None:
    found = {
        str(name.relative_to(SOURCE))
        for name in MODULES
        if not name.is_relative_to(SOURCE / "storage")
        if any(re.search(r"\bAnyRow\b", line) for line in lines_of(name))
    }
    assert found == set()


def test_storage_explains_untyped_values() -> None:
    found = {
        str(name.relative_to(SOURCE))
        for name in MODULES
        if in_storage(name)
        if any(map(is_without_reason, lines_of(name)))
    }
    assert found == set()
