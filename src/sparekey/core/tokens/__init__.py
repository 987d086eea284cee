"""Token types: what a token computes, and nothing about who holds it. A new type is one file and one line here."""

from collections.abc import Mapping
from typing import Final

from sparekey.core.tokens.base import OtpToken, TimeBased, TokenError
from sparekey.core.tokens.hotp import DIGITS, Hotp
from sparekey.core.tokens.parameters import Parameters
from sparekey.core.tokens.resync import find_resync
from sparekey.core.tokens.securid import SecurId
from sparekey.core.tokens.totp import ALGORITHMS, INTERVALS, Totp

TOKEN_TYPES: Final[Mapping[str, type[OtpToken]]] = {kind.kind: kind for kind in (Totp, Hotp, SecurId)}

__all__ = [
    "ALGORITHMS",
    "DIGITS",
    "INTERVALS",
    "TOKEN_TYPES",
    "Hotp",
    "OtpToken",
    "Parameters",
    "SecurId",
    "TimeBased",
    "TokenError",
    "Totp",
    "find_resync",
]
