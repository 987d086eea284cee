"""Rate limit of emergency codes for each operator: a warning above one number in an hour, a stop at another.

Pure: the times of earlier codes and of the last warning are arguments. The limit counts the codes of the last hour.
"""

from bisect import bisect_right
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

HOUR: Final = 3_600


class Pace(StrEnum):
    """The result of a request for one more code."""

    CALM = "calm"
    WARNED_NOW = "warned-now"  # above the warning number; no warning within the last hour
    WARNED = "warned"  # above the warning number; warned already
    STOPPED = "stopped"  # the code is not shown


def decide_pace(
    shown_at: Iterable[int], now: int, warn: int, limit: int, *, lifted: bool, warned_at: int | None = None
) -> Pace:
    """Decide a request for one more code.

    `shown_at`: unix seconds at which the operator was shown codes since `now - HOUR`, in any order. `lifted`: another
    administrator has lifted the limit. `warned_at`: the last request that was WARNED or WARNED_NOW; None: never.
    The codes themselves cannot tell if there was a warning, because the policy may have had other numbers then.
    """
    times = sorted(shown_at)
    within = len(times) - bisect_right(times, now - HOUR)
    if within >= limit and not lifted:
        return Pace.STOPPED
    if within + 1 <= warn:
        return Pace.CALM
    return Pace.WARNED if warned_at is not None and warned_at > now - HOUR else Pace.WARNED_NOW
