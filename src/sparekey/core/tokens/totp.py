"""Time-based tokens (RFC 6238 on RFC 4226): 6 to 8 digits, intervals of 30 or 60 s, SHA-1, SHA-256 or SHA-512."""

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from sparekey.core.tokens.base import TimeBased, TokenError
from sparekey.core.tokens.hotp import DIGITS, LONGEST_SEED, SHORTEST_SEED, oath_code
from sparekey.core.tokens.key_uri import key_uri
from sparekey.core.tokens.parameters import Parameters
from sparekey.secret import Secret

INTERVALS: Final = (30, 60)  # both divide a day, so that a day is a whole number of intervals
ALGORITHMS: Final = ("sha1", "sha256", "sha512")
SEED_BYTES: Final = {"sha1": 20, "sha256": 32, "sha512": 64}  # the hash's own size, RFC 6238 section 5.1


@dataclass(frozen=True)
class Totp(TimeBased):
    """A TOTP token: its seed (raw bytes), and the parameters of its codes."""

    kind: ClassVar[str] = "totp"

    seed: Secret[bytes]
    digits: int = 6
    interval: int = 30  # seconds
    algorithm: str = "sha1"

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """Make the token. Raises TokenError."""
        return cls(parameters.seed, parameters.digits, parameters.interval, parameters.algorithm)

    def __post_init__(self) -> None:
        if self.digits not in DIGITS:
            raise TokenError(f"a TOTP token has 6, 7 or 8 digits, not {self.digits}")
        if self.interval not in INTERVALS:
            raise TokenError(f"a TOTP token's interval is 30 or 60 seconds, not {self.interval}")
        if self.algorithm not in ALGORITHMS:
            raise TokenError(f"a TOTP token's hash is one of {', '.join(ALGORITHMS)}, not {self.algorithm!r}")
        if not SHORTEST_SEED <= len(self.seed) <= LONGEST_SEED:
            raise TokenError(f"a seed has {SHORTEST_SEED} to {LONGEST_SEED} bytes, not {len(self.seed)}")

    def code(self, step: int) -> str:
        """Return the tokencode of `step` (RFC 6238 section 4.2: RFC 4226 with the step as counter)."""
        return oath_code(self.seed.reveal(), step, self.digits, self.algorithm)

    def otpauth(self, login: str, issuer: str) -> Secret[str]:
        """Return the key URI that authenticator apps read from a QR code (Key Uri Format). It contains the seed."""
        more: dict[str, str | int] = {
            "algorithm": self.algorithm.upper(),
            "digits": self.digits,
            "period": self.interval,
        }
        return key_uri(self.kind, self.seed, login, issuer, **more)
