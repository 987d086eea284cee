"""The files that decide exist, and a branch that no test takes is an error; so is a mutant that is not explained."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools import mutants
from tools.deciding import DECIDING, branches_taken, main
from tools.mutants import Survivor, complaints, explained, remove_unmutated, results, survivor
from tools.tree import ROOT


@pytest.mark.parametrize("file", DECIDING)
def test_each_deciding_file_and_its_tests_exist(file: str) -> None:
    assert (ROOT / file).is_file()
    assert [test for test in DECIDING[file] if not (ROOT / test).exists()] == []


def a_report(**changes: Any) -> dict[str, Any]:
    """Make a report in which everything is taken, but for changes of the first file."""
    summary = {"num_branches": 4, "covered_branches": 4}
    files: dict[str, Any] = {
        file: {"missing_lines": [], "missing_branches": [], "summary": summary} for file in DECIDING
    }
    files[next(iter(DECIDING))].update(changes)
    return {"files": files}


@pytest.mark.parametrize(
    ("changes", "missing"),
    [({"missing_lines": [12]}, ("12",)), ({"missing_branches": [[12, 15], [13, -1]]}, ("12->15", "13->-1"))],
)
def test_a_line_or_branch_that_is_not_taken_fails(tmp_path: Path, changes: Any, missing: tuple[str, ...]) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(a_report()))
    assert main(path) == 0
    path.write_text(json.dumps(a_report(**changes)))
    assert main(path) == 1
    assert next(branches_taken(a_report(**changes))).missing == missing


def test_a_file_that_was_never_imported_fails() -> None:
    report = a_report()
    del report["files"][next(iter(DECIDING))]
    assert next(branches_taken(report)).missing == ("the whole file",)


LISTING = """
    sparekey.core.policy.lockout.xǁLockoutPolicyǁof__mutmut_1: no tests
    sparekey.core.sign_in.pins.x_is_right__mutmut_12: survived
"""
DIFF = """# sparekey.core.sign_in.pins.x_is_right__mutmut_12: survived
--- src/sparekey/core/sign_in/pins.py
+++ src/sparekey/core/sign_in/pins.py
@@ -1,3 +1,3 @@
 def is_right(a, b):
-    return a == b
+    return a != b
"""


def test_a_copy_without_mutants_is_removed_so_that_mutmut_mutates_it(tmp_path: Path) -> None:
    for name, mutated in (("a.py", "plain"), ("b.py", "with mutants"), ("c.py", None)):
        (tmp_path / name).write_text("plain")
        if mutated is not None:
            (tmp_path / "mutants").mkdir(exist_ok=True)
            (tmp_path / "mutants" / name).write_text(mutated)
    remove_unmutated(tmp_path, ["a.py", "b.py", "c.py"])
    assert [path.name for path in (tmp_path / "mutants").iterdir()] == ["b.py"]


def test_results_and_diffs_of_mutmut_are_read() -> None:
    assert results(LISTING) == {
        "sparekey.core.policy.lockout.xǁLockoutPolicyǁof__mutmut_1": "no tests",
        "sparekey.core.sign_in.pins.x_is_right__mutmut_12": "survived",
    }
    assert survivor("sparekey.core.sign_in.pins.x_is_right__mutmut_12", DIFF) == Survivor(
        "sparekey.core.sign_in.pins.is_right", "return a == b", "return a != b"
    )
    assert survivor("sparekey.core.policy.lockout.xǁLockoutPolicyǁof__mutmut_1", "").function == (
        "sparekey.core.policy.lockout.LockoutPolicy.of"
    )


def test_a_survivor_needs_an_explanation_and_an_explanation_a_survivor() -> None:
    one, two = Survivor("sparekey.core.sign_in.pins.a", "x", "y"), Survivor("sparekey.core.policy.lockout.a", "x", "y")
    modules = ["sparekey.core.sign_in.pins"]
    assert list(complaints([one], [one, two], modules)) == []
    assert len(list(complaints([one], [], modules))) == 1
    assert len(list(complaints([], [one, two], modules))) == 1


def test_every_explanation_has_a_reason() -> None:
    assert all(explained().values())


def test_a_file_that_decides_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutants.main(["no_such_file.py"]) == 2
    assert "src/sparekey/core/policy/lockout.py" in capsys.readouterr().out
