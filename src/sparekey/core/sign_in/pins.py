"""PINs: the rules for a PIN, and the verifier that is stored in its place.

The verifier P = Argon2id(PIN) is also the PIN part of every sealed record (spec/offline-day.md), so that sealing needs
no PIN. It is stored only encrypted under a key outside the database (S10). A PIN cannot be read back.
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sparekey.argon2id import argon2id
from sparekey.core.policy.token import PinCharacters, TokenPolicy
from sparekey.passcode import is_pin
from sparekey.secret import Secret

# S10: at least 19 MiB, 2 passes, 1 lane (OWASP Password Storage Cheat Sheet, Argon2id)
MEMORY_KIB: Final = 19_456
PASSES: Final = 2
SALT_BYTES: Final = 16

RULE: Final = "a PIN is 4 to 8 letters or digits (A-Z, a-z, 0-9)"


class PinError(ValueError):
    """The text cannot be a PIN. The message gives the rule and never repeats the text."""

    def __init__(self, rule: str = RULE) -> None:
        super().__init__(rule)


@dataclass(frozen=True)
class PinVerifier:
    """The stored part of a PIN: P, its Argon2id parameters, and the PIN's length (for the minimum passcode length)."""

    verifier: Secret[bytes]  # P, 32 bytes
    salt: bytes
    memory_kib: int
    passes: int
    length: int

    def matches(self, pin: str) -> bool:
        """Return True if `pin` is the PIN: one Argon2id, compared in constant time (S04)."""
        derived = argon2id(pin.encode(), self.salt, self.memory_kib, self.passes)
        return hmac.compare_digest(derived, self.verifier.reveal())


def new_verifier(pin: str, salt: bytes | None = None) -> PinVerifier:
    """Return the verifier of a new PIN under a fresh salt. Raises PinError if the text cannot be a PIN."""
    if not is_pin(pin):
        raise PinError
    salt = salt or secrets.token_bytes(SALT_BYTES)
    verifier = Secret(argon2id(pin.encode(), salt, MEMORY_KIB, PASSES))
    return PinVerifier(verifier, salt, MEMORY_KIB, PASSES, len(pin))


def rule_of(policy: TokenPolicy) -> str:
    """Return the rule for PINs as text, for a user who chooses one."""
    made_of = {
        PinCharacters.ANY: "letters or digits (A-Z, a-z, 0-9)",
        PinCharacters.DIGITS: "digits",
        PinCharacters.BOTH: "characters, both letters and digits (A-Z, a-z, 0-9)",
    }[policy.pin_characters]
    low, high = policy.pin_minimum, policy.pin_maximum
    return f"a PIN has {low if low == high else f'{low} to {high}'} {made_of}"


def verify_new_pin(pin: str, policy: TokenPolicy, login: str, former: Sequence[PinVerifier]) -> None:
    """Raise PinError unless `pin` may be this user's next PIN. `former`: the last PIN first, then older ones.

    The last PIN is never accepted again. Costs one Argon2id for each former PIN that the policy compares.
    """
    if not is_pin(pin) or not policy.pin_minimum <= len(pin) <= policy.pin_maximum:
        raise PinError(rule_of(policy))
    letters, digits = any(map(str.isalpha, pin)), any(map(str.isdigit, pin))
    if policy.pin_characters is PinCharacters.DIGITS and letters:
        raise PinError(rule_of(policy))
    if policy.pin_characters is PinCharacters.BOTH and not (letters and digits):
        raise PinError(rule_of(policy))
    if len(set(pin)) == 1 or pin.lower() in policy.blocked or pin.lower() == login.lower():
        raise PinError("this PIN is too easy to guess")
    if any(verifier.matches(pin) for verifier in former[: policy.pin_history + 1]):
        raise PinError("this PIN was used before")


# Compared if there is no account, so that an unknown user costs the same work as a wrong PIN (S07).
DECOY: Final = PinVerifier(Secret(bytes(32)), bytes(SALT_BYTES), MEMORY_KIB, PASSES, 0)
