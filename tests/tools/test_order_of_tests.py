"""Long tests begin first, groups stay together, and no test is lost."""

from pathlib import PurePath

import pytest

from tests.order import group_of, stretches


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_group_is_whole_at_the_beginning_of_a_stretch(workers: int) -> None:
    groups = {"browser": ["b"] * 5, "journeys/linux": ["l"] * 4, "journeys/test_a.py": ["a"] * 3}
    short = [str(number) for number in range(99)]
    found = stretches(groups, short, workers)
    assert sorted(found) == sorted([*short, *"bbbbbllllaaa"])
    assert [test for test in found if test.isdigit()] == short
    begun = {1: ["bbbbbllllaaa"], 2: ["bbbbb", "llllaaa"], 3: ["bbbbb", "llll", "aaa"]}[workers]
    each = len(found) // workers
    assert ["".join(found[number * each :][: len(each_begun)]) for number, each_begun in enumerate(begun)] == begun


def test_few_tests_for_many_workers() -> None:
    assert stretches({"browser": ["b", "c"]}, ["1"], 4) == ["b", "c", "1"]
    assert stretches({}, [], 2) == []


def test_a_journey_is_a_group_and_short_tests_are_none() -> None:
    paths = ("browser/test_a.py", "journeys/linux/test_a.py", "journeys/test_a.py", "core/test_a.py", "browser_test.py")
    assert [group_of(PurePath(path)) for path in paths] == ["browser", "journeys/linux", "journeys/test_a.py", "", ""]
