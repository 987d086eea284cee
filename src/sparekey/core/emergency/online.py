"""Online emergency access: a temporary fixed tokencode, or a set of one-time tokencodes, for the server alone.

Rules (docs/emergency-access.md, "Online: temporary tokencodes"): a code has eight characters and is typed after the
PIN, or alone for a token without one. The access has no expiry, or ends at a set time. `IfAvailable` says what happens
if the token becomes available earlier.
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
# without characters that look alike
_LETTERS_AND_DIGITS: Final = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_DIGITS: Final = "0123456789"


class EmergencyKind(StrEnum):
    """A fixed code works many times; each one-time code of a set works once."""

    FIXED = "fixed"
    ONE_TIME = "one-time"


class IfAvailable(StrEnum):
    """The treatment of the token's own tokencodes while the access lasts."""

    DENY = "deny"
    END = "end"  # the server accepts its tokencodes, and the first one ends the access
    AFTER_LIFETIME = "after-lifetime"


@dataclass(frozen=True)
class OnlineEmergency:
    """The access of one token. `codes`: the codes that still work, each with its id."""

    kind: EmergencyKind
    if_available: IfAvailable
    expires_at: int | None
    codes: Sequence[tuple[str, Secret[str]]]

    def ended(self, now: int) -> bool:
        """Return True if the access has expired."""
        return self.expires_at is not None and now >= self.expires_at

    def allows_token(self, now: int) -> bool:
        """Return True if the server accepts the token's own tokencodes."""
        return {
            IfAvailable.DENY: False,
            IfAvailable.END: True,
            IfAvailable.AFTER_LIFETIME: self.ended(now),
        }[self.if_available]


def new_online_codes(
    alphabet: Alphabet, count: int, choose: Callable[[str], str] = secrets.choice
) -> tuple[Secret[str], ...]:
    """Return `count` different codes of eight characters; all characters are equally likely."""
    symbols = _DIGITS if alphabet is Alphabet.DIGITS else _LETTERS_AND_DIGITS
    codes: dict[str, None] = {}
    # Two equal codes would be one code that works twice.
    while len(codes) < count:
        codes["".join(choose(symbols) for _ in range(LENGTH))] = None
    return tuple(Secret(code) for code in codes)


def can_be_online_code(code: str, *, digits_alone: bool) -> bool:
    """Return True if `new_online_codes` makes such a code. `digits_alone`: some policy wants codes of digits."""
    return digits_alone if code.isdigit() else set(code) <= set(_LETTERS_AND_DIGITS)


def ends_at(
    now: int, days: int | None, token_end: int | None, account_end: int | None, until: int | None = None
) -> int | None:
    """Return the unix second from which the codes no longer work, at most the expiry of token and account."""
    ends = (None if days is None else now + days * DAY_SECONDS, until, token_end, account_end)
    return min((end for end in ends if end is not None), default=None)
