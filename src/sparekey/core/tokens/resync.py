"""Resyncs a drifted token from two successive tokencodes.

Rules: all pairs of steps in the token's range are compared, in constant time (S04). The range is twelve hours for a
clock (docs/tokens.md) and a thousand presses for a counter. Used steps are not in it.
"""

import hmac

from sparekey.core.tokens.base import OtpToken


def find_resync(token: OtpToken, now: int, last_step: int, first_code: str, second_code: str) -> int | None:
    """Return the step of `second_code` if the step before it shows `first_code`, or None if there is no such pair.

    Of several pairs, the latest counts, so that a success uses up the others. `now` in unix seconds. The function
    computes one code per step.
    """
    found = None
    first_before = False
    for step in token.resync_range(now, last_step):
        code = token.code(step).encode()
        second_here = hmac.compare_digest(code, second_code.encode())
        if first_before and second_here:
            found = step
        first_before = hmac.compare_digest(code, first_code.encode())
    return found
