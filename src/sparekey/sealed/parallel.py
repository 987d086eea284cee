"""Spreading hashes over threads: the caller passes a map, such as `ThreadPoolExecutor(n).map`.

Argon2id releases the interpreter lock, so threads use all cores. The built-in `map` does the same on one.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from sparekey.sealed.levels import Level

T = TypeVar("T")
R = TypeVar("R")

# Passing a task to a thread costs about 20 us. A block of this many KiB costs at least 2 ms of hashing.
_BLOCK_KIB = 8192


class Run(Protocol):
    """A map that calls the function on each item, in parallel or one after the other, and returns the results in
    order."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]: ...


def one_by_one(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
    """Return the built-in map, which runs on the caller's thread."""
    return map(function, items)


def block_size(level: Level) -> int:
    """Return the number of hashes of this level to pass to a thread at once."""
    return max(1, _BLOCK_KIB // (level.argon_m * level.argon_t))
