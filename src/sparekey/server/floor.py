"""When a refused sign-in is answered: a fixed time after it came, whatever the reason (S07).

Rules: the wait is sleep, never work, so that refusals cost no processor; what took longer leaves at the next multiple,
so that a loaded server tells no more than an idle one. Both doors use this one.
"""

import asyncio
import math
from typing import Final


class Floor:
    """The earliest moment of a refusal, counted from the arrival of its request."""

    def __init__(self, seconds: float) -> None:
        self._seconds: Final = seconds

    @staticmethod
    def arrival() -> float:
        """To be called first: the moment from which the floor counts, by the event loop's clock."""
        return asyncio.get_running_loop().time()

    async def wait(self, arrived: float) -> None:
        """Sleeps until the first multiple of the floor that is not past."""
        loop = asyncio.get_running_loop()
        multiples = max(1, math.ceil((loop.time() - arrived) / self._seconds))
        await asyncio.sleep(arrived + multiples * self._seconds - loop.time())
