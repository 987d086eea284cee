"""The search for canaries finds known ones: a blind search would prove nothing."""

import base64
import json
from collections.abc import Callable

import pytest

from tests.journeys.canaries import found_in

SEED = bytes(range(180, 200))
ENCODINGS = [base64.b64encode, base64.urlsafe_b64encode, base64.b32encode, base64.b16encode, bytes]


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("encode", ENCODINGS)
def test_a_canary_is_found_within_longer_texts(encode: Callable[[bytes], bytes], before: int) -> None:
    data = b"x" * 50 + encode(b"\x17" * before + SEED + b"\x99" * 7) + b"y"
    assert found_in(data, {"seed": SEED})
    assert not found_in(data, {"seed": SEED[::2] + b"12345"})


@pytest.mark.parametrize("value", [[*SEED], SEED.decode("latin-1"), SEED.hex(), str(SEED)])
def test_a_canary_is_found_within_json(value: object) -> None:
    assert found_in(json.dumps({"a": {"b": value}}).encode(), {"seed": SEED})
