"""Turns of the event loop: the work on one request begins in each, so that no party waits for the flood of another.

Rules:
- A request waits only if another one has just begun.
- Parties begin in turns. A party with a thousand requests waits for its own; all others wait for one of them at a time.
- Sources begin only every few milliseconds, all of them together. So anonymous requests, however many and from
  wherever, leave half of the processor to parties that have proved their identity, and to the requests in work.
"""

import asyncio
from typing import Final

from sparekey.server.admission.fair_queue import FairQueue
from sparekey.server.admission.sources import is_source

SECONDS_OF_A_SOURCE: Final = 0.002  # an anonymous request costs about a millisecond


class Turns:
    """The turns of one event loop: one row for sources, one for all who have proved their identity."""

    def __init__(self) -> None:
        self._of_sources: Final = _Row(SECONDS_OF_A_SOURCE)
        self._of_proven: Final = _Row(0)

    async def wait(self, party: str) -> None:
        """Wait until the work on a request of this party may begin."""
        await (self._of_sources if is_source(party) else self._of_proven).wait(party)


class _Row:
    """Requests that begin one after the other, at least `seconds` apart; 0: one in each turn of the loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds: Final = seconds
        # Without a limit of its own: each item is a request of one of the connections, which are limited.
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue(most=1 << 30)
        self._loop: asyncio.AbstractEventLoop | None = None  # that ends the turn which is taken now

    async def wait(self, party: str) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # no turn is taken, or its loop has ended with all who waited
            self._waiting = FairQueue(most=1 << 30)
            self._take(loop)
            return
        turn = loop.create_future()
        self._waiting.add(party, turn)
        await turn

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        if self._seconds:
            loop.call_later(self._seconds, self._end, loop)
        else:
            loop.call_soon(self._end, loop)

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        """End a turn, and let the next request begin."""
        self._loop = None
        while (following := self._waiting.take()) is not None:
            if not following[1].done():  # else its task was cancelled meanwhile
                following[1].set_result(None)
                self._take(loop)
                return
