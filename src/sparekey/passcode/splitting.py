"""The splitting of a typed text: every way in which it can be PIN and code, before anything is hashed.

Rules (spec/offline-day.md, "Splitting"; the device and the server use this same function):
- Spaces and line ends at both ends are removed. The rest is 1 to 64 printable ASCII characters.
- A PIN is 4 to 8 ASCII letters and digits, exactly as typed: no case folding, no look-alikes.
- Tokencode digits are ASCII digits, exactly as many as the token shows: no sign and no other alphabet.
- Every shape that fits is a candidate, in the order of the shapes. Misread groups are named only if no shape fits: so a
  misread code costs no attempt, and a check never holds back a passcode that fits.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from sparekey.passcode.canonical import GROUP_CHARACTERS, SEPARATORS, SYMBOL_OF, misread_groups
from sparekey.secret import Secret

ONLINE_EMERGENCY_CHARACTERS = 8

_OUTER = " \r\n"
_PRINTABLE = re.compile(r"[ -~]{1,64}")
_PIN = re.compile(r"[0-9A-Za-z]{4,8}")
_DIGITS = re.compile(r"[0-9]+")
_ONLINE_EMERGENCY = re.compile(r"[0-9A-Z]{8}")


class PasscodeKind(StrEnum):
    """The kinds of codes after the PIN."""

    TOKENCODE = "tokencode"
    EMERGENCY_TOKENCODE = "emergency-tokencode"
    EMERGENCY_PASSCODE = "emergency-passcode"
    ONLINE_EMERGENCY = "online-emergency"
    """A temporary fixed or one-time tokencode. Only the server accepts it."""


@dataclass(frozen=True)
class Shape:
    """One form that the text may have. Use the functions below; `digits` matters only for a tokencode."""

    kind: PasscodeKind
    with_pin: bool
    digits: int = 0

    @property
    def groups(self) -> int:
        """Return the number of groups: two after a PIN, three for a code alone, 0 for a code without groups."""
        if self.kind in {PasscodeKind.TOKENCODE, PasscodeKind.ONLINE_EMERGENCY}:
            return 0
        return 2 if self.with_pin else 3


def tokencode(digits: int, *, with_pin: bool) -> Shape:
    """Return the shape of a tokencode, after its PIN or alone."""
    return Shape(PasscodeKind.TOKENCODE, with_pin, digits)


def emergency_tokencode(*, with_pin: bool) -> Shape:
    """Return the shape of the offline emergency tokencode: two groups after the PIN, three for a token without a
    PIN."""
    return Shape(PasscodeKind.EMERGENCY_TOKENCODE, with_pin)


def emergency_passcode() -> Shape:
    """Return the shape of the offline emergency passcode: three groups that replace PIN and tokencode."""
    return Shape(PasscodeKind.EMERGENCY_PASSCODE, with_pin=False)


def online_emergency(*, with_pin: bool) -> Shape:
    """Return the shape of an online emergency code: eight letters and digits, in any case, that only the server
    accepts."""
    return Shape(PasscodeKind.ONLINE_EMERGENCY, with_pin)


@dataclass(frozen=True)
class Candidate:
    """One way in which the text fits: the PIN as typed (empty if the shape has none), and the code in its canonical
    form."""

    shape: Shape
    pin: Secret[str]
    code: Secret[str]


@dataclass(frozen=True)
class Reading:
    """All candidates. `misread` has group numbers from 1. It is empty if there is a candidate."""

    candidates: tuple[Candidate, ...] = ()
    misread: tuple[int, ...] = ()

    def of(self, shape: Shape) -> Candidate | None:
        """Return the candidate of this shape; None if the text does not fit it."""
        return next((candidate for candidate in self.candidates if candidate.shape == shape), None)

    @property
    def kinds(self) -> frozenset[PasscodeKind]:
        return frozenset(candidate.shape.kind for candidate in self.candidates)


@dataclass(frozen=True)
class _Parts:
    rest: str = field(repr=False)
    code: str = field(repr=False)


def is_pin(text: str) -> bool:
    """Return True if the text could be a PIN: 4 to 8 ASCII letters and digits."""
    return _PIN.fullmatch(text) is not None


def split(text: str, shapes: Iterable[Shape]) -> Reading:
    """Return every candidate among `shapes`. If there is none, return the misread groups, if the text looks like a
    code."""
    text = text.strip(_OUTER)
    if _PRINTABLE.fullmatch(text) is None:
        return Reading()
    wanted = tuple(dict.fromkeys(shapes))
    candidates = tuple(found for shape in wanted if (found := _find_candidate(text, shape)) is not None)
    if candidates:
        return Reading(candidates)
    return Reading(misread=_named_groups(text, wanted))


def _find_candidate(text: str, shape: Shape) -> Candidate | None:
    parts = _find_parts(text, shape)
    if parts is None or (shape.groups and misread_groups(parts.code)):
        return None
    return Candidate(shape, Secret(parts.rest), Secret(parts.code))


def _find_parts(text: str, shape: Shape) -> _Parts | None:
    """Cut the text in two where the code has its length and the rest can be the PIN."""
    if shape.kind is PasscodeKind.TOKENCODE:
        parts = _tail_of(text, shape.digits, _DIGITS)
    elif shape.kind is PasscodeKind.ONLINE_EMERGENCY:
        parts = _tail_of(text.upper(), ONLINE_EMERGENCY_CHARACTERS, _ONLINE_EMERGENCY)
        # The PIN keeps its case: only the code is folded.
        parts = parts and _Parts(text[: len(parts.rest)], parts.code)
    else:
        parts = _symbols_of(text, shape.groups * GROUP_CHARACTERS)
    if parts is None or not _rest_fits(parts.rest, shape):
        return None
    return parts


def _rest_fits(rest: str, shape: Shape) -> bool:
    return is_pin(rest) if shape.with_pin else not rest


def _tail_of(text: str, length: int, allowed: re.Pattern[str]) -> _Parts | None:
    rest, code = text[:-length], text[-length:]
    return _Parts(rest, code) if len(code) == length and allowed.fullmatch(code) else None


def _symbols_of(text: str, count: int) -> _Parts | None:
    """Return the last `count` symbols, normalised, and the text before them; None if other characters are between
    them."""
    taken = ""
    for position in range(len(text) - 1, -1, -1):
        if text[position] in SEPARATORS:
            continue
        symbol = SYMBOL_OF.get(text[position])
        if symbol is None:
            return None
        taken = symbol + taken
        if len(taken) == count:
            return _Parts(text[:position].rstrip(SEPARATORS), taken)
    return None


def _named_groups(text: str, shapes: tuple[Shape, ...]) -> tuple[int, ...]:
    """Return the failing groups of the likeliest reading: the one in which most groups hold.

    If several are equal, the one in which fewest groups fail is taken.

    Fifteen symbols can be a complete code, or a PIN of five and a code of two groups. A group at the place of another
    one never holds, because its number is in its check. So the intended reading is the one in which most groups hold.
    """
    readings = [
        (shape.groups - len(misread), -len(misread), misread)
        for shape in shapes
        if shape.groups and (parts := _find_parts(text, shape)) is not None
        for misread in (misread_groups(parts.code),)
    ]
    return max(readings)[2] if readings else ()
