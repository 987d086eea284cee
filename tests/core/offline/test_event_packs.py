"""Event packs: the counters that a device gets for an event-based token, their expiry, and their replacement."""

from dataclasses import replace
from typing import Any

import pytest

from sparekey.core.offline.event_packs import FEWEST, PACK, EventPack, find_pack, is_worn
from sparekey.core.offline.units import WantedUnit
from sparekey.core.sign_in.authenticate import TokenState
from sparekey.core.tokens import Hotp
from sparekey.durations import DAY_SECONDS
from sparekey.secret import Secret
from sparekey.unit_kind import UnitKind
from tests.core.offline.test_units import CODE, MORNING, NOW, PASSCODE, TODAY, a_token, an_account, day, wanted

DAYS = 14


def an_event_token(token_id: str = "t", **values: Any) -> TokenState:
    return a_token(token_id, **{"otp": Hotp(Secret(bytes(20))), "last_step": -1, **values})


def pack(token: TokenState, now: int = NOW, days: int = DAYS) -> EventPack:
    found = find_pack(token, an_account(), days, now)
    assert found is not None
    return found


@pytest.mark.parametrize("last_step", [-1, 0, 1234])
def test_fifty_counters_from_the_first_that_was_not_accepted(last_step: int) -> None:
    counters = pack(an_event_token(last_step=last_step)).counters
    assert counters == range(last_step + 1, last_step + 51)
    assert len(counters) == PACK


def test_a_pack_ends_with_the_last_day_or_before_token_and_account() -> None:
    assert pack(an_event_token()).not_after == (TODAY + DAYS + 1) * DAY_SECONDS
    assert pack(an_event_token(expires_at=NOW + 100)).not_after == NOW + 99
    found = find_pack(an_event_token(expires_at=NOW + 100), an_account(expires_at=NOW + 50), DAYS, NOW)
    assert found is not None
    assert found.not_after == NOW + 49


def test_a_time_based_token_has_none() -> None:
    assert find_pack(a_token(), an_account(), DAYS, NOW) is None


def test_an_event_pack_comes_in_place_of_today() -> None:
    events = WantedUnit(UnitKind.EVENTS, "t")
    assert wanted(MORNING, an_event_token()) == [events, CODE, PASSCODE]
    assert wanted(MORNING, an_event_token(lost=True)) == [CODE, PASSCODE]
    assert wanted(MORNING, an_event_token(pin=None)) == [PASSCODE]
    both = wanted(MORNING, a_token("1"), an_event_token("2"), days=1, emergency_tokencode=False)
    assert both == [day(TODAY, "1"), WantedUnit(UnitKind.EVENTS, "2"), PASSCODE, day(TODAY + 1, "1")]


@pytest.mark.parametrize(("used", "worn"), [(0, False), (PACK - FEWEST, False), (PACK - FEWEST + 1, True), (80, True)])
def test_a_half_used_pack_is_replaced(used: int, worn: bool) -> None:
    held = pack(an_event_token())
    assert is_worn(held, pack(an_event_token(last_step=used - 1)), NOW) is worn


@pytest.mark.parametrize(("days", "worn"), [(0, False), (7, False), (8, True), (15, True)])
def test_a_pack_is_replaced_after_half_its_lifetime(days: int, worn: bool) -> None:
    held, later = pack(an_event_token()), NOW + days * DAY_SECONDS
    assert is_worn(held, pack(an_event_token(), later), later) is worn


def test_a_pack_that_cannot_last_longer_is_not_replaced() -> None:
    token = an_event_token(expires_at=NOW + 2 * DAY_SECONDS)
    held, later = pack(token), NOW + 2 * DAY_SECONDS - 1
    assert not is_worn(held, pack(token, later), later)


def test_an_earlier_expiry_replaces_the_pack() -> None:
    held = pack(an_event_token())
    assert is_worn(held, pack(an_event_token(expires_at=NOW + DAY_SECONDS)), NOW)
    assert is_worn(held, replace(held, not_after=held.not_after - 1), NOW)
    assert not is_worn(held, held, NOW)
