"""Units for a device: which ones, in which order, or which obstacle."""

from dataclasses import replace
from typing import Any

import pytest

from sparekey.core.offline.units import (
    DeviceState,
    Obstacle,
    WantedUnit,
    account_obstacle,
    days_obstacle,
    token_obstacle,
    usable_steps,
    wanted_units,
)
from sparekey.core.policy.lockout import FailureCount
from sparekey.core.policy.offline import AssignedPolicy, EffectivePolicy, OfflinePolicy, effective_policy
from sparekey.core.sign_in.authenticate import AccountState, TokenState
from sparekey.core.sign_in.pins import PinVerifier
from sparekey.core.tokens import Totp
from sparekey.durations import DAY_SECONDS
from sparekey.secret import Secret
from sparekey.unit_kind import UnitKind

TODAY = 20_833
MORNING = TODAY * DAY_SECONDS + 3_600
EVENING = TODAY * DAY_SECONDS + 20 * 3_600
NOW = MORNING
DEVICE = DeviceState("d", revoked=False, supports_offline=True, hardware_bound=False)


def a_policy(**values: Any) -> EffectivePolicy:
    assigned = AssignedPolicy("P", "D", OfflinePolicy.of({"days": 3, **values}))
    return effective_policy(assigned, assigned)


def an_account(**values: Any) -> AccountState:
    defaults = {"account_id": "a", "login": "alice", "enabled": True, "expires_at": None, "failures": FailureCount()}
    return AccountState(**{**defaults, **values})


def a_pin(length: int = 4) -> PinVerifier:
    return PinVerifier(Secret(bytes(32)), bytes(16), 19_456, 2, length)


def a_token(token_id: str = "t", digits: int = 6, interval: int = 30, **values: Any) -> TokenState:
    otp = Totp(Secret(bytes(20)), digits, interval)
    defaults = {
        "token_id": token_id,
        "otp": otp,
        "drift": 0,
        "last_step": 0,
        "enabled": True,
        "lost": False,
        "expires_at": None,
        "with_pin": True,
        "pin": a_pin(),
        "offline_code_online": False,
    }
    return TokenState(**{**defaults, **values})


def pin_less(token_id: str = "t", digits: int = 8, **values: Any) -> TokenState:
    return a_token(token_id, digits, with_pin=False, pin=None, **values)


@pytest.mark.parametrize(
    ("account", "device", "policy", "obstacle"),
    [
        ({}, {}, {}, None),
        ({"failures": FailureCount(5, NOW, NOW)}, {}, {}, None),  # a lockout voids nothing
        ({}, {"revoked": True}, {}, Obstacle.DEVICE_REVOKED),
        ({}, {}, {"enabled": False}, Obstacle.POLICY_OFF),
        ({}, {"supports_offline": False}, {}, Obstacle.NO_OFFLINE_SUPPORT),
        ({}, {}, {"require_hardware_store": True}, Obstacle.NO_HARDWARE_STORE),
        ({}, {"hardware_bound": True}, {"require_hardware_store": True}, None),
        ({"enabled": False}, {}, {}, Obstacle.ACCOUNT_CLOSED),
        ({"expires_at": NOW}, {}, {}, Obstacle.ACCOUNT_CLOSED),
        ({"expires_at": NOW + 1}, {}, {}, None),
    ],
)
def test_obstacles_to_all_units_of_a_user(
    account: dict[str, Any], device: dict[str, Any], policy: dict[str, Any], obstacle: Obstacle | None
) -> None:
    state = replace(DEVICE, **device)
    assert account_obstacle(an_account(**account), state, a_policy(**policy), NOW) is obstacle
    if obstacle is not None:
        assert wanted_units(an_account(**account), (a_token(),), state, a_policy(**policy), NOW) == []


PIN_LESS = {"allow_tokens_without_pin": True}


