"""Thread pools for the synchronous use cases, one pool for each kind of work.

Rules:
- A pool has a size and a longest queue, so that excess requests are rejected without using memory (S08).
- Sealing has its own pool, so that it never delays a sign-in.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Busy(Exception):
    """The queue of a pool is full."""


class WorkPool:
    """The threads for one kind of work."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        """Run at most `threads` calls at a time, with at most `waiting` in the queue."""
        self._executor: Final = ThreadPoolExecutor(threads, name)
        self._most: Final = threads + waiting
        self._inside = 0

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return or raise the result of the function in a thread. Raises Busy, without calling it, if the queue is
        full."""
        if self._inside >= self._most:
            raise Busy
        self._inside += 1
        work = self._executor.submit(function, *args, **kwargs)
        # Counted until it has finished, even if its caller no longer waits.
        loop = asyncio.get_running_loop()
        work.add_done_callback(lambda _: self._finished(loop))
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """Wait for running calls."""
        self._executor.shutdown()

    def _finished(self, loop: asyncio.AbstractEventLoop) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self._inside -= 1
