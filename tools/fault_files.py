"""Fault files: `tests/faults/S21.toml` holds the faults of one security requirement; each takes one defence out.

Rules: a table is one fault, its name says what goes wrong. Keys: `why`, one sentence; `tests`, the node ids that must
fail; `file`, `old` and `new`, a replacement in src/sparekey/ or native/. A second place is a replacement under `also`.
A replacement applies if `old` stands in the file exactly once: no line numbers, so that a fault moves with its code.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.tree import ROOT, project_files

FAULTS: Final = Path("tests/faults")
S_TEST: Final = re.compile(r"^\s*(?:async )?def test_(s\d\d[a-z]?)_", re.MULTILINE)
_PLACES: Final = ("src/sparekey/", "native/")
_REPLACEMENT: Final = {"file", "old", "new"}
_KEYS: Final = {"why", "tests", "also", *_REPLACEMENT}


class FaultError(ValueError):
    """A fault that cannot be used. The message names it and says what is wrong."""


@dataclass(frozen=True)
class Replacement:
    """One change of a fault: `new` takes the place of `old`, which stands in the file exactly once."""

    file: Path
    old: str
    new: str

    def applied_to(self, source: str) -> str:
        """Return the source with the change. Raises FaultError unless `old` stands in it exactly once."""
        found = source.count(self.old)
        if found != 1:
            raise FaultError(f"`old` stands in {self.file} {found} times, not once:\n{self.old}")
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Fault:
    """One planted fault: the replacements, the node ids of the tests that must fail, and why they should."""

    number: str  # of the security requirement, as test names have it: s21, s24b
    name: str
    why: str
    tests: tuple[str, ...]
    replacements: tuple[Replacement, ...]

    def __str__(self) -> str:
        return f"{self.number.upper()} {self.name}"

    def apply(self, root: Path) -> None:
        """Plant the fault in the tree at `root`. Raises FaultError if it does not apply; then nothing is written."""
        for path, source in self.faulted(root).items():
            (root / path).write_text(source, encoding="utf-8")

    def faulted(self, root: Path = ROOT) -> dict[Path, str]:
        """Return the text of each changed file. Raises FaultError if a replacement does not apply."""
        sources: dict[Path, str] = {}
        for replacement in self.replacements:
            path = replacement.file
            if path not in sources and not (root / path).is_file():
                raise FaultError(f"{self}: {path} does not exist")
            source = sources.get(path) or (root / path).read_text(encoding="utf-8")
            try:
                sources[path] = replacement.applied_to(source)
            except FaultError as error:
                raise FaultError(f"{self}: {error}") from error
        return sources


def fault_paths(root: Path = ROOT) -> list[Path]:
    """List the fault files in the order of their numbers."""
    return sorted((root / FAULTS).glob("*.toml"))


def all_faults(root: Path = ROOT) -> list[Fault]:
    """Read every fault file. Raises FaultError at the first bad fault."""
    return [fault for path in fault_paths(root) for fault in read_faults(path)]


def read_faults(path: Path) -> list[Fault]:
    """Read the faults of one file. Raises FaultError."""
    if not re.fullmatch(r"S\d\d[a-z]?", path.stem):
        raise FaultError(f"{path.name}: name the file after its requirement, such as S21.toml")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise FaultError(f"{path.name}: {error}") from error
    return [_fault(f"s{path.stem[1:]}", name, table) for name, table in tables.items()]


def _fault(number: str, name: str, table: Any) -> Fault:
    where = f"{number.upper()} {name}"
    if not isinstance(table, dict) or table.keys() - _KEYS:
        raise FaultError(f"{where}: has keys other than {', '.join(sorted(_KEYS))}")
    why, tests = table.get("why"), table.get("tests")
    if not why or not tests:
        raise FaultError(f"{where}: needs `why`, one sentence, and `tests`, a list of node ids")
    first = {key: value for key, value in table.items() if key in _REPLACEMENT}
    replacements = tuple(_replacement(where, each) for each in (first, *table.get("also", ())))
    return Fault(number, name, why, tuple(tests), replacements)


def _replacement(where: str, table: dict[str, str]) -> Replacement:
    if table.keys() != _REPLACEMENT or not table["old"] or table["old"] == table["new"]:
        raise FaultError(f"{where}: needs `file`, `old` and another `new` for each replacement")
    if not table["file"].startswith(_PLACES):
        raise FaultError(f"{where}: changes {table['file']}; a fault changes files under {' or '.join(_PLACES)} only")
    return Replacement(Path(table["file"]), table["old"], table["new"])


def numbers_with_a_test(root: Path = ROOT) -> set[str]:
    """Return the S-numbers that have a test."""
    return {number for source in _test_sources(root) for number in S_TEST.findall(source)}


def _test_sources(root: Path) -> Iterator[str]:
    names = [name for name in project_files(root) if name.parts[0] == "tests" and name.suffix == ".py"]
    return ((root / name).read_text(encoding="utf-8") for name in names)


def unknown_tests(fault: Fault, root: Path = ROOT) -> list[str]:
    """Return the node ids of a fault that name no test function."""
    return [node for node in fault.tests if not _names_a_test(node, root)]


def _names_a_test(node: str, root: Path) -> bool:
    name, _, test = node.partition("::")
    path, function = root / name, re.escape(test.partition("[")[0])
    source = path.read_text(encoding="utf-8") if path.is_file() else ""
    return re.search(rf"^\s*(?:async )?def {function}\(", source, re.MULTILINE) is not None
