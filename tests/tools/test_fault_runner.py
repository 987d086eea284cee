"""`make faults` believes only a test that failed: not one that broke, was skipped, or never named the fault's file."""

from pathlib import Path

import pytest

from tools.fault_files import Fault, FaultError, Replacement, read_faults, unknown_tests
from tools.faults import Run, read_report, result_of

GOOD = """
[pin_is_ignored]
why = "The PIN is ignored."
tests = ["tests/a/test_a.py::test_s21_x"]
file = "src/sparekey/a.py"
old = '''
    if pin:
        check(pin)
'''
new = ""
"""
ALSO = """
[[pin_is_ignored.also]]
file = "src/sparekey/a.py"
old = "right = False"
new = "right = True"
"""
SOURCE = "right = False\ndef f(pin):\n    if pin:\n        check(pin)\n    return right\n"


def a_fault_file(directory: Path, text: str = GOOD, name: str = "S21.toml") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def a_tree(directory: Path, source: str = SOURCE) -> Path:
    (directory / "src" / "sparekey").mkdir(parents=True)
    (directory / "src" / "sparekey" / "a.py").write_text(source)
    return directory


def test_a_fault_has_a_number_a_name_a_reason_tests_and_replacements(tmp_path: Path) -> None:
    change = Replacement(Path("src/sparekey/a.py"), "    if pin:\n        check(pin)\n", "")
    fault = Fault("s21", "pin_is_ignored", "The PIN is ignored.", ("tests/a/test_a.py::test_s21_x",), (change,))
    assert read_faults(a_fault_file(tmp_path)) == [fault]
    assert str(fault) == "S21 pin_is_ignored"


def test_every_replacement_of_a_fault_is_applied(tmp_path: Path) -> None:
    (fault,) = read_faults(a_fault_file(tmp_path, GOOD + ALSO))
    fault.apply(a_tree(tmp_path / "tree"))
    assert (tmp_path / "tree" / "src/sparekey/a.py").read_text() == "right = True\ndef f(pin):\n    return right\n"


@pytest.mark.parametrize("source", ["", SOURCE.replace("check", "look"), SOURCE + SOURCE])
def test_a_fault_applies_only_if_the_old_text_occurs_once(tmp_path: Path, source: str) -> None:
    (fault,) = read_faults(a_fault_file(tmp_path))
    tree = a_tree(tmp_path / "tree", source)
    with pytest.raises(FaultError, match="times, not once"):
        fault.apply(tree)
    assert (tree / "src/sparekey/a.py").read_text() == source


def test_a_fault_in_a_file_that_is_gone_does_not_apply(tmp_path: Path) -> None:
    (fault,) = read_faults(a_fault_file(tmp_path))
    with pytest.raises(FaultError, match="does not exist"):
        fault.apply(tmp_path)


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (GOOD, "pin.toml", "after its requirement"),
        (GOOD.replace("why", "because"), "S21.toml", "other than"),
        (GOOD.replace('why = "The PIN is ignored."', ""), "S21.toml", "needs `why`"),
        (GOOD.replace('["tests/a/test_a.py::test_s21_x"]', "[]"), "S21.toml", "a list of node ids"),
        (GOOD.replace("src/sparekey", "tests"), "S21.toml", "under src/sparekey/ or native/ only"),
        (GOOD.replace('new = ""', ""), "S21.toml", "another `new`"),
        (GOOD + ALSO.replace("True", "False"), "S21.toml", "another `new`"),
        ("[a\n", "S21.toml", "S21.toml: "),
    ],
)
def test_a_bad_fault_is_refused_with_the_reason(tmp_path: Path, text: str, name: str, words: str) -> None:
    with pytest.raises(FaultError, match=words):
        read_faults(a_fault_file(tmp_path, text, name))


def test_a_fault_that_names_no_test_is_found(tmp_path: Path) -> None:
    (tmp_path / "tests" / "a").mkdir(parents=True)
    (tmp_path / "tests" / "a" / "test_a.py").write_text("def test_s21_x(): ...\n")
    nodes = ("tests/a/test_a.py::test_s21_x[1]", "tests/a/test_a.py::test_s21_y", "tests/b.py::test_s21_x")
    assert unknown_tests(Fault("s21", "x", "", nodes, ()), tmp_path) == list(nodes[1:])


NEXT_CASE = '</testcase><testcase file="tests/a.py" name="test_x[1]">'


@pytest.mark.parametrize(
    ("case", "exit_code", "verdict"),
    [
        ('<failure message="AssertionError: assert 1 == 2"/>', 1, "caught"),
        ('<failure message="ModuleNotFoundError: No module"/>', 1, "BROKEN, NOT FAILED"),
        ('<failure message="Failed: Timeout (&gt;300.0s)"/>', 1, "BROKEN, NOT FAILED"),
        ('<error message="fixture failed"/>', 1, "BROKEN, NOT FAILED"),
        (f'<failure message="AssertionError"/>{NEXT_CASE}<error message="teardown"/>', 1, "caught"),
        ('<failure message="AssertionError"/>', 2, "BROKEN, NOT FAILED"),
        ("", 0, "NOT CAUGHT"),
        ("<skipped/>", 0, "NOT CAUGHT"),
    ],
)
def test_only_a_failed_test_catches_a_fault(tmp_path: Path, case: str, exit_code: int, verdict: str) -> None:
    report = tmp_path / "report.xml"
    report.write_text(f'<testsuite><testcase file="tests/a.py" name="test_x[1]">{case}</testcase></testsuite>')
    run = Run(exit_code, read_report(report), "")
    assert result_of(run) == verdict
    assert len(run.of("tests/a.py::test_x")) == 1
    assert run.of("tests/a.py::test") == []
