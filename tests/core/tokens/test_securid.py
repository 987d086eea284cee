"""SecurID-type codes against `stoken`, and invalid parameters of tokens."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sparekey.core.tokens import Parameters, SecurId, TokenError
from sparekey.secret import Secret
from tools import stoken
from tools.counts import Count

SEED = bytes(range(16))
NOW = 1_800_000_000
MONTH = 30 * 86_400


def a_securid(seed: bytes = SEED, serial: str = "123456789", digits: int = 6, interval: int = 60) -> SecurId:
    return SecurId(Secret(seed), serial, digits, interval)


@pytest.mark.services
@pytest.mark.parametrize(("digits", "interval"), [(6, 60), (8, 60), (6, 30), (8, 30)])
def test_200_codes_over_30_days_agree_with_stoken(digits: int, interval: int, tmp_path: Path, count: Count) -> None:
    serial = f"007{digits}{interval}{interval * 97 + digits}".zfill(12)
    file = stoken.issue(tmp_path, serial, digits=digits, interval=interval)
    token = a_securid(stoken.seed(file), serial, digits, interval)
    number = count(small=200, full=2_000)
    for index in range(number):
        chance = int.from_bytes(hashlib.sha256(f"{digits} {interval} {index}".encode()).digest()[:4], "big")
        at = NOW + index * MONTH // number + chance % interval
        assert token.code(token.step_at(at, 0)) == stoken.tokencode(file, at), at


@pytest.mark.parametrize("at", ["2027-01-15T08:00:00", "2028-02-29T23:59:30"])
def test_codes_depend_on_serial_seed_and_step_and_on_nothing_else(at: str) -> None:
    second = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp())
    token = a_securid(interval=30)
    step = token.step_at(second, 0)
    assert token.code(step) == a_securid(interval=30).code(step)
    around = {token.code(each) for each in range(step - 4, step + 4)}
    assert len(around) >= 7
    assert token.code(step) != a_securid(bytes(16), interval=30).code(step)
    assert token.code(step) != a_securid(serial="123456780", interval=30).code(step)


def test_a_serial_number_counts_its_leading_zeros_as_absent() -> None:
    assert a_securid(serial="000123456789").code(30_000_000) == a_securid(serial="123456789").code(30_000_000)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"digits": 7}, "6 or 8 digits"),
        ({"interval": 0}, "30 or 60"),
        ({"algorithm": "sha1"}, "aes128"),
        ({"serial": ""}, "1 to 12 digits"),
        ({"serial": "A12345678"}, "1 to 12 digits"),
        ({"serial": "1234567890123"}, "1 to 12 digits"),
        ({"serial": "\u0661\u0662\u0663"}, "1 to 12 digits"),
        ({"seed": Secret(bytes(20))}, "16 bytes"),
    ],
)
def test_other_parameters_of_securid_are_refused_in_words(wrong: dict[str, object], words: str) -> None:
    right = {"seed": Secret(SEED), "serial": "1", "digits": 6, "interval": 60, "algorithm": "aes128"}
    with pytest.raises(TokenError, match=words):
        SecurId.of(Parameters(**right | wrong))  # type: ignore[arg-type] # a builder


def test_s65_a_securid_token_does_not_print_its_seed() -> None:
    token = a_securid(b"canary-canary-16")
    assert "canary" not in f"{token!r} {token}"
