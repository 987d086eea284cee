"""How many emergency codes one operator may see within an hour: above one number warned, at another one stopped.

Pure: the times of earlier showings are an argument. What counts is the hour before the showing that is asked for.
"""

from bisect import bisect_right
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

HOUR: Final = 3_600
LOOK_BACK: Final = 2 * HOUR  # as far back as earlier showings are to be known


class Pace(StrEnum):
    """What comes of one more showing."""

    CALM = "calm"
    WARNED_NOW = "warned-now"  # more than the first number, and that was not so at any time within the last hour
    WARNED = "warned"  # more than the first number, as before
    STOPPED = "stopped"  # not shown


def judge_pace(shown_at: Iterable[int], now: int, warn: int, limit: int, *, lifted: bool) -> Pace:
    """`shown_at`: unix seconds of the operator's showings since `now - LOOK_BACK`, in any order.

    `lifted`: somebody else lets this operator go on.
    """
    times = sorted(shown_at)
    within = len(times) - bisect_right(times, now - HOUR)
    if within >= limit and not lifted:
        return Pace.STOPPED
    if within + 1 <= warn:
        return Pace.CALM
    # how many had been shown within an hour when each of the last hour's showings was done
    counts = (number - bisect_right(times, at - HOUR) for number, at in enumerate(times, 1) if at > now - HOUR)
    return Pace.WARNED if any(count > warn for count in counts) else Pace.WARNED_NOW
