"""Token policy: rules for PINs, the tolerance for a token's clock, and next-tokencode mode.

The policy is assigned to the user's security domain. It is never merged with the policy of the device's domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sparekey.core.policy.fields import (
    EditEffect,
    MergeRule,
    PolicyError,
    PolicyField,
    checked_values,
    choice,
    fields_of,
    number,
)
from sparekey.core.policy.fields import text as words


class PinCharacters(StrEnum):
    """The characters of a PIN."""

    ANY = "letters or digits"
    DIGITS = "digits"
    BOTH = "letters and digits"


class Alphabet(StrEnum):
    """The characters of online emergency tokencodes."""

    LETTERS_AND_DIGITS = "letters and digits"
    DIGITS = "digits"


@dataclass(frozen=True)
class TokenPolicy:
    """The stored token policy."""

    code_window: int = number(1, 0, 2, "steps", "", "Accepted steps before and after the expected one.")
    next_tokencode_after: int = number(
        3,
        0,
        10,
        "failures",
        "",
        "After this many wrong passcodes in a row, a correct one needs the next tokencode, too; 0: never.",
    )
    pin_minimum: int = number(4, 4, 8, "characters", "", "The minimum length of a PIN.")
    pin_maximum: int = number(8, 4, 8, "characters", "", "The maximum length of a PIN.")
    pin_characters: PinCharacters = choice(
        PinCharacters.ANY, "The characters of a PIN; letters and digits: both are required."
    )
    pin_history: int = number(3, 0, 24, "PINs", "", "The number of former PINs that are refused.")
    pin_lifetime: int = number(
        0, 0, 3650, "days", "", "Days after which an online sign-in requires a new PIN; 0: never."
    )
    blocked_words: str = words(
        "1234,12345,123456,1234567,12345678,87654321,password,passcode,qwerty",
        1000,
        MergeRule.USER,
        "Forbidden PINs, separated by commas. A single repeated character is always forbidden.",
    )
    emergency_alphabet: Alphabet = choice(Alphabet.LETTERS_AND_DIGITS, "The characters of temporary online tokencodes.")
    own_emergency_days: int = number(
        0,
        0,
        30,
        "days",
        "",
        "The lifetime of temporary online access that users give themselves in self-service, with a passkey or another "
        "token that has a PIN; 0: only the help desk can give it.",
        EditEffect.ENDS_OWN_CODES,
    )

    @classmethod
    def of(cls, values: Mapping[str, object]) -> TokenPolicy:
        """Make a policy from plain values by field name; a missing field gets its default. Raises PolicyError."""
        return cls(**checked_values(TOKEN_FIELDS, values))

    def __post_init__(self) -> None:
        for field in TOKEN_FIELDS.values():
            field.checked(getattr(self, field.name))
        if self.pin_minimum > self.pin_maximum:
            raise PolicyError("pin_minimum", str(self.pin_minimum), f"at most pin_maximum ({self.pin_maximum})")

    @property
    def blocked(self) -> frozenset[str]:
        """The blocked PINs, in lower case."""
        return frozenset(word.strip().lower() for word in self.blocked_words.split(",") if word.strip())


TOKEN_FIELDS: Final[Mapping[str, PolicyField]] = fields_of(TokenPolicy)
