"""The order of the tests: long ones begin first, each group on one worker; short tests level out the end.

xdist gives every worker an equal stretch of the list. A worker that has finished takes tests from the end of another
stretch (`--dist worksteal`). So a group at the beginning of a stretch stays together, and its shared things, such as a
browser or a laptop, are made once.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import PurePath
from typing import Final, TypeVar

T = TypeVar("T")

# about how many seconds of work; within `journeys` each other module is a group
_SECONDS: Final = {
    "browser": 150,
    "journeys/linux": 110,
    "journeys/test_story.py": 95,
    "house": 25,
    "server/console/test_page_cost.py": 20,
}
_JOURNEY: Final = 12


@cache
def group_of(path: PurePath) -> str:
    """Return the group of a test file by its path below `tests`; empty for short tests. A group runs together."""
    for name in _SECONDS:
        if path.is_relative_to(name):
            return name
    return path.as_posix() if path.is_relative_to("journeys") else ""


def stretches(groups: Mapping[str, Sequence[T]], short: Sequence[T], workers: int) -> list[T]:
    """Return all tests, with the groups at the beginnings of the workers' stretches, about as many seconds to each."""
    begun: list[list[T]] = [[] for _ in range(workers)]
    seconds = [0] * workers
    for name in sorted(groups, key=_seconds, reverse=True):
        least = seconds.index(min(seconds))
        begun[least] += groups[name]
        seconds[least] += _seconds(name)
    left, rest = sum(map(len, groups.values())) + len(short), list(short)
    found: list[T] = []
    for number, stretch in enumerate(begun):
        length = left // (workers - number)  # as xdist divides the rest
        left -= length
        more = max(0, length - len(stretch))
        found += stretch + rest[:more]
        del rest[:more]
    return found + rest


def _seconds(group: str) -> int:
    return _SECONDS.get(group, _JOURNEY)
