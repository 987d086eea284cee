"""Thread pools for the synchronous use cases, one pool for each kind of work.

Rules:
- A pool has a size and a longest queue, so that excess requests are rejected without using memory (S08).
- Waiting calls are taken in turns, one of each party, and a full queue rejects a call of the largest party (S46).
- All sources together hold a third of the threads. So anonymous requests, however many and from wherever, take memory
  and processor time for few slow hashes at once, and threads are left to parties that have proved their identity (S46).
- Sealing has its own pool, so that it never delays a sign-in.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Final, ParamSpec, TypeVar, cast

from sparekey.server.admission.fair_queue import FairQueue
from sparekey.server.admission.parties import current_party
from sparekey.server.admission.sources import is_source

P = ParamSpec("P")
R = TypeVar("R")

_PART_OF_SOURCES: Final = 3  # a third


class Busy(Exception):
    """The queue of a pool is full."""


class _Call:
    """One call and its result."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function: Final = function
        self.result: Final[Future[object]] = Future()

    def make(self) -> None:
        """Make the call, unless its caller has gone."""
        if not self.result.set_running_or_notify_cancel():
            return
        try:
            value = self._function()
        except BaseException as error:  # noqa: BLE001 -- raised again where the result is awaited
            self.result.set_exception(error)
        else:
            self.result.set_result(value)

    def refuse(self) -> None:
        """Raise Busy where the result is awaited."""
        if self.result.set_running_or_notify_cancel():
            self.result.set_exception(Busy())


class WorkPool:
    """The threads for one kind of work."""

    def __init__(self, name: str, threads: int, waiting: int, most_of_one: int | None = None) -> None:
        """Run at most `threads` calls at a time, with at most `waiting` in the queue.

        `most_of_one`: the threads that one party may hold that has proved its identity. Set it below `threads` for work
        that can take seconds.
        """
        self._executor: Final = ThreadPoolExecutor(threads, name)
        self._threads: Final = threads
        self._most_of_one: Final = most_of_one or threads
        self._most_of_sources: Final = max(threads // _PART_OF_SOURCES, 1)
        self._lock: Final = Lock()  # over the four below
        self._waiting: Final[FairQueue[_Call]] = FairQueue(max(waiting, 0))
        self._running: Final[Counter[str]] = Counter()
        self._of_sources = 0
        self._busy = 0 if waiting >= 0 else threads

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return or raise the result of the function in a thread, for the current party. Raises Busy, without calling
        it, if the queue is full."""
        call = _Call(partial(function, *args, **kwargs))
        self._begin(current_party(), call)
        return await asyncio.wrap_future(cast("Future[R]", call.result))

    def close(self) -> None:
        """Wait for running calls."""
        self._executor.shutdown()

    def _begin(self, party: str, call: _Call) -> None:
        with self._lock:
            starts = self._busy < self._threads and self._may_run(party)
            if starts:
                self._busy += 1
                self._count(party, 1)
                lost = None
            else:
                lost = self._waiting.add(party, call)
        if starts:
            self._executor.submit(self._work, party, call)
        elif lost is not None:
            lost.refuse()

    def _may_run(self, party: str) -> bool:
        if is_source(party):
            return self._of_sources < self._most_of_sources
        return self._running[party] < self._most_of_one

    def _work(self, party: str, call: _Call) -> None:
        """Make calls in this thread until none may run."""
        following: tuple[str, _Call] | None = (party, call)
        while following is not None:
            party, call = following
            call.make()
            following = self._next(party)

    def _next(self, finished: str) -> tuple[str, _Call] | None:
        """Return the call that runs after one of the party `finished`."""
        with self._lock:
            self._count(finished, -1)
            following = self._waiting.take(self._may_run)
            if following is None:
                self._busy -= 1
            else:
                self._count(following[0], 1)
            return following

    def _count(self, party: str, change: int) -> None:
        self._running[party] += change
        if not self._running[party]:
            del self._running[party]
        if is_source(party):
            self._of_sources += change
