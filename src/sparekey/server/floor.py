"""The time of a refused sign-in: a fixed time after its arrival, whatever the reason (S07).

Rules:
- The wait is sleep, never work, so that refusals cost no processor time.
- A text that may begin with several PINs costs a hash for each, and its refusal leaves after as many floors: so the
  floor is above the worst text if it is above one hash. The number follows from the text, never from the user.
- A refusal that took longer is sent at the next multiple of that time, so that a loaded server reveals no more than an
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

    async def wait(self, arrived: float, pins: int = 1) -> None:
        """Sleep until the next multiple of the time of a text that may begin with so many PINs."""
        loop = asyncio.get_running_loop()
        seconds = self._seconds * max(1, pins)
        multiples = max(1, math.ceil((loop.time() - arrived) / seconds))
        await asyncio.sleep(arrived + multiples * seconds - loop.time())
