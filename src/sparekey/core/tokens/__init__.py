"""Token types: what a token computes, and nothing about who holds it. A new type is one file and one line here."""

from collections.abc import Mapping
from typing import Final

from sparekey.core.tokens.base import OtpToken, TimeBased, TokenError
from sparekey.core.tokens.parameters import Parameters
from sparekey.core.tokens.totp import ALGORITHMS, DIGITS, INTERVALS, Totp

TOKEN_TYPES: Final[Mapping[str, type[OtpToken]]] = {Totp.kind: Totp}

__all__ = [
    "ALGORITHMS",
    "DIGITS",
    "INTERVALS",
    "TOKEN_TYPES",
    "OtpToken",
    "Parameters",
    "TimeBased",
    "TokenError",
    "Totp",
]
