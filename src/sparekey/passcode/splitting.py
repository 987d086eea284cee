"""Reading what was typed into the one field: every way in which it can be PIN and code, before anything is hashed.

Rules (spec/offline-day.md, "Splitting"; the device and the server use this same function):
- Spaces and line ends at both ends mean nothing; what is left is 1 to 64 printable ASCII characters.
- A PIN is 4 to 8 ASCII letters and digits and is taken as typed: no case folding, no look-alikes.
- Tokencode digits are ASCII digits, exactly as many as the token shows: no sign, no other alphabet, none too many.
- Every shape that fits is a candidate, in the order in which the shapes were given. Groups are named as misread only
  where nothing fits: a misread code costs no attempt, and a passcode that fits is never held back by a check.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from sparekey.passcode.canonical import GROUP_CHARACTERS, SEPARATORS, SYMBOL_OF, misread_groups
from sparekey.secret import Secret

ONLINE_EMERGENCY_CHARACTERS = 8

_OUTER = " \r\n"
_TYPED = re.compile(r"[ -~]{1,64}")
_PIN = re.compile(r"[0-9A-Za-z]{4,8}")
_DIGITS = re.compile(r"[0-9]+")
_ONLINE_EMERGENCY = re.compile(r"[0-9A-Z]{8}")


class Kind(StrEnum):
    """What the part after the PIN is."""

    TOKENCODE = "tokencode"
    EMERGENCY_TOKENCODE = "emergency-tokencode"
    EMERGENCY_PASSCODE = "emergency-passcode"
    ONLINE_EMERGENCY = "online-emergency"
    """A temporary fixed or one-time tokencode: server doors only."""


@dataclass(frozen=True)
class Shape:
    """One thing that may be typed here. Use the functions below; `digits` counts only for a tokencode."""

    kind: Kind
    with_pin: bool
    digits: int = 0

    @property
    def groups(self) -> int:
        """Two after a PIN, three where the code stands alone; 0: not a code in groups."""
        if self.kind in {Kind.TOKENCODE, Kind.ONLINE_EMERGENCY}:
            return 0
        return 2 if self.with_pin else 3


def tokencode(digits: int, *, with_pin: bool) -> Shape:
    """What a token shows, after its PIN or alone."""
    return Shape(Kind.TOKENCODE, with_pin, digits)


def emergency_tokencode(*, with_pin: bool) -> Shape:
    """The offline emergency tokencode: two groups after the PIN, three for a token that has none."""
    return Shape(Kind.EMERGENCY_TOKENCODE, with_pin)


def emergency_passcode() -> Shape:
    """The offline emergency passcode: three groups that replace PIN and tokencode."""
    return Shape(Kind.EMERGENCY_PASSCODE, with_pin=False)


def online_emergency(*, with_pin: bool) -> Shape:
    """Eight letters and digits that the server alone accepts, case folded."""
    return Shape(Kind.ONLINE_EMERGENCY, with_pin)


@dataclass(frozen=True)
class Candidate:
    """One way in which the text fits: the PIN as typed (empty where the shape has none) and the code in its one
    canonical form."""

    shape: Shape
    pin: Secret[str]
    code: Secret[str]


@dataclass(frozen=True)
class Reading:
    """All candidates; `misread` are group numbers from 1, which `split` names only where there is no candidate."""

    candidates: tuple[Candidate, ...] = ()
    misread: tuple[int, ...] = ()

    def of(self, shape: Shape) -> Candidate | None:
        """The candidate of that shape, if the text fits it."""
        return next((candidate for candidate in self.candidates if candidate.shape == shape), None)

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(candidate.shape.kind for candidate in self.candidates)


@dataclass(frozen=True)
class _Parts:
    rest: str = field(repr=False)
    code: str = field(repr=False)


def is_pin(text: str) -> bool:
    """Whether the text could be a PIN: 4 to 8 ASCII letters and digits."""
    return _PIN.fullmatch(text) is not None


def split(typed: str, shapes: Iterable[Shape]) -> Reading:
    """Every candidate among `shapes`; where there is none, the groups that were misread, if a code was meant."""
    text = typed.strip(_OUTER)
    if _TYPED.fullmatch(text) is None:
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
    """The text cut in two where the code's length is reached and what stands before it may be the PIN."""
    if shape.kind is Kind.TOKENCODE:
        parts = _tail_of(text, shape.digits, _DIGITS)
    elif shape.kind is Kind.ONLINE_EMERGENCY:
        parts = _tail_of(text.upper(), ONLINE_EMERGENCY_CHARACTERS, _ONLINE_EMERGENCY)
        # The PIN keeps its case: only the code's part is folded.
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
    """The last `count` symbols, normalised, and what stands before them; None where other characters intervene."""
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
    """The failing groups of the reading in which most groups hold; among equals, of the one in which fewest fail.

    Fifteen symbols can be a whole code or a PIN of five and a code of two groups. A group read at another group's
    place never holds, because its number is in its check: so the reading that was meant is the one that holds most.
    """
    readings = [
        (shape.groups - len(misread), -len(misread), misread)
        for shape in shapes
        if shape.groups and (parts := _find_parts(text, shape)) is not None
        for misread in (misread_groups(parts.code),)
    ]
    return max(readings, default=(0, 0, ()))[2]
