"""SecurID-type tokens with a 128-bit AES seed, fob style: the PIN is typed before the code and never mixed into it.

Rules: 6 or 8 digits, a new code every 30 or 60 s of UTC. The code depends on the seed and the serial number. The
package `securid` (MIT) provides the algorithm; tests compare it with `stoken`, an independent implementation.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final, Self

from securid import Token

from sparekey.core.tokens.base import TimeBased, TokenError
from sparekey.core.tokens.parameters import Parameters
from sparekey.secret import Secret

ALGORITHM: Final = "aes128"
DIGITS: Final = (6, 8)
INTERVALS: Final = (30, 60)
SEED_BYTES: Final = 16
SERIAL: Final = re.compile(r"[0-9]{1,12}")
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 -- naive UTC, as `securid` takes it


@dataclass(frozen=True)
class SecurId(TimeBased):
    """A SecurID-type token: its seed (16 raw bytes), its original serial number, and the form of its codes."""

    kind: ClassVar[str] = "securid"

    seed: Secret[bytes]
    serial: str
    digits: int = 6
    interval: int = 60  # seconds

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """Make the token. Raises TokenError."""
        if parameters.algorithm != ALGORITHM:
            raise TokenError(f"a SecurID-type token's algorithm is {ALGORITHM}, not {parameters.algorithm!r}")
        return cls(parameters.seed, parameters.serial, parameters.digits, parameters.interval)

    def __post_init__(self) -> None:
        if self.digits not in DIGITS:
            raise TokenError(f"a SecurID-type token has 6 or 8 digits, not {self.digits}")
        if self.interval not in INTERVALS:
            raise TokenError(f"a SecurID-type token's interval is 30 or 60 seconds, not {self.interval}")
        if len(self.seed) != SEED_BYTES:
            raise TokenError(f"a SecurID-type token's seed has {SEED_BYTES} bytes, not {len(self.seed)}")
        if SERIAL.fullmatch(self.serial) is None:
            raise TokenError("a SecurID-type token's serial number is 1 to 12 digits: its codes depend on it")

    def code(self, step: int) -> str:
        """Return the tokencode of `step`."""
        # Made only for this one code, because the package's own type would print the seed.
        token = Token(self.serial, self.seed.reveal(), self.interval, self.digits)
        return token.generate_otp(_EPOCH + timedelta(seconds=step * self.interval))
