"""The threads that seal offline data: they give way to sign-ins (S29).

Rules:
- They run at the lowest priority. A sign-in gets the processor first, whatever is being sealed.
- In the second after a sign-in at most all cores but one hash: a burst of sign-ins finds a core with warm caches, and
  the memory bandwidth is not used up. Refused ones do not count: else a hostile device slows down all sealing (S46).
- They are not of the idle class of the scheduler: such a thread could hold the interpreter lock and get no processor
  time at all, and then every sign-in would wait for it.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from sparekey import clock

T = TypeVar("T")
R = TypeVar("R")

LOWEST_PRIORITY: Final = 19
GIVES_WAY: Final = 1.0  # seconds after a sign-in


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class SealingWorkers:
    """The threads of one process that seal."""

    def __init__(self, threads: int, cores: int, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._executor: Final = ThreadPoolExecutor(threads, "sealing", initializer=_lower_priority)
        self._threads: Final = threads
        self._beside_sign_ins: Final = max(1, cores - 1)
        self._monotonic: Final = monotonic
        self._changed: Final = threading.Condition()
        self._hashing = 0
        self._last_sign_in = -GIVES_WAY

    def map(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        """Call the function on each item in the threads, and return the results in order (a `sealed.Run`)."""
        return self._executor.map(partial(self._one, function), items)

    def user_signed_in(self) -> None:
        """Give way for a second. Takes no lock, so that a sign-in never waits for a worker."""
        self._last_sign_in = self._monotonic()

    def _one(self, function: Callable[[T], R], item: T) -> R:
        with self._changed:
            while self._hashing >= self._most():
                self._changed.wait(GIVES_WAY / 4)  # no notification comes when the second has passed
            self._hashing += 1
        try:
            return function(item)
        finally:
            with self._changed:
                self._hashing -= 1
                self._changed.notify()

    def _most(self) -> int:
        gives_way = self._monotonic() - self._last_sign_in < GIVES_WAY
        return self._beside_sign_ins if gives_way else self._threads


def _lower_priority() -> None:
    """Lower the priority of the calling thread; on Linux each thread has its own."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
