"""Event-based tokens (RFC 4226): each press shows the code of the next counter; 6 to 8 digits, SHA-1.

Rules: the *step* is the counter. The last accepted counter is a candidate, too, so that a repeated code is refused as
already used. A code far ahead proves little, because many counters are compared: then the user must enter the next one.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from sparekey.core.tokens.base import TokenError
from sparekey.core.tokens.key_uri import key_uri
from sparekey.core.tokens.parameters import Parameters
from sparekey.secret import Secret

DIGITS: Final = (6, 7, 8)
SHORTEST_SEED: Final = 10  # many hardware tokens still have 80 bits; RFC 4226 section 4, R6 asks for 128
LONGEST_SEED: Final = 128
NEAR: Final = 10  # counters ahead for which one code is enough
FAR: Final = 100  # counters ahead for which a sign-in needs two successive codes (RFC 4226 section 7.4: look-ahead)
RESYNC: Final = 1_000  # counters ahead that a resync searches


def oath_code(seed: bytes, counter: int, digits: int, algorithm: str) -> str:
    """Return the code of `counter`, ASCII digits (RFC 4226 section 5.3, dynamic truncation)."""
    digest = hmac.digest(seed, counter.to_bytes(8, "big"), getattr(hashlib, algorithm))
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}d}"


@dataclass(frozen=True)
class Hotp:
    """A HOTP token: its seed (raw bytes) and the length of its codes."""

    kind: ClassVar[str] = "hotp"
    unused: ClassVar[int] = -1  # counters begin at 0

    seed: Secret[bytes]
    digits: int = 6

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """Make the token. Raises TokenError."""
        if parameters.interval != 0:
            raise TokenError(f"a HOTP token has no interval: give 0, not {parameters.interval}")
        if parameters.algorithm != "sha1":
            raise TokenError(f"a HOTP token's hash is sha1, not {parameters.algorithm!r}")
        return cls(parameters.seed, parameters.digits)

    def __post_init__(self) -> None:
        if self.digits not in DIGITS:
            raise TokenError(f"a HOTP token has 6, 7 or 8 digits, not {self.digits}")
        if not SHORTEST_SEED <= len(self.seed) <= LONGEST_SEED:
            raise TokenError(f"a seed has {SHORTEST_SEED} to {LONGEST_SEED} bytes, not {len(self.seed)}")

    def code(self, step: int) -> str:
        """Return the tokencode of the counter `step`."""
        return oath_code(self.seed.reveal(), step, self.digits, "sha1")

    def otpauth(self, login: str, issuer: str, counter: int = 0) -> Secret[str]:
        """Return the key URI that authenticator apps read from a QR code (Key Uri Format). It contains the seed.

        `counter`: the counter of the first code.
        """
        return key_uri(self.kind, self.seed, login, issuer, algorithm="SHA1", digits=self.digits, counter=counter)

    def candidates(self, now: int, drift: int, last_step: int, window: int) -> Sequence[int]:  # noqa: ARG002 -- the members of every type
        """Return the counters from the last accepted one to 100 ahead of it; the time does not matter."""
        return range(max(0, last_step), last_step + FAR + 1)

    def needs_next(self, step: int, last_step: int) -> bool:
        """Return True for a counter more than 10 ahead."""
        return step > last_step + NEAR

    def drift_after(self, now: int, step: int) -> int:  # noqa: ARG002 -- the members of every type
        """Return 0: a counter does not drift."""
        return 0

    def resync_range(self, now: int, last_step: int) -> range:  # noqa: ARG002 -- the members of every type
        """Return a thousand counters from the first unused one."""
        return range(last_step + 1, last_step + RESYNC + 1)
