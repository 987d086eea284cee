"""The tour's stops are counted by lines, each once, and a missing stop is an error."""

from pathlib import Path

import pytest

from tools.tour import TOURS, TourError, lines_of_the_tour, missing, total, tours

TOUR = "docs/tour-server.md"


def a_project(directory: Path, tour: str) -> Path:
    (directory / "docs").mkdir()
    (directory / TOUR).write_text(tour)
    (directory / "src").mkdir()
    (directory / "src" / "a.py").write_text("line\n" * 10)
    return directory


def test_parts_that_overlap_count_once(tmp_path: Path) -> None:
    root = a_project(tmp_path, "First `src/a.py:1-3`, then\n`src/a.py:3-5`; tests/x.py not.")
    lines = lines_of_the_tour(root, TOUR)
    assert lines == {"src/a.py": {1, 2, 3, 4, 5}}
    assert total(lines) == 5


def test_a_file_without_lines_counts_whole(tmp_path: Path) -> None:
    assert total(lines_of_the_tour(a_project(tmp_path, "`src/a.py`"), TOUR)) == 10


@pytest.mark.parametrize("stop", ["src/b.py", "src/a.py:5-11", "src/a.py:0-2", "src/a.py:4-3"])
def test_a_stop_that_is_not_there_is_an_error(tmp_path: Path, stop: str) -> None:
    with pytest.raises(TourError):
        lines_of_the_tour(a_project(tmp_path, f"`{stop}`"), TOUR)


DEFINITIONS = "import os\n\n\n@cached\ndef one():\n    return 1\n\n\nclass Two:\n    a = 1\n    b = 2\n"


@pytest.mark.parametrize("part", ["1-6", "4-6", "9-11", "4-11", "1-1"])
def test_a_part_of_whole_definitions_is_a_stop(tmp_path: Path, part: str) -> None:
    root = a_project(tmp_path, f"`src/a.py:{part}`")
    (root / "src" / "a.py").write_text(DEFINITIONS)
    assert lines_of_the_tour(root, TOUR)


@pytest.mark.parametrize("part", ["5-6", "2-6", "4-5", "4-7", "10-11", "9-10"])
def test_a_part_that_cuts_a_definition_is_an_error(tmp_path: Path, part: str) -> None:
    root = a_project(tmp_path, f"`src/a.py:{part}`")
    (root / "src" / "a.py").write_text(DEFINITIONS)
    with pytest.raises(TourError):
        lines_of_the_tour(root, TOUR)


def test_each_tour_is_read_and_none_may_be_missing(tmp_path: Path) -> None:
    root = a_project(tmp_path, "`src/a.py:1-3`")
    with pytest.raises(FileNotFoundError):
        tours(root)
    (root / "docs" / "tour-device.md").write_text("`src/a.py:1-5`")
    assert {tour: total(lines) for tour, lines in tours(root).items()} == {TOUR: 3, "docs/tour-device.md": 5}
    assert set(tours(root)) == set(TOURS)


SHOWN = """from sparekey import other
from sparekey.other import count as number


def shown(values):
    _near(values)
    return number(values) + other.best(values) + len(values)


def _near(values):
    return list(map(_passed_on, values))


def _passed_on(value):
    return value


class Judge:
    def decide(self):
        return self._mind()

    def _mind(self):
        return Judge.of()

    @classmethod
    def of(cls):
        return cls()
"""


def missing_names(tmp_path: Path, part: str) -> dict[str, set[str]]:
    root = a_project(tmp_path, f"`src/sparekey/main.py{part}`")
    (root / "src" / "sparekey").mkdir()
    (root / "src" / "sparekey" / "main.py").write_text(SHOWN)
    (root / "src" / "sparekey" / "other.py").write_text(
        "def count(a): ...\n\n\ndef best(a): ...\n\n\ndef unused(): ...\n"
    )
    return {callee.name: callers for callee, callers in missing(lines_of_the_tour(root, TOUR), root).items()}


def test_a_called_function_without_a_stop_is_missing(tmp_path: Path) -> None:
    assert missing_names(tmp_path, ":5-7") == {"_near": {"shown"}, "count": {"shown"}, "best": {"shown"}}


def test_shown_functions_are_not_missing(tmp_path: Path) -> None:
    assert missing_names(tmp_path, "") == {"count": {"shown"}, "best": {"shown"}}


def test_a_function_that_is_passed_on_counts_as_called(tmp_path: Path) -> None:
    assert missing_names(tmp_path, ":10-11") == {"_passed_on": {"_near"}}


def test_methods_are_found_through_self_and_their_class(tmp_path: Path) -> None:
    assert missing_names(tmp_path, ":18-27") == {}
