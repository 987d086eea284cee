"""What of an event-based token a device may hold: the counters that come next, the same on every device.

Rules (product.md, "Event-based tokens offline"):
- A pack begins with the first counter that the server has not accepted. It reserves nothing: the token goes on working
  online, and what is used there is erased here at the next contact.
- It ends like the last of the days would, and never after token or account.
- It is made anew before it runs out, and no oftener: when half of its counters or half of its life are gone.
"""

from dataclasses import dataclass
from typing import Final

from sparekey.core.sign_in.authenticate import AccountState, TokenState
from sparekey.core.tokens import Hotp
from sparekey.durations import DAY_SECONDS

PACK: Final = 50  # counters
FEWEST: Final = 25  # unused counters at which the pack is made anew
LOOK_AHEAD: Final = 5  # counters that a device tries


@dataclass(frozen=True)
class EventPack:
    """Which counters, and until which second (unix) they open."""

    counters: range
    not_after: int


def find_pack(token: TokenState, account: AccountState, days: int, now: int) -> EventPack | None:
    """The pack as it would be sealed now, for so many days after today; None for a token that counts no events."""
    if not isinstance(token.otp, Hotp):
        return None
    following = token.last_step + 1
    ends = [end - 1 for end in (token.expires_at, account.expires_at) if end is not None]
    not_after = min([(now // DAY_SECONDS + days + 1) * DAY_SECONDS, *ends])
    return EventPack(range(following, following + PACK), not_after)


def is_worn(held: EventPack, fresh: EventPack, now: int) -> bool:
    """Whether the device needs the fresh pack in the place of the one that it holds."""
    unused = held.counters.stop - max(held.counters.start, fresh.counters.start)
    old = 2 * (held.not_after - now) < fresh.not_after - now
    return unused < FEWEST or old or held.not_after > fresh.not_after
