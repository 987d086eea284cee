"""The event pack of an event-based token: the next counters, the same on every device.

Rules (spec/offline-day.md):
- A pack begins with the first counter that the server has not accepted. It reserves nothing: the token still works
  online, and the device erases counters that were used there at its next contact.
- It expires when the last of the days would, and never after token or account.
- It is replaced when half of its counters or half of its lifetime are used up, and not earlier.
"""

from dataclasses import dataclass
from typing import Final

from sparekey.core.sign_in.authenticate import AccountState, TokenState
from sparekey.core.tokens import Hotp
from sparekey.durations import DAY_SECONDS

PACK: Final = 50  # counters
FEWEST: Final = 25  # a pack with this many unused counters is replaced
LOOK_AHEAD: Final = 5  # counters that a device tries


@dataclass(frozen=True)
class EventPack:
    """A range of counters, and the unix second until which they work."""

    counters: range
    not_after: int


def find_pack(token: TokenState, account: AccountState, days: int, now: int) -> EventPack | None:
    """Return the pack that would be sealed now, for `days` days after today, or None for a time-based token."""
    if not isinstance(token.otp, Hotp):
        return None
    following = token.last_step + 1
    ends = [end - 1 for end in (token.expires_at, account.expires_at) if end is not None]
    not_after = min([(now // DAY_SECONDS + days + 1) * DAY_SECONDS, *ends])
    return EventPack(range(following, following + PACK), not_after)


def is_worn(held: EventPack, fresh: EventPack, now: int) -> bool:
    """Return True if the device needs the fresh pack in place of the held one."""
    unused = held.counters.stop - max(held.counters.start, fresh.counters.start)
    old = 2 * (held.not_after - now) < fresh.not_after - now
    return unused < FEWEST or old or held.not_after > fresh.not_after
