"""The readings of a typed text, and the PINs in it that are hashed for everybody."""

import pytest

from sparekey.core.sign_in.typed_text import EVERY_CODE, InstalledCodes, read_typed
from sparekey.passcode import PasscodeKind, Reading, emergency_tokencode, online_emergency, tokencode
from sparekey.secret import Secret

FOUR_WAYS = "47120003700106"  # its last ten characters are an emergency tokencode
SIX_ALONE = InstalledCodes(frozenset({6}), online_digits=False)


def pins(typed: str, installed: InstalledCodes = EVERY_CODE) -> list[str]:
    return [pin.reveal() for pin in read_typed(Secret(typed), installed).pins]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (FOUR_WAYS, ["47120003", "4712000", "471200", "4712"]),
        ("4712123456", ["4712"]),
        ("47121234567", ["47121", "4712"]),
        ("4712abcd2345", ["4712"]),  # an online emergency tokencode, which anybody could have
        ("4712abcd1234", []),  # no such code has a 1
        ("4712 00037-00106", ["4712"]),
        ("123456", []),
        ("12345678", []),
        ("?", []),
        ("", []),
    ],
)
def test_each_pin_that_the_text_may_begin_with_is_hashed_once(typed: str, found: list[str]) -> None:
    assert pins(typed) == found


@pytest.mark.parametrize(
    ("installed", "found"),
    [
        (SIX_ALONE, ["47120003", "4712"]),
        (InstalledCodes(frozenset({6}), online_digits=True), ["47120003", "4712", "471200"]),
        (InstalledCodes(frozenset({6, 8}), online_digits=False), ["47120003", "471200", "4712"]),
        (InstalledCodes(frozenset({6, 7}), online_digits=False), ["47120003", "4712000", "4712"]),
    ],
)
def test_codes_that_nobody_has_cost_nothing(installed: InstalledCodes, found: list[str]) -> None:
    assert pins(FOUR_WAYS, installed) == found


def test_online_emergency_tokencodes_with_letters_cost_the_same_whatever_is_installed() -> None:
    assert pins("4712abcd2345", SIX_ALONE) == ["4712"]
    assert pins("471212345678", SIX_ALONE) == ["471212"]


def test_the_pins_are_the_same_with_and_without_online_emergency_access() -> None:
    for typed in (FOUR_WAYS, "4712abcd2345", "abcd2345", "4712123456"):
        one, other = read_typed(Secret(typed)), read_typed(Secret(typed), online_emergency=True)
        assert one.pins == other.pins


def test_a_user_without_online_emergency_access_has_no_such_reading() -> None:
    ordinary, more = read_typed(Secret(FOUR_WAYS)), read_typed(Secret(FOUR_WAYS), online_emergency=True)
    shapes = [each.shape for each in ordinary.reading.candidates]
    assert shapes == [tokencode(digits, with_pin=True) for digits in (6, 7, 8)] + [emergency_tokencode(with_pin=True)]
    assert [each.shape for each in more.reading.candidates] == [*shapes, online_emergency(with_pin=True)]
    assert read_typed(Secret("4712abcd2345")).reading == Reading()


def test_misread_groups_are_the_same_with_and_without_online_emergency_access() -> None:
    for typed, groups in (("47120003700107", ()), ("4712ABCDEFGHJK", (1, 2)), ("4712-ABCDE-FGHJK", (1, 2))):
        for online in (False, True):
            assert read_typed(Secret(typed), online_emergency=online).reading.misread == groups
    hidden = read_typed(Secret("4712ABCDEFGHJK"), online_emergency=True).reading
    assert hidden.kinds == {PasscodeKind.ONLINE_EMERGENCY}