@pytest.mark.parametrize(
    ("token", "policy", "bound", "code", "days"),
    [
        (a_token(), {}, False, None, None),
        (a_token(enabled=False), {}, False, Obstacle.TOKEN_DISABLED, Obstacle.TOKEN_DISABLED),
        (a_token(expires_at=NOW), {}, False, Obstacle.TOKEN_EXPIRED, Obstacle.TOKEN_EXPIRED),
        (a_token(expires_at=NOW + 1), {}, False, None, None),
        (a_token(lost=True), {}, False, None, Obstacle.TOKEN_LOST),
        (a_token(lost=True, enabled=False), {}, False, Obstacle.TOKEN_DISABLED, Obstacle.TOKEN_DISABLED),
        (a_token(pin=None), {}, False, Obstacle.NO_PIN, Obstacle.NO_PIN),
        (a_token(pin=a_pin(4)), {"minimum_passcode_length": 10}, False, None, None),
        (a_token(), {"minimum_passcode_length": 11}, False, Obstacle.PASSCODE_TOO_SHORT, Obstacle.PASSCODE_TOO_SHORT),
        (a_token(digits=8, pin=a_pin(8)), {"minimum_passcode_length": 16}, False, None, None),
        (pin_less(), {}, False, Obstacle.PIN_LESS_NOT_ALLOWED, Obstacle.PIN_LESS_NOT_ALLOWED),
        (pin_less(), PIN_LESS, False, None, None),
        (pin_less(), PIN_LESS | {"minimum_passcode_length": 16}, False, None, None),  # exempt
        (pin_less(digits=6), PIN_LESS, False, Obstacle.PIN_LESS_TOO_WEAK, Obstacle.PIN_LESS_TOO_WEAK),
        (pin_less(digits=7), PIN_LESS, True, None, None),
        (pin_less(), PIN_LESS | {"protection_level": "strong"}, False, None, None),
        (pin_less(lost=True), PIN_LESS, False, None, Obstacle.TOKEN_LOST),
    ],
)
def test_obstacles_to_a_token_s_code_and_days(
    token: TokenState, policy: dict[str, Any], bound: bool, code: Obstacle | None, days: Obstacle | None
) -> None:
    device = replace(DEVICE, hardware_bound=bound)
    assert token_obstacle(token, device, a_policy(**policy), NOW) is code
    assert days_obstacle(token, device, a_policy(**policy), NOW) is days


def test_every_obstacle_names_its_remedy() -> None:
    for obstacle in Obstacle:
        assert obstacle.value.endswith(".")
        assert any(mark in obstacle.value for mark in (";", ".", ",")), obstacle


def wanted(now: int, *tokens: TokenState, account: AccountState | None = None, **policy: Any) -> list[WantedUnit]:
    return wanted_units(account or an_account(), tokens, DEVICE, a_policy(**policy), now)


def day(number: int, token: str = "t") -> WantedUnit:
    return WantedUnit(UnitKind.DAY, token, number)


CODE, PASSCODE = WantedUnit(UnitKind.EMERGENCY_TOKENCODE, "t"), WantedUnit(UnitKind.EMERGENCY_PASSCODE, "")


def test_the_rest_of_today_then_the_codes_then_the_other_days() -> None:
    later = [day(TODAY + number) for number in (1, 2, 3)]
    assert wanted(MORNING, a_token()) == [day(TODAY), CODE, PASSCODE, *later]


def test_in_the_evening_tomorrow_is_needed_first() -> None:
    assert wanted(EVENING, a_token()) == [day(TODAY), day(TODAY + 1), CODE, PASSCODE, day(TODAY + 2), day(TODAY + 3)]


def test_days_left_are_whole_days_after_today() -> None:
    for days in (1, 14, 60):
        units = [unit for unit in wanted(MORNING, a_token(), days=days) if unit.kind is UnitKind.DAY]
        assert units == [day(TODAY + number) for number in range(days + 1)]


