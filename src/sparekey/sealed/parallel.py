"""How hashes are spread over threads: the caller brings a map, such as `ThreadPoolExecutor(n).map`.

Argon2id releases the interpreter lock, so threads fill all cores. The built-in `map` does the same on one.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from sparekey.sealed.levels import Level

T = TypeVar("T")
R = TypeVar("R")

# Handing a task to a thread costs about 20 us; a block of this many KiB written costs at least 2 ms of hashing.
_BLOCK_KIB = 8192


class Run(Protocol):
    """Calls the function on each item, at the same time or one after the other, and gives the results in order."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]: ...


def one_by_one(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
    """The built-in map: on the caller's own thread."""
    return map(function, items)


def block_size(level: Level) -> int:
    """How many hashes of this level to hand over at once."""
    return max(1, _BLOCK_KIB // (level.argon_m * level.argon_t))
