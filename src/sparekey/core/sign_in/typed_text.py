"""A typed text as the server reads it: its readings for one user, and the PINs in it that are hashed for everybody.

Rules:
- The PINs to hash follow from the text, and from the codes that tokens of this installation can have at all. They never
  depend on the user, or on whether there is one: so neither does the time of the answer (S07).
- Every PIN that the text may begin with is hashed once, however many tokens the user has (ADR 31).
- The misread groups, which the answer names, are the same for users with and without online emergency access (S07).
"""

from dataclasses import dataclass, replace
from typing import Final

from sparekey.core.emergency.online import can_be_online_code
from sparekey.core.tokens import DIGITS
from sparekey.passcode import (
    Candidate,
    PasscodeKind,
    Reading,
    Shape,
    emergency_passcode,
    emergency_tokencode,
    online_emergency,
    split,
    tokencode,
)
from sparekey.secret import Secret

# Every shape a server interface knows, in the order in which they are tried; the same for each user, known or not.
SHAPES: Final[tuple[Shape, ...]] = (
    *(tokencode(digits, with_pin=with_pin) for digits in DIGITS for with_pin in (True, False)),
    emergency_tokencode(with_pin=True),
    emergency_tokencode(with_pin=False),
    emergency_passcode(),
)

# Only for an account that has online emergency access: eight characters of anything would hide a misread group.
ONLINE_SHAPES: Final[tuple[Shape, ...]] = (*SHAPES, online_emergency(with_pin=True), online_emergency(with_pin=False))


@dataclass(frozen=True)
class InstalledCodes:
    """The codes that tokens of this installation can have. The default has every code that there is.

    It may be a minute old: a reading that it leaves out still counts (`authenticate`).
    """

    digits: frozenset[int] = frozenset(DIGITS)  # lengths of tokencodes
    online_digits: bool = True  # some policy makes online emergency tokencodes of digits alone

    def have(self, candidate: Candidate) -> bool:
        """Return True if a token of this installation can have the code of this candidate."""
        match candidate.shape.kind:
            case PasscodeKind.TOKENCODE:
                return candidate.shape.digits in self.digits
            case PasscodeKind.ONLINE_EMERGENCY:
                return can_be_online_code(candidate.code.reveal(), digits_alone=self.online_digits)
            case _:
                return True


EVERY_CODE: Final = InstalledCodes()


@dataclass(frozen=True)
class TypedText:
    """What was typed. `reading`: for this user. `pins`: each is hashed once, for any user or none."""

    reading: Reading
    pins: tuple[Secret[str], ...]


def read_typed(
    typed: Secret[str], installed: InstalledCodes = EVERY_CODE, *, online_emergency: bool = False
) -> TypedText:
    """Read the typed text, in the same way for every interface. `online_emergency`: the user has such access."""
    everything = split(typed.reveal(), ONLINE_SHAPES)
    ordinary = tuple(each for each in everything.candidates if each.shape.kind is not PasscodeKind.ONLINE_EMERGENCY)
    reading = Reading(ordinary) if ordinary else split(typed.reveal(), SHAPES)  # which names misread groups
    if online_emergency:
        reading = replace(reading, candidates=everything.candidates)
    return TypedText(reading, _pins(everything.candidates, installed))


def _pins(candidates: tuple[Candidate, ...], installed: InstalledCodes) -> tuple[Secret[str], ...]:
    """Return the PINs to hash. Every PIN is the beginning of the same text, so that its length tells it apart."""
    pins = {len(each.pin): each.pin for each in candidates if each.shape.with_pin and installed.have(each)}
    return tuple(pins.values())
