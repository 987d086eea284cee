"""Why a unit does not open: one exception for each failure word of spec/offline-day.md, "Opening".

Messages name the rule that was broken, never what was typed.
"""

from typing import ClassVar


class Unopened(Exception):
    """The unit gives no key. `word` is the failure word of the specification and of the vectors."""

    word: ClassVar[str]


class Malformed(Unopened):
    """The bytes are no unit: magic, length, header rules, or (at receipt) the hash of the records."""

    word = "malformed"


class BadSignature(Unopened):
    """No pinned key made the signature."""

    word = "bad signature"


class Weak(Unopened):
    """A cost of the slow hash lies outside the limits: too cheap to guess, or too dear to compute."""

    word = "weak"


class WrongDevice(Unopened):
    """The unit was sealed for another device."""

    word = "wrong device"


class Superseded(Unopened):
    """The server has begun a later generation since."""

    word = "superseded"


class NotValidNow(Unopened):
    """Past its end, or the unit holds no record for this moment."""

    word = "not valid now"


class Misread(Unopened):
    """A code was meant, and the check characters of these groups (numbered from 1) fail; nothing was tried."""

    word = "misread"

    def __init__(self, groups: tuple[int, ...]) -> None:
        super().__init__("misread: group " + ", ".join(map(str, groups)))
        self.groups = groups


class WrongPasscode(Unopened):
    """The text fits nothing that may be typed here, or no record opens with it."""

    word = "wrong passcode"


class WrongKey(Unopened):
    """A record opened, to a key that is not the one the unit names."""

    word = "wrong key"
