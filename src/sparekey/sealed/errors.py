"""The reasons why a unit does not open: one exception for each failure word of spec/offline-day.md, "Opening".

Messages name the broken rule, never the typed text.
"""

from typing import ClassVar


class Unopened(Exception):
    """The unit gives no key. `word` is the failure word of the specification and of the vectors."""

    word: ClassVar[str]


class Malformed(Unopened):
    """The bytes are no unit: magic, length, rules of the header, or (at receipt) the hash of the records."""

    word = "malformed"


class BadUnitSignature(Unopened):
    """The signature was not made by any of the pinned keys."""

    word = "bad signature"


class Weak(Unopened):
    """A cost of the slow hash is outside the limits: too cheap to guess, or too expensive to compute."""

    word = "weak"


class WrongDevice(Unopened):
    """The unit was sealed for another device."""

    word = "wrong device"


class Superseded(Unopened):
    """The server has started a later generation."""

    word = "superseded"


class NotValidNow(Unopened):
    """The unit has expired, or holds no record for this moment."""

    word = "not valid now"


class Misread(Unopened):
    """The text looks like a code, but the check characters of these groups (numbered from 1) fail. Nothing was
    tried."""

    word = "misread"

    def __init__(self, groups: tuple[int, ...]) -> None:
        super().__init__("misread: group " + ", ".join(map(str, groups)))
        self.groups = groups


class WrongPasscode(Unopened):
    """The text has no form that opens this unit, or no record opens with it."""

    word = "wrong passcode"


class WrongKey(Unopened):
    """A record opened, but its key is not the key that the unit names."""

    word = "wrong key"
