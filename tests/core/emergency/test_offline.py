"""Offline emergency codes: how long they work, when they are due, and at which contact they are replaced."""

import pytest

from sparekey.core.emergency.offline import (
    CodeKind,
    CodeVersion,
    Contact,
    contact_of,
    expiry,
    find_deliverable,
    groups_of,
    is_due,
    replaced_now,
)
from sparekey.core.reasons import Method

MADE = 1_000_000
LIFE = 40_000
END = MADE + LIFE


def a_version(version: int = 1, **touched: int) -> CodeVersion:
    return CodeVersion(f"code{version}", version, MADE, END, **touched)


def test_a_code_ends_with_the_first_of_lifetime_token_and_account() -> None:
    assert expiry(MADE, 30, None, None) == MADE + 30 * 86_400
    assert expiry(MADE, 30, MADE + 5, None) == MADE + 5
    assert expiry(MADE, 30, MADE + 5, MADE + 4) == MADE + 4
    assert expiry(MADE, 1, MADE + 10**6, MADE + 10**6) == MADE + 86_400


def test_codes_without_a_pin_are_longer() -> None:
    assert groups_of(CodeKind.TOKENCODE, with_pin=True) == 2
    assert groups_of(CodeKind.TOKENCODE, with_pin=False) == 3
    assert groups_of(CodeKind.PASSCODE, with_pin=False) == 3


@pytest.mark.parametrize("touched", ["shown_at", "used_at", "reset_at"])
def test_a_code_that_was_touched_is_due(touched: str) -> None:
    assert not is_due(a_version(), MADE)
    assert is_due(a_version(**{touched: MADE + 1}), MADE + 2)


def test_a_code_is_due_in_the_last_quarter_of_its_life() -> None:
    assert not is_due(a_version(), END - LIFE // 4)
    assert is_due(a_version(), END - LIFE // 4 + 1)


FRESH: dict[str, int] = {}
SHOWN, RESET = {"shown_at": MADE + 1}, {"reset_at": MADE + 1}


@pytest.mark.parametrize(
    ("touched", "contact", "replaced"),
    [
        (FRESH, Contact.TOKEN_SIGN_IN, False),
        (FRESH, Contact.OTHER_SIGN_IN, False),
        (FRESH, Contact.WITHOUT_SIGN_IN, False),
        (SHOWN, Contact.TOKEN_SIGN_IN, True),
        (SHOWN, Contact.OTHER_SIGN_IN, False),
        (SHOWN, Contact.WITHOUT_SIGN_IN, False),
        (RESET, Contact.TOKEN_SIGN_IN, True),
        (RESET, Contact.OTHER_SIGN_IN, True),
        (RESET, Contact.WITHOUT_SIGN_IN, False),
    ],
)
def test_codes_are_replaced_at_the_right_contact(touched: dict[str, int], contact: Contact, replaced: bool) -> None:
    assert replaced_now(a_version(**touched), contact, MADE + 2) is replaced


@pytest.mark.parametrize("contact", list(Contact))
def test_an_expired_code_is_replaced_at_any_contact(contact: Contact) -> None:
    assert replaced_now(a_version(), contact, END)
    assert not replaced_now(a_version(), Contact.WITHOUT_SIGN_IN, END - 1)


def test_only_its_own_token_ends_an_emergency() -> None:
    assert contact_of(Method.TOKENCODE) is Contact.TOKEN_SIGN_IN
    others = [method for method in Method if method is not Method.TOKENCODE]
    assert {contact_of(method) for method in others} == {Contact.OTHER_SIGN_IN}


def test_another_device_is_given_the_newest_version_unless_that_is_due() -> None:
    assert find_deliverable([], MADE) is None
    assert find_deliverable([a_version(2), a_version(1, shown_at=MADE)], MADE) == a_version(2)
    assert find_deliverable([a_version(1), a_version(2, shown_at=MADE)], MADE) is None
