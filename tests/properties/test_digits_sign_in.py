"""Passcodes of digits only sign in, whatever else they could be read as (S40, at a server interface)."""

from dataclasses import replace

import pytest

from sparekey.argon2id import argon2id
from sparekey.core.policy.lockout import FailureCount
from sparekey.core.sign_in.authenticate import AccountState, Snapshot, TokenState, decide
from sparekey.core.sign_in.outcome import Granted
from sparekey.core.sign_in.pins import PinVerifier
from sparekey.core.sign_in.typed_text import read_typed
from sparekey.core.tokens import Totp
from sparekey.passcode import misread_groups
from sparekey.secret import Secret
from tools.counts import Count

NOW = 1_800_000_015
ALICE = AccountState("a", "alice", enabled=True, expires_at=None, failures=FailureCount())


def a_token(digits: int) -> TokenState:
    """A token with a PIN that the test sets."""
    totp = Totp(Secret(b"12345678901234567890"), digits)
    return TokenState(
        "t",
        totp,
        drift=0,
        last_step=0,
        enabled=True,
        lost=False,
        expires_at=None,
        with_pin=True,
        pin=None,
        offline_code_online=True,
    )


DIGITS = "0123456789"


@pytest.mark.parametrize("digits", [6, 7, 8])
@pytest.mark.parametrize("length", [4, 5, 6, 7, 8])
def test_s40_every_pin_of_digits_with_every_code_of_digits_signs_in(digits: int, length: int, count: Count) -> None:
    """Whatever else the digits could be read as: a whole emergency code has fifteen characters, ten with a PIN."""
    token = a_token(digits)
    for now in range(NOW, NOW + 30 * count(small=10, full=400), 30):
        pin = "".join(DIGITS[(now // 30 * 7 + place * place) % 10] for place in range(length))
        token = replace(token, pin=_cheap(pin), last_step=0)
        typed = read_typed(Secret(pin + token.otp.code(now // 30)))
        assert isinstance(decide(typed, Snapshot(ALICE, (token,)), now), Granted)


def test_s40_a_passcode_that_reads_as_an_emergency_code_too_signs_in() -> None:
    """Fifteen digits with right check characters: a PIN of seven with a tokencode of eight, and a whole passcode."""
    token, now = a_token(8), NOW
    text = ""
    while not text:
        now += 30
        code = token.otp.code(now // 30)
        text = next((whole for whole in _whole_codes(code)), "")
    token = replace(token, pin=_cheap(text[:7]))
    typed = read_typed(Secret(text))
    assert {"tokencode", "emergency-passcode"} <= typed.reading.kinds
    assert isinstance(decide(typed, Snapshot(ALICE, (token,)), now), Granted)


def _whole_codes(code: str) -> list[str]:
    """Return all digits that make fifteen with right check characters before this tokencode of eight."""
    if 3 in misread_groups("0" * 5 + "0" * 5 + code[3:]):
        return []
    first = [f"{number:05d}" for number in range(100_000) if 1 not in misread_groups(f"{number:05d}")]
    second = [f"{number:02d}{code[:3]}" for number in range(100)]
    return [first[0] + group + code[3:] for group in second if 2 not in misread_groups("0" * 5 + group)]


def _cheap(pin: str) -> PinVerifier:
    """A verifier at a test's cost."""
    salt = bytes(16)
    return PinVerifier(Secret(argon2id(pin.encode(), salt, 8, 1)), salt, 8, 1, len(pin))
