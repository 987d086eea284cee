"""The time of a refused sign-in: a fixed time after its arrival, whatever the reason (S07).

Rules:
- The wait is sleep, never work, so that refusals cost no processor time.
- A refusal that took longer is sent at the next multiple of the floor, so that a loaded server reveals no more than an
  idle one.
- REST and the agent API both use this floor.
"""

import asyncio
import math
from typing import Final


class Floor:
    """The earliest time of a refusal, counted from the arrival of its request."""

    def __init__(self, seconds: float) -> None:
        self._seconds: Final = seconds

    @staticmethod
    def arrival() -> float:
        """Return the arrival time from which the floor counts, by the clock of the event loop. Call it first."""
        return asyncio.get_running_loop().time()

    async def wait(self, arrived: float) -> None:
        """Sleep until the next multiple of the floor."""
        loop = asyncio.get_running_loop()
        multiples = max(1, math.ceil((loop.time() - arrived) / self._seconds))
        await asyncio.sleep(arrived + multiples * self._seconds - loop.time())
