"""Fault files: `tests/faults/<s-number>_<slug>.patch`, each takes one defence out of the source.

Rules: header lines `# test: NODE-ID...` (the tests that have to fail) and `# why: one sentence`, then a git diff that
changes files under src/sparekey/ or native/ only; the number is that of the security requirement in the tests' names.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tools.tree import ROOT, project_files

FAULTS = Path("tests/faults")
S_TEST = re.compile(r"^\s*(?:async )?def test_(s\d\d[a-z]?)_", re.MULTILINE)


class FaultError(ValueError):
    """A fault file that cannot be used; the message names the file and says what it lacks."""


@dataclass(frozen=True)
class Fault:
    """One planted fault: the patch, the node ids of the tests that have to fail, and why they should."""

    path: Path
    number: str
    tests: tuple[str, ...]
    why: str

    @property
    def slug(self) -> str:
        return self.path.stem.partition("_")[2]


def read_fault(path: Path) -> Fault:
    """Reads the header of a fault file. Raises FaultError."""
    number = path.stem.partition("_")[0]
    text = path.read_text(encoding="utf-8")
    head = text.partition("diff --git ")[0]
    tests = re.findall(r"^# test: *(.+)$", head, re.MULTILINE)
    why = re.findall(r"^# why: *(.+)$", head, re.MULTILINE)
    if not re.fullmatch(r"s\d\d[a-z]?", number):
        raise FaultError(f"{path.name}: the name has to be like s21_pin_is_ignored.patch")
    if not tests or len(why) != 1:
        raise FaultError(f"{path.name}: needs `# test: NODE-ID...` and one line `# why: ...` before the diff")
    changed = re.findall(r"^\+\+\+ (?:b/)?(\S+)", text, re.MULTILINE)
    if not changed or any(not name.startswith(("src/sparekey/", "native/")) for name in changed):
        raise FaultError(f"{path.name}: has to be a git diff that changes files under src/sparekey/ or native/ only")
    return Fault(path, number, tuple(" ".join(tests).split()), why[0])


def fault_paths(root: Path = ROOT) -> list[Path]:
    """The fault files in order of their numbers."""
    return sorted((root / FAULTS).glob("*.patch"))


def all_faults(root: Path = ROOT) -> list[Fault]:
    """All of them, read. Raises FaultError at the first bad one."""
    return [read_fault(path) for path in fault_paths(root)]


def numbers_with_a_test(root: Path = ROOT) -> set[str]:
    """The S-numbers that have a test."""
    names = [name for name in project_files(root) if name.parts[0] == "tests" and name.suffix == ".py"]
    sources = ((root / name).read_text(encoding="utf-8") for name in names)
    return {number for source in sources for number in S_TEST.findall(source)}


def unknown_tests(fault: Fault, root: Path = ROOT) -> list[str]:
    """The node ids of a fault that name no test function."""
    return [node for node in fault.tests if not _names_a_test(node, root)]


def _names_a_test(node: str, root: Path) -> bool:
    name, _, test = node.partition("::")
    path, function = root / name, re.escape(test.partition("[")[0])
    source = path.read_text(encoding="utf-8") if path.is_file() else ""
    return re.search(rf"^\s*(?:async )?def {function}\(", source, re.MULTILINE) is not None