def test_of_several_tokens_the_one_used_last_comes_first_and_the_least_recent_drops_out() -> None:
    first, second, third = a_token("1"), a_token("2"), a_token("3")
    units = wanted(MORNING, first, second, third, days=1, tokens_per_user=2)
    codes = [WantedUnit(UnitKind.EMERGENCY_TOKENCODE, token) for token in "12"]
    assert units == [day(TODAY, "1"), day(TODAY, "2"), *codes, PASSCODE, day(TODAY + 1, "1"), day(TODAY + 1, "2")]


def test_codes_are_switched_off_one_by_one() -> None:
    kinds = {unit.kind for unit in wanted(MORNING, a_token(), emergency_tokencode=False)}
    assert kinds == {UnitKind.DAY, UnitKind.EMERGENCY_PASSCODE}
    kinds = {unit.kind for unit in wanted(MORNING, a_token(), emergency_passcode=False)}
    assert kinds == {UnitKind.DAY, UnitKind.EMERGENCY_TOKENCODE}


def test_each_state_of_a_token_keeps_its_units() -> None:
    assert wanted(MORNING, a_token(lost=True)) == [CODE, PASSCODE]
    assert wanted(MORNING, a_token(pin=None)) == [PASSCODE]
    assert wanted(MORNING, a_token(enabled=False)) == [PASSCODE]
    assert wanted(MORNING, a_token(expires_at=MORNING)) == [PASSCODE]
    assert wanted(MORNING, a_token(pin=a_pin(4)), minimum_passcode_length=11) == [PASSCODE]
    assert wanted(MORNING) == []


def test_a_locked_user_is_given_nothing_new() -> None:
    assert wanted(MORNING, a_token(), account=an_account(failures=FailureCount(5, NOW, NOW))) == []


@pytest.mark.parametrize("whose", ["token", "account"])
def test_no_day_after_the_end_of_token_or_account(whose: str) -> None:
    end = (TODAY + 2) * DAY_SECONDS + 10
    account = an_account(expires_at=end if whose == "account" else None)
    token = a_token(expires_at=end if whose == "token" else None)
    days = [unit.day for unit in wanted(MORNING, token, account=account) if unit.kind is UnitKind.DAY]
    # The third day has ten seconds left: no interval of it is over before the end.
    assert days == [TODAY, TODAY + 1]


def test_only_steps_before_the_expiry_are_sealed() -> None:
    end = TODAY * DAY_SECONDS + 7_200 + 29
    steps = usable_steps(a_token(expires_at=end), an_account(), TODAY, NOW)
    assert steps == range(NOW // 30, (end - 29) // 30)
    assert usable_steps(a_token(expires_at=end), an_account(expires_at=end - 60), TODAY, NOW).stop == steps.stop - 2


@pytest.mark.parametrize("interval", [30, 60])
@pytest.mark.parametrize("drift", [-2, 0, 5])
def test_only_unused_future_steps_are_sealed(interval: int, drift: int) -> None:
    token = a_token(interval=interval, drift=drift)
    now_step = NOW // interval + drift
    whole = token.otp.steps_of_day(TODAY, drift)  # type: ignore[attr-defined] # a Totp
    assert usable_steps(token, an_account(), TODAY, NOW) == range(now_step, whole.stop)
    assert usable_steps(replace(token, last_step=now_step), an_account(), TODAY, NOW).start == now_step + 1
    assert usable_steps(replace(token, last_step=now_step - 7), an_account(), TODAY, NOW).start == now_step
    tomorrow = token.otp.steps_of_day(TODAY + 1, drift)  # type: ignore[attr-defined] # a Totp
    assert usable_steps(token, an_account(), TODAY + 1, NOW) == tomorrow


def test_a_day_of_which_nothing_is_left_is_not_wanted() -> None:
    late = (TODAY + 1) * DAY_SECONDS - 20
    used = a_token(last_step=late // 30)
    assert not usable_steps(used, an_account(), TODAY, late)
    assert day(TODAY) not in wanted(late, used)
    assert day(TODAY + 1) in wanted(late, used)
