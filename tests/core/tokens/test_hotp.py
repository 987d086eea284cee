"""HOTP codes against RFC 4226 and against oathtool, and invalid parameters of tokens."""

import hashlib

import pytest

from sparekey.core.tokens import DIGITS, TOKEN_TYPES, Hotp, Parameters, SecurId, TokenError, Totp
from sparekey.secret import Secret
from tools.counts import Count
from tools.oathtool import hotp

SEED = b"12345678901234567890"  # RFC 4226, appendix D
APPENDIX_D = ("755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489")


def a_hotp(seed: bytes = SEED, digits: int = 6) -> Hotp:
    return Hotp(Secret(seed), digits)


@pytest.mark.parametrize(("counter", "code"), [*enumerate(APPENDIX_D)])
def test_codes_are_those_of_rfc_4226(counter: int, code: str) -> None:
    assert a_hotp().code(counter) == code


@pytest.mark.services
@pytest.mark.parametrize("digits", DIGITS)
def test_hotp_codes_agree_with_oathtool(digits: int, count: Count) -> None:
    for number in range(count(small=10, full=500)):
        chance = hashlib.sha512(f"{digits} {number}".encode()).digest()
        seed, counter = chance[: 10 + number % 46], int.from_bytes(chance[-5:], "big")
        assert a_hotp(seed, digits).code(counter) == hotp(seed.hex(), digits=digits, counter=counter)


def test_the_last_accepted_counter_is_a_candidate_so_that_a_repeat_is_found() -> None:
    token = a_hotp()
    assert list(token.candidates(0, 0, 5, 1)) == list(range(5, 106))
    assert list(token.candidates(10**9, 7, 5, 0)) == list(range(5, 106))  # neither time, drift nor window matter
    assert token.candidates(0, 0, Hotp.unused, 1)[0] == 0  # no counter before the first


@pytest.mark.parametrize(("step", "asked"), [(0, False), (9, False), (10, True), (99, True)])
def test_a_counter_more_than_ten_ahead_needs_the_next_code(step: int, asked: bool) -> None:
    assert a_hotp().needs_next(step, Hotp.unused) is asked
    assert a_hotp().needs_next(step + 500, 499) is asked


def test_a_resync_looks_at_a_thousand_unused_counters() -> None:
    assert a_hotp().resync_range(0, 41) == range(42, 1042)
    assert a_hotp().drift_after(10**9, 12) == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"digits": 5}, "6, 7 or 8 digits"),
        ({"seed": Secret(bytes(9))}, "10 to 128 bytes"),
        ({"interval": 30}, "no interval"),
        ({"algorithm": "sha256"}, "sha1"),
    ],
)
def test_other_parameters_of_hotp_are_refused_in_words(wrong: dict[str, object], words: str) -> None:
    right: dict[str, object] = {"seed": Secret(SEED), "interval": 0}
    with pytest.raises(TokenError, match=words):
        Hotp.of(Parameters(**right | wrong))  # type: ignore[arg-type] # a builder


def test_each_type_is_found_by_its_name() -> None:
    assert {"totp": Totp, "hotp": Hotp, "securid": SecurId} == TOKEN_TYPES
