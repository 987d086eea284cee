"""Use cases are synchronous; here they are handed to threads, each kind of work to a pool of its own.

Rules: a pool has a size and a longest queue, so that a flood is turned away and costs no memory (S08); sealing has its
own pool, so that it never stands before a sign-in.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Busy(Exception):
    """More is waiting than this server takes on."""


class WorkPool:
    """Threads for one kind of work."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        """At most `threads` at the same time, and `waiting` in the queue."""
        self._executor: Final = ThreadPoolExecutor(threads, name)
        self._most: Final = threads + waiting
        self._inside = 0

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What the function returns or raises. Raises Busy without calling it."""
        if self._inside >= self._most:
            raise Busy
        self._inside += 1
        work = self._executor.submit(function, *args, **kwargs)
        # Counted until it is over, even if nobody waits for it any more.
        loop = asyncio.get_running_loop()
        work.add_done_callback(lambda _: self._finished(loop))
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """Waits for what is running."""
        self._executor.shutdown()

    def _finished(self, loop: asyncio.AbstractEventLoop) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self._inside -= 1
