"""Online emergency access: a temporary fixed tokencode, or a set of one-time tokencodes, at the server alone.

Rules (product.md, "Online emergency access"): eight characters, typed after the PIN (alone for a token without one);
with no expiry, or until a moment; and one of three answers to the question what happens when the token turns up.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sparekey.core.policy.token import Alphabet
from sparekey.durations import DAY_SECONDS
from sparekey.secret import Secret

LENGTH: Final = 8
# no character that another one of these is misread for
_LETTERS_AND_DIGITS: Final = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_DIGITS: Final = "0123456789"


class EmergencyKind(StrEnum):
    """A fixed code works again and again, each of a set of one-time codes once."""

    FIXED = "fixed"
    ONE_TIME = "one-time"


class IfAvailable(StrEnum):
    """If the token becomes available while the access lasts."""

    DENY = "deny"
    END = "end"  # its tokencodes are accepted, and the first one ends the access
    AFTER_LIFETIME = "after-lifetime"


@dataclass(frozen=True)
class OnlineEmergency:
    """The access of one token; `codes` are those that still work, each with its id."""

    kind: EmergencyKind
    if_available: IfAvailable
    expires_at: int | None
    codes: Sequence[tuple[str, Secret[str]]]

    def ended(self, now: int) -> bool:
        """Whether its codes work no longer."""
        return self.expires_at is not None and now >= self.expires_at

    def allows_token(self, now: int) -> bool:
        """Whether the token's own codes are accepted."""
        return {
            IfAvailable.DENY: False,
            IfAvailable.END: True,
            IfAvailable.AFTER_LIFETIME: self.ended(now),
        }[self.if_available]


def new_online_codes(
    alphabet: Alphabet, count: int, choose: Callable[[str], str] = secrets.choice
) -> tuple[Secret[str], ...]:
    """So many different codes of eight characters, each character with the same chance."""
    symbols = _DIGITS if alphabet is Alphabet.DIGITS else _LETTERS_AND_DIGITS
    codes: dict[str, None] = {}
    # Two alike would be one code that works twice.
    while len(codes) < count:
        codes["".join(choose(symbols) for _ in range(LENGTH))] = None
    return tuple(Secret(code) for code in codes)


def ends_at(
    now: int, days: int | None, token_end: int | None, account_end: int | None, until: int | None = None
) -> int | None:
    """The unix second from which its codes work no longer: never past the token's or the account's own end."""
    ends = (None if days is None else now + days * DAY_SECONDS, until, token_end, account_end)
    return min((end for end in ends if end is not None), default=None)
