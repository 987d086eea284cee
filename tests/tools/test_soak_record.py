"""The record of full counts: skipped tests, repeated tests, and the code that a result is valid for."""

import json
from pathlib import Path

import pytest

from tools import soak
from tools.soak import Record, Result

HERE, EARLIER = "b" * 40, "a" * 40
A_TEST = "tests/test_it.py::test_it[sqlite]"


@pytest.fixture(autouse=True)
def record_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(soak, "RECORD", tmp_path / "docs" / "soak.json")
    return soak.RECORD


@pytest.mark.parametrize(
    ("result", "commit", "is_spared"),
    [
        ("passed", HERE, True),
        ("failed", HERE, False),
        ("passed", EARLIER, False),
        ("passed", f"{HERE} and changed files", False),
    ],
)
def test_green_tests_of_this_commit_are_skipped(result: str, commit: str, is_spared: bool) -> None:
    record = Record({}, {A_TEST: Result(result, 1.5, "2026-01-01T00:00:00Z", commit)})
    assert record.is_green(A_TEST, HERE) is is_spared


def test_changed_files_spare_nothing() -> None:
    changed = f"{HERE} and changed files"
    assert not Record({}, {A_TEST: Result("passed", 1.5, "2026-01-01T00:00:00Z", changed)}).is_green(A_TEST, changed)


def test_results_are_continued_and_keep_earlier_commits() -> None:
    record = soak._record()
    record.tests[A_TEST] = Result("passed", 1.5, "2026-01-01T00:00:00Z", EARLIER)
    record.write()
    assert soak._record() == record


def test_times_of_another_machine_are_discarded(record_file: Path) -> None:
    Record(soak._machine() | {"cores": 1000}, {A_TEST: Result("passed", 1.5, "", HERE)}).write()
    assert json.loads(record_file.read_text())["tests"]
    assert soak._record().tests == {}
