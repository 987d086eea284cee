"""S21 at the bytes: altered units are refused, at receipt and at opening; mistyped passcodes are refused."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.passcode import normalise
from sparekey.sealed import (
    BALANCED,
    BadUnitSignature,
    Misread,
    Moment,
    OpenedRecord,
    SealedUnit,
    Unopened,
    WrongPasscode,
    open_unit,
    split_unit,
    verify_unit,
)
from tests.sealed.units import (
    CHEAP_LIMITS,
    DEVICE,
    NOON,
    OFFLINE_KEY,
    PIN,
    PINNED,
    TODAY,
    a_cheap_plan,
    a_plan,
    a_unit,
    an_emergency_plan,
    received,
    stored,
)
from tools.counts import Count

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
UNIT = a_unit(a_cheap_plan(), count=3)
HEADER_PART, RECORDS = split_unit(UNIT)
NUMBER, CODE = TODAY[1]
AT_NOON = Moment(NOON)
TWO = "7K3X1Q8M24"


def flipped(unit: bytes, place: int, mask: int) -> bytes:
    return unit[:place] + bytes([unit[place] ^ mask]) + unit[place + 1 :]


def mutated(typed: str) -> str:
    """Return another text, one character away: replaced, inserted or left out."""
    place, letter = secrets.randbelow(len(typed)), secrets.choice(LETTERS)
    match secrets.randbelow(3):
        case 0:
            other = typed[:place] + letter + typed[place + 1 :]
        case 1:
            other = typed[:place] + letter + typed[place:]
        case _:
            other = typed[:place] + typed[place + 1 :]
    return other if other != typed else mutated(typed)


def open_at_noon(unit: SealedUnit, typed: str) -> OpenedRecord:
    return open_unit(unit, typed, AT_NOON)


def test_the_unaltered_unit_opens() -> None:
    opened = open_at_noon(received(UNIT), PIN + CODE)
    assert (opened.i, opened.offline_key) == (NUMBER, OFFLINE_KEY)


def test_s21_every_flipped_byte_is_refused_at_receipt(count: Count) -> None:
    masks = range(1, count(small=2, full=256))
    for place in range(len(UNIT)):
        for mask in masks:
            with pytest.raises(Unopened):
                received(flipped(UNIT, place, mask))


@given(st.integers(0, len(UNIT) - 1), st.integers(1, 255))
def test_s21_any_flipped_byte_is_refused_at_receipt(place: int, mask: int) -> None:
    with pytest.raises(Unopened):
        received(flipped(UNIT, place, mask))


def test_s21_every_flipped_byte_is_refused_at_opening(count: Count) -> None:
    """Header, hash, signature, and the record that the passcode would open."""
    start = len(HEADER_PART) + 48
    for place in [*range(len(HEADER_PART)), *range(start, start + 48)]:
        for mask in range(1, count(small=2, full=256)):
            with pytest.raises(Unopened):
                open_at_noon(stored(flipped(UNIT, place, mask)), PIN + CODE)


def test_s21_a_unit_cut_short_or_made_longer_is_refused() -> None:
    for length in range(len(UNIT)):
        with pytest.raises(Unopened):
            received(UNIT[:length])
        with pytest.raises(Unopened):
            stored(UNIT[:length])
    with pytest.raises(Unopened):
        stored(UNIT + b"\0")


def test_s21_a_mistyped_passcode_is_refused(count: Count) -> None:
    unit = received(UNIT)
    for _ in range(count(small=1000, full=20_000)):
        with pytest.raises(WrongPasscode):
            open_at_noon(unit, mutated(PIN + CODE))


def test_s21_a_mistyped_emergency_tokencode_is_refused(count: Count) -> None:
    unit = received(a_unit(an_emergency_plan(), [(0, TWO)]))
    assert open_at_noon(unit, PIN + TWO).offline_key == OFFLINE_KEY
    for _ in range(count(small=1000, full=20_000)):
        typed = mutated(PIN) + TWO if secrets.randbelow(2) else PIN + mutated(TWO)
        if normalise(typed) == PIN + TWO:
            continue  # another case or a look-alike: the same code
        with pytest.raises((WrongPasscode, Misread)):
            open_at_noon(unit, typed)


def test_s21_a_mistyped_passcode_is_refused_at_balanced(count: Count) -> None:
    plan = a_plan(level=BALANCED, window=0)
    unit = verify_unit(a_unit(plan, TODAY[1:2]), [PINNED], DEVICE, 1)
    with ThreadPoolExecutor(2) as pool:
        assert open_unit(unit, PIN + CODE, AT_NOON, run=pool.map).offline_key == OFFLINE_KEY
        for _ in range(count(small=2, full=20)):
            with pytest.raises(WrongPasscode):
                open_unit(unit, mutated(PIN + CODE), AT_NOON, run=pool.map)


def test_s21_the_pin_of_one_and_the_code_of_another_interval_are_refused() -> None:
    unit = received(a_unit(a_cheap_plan()))
    for _, code in TODAY[3:]:
        with pytest.raises(WrongPasscode):
            open_at_noon(unit, PIN + code)


def test_a_signature_by_a_key_that_is_not_pinned_is_refused() -> None:
    with pytest.raises(BadUnitSignature):
        verify_unit(UNIT, [secrets.token_bytes(32)], DEVICE, 1, _limits=CHEAP_LIMITS)


@pytest.mark.parametrize("pinned", [[], [PINNED] * 5])
def test_pinning_needs_one_to_four_keys(pinned: list[bytes]) -> None:
    with pytest.raises(ValueError, match="pin 1 to 4 keys"):
        verify_unit(UNIT, pinned, DEVICE, 1, _limits=CHEAP_LIMITS)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_words(garbage: bytes) -> None:
    for unit in (garbage, UNIT[:19] + garbage, UNIT[:23] + garbage):
        with pytest.raises(Unopened):
            received(unit)
