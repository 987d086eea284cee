"""Finds a token again whose clock or counter has run away, from two successive tokencodes.

Rules: every place where the pair may stand is compared, in constant time (S04); beyond the token's range there is
none: twelve hours for a clock (product.md), a thousand presses for a counter; a used step is no place.
"""

import hmac

from sparekey.core.tokens.base import OtpToken


def find_resync(token: OtpToken, now: int, last_step: int, first_code: str, second_code: str) -> int | None:
    """The step of `second_code` where `first_code` is shown at the step before it; None: no such place.

    `now` in unix seconds. The latest place, so that a success uses up every other one. Costs one code per step.
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
