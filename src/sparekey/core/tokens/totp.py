"""Time-based tokens (RFC 6238 on RFC 4226): 6 to 8 digits, intervals of 30 or 60 s, SHA-1, SHA-256 or SHA-512."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import ClassVar, Final, Self
from urllib.parse import quote, urlencode

from sparekey.core.tokens.base import TimeBased, TokenError
from sparekey.core.tokens.parameters import Parameters
from sparekey.secret import Secret

DIGITS: Final = (6, 7, 8)
INTERVALS: Final = (30, 60)  # both divide a day, so that a day is a whole number of intervals
ALGORITHMS: Final = ("sha1", "sha256", "sha512")
SEED_BYTES: Final = {"sha1": 20, "sha256": 32, "sha512": 64}  # the hash's own size, RFC 6238 section 5.1
SHORTEST_SEED: Final = 10  # many hardware tokens still have 80 bits; RFC 4226 section 4, R6 asks for 128


@dataclass(frozen=True)
class Totp(TimeBased):
    """A TOTP token: its seed (raw bytes) and how its codes are made."""

    kind: ClassVar[str] = "totp"

    seed: Secret[bytes]
    digits: int = 6
    interval: int = 30  # seconds
    algorithm: str = "sha1"

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """Raises TokenError."""
        return cls(parameters.seed, parameters.digits, parameters.interval, parameters.algorithm)

    def __post_init__(self) -> None:
        if self.digits not in DIGITS:
            raise TokenError(f"a TOTP token has 6, 7 or 8 digits, not {self.digits}")
        if self.interval not in INTERVALS:
            raise TokenError(f"a TOTP token's interval is 30 or 60 seconds, not {self.interval}")
        if self.algorithm not in ALGORITHMS:
            raise TokenError(f"a TOTP token's hash is one of {', '.join(ALGORITHMS)}, not {self.algorithm!r}")
        if not SHORTEST_SEED <= len(self.seed) <= 128:
            raise TokenError(f"a seed has {SHORTEST_SEED} to 128 bytes, not {len(self.seed)}")

    def code(self, step: int) -> str:
        """The tokencode of interval `step` (RFC 4226 section 5.3, dynamic truncation)."""
        digest = hmac.digest(self.seed.reveal(), step.to_bytes(8, "big"), getattr(hashlib, self.algorithm))
        offset = digest[-1] & 0x0F
        number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
        return f"{number % 10**self.digits:0{self.digits}d}"

    def otpauth(self, login: str, issuer: str) -> Secret[str]:
        """The key URI that authenticator apps read from a QR code (Key Uri Format). It holds the seed."""
        query = {
            "secret": base64.b32encode(self.seed.reveal()).decode().rstrip("="),
            "issuer": issuer,
            "algorithm": self.algorithm.upper(),
            "digits": str(self.digits),
            "period": str(self.interval),
        }
        return Secret(f"otpauth://totp/{quote(issuer)}:{quote(login)}?{urlencode(query, quote_via=quote)}")
