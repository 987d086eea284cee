"""Promises of the splitting that no single vector shows: every text is read, nothing is folded or lost."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sparekey.passcode import (
    PasscodeKind,
    Reading,
    Shape,
    emergency_passcode,
    emergency_tokencode,
    grouped,
    is_pin,
    new_code,
    online_emergency,
    split,
    tokencode,
)
from tests.passcode.test_canonical_codes import seeded_bits
from tools.counts import Count

EVERY_SHAPE = [
    emergency_passcode(),
    emergency_tokencode(with_pin=True),
    emergency_tokencode(with_pin=False),
    *(tokencode(digits, with_pin=with_pin) for digits in (6, 7, 8) for with_pin in (True, False)),
    online_emergency(with_pin=True),
    online_emergency(with_pin=False),
]
OFFLINE_SHAPES = [shape for shape in EVERY_SHAPE if shape.kind is not PasscodeKind.ONLINE_EMERGENCY]

pins = st.from_regex(r"[0-9A-Za-z]{4,8}", fullmatch=True)
digit_pins = st.from_regex(r"[0-9]{4,8}", fullmatch=True)
tokencodes = st.from_regex(r"[0-9]{6,8}", fullmatch=True)


@pytest.mark.parametrize(
    "typed",
    [
        "12345",
        "1234567",
        "0123456",
        "+123456",
        "-123456",
        "123 456",
        "123-456",
        "123456.",
        "1e5000",
        "0x1234",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "12345\uff16",
        "१२३४५६",
        "١٢٣٤٥٦",
        "²34567",
        "\t123456",
        "123456\v",
        "123456\x00",
        "\u00a0123456",
        "123456\u2028",
        "\ufeff123456",
        "",
    ],
)
def test_s03_only_six_ascii_digits_are_six_digits(typed: str) -> None:
    assert split(typed, [tokencode(6, with_pin=False)]).candidates == ()


@pytest.mark.parametrize("typed", ["123456", " 123456", "123456\n", "\r\n 123456 \r\n", "  123456  "])
def test_s03_an_accepted_code_has_one_form(typed: str) -> None:
    [found] = split(typed, [tokencode(6, with_pin=False)]).candidates
    assert found.code.reveal() == "123456"


@given(pins, tokencodes)
def test_s03_other_digits_never_stand_for_ascii_digits(pin: str, code: str) -> None:
    wide = "".join(chr(ord(digit) - ord("0") + 0xFF10) for digit in code)
    assert split(pin + wide, EVERY_SHAPE).candidates == ()


@given(digit_pins, tokencodes)
@example("12345678", "12345678")
@example("0000", "00000000")
@example("1234567", "00001000")
def test_s40_digits_alone_always_read_as_pin_and_tokencode(pin: str, code: str) -> None:
    reading = split(pin + code, EVERY_SHAPE)
    found = reading.of(tokencode(len(code), with_pin=True))
    assert found is not None
    assert (found.pin.reveal(), found.code.reveal()) == (pin, code)
    assert reading.misread == ()


def test_s40_digits_that_are_also_a_code_still_read_as_tokencode(count: Count) -> None:
    """One in a thousand texts of 14 digits is also a PIN of four and a code of two groups."""
    random_bits = seeded_bits("both")
    both = 0
    for _ in range(count(small=20_000, full=1_000_000)):
        typed = f"{random_bits(20) % 10**6:06}{random_bits(24) % 10**8:08}"
        reading = split(typed, [emergency_tokencode(with_pin=True), tokencode(8, with_pin=True)])
        assert reading.of(tokencode(8, with_pin=True)) is not None
        both += len(reading.candidates) == 2
    assert both > 0


@given(st.text(max_size=80))
@example("U" * 15)
def test_every_text_is_read(typed: str) -> None:
    reading = split(typed, EVERY_SHAPE)
    assert not (reading.candidates and reading.misread)
    assert all(is_pin(found.pin.reveal()) == found.shape.with_pin for found in reading.candidates)


@given(pins, st.integers(0, 2**40 - 1), st.sampled_from(["", " ", "-", " - "]), st.booleans())
def test_pin_and_emergency_code_are_found_again(pin: str, bits: int, between: str, lower: bool) -> None:
    halves = iter((bits >> 20, bits & 0xFFFFF))
    code = new_code(2, lambda _: next(halves))
    shown = grouped(code).lower() if lower else code
    found = split(pin + between + shown, OFFLINE_SHAPES).of(emergency_tokencode(with_pin=True))
    assert found is not None
    assert (found.pin.reveal(), found.code.reveal()) == (pin, code)


@given(pins, st.from_regex(r"[0-9A-Za-z]{8}", fullmatch=True))
def test_an_online_code_is_folded_and_the_pin_is_not(pin: str, code: str) -> None:
    found = split(pin + code, EVERY_SHAPE).of(online_emergency(with_pin=True))
    assert found is not None
    assert (found.pin.reveal(), found.code.reveal()) == (pin, code.upper())


def test_shapes_of_emergency_codes() -> None:
    assert emergency_passcode() == Shape(PasscodeKind.EMERGENCY_PASSCODE, with_pin=False)
    for with_pin in (True, False):
        assert emergency_tokencode(with_pin=with_pin) == Shape(PasscodeKind.EMERGENCY_TOKENCODE, with_pin=with_pin)
        assert online_emergency(with_pin=with_pin) == Shape(PasscodeKind.ONLINE_EMERGENCY, with_pin=with_pin)


def test_of_two_readings_the_one_with_more_right_groups_and_then_fewer_wrong_ones_is_named() -> None:
    shapes = [emergency_tokencode(with_pin=True), emergency_passcode()]
    pin = "12346"  # it can be the first of three groups, and its check is wrong
    code = "FFWTKCKG5G"  # fixed: of every 32 codes, one has another wrong symbol that fits the third group
    wrong = code[:4] + ("Y" if code[4] == "Z" else "Z") + code[5:]
    assert split(pin + wrong, shapes).misread == (1,)
    wrong = wrong[:9] + ("Y" if code[9] == "Z" else "Z")
    for order in (shapes, shapes[::-1]):
        assert split(pin + wrong, order).misread == (1, 2)


def test_a_code_that_is_one_symbol_short_has_no_groups_to_name() -> None:
    assert split("ABCDEFGHJ", [emergency_tokencode(with_pin=True)]) == Reading()
    assert split(new_code(2)[1:], OFFLINE_SHAPES) == Reading()


def test_a_repeated_shape_is_one_candidate() -> None:
    shape = tokencode(6, with_pin=True)
    assert len(split("1234567890", [shape, shape]).candidates) == 1


def test_candidates_keep_the_order_of_the_shapes() -> None:
    for shapes in itertools.permutations([tokencode(6, with_pin=True), tokencode(8, with_pin=True)]):
        reading = split("12345678901234", shapes)
        assert [found.shape for found in reading.candidates] == list(shapes)


def test_nothing_typed_shows_in_a_reading() -> None:
    reading = split("secr1234567", [tokencode(6, with_pin=True)])
    assert reading.candidates
    assert "secr1" not in repr(reading)
    assert "234567" not in repr(reading)


def test_a_reading_names_the_kinds_of_its_candidates() -> None:
    assert split("00001000", EVERY_SHAPE).kinds == {PasscodeKind.TOKENCODE, PasscodeKind.ONLINE_EMERGENCY}
    assert split("?", EVERY_SHAPE).kinds == set()
