"""PINs: their form, and their stored verifiers."""

import pytest

from sparekey.argon2id import argon2id
from sparekey.core.policy.token import PinCharacters, TokenPolicy
from sparekey.core.sign_in.pins import DECOY, MEMORY_KIB, PASSES, PinError, PinVerifier, new_verifier, rule_of
from sparekey.secret import Secret


@pytest.mark.parametrize(
    "pin", ["", "123", "123456789", "12 34", "12-34", "\uff11\uff12\uff13\uff14", "pässe", "1234\n"]
)
def test_an_invalid_pin_is_refused(pin: str) -> None:
    with pytest.raises(PinError, match="4 to 8 letters or digits"):
        new_verifier(pin)


@pytest.mark.parametrize(
    ("characters", "said"),
    [
        (PinCharacters.ANY, "a PIN has 6 to 8 letters or digits (A-Z, a-z, 0-9)"),
        (PinCharacters.DIGITS, "a PIN has 6 to 8 digits"),
        (PinCharacters.BOTH, "a PIN has 6 to 8 characters, both letters and digits (A-Z, a-z, 0-9)"),
    ],
)
def test_letters_in_a_pin_are_allowed_or_required(characters: PinCharacters, said: str) -> None:
    assert rule_of(TokenPolicy(pin_minimum=6, pin_characters=characters)) == said


def test_s10_a_pin_is_hashed_at_or_above_the_floor() -> None:
    verifier = new_verifier("4711abcd")
    assert verifier.memory_kib == MEMORY_KIB >= 19 * 1024
    assert verifier.passes == PASSES >= 2
    assert len(verifier.salt) >= 16
    expected = argon2id(b"4711abcd", verifier.salt, verifier.memory_kib, verifier.passes)
    assert verifier.verifier.reveal() == expected


def test_s10_the_same_pin_is_never_hashed_to_the_same() -> None:
    first, second = new_verifier("4711"), new_verifier("4711")
    assert first.salt != second.salt
    assert first.verifier != second.verifier


def test_only_the_same_pin_matches_and_case_counts() -> None:
    verifier = new_verifier("Ab12")
    assert verifier.matches("Ab12")
    assert [verifier.matches(other) for other in ("ab12", "AB12", "Ab1", "Ab123", "")] == [False] * 5
    assert verifier.length == 4


def test_a_verifier_made_at_another_cost_is_still_read() -> None:
    # parameters rise over time, so each stored verifier names its own
    salt = bytes(range(16))
    dearer = PinVerifier(Secret(argon2id(b"1234", salt, 2 * MEMORY_KIB, PASSES)), salt, 2 * MEMORY_KIB, PASSES, 4)
    assert dearer.matches("1234")
    assert not dearer.matches("1235")


def test_the_decoy_matches_nothing() -> None:
    assert not DECOY.matches("")
    assert not DECOY.matches("1234")
