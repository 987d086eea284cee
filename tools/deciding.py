"""The files that decide over a sign-in, and the check that tests take each of their branches.

Rules: DECIDING is the one list of these files; `make coverage` and `make mutants` read it. A file that moves is renamed
here. `python -m tools.deciding REPORT` reads a JSON report of coverage.py and fails below 100 %.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# per file: the tests that its mutants run on; only those that reach a changed function are run, none of the services
DECIDING: Final[Mapping[str, tuple[str, ...]]] = {
    "src/sparekey/passcode/splitting.py": ("tests/passcode", "tests/core/sign_in/test_authenticate.py"),
    "src/sparekey/core/sign_in/authenticate.py": ("tests/core/sign_in",),
    "src/sparekey/core/sign_in/typed_text.py": ("tests/core/sign_in",),
    "src/sparekey/core/policy/lockout.py": ("tests/core/policy",),
    "src/sparekey/core/policy/offline.py": ("tests/core/policy",),
    "src/sparekey/storage/sign_in/statements.py": ("tests/storage/sign_in",),
    "src/sparekey/sealed/open.py": ("tests/sealed",),
    "src/sparekey/agent/sign_in/attempt.py": ("tests/agent/sign_in/test_attempt.py",),
    "src/sparekey/agent/sign_in/offline.py": (
        "tests/agent/sign_in/test_offline.py",
        "tests/agent/sign_in/test_lock_changes.py",
        "tests/agent/sign_in/test_s22_success_yields_the_key.py",
    ),
    "src/sparekey/agent/store/erasing.py": ("tests/agent/store/test_erasing.py",),
    "src/sparekey/agent/ground/device_time.py": ("tests/agent/ground/test_device_time.py",),
}


@dataclass(frozen=True)
class Taken:
    """The coverage of a file by the tests. `missing` are lines ("12") and branches ("12->15")."""

    file: str
    branches: int
    taken: int
    missing: tuple[str, ...]

    def __str__(self) -> str:
        gaps = f"  missing: {', '.join(self.missing)}" if self.missing else ""
        return f"{self.taken:5} of {self.branches:3} branches  {self.file}{gaps}"


def branches_taken(report: Mapping[str, Any]) -> Iterator[Taken]:
    """Yield the coverage of each deciding file. A file that is not in the report was never imported."""
    for file in DECIDING:
        found = report["files"].get(file)
        if found is None:
            yield Taken(file, 0, 0, ("the whole file",))
            continue
        gaps = [*map(str, found["missing_lines"]), *(f"{a}->{b}" for a, b in found["missing_branches"])]
        yield Taken(file, found["summary"]["num_branches"], found["summary"]["covered_branches"], tuple(gaps))


def main(report: Path) -> int:
    """Exit 1 if a line or a branch of a deciding file was not taken."""
    files = list(branches_taken(json.loads(report.read_text(encoding="utf-8"))))
    print(*files, sep="\n")
    return 1 if any(each.missing for each in files) else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
