"""The people of the story: the tokens in their pockets, and their inputs."""

import base64
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlparse

from tools.oathtool import totp


@dataclass(frozen=True)
class Token:
    """A token or an authenticator app, played by `oathtool`; it knows the seed, as the real one does."""

    seed_hex: str = field(repr=False)
    digits: int = 6
    interval: int = 30

    def code(self, at: float) -> str:
        """Return the tokencode at `at`, unix seconds."""
        return totp(self.seed_hex, digits=self.digits, interval=self.interval, algorithm="sha1", at=int(at))


def new_token(interval: int = 30) -> Token:
    """A token as it comes out of the box, with a 160-bit seed."""
    return Token(secrets.token_hex(20), interval=interval)


def scanned(otpauth: str) -> Token:
    """Return the token that an authenticator app makes of the QR code."""
    query = {name: values[0] for name, values in parse_qs(urlparse(otpauth).query).items()}
    padded = query["secret"] + "=" * (-len(query["secret"]) % 8)
    return Token(base64.b32decode(padded).hex(), int(query["digits"]), int(query["period"]))


def misread(code: str, group: int) -> str:
    """The code with one character of that group (from 1) heard wrongly."""
    groups = code.split("-")
    old = groups[group - 1][0]
    groups[group - 1] = ("7" if old != "7" else "3") + groups[group - 1][1:]
    return "-".join(groups)


def other(digits: str) -> str:
    """A code of as many digits that is not this one."""
    return digits[:-1] + str((int(digits[-1]) + 1) % 10)
