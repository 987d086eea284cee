"""`make faults` believes only a test that failed: not one that broke, was skipped, or never named the fault's file."""

from pathlib import Path

import pytest

from tools.fault_files import Fault, FaultError, read_fault, unknown_tests
from tools.faults import Run, judge, read_report

DIFF = "diff --git a/src/sparekey/a.py b/src/sparekey/a.py\n--- a/src/sparekey/a.py\n+++ b/src/sparekey/a.py\n"
GOOD = f"# test: tests/a/test_a.py::test_s21_x\n# why: the PIN is ignored.\n{DIFF}"


def a_fault_file(directory: Path, text: str = GOOD, name: str = "s21_pin_is_ignored.patch") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_a_fault_file_names_its_number_tests_and_reason(tmp_path: Path) -> None:
    path = a_fault_file(tmp_path)
    assert read_fault(path) == Fault(path, "s21", ("tests/a/test_a.py::test_s21_x",), "the PIN is ignored.")


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (GOOD, "pin.patch", "name has to be like"),
        (GOOD.replace("# why", "# because"), "s21_pin.patch", "# why"),
        (GOOD.replace("# test", "# tests"), "s21_pin.patch", "# test"),
        (GOOD.replace("src/sparekey", "tests"), "s21_pin.patch", "under src/sparekey/ or native/ only"),
        ("# test: a\n# why: b\n", "s21_pin.patch", "has to be a git diff"),
    ],
)
def test_a_bad_fault_file_is_refused_in_words(tmp_path: Path, text: str, name: str, words: str) -> None:
    with pytest.raises(FaultError, match=words):
        read_fault(a_fault_file(tmp_path, text, name))


def test_a_fault_that_names_no_test_is_found(tmp_path: Path) -> None:
    (tmp_path / "tests" / "a").mkdir(parents=True)
    (tmp_path / "tests" / "a" / "test_a.py").write_text("def test_s21_x(): ...\n")
    nodes = ("tests/a/test_a.py::test_s21_x[1]", "tests/a/test_a.py::test_s21_y", "tests/b.py::test_s21_x")
    fault = Fault(tmp_path / "s21_x.patch", "s21", nodes, "")
    assert unknown_tests(fault, tmp_path) == list(nodes[1:])


@pytest.mark.parametrize(
    ("case", "exit_code", "verdict"),
    [
        ('<failure message="AssertionError: assert 1 == 2"/>', 1, "caught"),
        ('<failure message="ModuleNotFoundError: No module"/>', 1, "BROKEN, NOT FAILED"),
        ('<failure message="Failed: Timeout (&gt;300.0s)"/>', 1, "BROKEN, NOT FAILED"),
        ('<error message="fixture failed"/>', 1, "BROKEN, NOT FAILED"),
        ('<failure message="AssertionError"/>', 2, "BROKEN, NOT FAILED"),
        ("", 0, "NOT CAUGHT"),
        ("<skipped/>", 0, "NOT CAUGHT"),
    ],
)
def test_only_a_failed_test_catches_a_fault(tmp_path: Path, case: str, exit_code: int, verdict: str) -> None:
    report = tmp_path / "report.xml"
    report.write_text(f'<testsuite><testcase file="tests/a.py" name="test_x[1]">{case}</testcase></testsuite>')
    run = Run(exit_code, read_report(report), "")
    assert judge(run) == verdict
    assert len(run.of("tests/a.py::test_x")) == 1
    assert run.of("tests/a.py::test") == []
