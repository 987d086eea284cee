"""TOTP codes against RFC 6238 and against oathtool, and invalid parameters of tokens."""

import base64
import hashlib
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from sparekey.core.tokens import ALGORITHMS, DIGITS, INTERVALS, TokenError, Totp
from sparekey.core.tokens.totp import SEED_BYTES
from sparekey.secret import Secret
from tools.counts import Count
from tools.oathtool import Algorithm, totp

# RFC 6238, appendix B: seeds are the ASCII digits, as long as the hash.
SEEDS = {name: (b"1234567890" * 7)[:size] for name, size in SEED_BYTES.items()}
APPENDIX_B = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]
CASES = [
    (at, algorithm, code)
    for at, *codes in APPENDIX_B
    for algorithm, code in zip(("sha1", "sha256", "sha512"), codes, strict=True)
]


def a_totp(seed: bytes = SEEDS["sha1"], digits: int = 6, interval: int = 30, algorithm: str = "sha1") -> Totp:
    return Totp(Secret(seed), digits, interval, algorithm)


@pytest.mark.parametrize(("at", "algorithm", "code"), CASES)
def test_codes_are_those_of_rfc_6238(at: int, algorithm: str, code: str) -> None:
    token = a_totp(SEEDS[algorithm], 8, 30, algorithm)
    assert token.code(token.step_at(at, 0)) == code


@pytest.mark.services
@pytest.mark.parametrize("digits", DIGITS)
@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_codes_agree_with_oathtool(digits: int, interval: int, algorithm: Algorithm, count: Count) -> None:
    for number in range(count(small=5, full=200)):
        chance = hashlib.sha512(f"{digits} {interval} {algorithm} {number}".encode()).digest()
        seed = chance[: 10 + number % 54]
        at = int.from_bytes(chance[-8:], "big") % 2**33
        token = a_totp(seed, digits, interval, algorithm)
        expected = totp(seed.hex(), digits=digits, interval=interval, algorithm=algorithm, at=at)
        assert token.code(token.step_at(at, 0)) == expected


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"digits": 5}, "6, 7 or 8 digits"),
        ({"digits": 9}, "6, 7 or 8 digits"),
        ({"interval": 45}, "30 or 60"),
        ({"interval": 0}, "30 or 60"),
        ({"algorithm": "md5"}, "sha1, sha256, sha512"),
        ({"algorithm": "SHA1"}, "sha1, sha256, sha512"),
        ({"seed": bytes(9)}, "10 to 128 bytes"),
        ({"seed": bytes(129)}, "10 to 128 bytes"),
    ],
)
def test_other_parameters_are_refused_in_words(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(TokenError, match=words):
        a_totp(**wrong)  # type: ignore[arg-type] # a builder


def test_the_window_is_around_the_drifted_step() -> None:
    token = a_totp()
    assert list(token.candidates(300, 0, 0, 1)) == [9, 10, 11]
    assert list(token.candidates(300, -4, 0, 1)) == [5, 6, 7]
    assert list(token.candidates(300, 2, 0, 0)) == [12]
    assert list(token.candidates(10, 0, 0, 2)) == [0, 1, 2]  # nothing before the first interval


def test_drift_is_how_far_the_token_is_ahead() -> None:
    token = a_totp(interval=60)
    assert token.drift_after(600, 12) == 2
    assert token.drift_after(659, 8) == -2


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("drift", [-3, 0, 7])
def test_a_day_is_a_whole_number_of_steps_and_no_step_is_in_two_days(interval: int, drift: int) -> None:
    token = a_totp(interval=interval)
    first, second = token.steps_of_day(20_000, drift), token.steps_of_day(20_001, drift)
    assert len(first) == 86_400 // interval
    assert first.stop == second.start
    assert token.step_at(20_000 * 86_400, drift) == first.start
    assert token.step_at(20_001 * 86_400 - 1, drift) == first.stop - 1


def test_an_otpauth_uri_is_complete_for_authenticator_apps() -> None:
    token = a_totp(SEEDS["sha256"], 8, 60, "sha256")
    uri = urlsplit(token.otpauth("alice@example.org", "Ops & Friends: Köln").reveal())
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/Ops & Friends: Köln:alice@example.org"
    query = {name: values[0] for name, values in parse_qs(uri.query, strict_parsing=True).items()}
    seed = query.pop("secret")
    assert base64.b32decode(seed + "=" * (-len(seed) % 8)) == SEEDS["sha256"]
    assert query == {"issuer": "Ops & Friends: Köln", "algorithm": "SHA256", "digits": "8", "period": "60"}
    assert "+" not in uri.query  # several apps read it as a plus


def test_s65_a_token_does_not_print_its_seed() -> None:
    token = a_totp(b"canary-canary-canary")
    assert "canary" not in f"{token!r} {token} {token.otpauth('alice', 'x')}"
