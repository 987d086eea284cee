"""A drifted token is found again by two tokencodes; a pair that is not found counts like a wrong passcode."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sparekey.app.instance import Instance
from sparekey.app.people.users import unlock
from sparekey.app.tokens.resync import Resync, resync
from sparekey.app.tokens.tokens import show_token
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import SparekeyError
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.reasons import Reason
from sparekey.secret import Secret
from tests.builders import (
    NOW,
    PIN,
    ROOT,
    User,
    a_filled_device,
    a_user,
    account_row,
    denied,
    edit_policy,
    granted,
    logged_events,
    submit,
    token_row,
)
from tests.event_tokens import a_presser
from tests.token_stock import a_stocked_token

HOURS_12 = 12 * 3600


def pair(user: User, ahead: int, now: int = NOW) -> tuple[Secret[str], Secret[str]]:
    """Return the tokencodes of this interval and the next, from a clock that is `ahead` seconds fast."""
    step = user.step(now, ahead)
    return Secret(user.totp.code(step)), Secret(user.totp.code(step + 1))


def tried(server: Instance, user: User, codes: tuple[Secret[str], Secret[str]], now: int = NOW) -> Resync:
    return resync(server, ROOT, user.serial, *codes, now=now)


@pytest.mark.parametrize("ahead", [0, 3_600, -3_600, HOURS_12 - 30, -HOURS_12])
def test_a_clock_that_ran_away_is_found(any_server: Instance, ahead: int) -> None:
    user = a_user(any_server, pin=PIN)
    if ahead:
        assert denied(submit(any_server, user, NOW, ahead=ahead)).reason is Reason.WRONG_PASSCODE
    done = tried(any_server, user, pair(user, ahead))
    assert (done.refused, done.drift) == (None, ahead // 30 + 1)
    granted(submit(any_server, user, NOW + 60, ahead=ahead))
    assert show_token(any_server, ROOT, user.serial).drift == ahead // 30


@pytest.mark.parametrize("ahead", [HOURS_12 + 30, -HOURS_12 - 60])
def test_drift_beyond_twelve_hours_is_not_found(server: Instance, ahead: int) -> None:
    user = a_user(server)
    assert tried(server, user, pair(user, ahead)).refused is Reason.WRONG_PASSCODE
    assert token_row(server, user.serial).drift == 0


def test_a_counter_that_ran_away_is_found(any_server: Instance) -> None:
    presser = a_presser(any_server)
    codes = Secret(presser.otp.code(700)), Secret(presser.otp.code(701))
    assert resync(any_server, ROOT, presser.user.serial, *codes, now=NOW) == Resync(presser.user.serial)
    granted(submit(any_server, presser.user, NOW, presser.typed(702)))


def test_s01_codes_used_for_resync_are_used_up(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    codes = pair(user, 0)
    assert tried(any_server, user, codes).refused is None
    assert tried(any_server, user, codes).refused is Reason.WRONG_PASSCODE
    for code in codes:
        used = submit(any_server, user, NOW, Secret(PIN + code.reveal()))
        assert denied(used).reason is Reason.ALREADY_USED


def test_s01_of_16_at_once_one_is_accepted(any_server: Instance) -> None:
    edit_policy(any_server, {"most_failures": "25"}, kind=PolicyKind.LOCKOUT)
    user = a_user(any_server)
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda _: tried(any_server, user, pair(user, 0)), range(16)))
    assert [each.refused for each in done].count(None) == 1
    assert account_row(any_server, user.login).failures == 15


def test_s06_a_wrong_pair_counts_and_locks_and_a_lock_stops_the_search(any_server: Instance) -> None:
    user = a_user(any_server)
    wrong = Secret("000000"), Secret("000000")
    for failures in range(1, 6):
        assert tried(any_server, user, wrong).refused is Reason.WRONG_PASSCODE
        assert account_row(any_server, user.login).failures == failures
    assert len(logged_events(any_server, Action.ACCOUNT_LOCKED)) == 1
    assert tried(any_server, user, pair(user, 0)).refused is Reason.LOCKED
    assert token_row(any_server, user.serial).last_step == 0
    unlock(any_server, ROOT, user.login, now=NOW)
    assert tried(any_server, user, pair(user, 0)).refused is None


def test_s06_a_resync_clears_no_failures(server: Instance) -> None:
    user = a_user(server)
    submit(server, user, NOW, user.wrong(NOW))
    assert tried(server, user, pair(user, 0)).refused is None
    assert account_row(server, user.login).failures == 1


def test_the_second_code_comes_right_after_the_first(server: Instance) -> None:
    user = a_user(server)
    first, second = pair(user, 0)
    third = pair(user, 30)[1]
    for codes in ((second, first), (first, third), (first, first)):
        assert tried(server, user, codes).refused is Reason.WRONG_PASSCODE


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "１２３４５６", "\ud80012345"])
def test_an_impossible_tokencode_is_not_counted(server: Instance, code: str) -> None:
    user = a_user(server)
    with pytest.raises(SparekeyError, match="6 digits"):
        tried(server, user, (Secret(code), pair(user, 0)[1]))
    assert account_row(server, user.login).failures == 0


def test_an_unassigned_token_is_resynced_too(server: Instance) -> None:
    token = a_stocked_token(server)
    step = NOW // 30 + 100
    codes = Secret(token.otp.code(step)), Secret(token.otp.code(step + 1))
    assert resync(server, ROOT, token.serial, *codes, now=NOW).drift == 101
    assert resync(server, ROOT, token.serial, *codes, now=NOW).refused is Reason.WRONG_PASSCODE


def test_a_resync_replaces_offline_data(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    device = a_filled_device(any_server, user)
    before = device.sync_of(user, NOW).generation
    tried(any_server, user, pair(user, 3_600, NOW + 60), NOW + 60)
    assert device.sync_of(user, NOW + 60).generation > before


def test_a_resync_is_logged(server: Instance) -> None:
    user = a_user(server)
    tried(server, user, (Secret("000000"), Secret("000000")))
    tried(server, replace(user, pin=""), pair(user, 300))
    rows = logged_events(server, Action.TOKEN_RESYNCED)
    assert [(row.result, row.token_id) for row in rows] == [("wrong-passcode", user.token_id), ("ok", user.token_id)]
