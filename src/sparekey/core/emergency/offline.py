"""Offline emergency codes: their expiry, the replacement of due versions, and the version for each device.

Rules:
- A code can be used again until it expires. It expires at the earliest of lifetime, token expiry and account expiry.
- A version becomes *due* when it was shown, used or reset, or when less than a quarter of its lifetime is left.
- A due version is replaced at an online sign-in *with the token itself*, which proves that the emergency is over. A
  sign-in with an emergency code never replaces the code that it used.
- Two exceptions: a reset is delivered at the next online sign-in by any method, and an expired version is replaced at
  any contact.
- Until the device confirms the replacement, operators must show the version that the device holds.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sparekey.core.reasons import Method
from sparekey.durations import DAY_SECONDS

PASSCODE_GROUPS: Final = 3
GROUPS_AFTER_PIN: Final = 2
GROUPS_WITHOUT_PIN: Final = 3


class CodeKind(StrEnum):
    """A tokencode belongs to a token and replaces its code; a passcode belongs to a user and replaces PIN and code."""

    TOKENCODE = "tokencode"
    PASSCODE = "passcode"


class Contact(StrEnum):
    """The kind of contact at which the server decides about a replacement."""

    TOKEN_SIGN_IN = "token-sign-in"
    OTHER_SIGN_IN = "other-sign-in"
    WITHOUT_SIGN_IN = "refill"


@dataclass(frozen=True)
class CodeVersion:
    """One version of one code, with the times that decide about its replacement (unix seconds)."""

    code_id: str
    version: int
    created_at: int
    not_after: int
    shown_at: int | None = None
    used_at: int | None = None
    reset_at: int | None = None


def contact_of(method: Method) -> Contact:
    """Return the kind of contact of an online sign-in."""
    return Contact.TOKEN_SIGN_IN if method is Method.TOKENCODE else Contact.OTHER_SIGN_IN


def groups_of(kind: CodeKind, *, with_pin: bool) -> int:
    """Return the number of groups of five characters: a code without a PIN before it has more."""
    if kind is CodeKind.PASSCODE:
        return PASSCODE_GROUPS
    return GROUPS_AFTER_PIN if with_pin else GROUPS_WITHOUT_PIN


def expiry(now: int, lifetime_days: int, token_expires_at: int | None, account_expires_at: int | None) -> int:
    """Return the unix second from which a code made at `now` no longer works."""
    ends = (now + lifetime_days * DAY_SECONDS, token_expires_at, account_expires_at)
    return min(end for end in ends if end is not None)


def is_due(code: CodeVersion, now: int) -> bool:
    """Return True if the next sign-in with the token itself will replace this version."""
    quarter = (code.not_after - code.created_at) / 4
    touched = (code.shown_at, code.used_at, code.reset_at)
    return any(at is not None for at in touched) or code.not_after - now < quarter


def replaced_now(code: CodeVersion, contact: Contact, now: int) -> bool:
    """Return True if this contact gives the device another version in place of this one."""
    if now >= code.not_after:
        return True
    if contact is Contact.WITHOUT_SIGN_IN or not is_due(code, now):
        return False
    return contact is Contact.TOKEN_SIGN_IN or code.reset_at is not None


def find_deliverable(versions: list[CodeVersion], now: int) -> CodeVersion | None:
    """Return the newest version if one more device may get it, or None if a new version must be made.

    A due version is never given to another device: it would be replaced again at once, and a person may know it.
    """
    newest = max(versions, key=lambda code: code.version, default=None)
    return None if newest is None or is_due(newest, now) else newest
