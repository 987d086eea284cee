"""Event-based tokens (RFC 4226): each press shows the code of the next counter; 6 to 8 digits, SHA-1.

Rules: the *step* is the counter. The last accepted counter is a candidate too, so that a repeat is found as already
used; far ahead of it one code proves little, for many are compared, and the following one is asked for.
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
NEAR: Final = 10  # counters ahead that one code opens
FAR: Final = 100  # counters ahead that two successive codes open at a sign-in (RFC 4226 section 7.4: look-ahead)
RESYNC: Final = 1_000  # counters ahead when the token is synchronised anew


def oath_code(seed: bytes, counter: int, digits: int, algorithm: str) -> str:
    """The code of `counter`, ASCII digits (RFC 4226 section 5.3, dynamic truncation)."""
    digest = hmac.digest(seed, counter.to_bytes(8, "big"), getattr(hashlib, algorithm))
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}d}"


@dataclass(frozen=True)
class Hotp:
    """A HOTP token: its seed (raw bytes) and how long its codes are."""

    kind: ClassVar[str] = "hotp"
    unused: ClassVar[int] = -1  # counters begin at 0

    seed: Secret[bytes]
    digits: int = 6

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """Raises TokenError."""
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
        """The tokencode of the counter `step`."""
        return oath_code(self.seed.reveal(), step, self.digits, "sha1")

    def otpauth(self, login: str, issuer: str, counter: int = 0) -> Secret[str]:
        """The key URI that authenticator apps read from a QR code (Key Uri Format); `counter`: of the first code. It
        holds the seed."""
        return key_uri(self.kind, self.seed, login, issuer, algorithm="SHA1", digits=self.digits, counter=counter)

    def candidates(self, now: int, drift: int, last_step: int, window: int) -> Sequence[int]:  # noqa: ARG002 -- the members of every type
        """From the last accepted counter to 100 ahead of it, whatever the time."""
        return range(max(0, last_step), last_step + FAR + 1)

    def needs_next(self, step: int, last_step: int) -> bool:
        """More than 10 ahead: the following tokencode has to prove the token."""
        return step > last_step + NEAR

    def drift_after(self, now: int, step: int) -> int:  # noqa: ARG002 -- the members of every type
        """A counter does not drift."""
        return 0

    def resync_range(self, now: int, last_step: int) -> range:  # noqa: ARG002 -- the members of every type
        """A thousand counters from the first unused one."""
        return range(last_step + 1, last_step + RESYNC + 1)
