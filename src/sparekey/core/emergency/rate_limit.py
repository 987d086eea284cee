"""How many emergency codes one operator may see within an hour: above one number warned, at another one stopped.

Pure: the times of earlier showings, and when the operator was last warned, are arguments. What counts is the hour
before the showing that is asked for.
"""

from bisect import bisect_right
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

HOUR: Final = 3_600


class Pace(StrEnum):
    """What comes of one more showing."""

    CALM = "calm"
    WARNED_NOW = "warned-now"  # more than the first number, and not warned within the last hour
    WARNED = "warned"  # more than the first number, as before
    STOPPED = "stopped"  # not shown


def judge_pace(
    shown_at: Iterable[int], now: int, warn: int, limit: int, *, lifted: bool, warned_at: int | None = None
) -> Pace:
    """`shown_at`: unix seconds of the operator's showings since `now - HOUR`, in any order.

    `lifted`: somebody else lets this operator go on. `warned_at`: of what was asked for last, when it was judged WARNED
    or WARNED_NOW; None: never. It is this that says whether somebody was told, not the showings: the numbers may have
    been others when they were done.
    """
    times = sorted(shown_at)
    within = len(times) - bisect_right(times, now - HOUR)
    if within >= limit and not lifted:
        return Pace.STOPPED
    if within + 1 <= warn:
        return Pace.CALM
    return Pace.WARNED if warned_at is not None and warned_at > now - HOUR else Pace.WARNED_NOW
