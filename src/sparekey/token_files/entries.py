"""The entries of a file of tokens: an entry for each token that can be imported, and a refusal for each other one.

Rules: messages repeat nothing of the file except a well-formed serial number, because a misplaced value may be a seed;
a file that is wrong as a whole raises BadInput; no token is made from a doubtful entry.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeAlias

from sparekey.core.names import SERIAL
from sparekey.core.tokens import TOKEN_TYPES, Parameters, TokenError

ALGORITHMS: Final = frozenset({"sha1", "sha256", "sha512", "aes128"})
_SMALL: Final = re.compile(r"[0-9]{1,3}")
_COUNTER: Final = re.compile(r"[0-9]{1,10}")
_LARGEST_COUNTER: Final = 2**31  # more presses of a button than a token survives


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A token of the file, with parameters that its type allows."""

    number: int  # its line in a CSV file, or else its position among the entries, from 1
    type: str
    parameters: Parameters
    counter: int = 0  # of the next code; only event-based tokens have one
    expires_at: int | None = None  # unix seconds
    with_pin: bool = True

    @property
    def serial(self) -> str:
        return self.parameters.serial


@dataclass(frozen=True, slots=True)
class RefusedEntry:
    """An entry that is not imported, and the reason."""

    number: int
    serial: str  # "" if the entry has no valid serial number
    reason: str


Item: TypeAlias = TokenEntry | RefusedEntry


class EntryError(ValueError):
    """The entry is refused. The message gives the reason and repeats nothing of the entry."""


def verified(entry: TokenEntry) -> TokenEntry:
    """Return the entry if a token can be made from it. Raises EntryError otherwise."""
    if SERIAL.fullmatch(entry.serial) is None:
        raise EntryError("a serial number has 1 to 64 letters, digits and the characters _ . -")
    if entry.parameters.algorithm not in ALGORITHMS:
        raise EntryError(f"the algorithm is none of {', '.join(sorted(ALGORITHMS))}")
    try:
        TOKEN_TYPES[entry.type].of(entry.parameters)
    except TokenError as error:
        raise EntryError(str(error)) from None
    return entry


def refused(number: int, serial: str, error: EntryError) -> RefusedEntry:
    """Return the refusal of an entry. A text that is not a valid serial number is left out."""
    return RefusedEntry(number, serial if SERIAL.fullmatch(serial) else "", str(error))


def small_number(text: str, what: str) -> int:
    """Read a number of at most three digits, such as an interval in seconds. Raises EntryError."""
    if _SMALL.fullmatch(text) is None:
        raise EntryError(f"{what} is not a number")
    return int(text)


def counter_number(text: str) -> int:
    """Read the counter of the next code. Raises EntryError."""
    if _COUNTER.fullmatch(text) is None:
        raise EntryError("the counter is not a number")
    if int(text) > _LARGEST_COUNTER:
        raise EntryError("the counter is beyond 2**31")
    return int(text)


def base64_bytes(text: str, what: str) -> bytes:
    """Decode base64, which may contain white space. Raises EntryError."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise EntryError(f"{what} is no base64") from None


@lru_cache(maxsize=256)
def moment(text: str) -> int:
    """Return the unix second of a date (its first second, UTC) or of an RFC 3339 time, in UTC if it has no zone.

    Raises EntryError.
    """
    try:
        read = datetime.fromisoformat(text)
        return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise EntryError("a date is not one: give for instance 2027-12-31 or 2027-12-31T18:00:00Z") from None
