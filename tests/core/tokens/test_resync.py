"""A token is found again from two successive codes: nowhere else, and not beyond its bounds."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.core.tokens import Hotp, OtpToken, SecurId, Totp, find_resync
from sparekey.secret import Secret

NOW = 1_800_000_015
SEED = b"12345678901234567890"
BOUND = 12 * 3_600
TIMED: dict[str, Callable[[int], Totp | SecurId]] = {
    "totp": lambda interval: Totp(Secret(SEED), 8, interval),
    "securid": lambda interval: SecurId(Secret(SEED[:16]), "123456789", 8, interval),
}


def found(token: OtpToken, step: int, last_step: int = 0, now: int = NOW) -> int | None:
    """Return the step that is found for the codes of `step - 1` and `step`."""
    return find_resync(token, now, last_step, token.code(step - 1), token.code(step))


@pytest.mark.parametrize("kind", TIMED)
@pytest.mark.parametrize("interval", [30, 60])
def test_a_clock_is_found_within_twelve_hours_and_not_beyond(kind: str, interval: int) -> None:
    token = TIMED[kind](interval)
    middle, ahead = NOW // interval, BOUND // interval
    for step in (middle, middle - ahead + 1, middle + ahead, middle - 17):
        assert found(token, step) == step
    assert found(token, middle + ahead + 1) is None
    assert found(token, middle - ahead) is None  # its first code is out of bounds


def test_a_counter_is_found_within_a_thousand_and_not_beyond() -> None:
    token = Hotp(Secret(SEED), 8)
    assert found(token, 1, Hotp.unused) == 1
    assert found(token, 999, Hotp.unused) == 999
    assert found(token, 1000, Hotp.unused) is None
    assert found(token, 1541, 541) == 1541


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_used_step_is_not_found(last: int) -> None:
    token = Totp(Secret(SEED), 8)
    step = NOW // 30
    assert found(token, step, step - 2) == step
    assert found(token, step, step - 1 + last) is None


@given(st.integers(-100, 100), st.sampled_from(["swapped", "same", "apart", "wrong", "short"]))
def test_only_two_successive_codes_in_their_order_count(ahead: int, how: str) -> None:
    token = Totp(Secret(SEED), 8)
    step = NOW // 30 + ahead
    first, second = token.code(step - 1), token.code(step)
    typed = {
        "swapped": (second, first),
        "same": (second, second),
        "apart": (token.code(step - 2), second),
        "wrong": (first, f"{(int(second) + 1) % 10**8:08d}"),
        "short": (first, second[1:]),
    }
    assert find_resync(token, NOW, 0, *typed[how]) is None
