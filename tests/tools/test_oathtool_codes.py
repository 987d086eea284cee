"""The `oathtool` wrapper gives the codes printed in RFC 6238 (appendix B) and RFC 4226 (appendix D)."""

import pytest

from tools.oathtool import Algorithm, hotp, totp

SEED = b"1234567890123456789012345678901234567890123456789012345678901234"


@pytest.mark.services
@pytest.mark.parametrize(
    ("algorithm", "seed_bytes", "at", "code"),
    [
        ("sha1", 20, 59, "94287082"),
        ("sha256", 32, 1111111109, "68084774"),
        ("sha512", 64, 20000000000, "47863826"),
    ],
)
def test_totp_prints_the_codes_of_rfc_6238(algorithm: Algorithm, seed_bytes: int, at: int, code: str) -> None:
    seed = SEED[:seed_bytes].hex()
    assert totp(seed, digits=8, interval=30, algorithm=algorithm, at=at) == code


@pytest.mark.services
def test_hotp_prints_the_codes_of_rfc_4226() -> None:
    assert hotp(SEED[:20].hex(), digits=6, counter=9) == "520489"


@pytest.mark.services
def test_digits_and_interval_are_passed_on() -> None:
    seed = SEED[:20].hex()
    six = totp(seed, digits=6, interval=60, algorithm="sha1", at=119)
    assert totp(seed, digits=8, interval=30, algorithm="sha1", at=59).endswith(six)
