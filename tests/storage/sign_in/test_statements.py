"""The sign-in path in SQL: the contents of the snapshot, and the conditions on which each write counts."""

from dataclasses import replace
from typing import Any, Final

import pytest

from sparekey.app.instance import Instance
from sparekey.app.tokens.tokens import NewToken
from sparekey.core.emergency.online import EmergencyKind, IfAvailable
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.lockout import LockoutPolicy
from sparekey.core.policy.token import TokenPolicy
from sparekey.core.reasons import ChallengeKind, Method, Reason
from sparekey.core.sign_in.authenticate import NEXT_TOKENCODE_TEXT
from sparekey.core.sign_in.outcome import Asked, Denied, Granted, Outcome
from sparekey.storage import tables
from sparekey.storage.sealed_rows import insert_row, update_rows
from sparekey.storage.sign_in import statements
from sparekey.storage.sign_in.statements import EmergencyTerms, SignInAccount
from sparekey.storage.tokens import tokens
from sparekey.storage.unit_of_work import Database
from tests.builders import (
    NOW,
    PIN,
    User,
    a_device,
    a_token,
    a_user,
    account_row,
    an_instance,
    edit_policy,
    set_end,
    token_row,
)

STEP: Final = NOW // 30
POLICY: Final = LockoutPolicy(most_failures=5, within_minutes=10, unlock_after_minutes=2)
AUDIT_ROW: dict[str, str | int | None] = {
    "at": 0,
    "actor": "x",
    "action": "x",
    "account_id": None,
    "token_id": None,
    "device_id": None,
    "result": "ok",
    "detail": "{}",
}


@pytest.fixture
def server(database: Database) -> Instance:
    return an_instance(database)


def set_account(server: Instance, user: User, **values: Any) -> None:
    with server.database.write() as connection:
        update_rows(connection, tables.account, [tables.account.c.id == user.account_id], values)


def set_token(server: Instance, user: User, **values: Any) -> None:
    with server.database.write() as connection:
        update_rows(connection, tables.token, [tables.token.c.id == user.token_id], values)


def give_access(server: Instance, user: User, *codes: str, kind: str = "fixed", end: int | None = NOW + 1) -> None:
    """Give online emergency access that ends at `end`. The id of each code stands for it."""
    owner = {"token_id": user.token_id, "account_id": user.account_id}
    terms = {"kind": kind, "if_available": "after-lifetime", "expires_at": end, "created_at": NOW, "created_by": "x"}
    with server.database.write() as connection:
        insert_row(connection, tables.online_emergency, {**owner, **terms})
        for code_id in codes:
            row = {"id": code_id, "token_id": user.token_id, "code_sealed": code_id.encode()}
            insert_row(connection, tables.online_emergency_code, row)


def give_code(server: Instance, user: User, code_id: str = "code", *, version: int = 1, end: int = NOW + 1) -> None:
    with server.database.write() as connection:
        values = {
            "id": code_id,
            "kind": "tokencode",
            "token_id": user.token_id,
            "account_id": user.account_id,
            "version": version,
            "code_sealed": b"sealed",
            "created_at": NOW,
            "not_after": end,
        }
        insert_row(connection, tables.emergency_code, values)


def snapshot(server: Instance, login: str) -> SignInAccount | None:
    with server.database.read() as connection:
        return statements.find_sign_in_account(connection, login)


def found(server: Instance, user: User) -> SignInAccount:
    account = snapshot(server, user.login)
    assert account is not None
    return account


def committed(server: Instance, outcome: Outcome, now: int = NOW, policy: LockoutPolicy = POLICY) -> Outcome:
    with server.database.write() as connection:
        return statements.commit(connection, outcome, now, policy)


def completed(server: Instance, granted: Granted, now: int = NOW) -> Outcome:
    with server.database.write() as connection:
        return statements.complete(connection, granted, now, POLICY)


def accepted_at_once(server: Instance, granted: Granted) -> bool:
    with server.database.write_at_once() as connection:
        return statements.accept_at_once(connection, granted, NOW, AUDIT_ROW)


def by_tokencode(user: User, step: int = STEP, **values: Any) -> Granted:
    return replace(Granted(user.account_id, user.login, Method.TOKENCODE, user.token_id, step, drift=2), **values)


def by_code(user: User, code_id: str = "code", method: Method = Method.EMERGENCY_TOKENCODE) -> Granted:
    return Granted(user.account_id, user.login, method, user.token_id, code_id=code_id)


def online(user: User, code_id: str) -> Granted:
    return by_code(user, code_id, Method.ONLINE_EMERGENCY)


def failed(server: Instance, user: User, failures: int = 1) -> None:
    version = account_row(server, user.login).counts_version + failures
    set_account(server, user, failures=failures, first_failure_at=NOW - 1, counts_version=version)


def failures_of(server: Instance, user: User) -> tuple[int, int | None, int | None]:
    row = account_row(server, user.login)
    return row.failures, row.first_failure_at, row.locked_at


def lost_race(user: User, reason: Reason, step: int | None = None) -> Denied:
    return Denied(reason, user.account_id, user.token_id, counted=True, replay_step=step)


def refused(user: User, reason: Reason) -> Denied:
    return Denied(reason, user.account_id, user.token_id)


# The snapshot


def test_the_snapshot_has_the_account_its_tokens_and_its_policies(server: Instance) -> None:
    lockout = {"most_failures": "7", "within_minutes": "8", "unlock_after_minutes": "9"}
    edit_policy(server, lockout, kind=PolicyKind.LOCKOUT)
    edit_policy(server, {"code_window": "2", "pin_lifetime": "90"}, kind=PolicyKind.TOKEN)
    user = a_user(server, pin=PIN)
    other = a_token(server, user.login, user.account_id, token=NewToken(digits=8), now=NOW + 1)
    set_end(server, user, token=NOW + 9, account=NOW + 7)
    set_account(server, user, failures=3, first_failure_at=NOW - 2, locked_at=NOW - 1)
    set_token(server, other, lost=True, enabled=False, pin_must_change=True, offline_code_online=True)
    account = found(server, user)
    row = account_row(server, user.login)
    assert (account.id, account.login, account.domain_id) == (user.account_id, user.login, row.domain_id)
    assert (account.enabled, account.expires_at) == (True, NOW + 7)
    assert (account.failures, account.first_failure_at, account.locked_at) == (3, NOW - 2, NOW - 1)
    assert account.lockout == LockoutPolicy(7, 8, 9)
    assert account.token_policy == TokenPolicy(code_window=2, pin_lifetime=90)
    assert account.in_emergency is False
    for token, stored in zip(account.tokens, (user, other), strict=True):
        kept = token_row(server, stored.serial)
        for name in statements.SignInToken.__dataclass_fields__:
            expected = None if name == "emergency" else getattr(kept, name)
            value = getattr(token, name)
            assert (value, type(value)) == (expected, type(expected)), name


def test_an_unknown_login_has_no_snapshot_and_an_account_may_have_no_token(server: Instance) -> None:
    assert snapshot(server, "nobody") is None
    user = a_user(server)
    set_token(server, user, account_id=None)
    set_account(server, user, enabled=False)
    account = found(server, user)
    assert (account.tokens, account.enabled, account.in_emergency) == ((), False, False)


@pytest.mark.parametrize("kind", EmergencyKind)
@pytest.mark.parametrize("end", [None, NOW + 5])
def test_the_snapshot_has_the_online_emergency_access_of_each_token(
    server: Instance, kind: EmergencyKind, end: int | None
) -> None:
    user = a_user(server)
    a_token(server, user.login, user.account_id, now=NOW + 1)
    give_access(server, user, kind=kind, end=end)
    account = found(server, user)
    terms = EmergencyTerms(kind=kind, if_available=IfAvailable.AFTER_LIFETIME, expires_at=end)
    assert [token.emergency for token in account.tokens] == [terms, None]
    assert account.in_emergency is True


def test_online_codes_are_those_that_still_work(server: Instance) -> None:
    fixed, set_of_codes, other = (a_user(server) for _ in range(3))
    give_access(server, fixed, "f")
    give_access(server, set_of_codes, "o1", "o2", kind="one-time")
    give_access(server, other, "x")
    for user, code in ((fixed, "f"), (set_of_codes, "o1")):
        assert committed(server, online(user, code)) == online(user, code)
    with server.database.read() as connection:
        for user, codes in ((fixed, ["f"]), (set_of_codes, ["o2"])):
            stored = statements.online_codes(connection, user.account_id)
            assert [(code.id, code.code_sealed) for code in stored] == [(code, code.encode()) for code in codes]
            assert {(code.account_id, code.token_id) for code in stored} == {(user.account_id, user.token_id)}


def test_codes_on_devices_are_the_versions_that_a_device_may_still_hold(server: Instance) -> None:
    user = a_user(server)
    ids = ("unheld", "sent", "held", "revoked")
    for version, code_id in enumerate(ids):
        give_code(server, user, code_id, version=version)
    revoked, present = a_device(server).device_id, a_device(server).device_id
    owner = {"owner_id": user.token_id, "account_id": user.account_id}
    with server.database.write() as connection:
        update_rows(connection, tables.device, [tables.device.c.id == revoked], {"revoked_at": NOW})
        for device_id, code, held in ((present, "sent", "held"), (revoked, "revoked", None)):
            row = {"device_id": device_id, "code_id": code, "held_code_id": held}
            insert_row(connection, tables.device_code, {**owner, **row})
    with server.database.read() as connection:
        codes = statements.codes_on_devices(connection, user.account_id)
        assert [code.id for code in codes] == ["sent", "held"]
        assert statements.codes_on_devices(connection, "another") == []


# A success


def test_a_tokencode_uses_its_step_and_clears_the_failures(server: Instance) -> None:
    user = a_user(server)
    failed(server, user, 4)
    assert committed(server, by_tokencode(user)) == by_tokencode(user)
    row = token_row(server, user.serial)
    assert (row.last_step, row.drift) == (STEP, 2)
    assert failures_of(server, user) == (0, None, None)


@pytest.mark.parametrize("last", [STEP, STEP + 1])
def test_a_step_that_is_not_after_the_last_counts_as_a_repeat(server: Instance, last: int) -> None:
    user = a_user(server)
    set_token(server, user, last_step=last)
    for _ in range(2):
        outcome = committed(server, by_tokencode(user))
        assert isinstance(outcome, Denied)
        assert (outcome.reason, outcome.replay_step) == (Reason.ALREADY_USED, STEP)
    assert failures_of(server, user) == (1, NOW, None)
    assert token_row(server, user.serial).last_step == last


@pytest.mark.parametrize("obstacle", [{"enabled": False}, {"lost": True}])
def test_a_token_that_was_disabled_or_lost_meanwhile_is_refused(server: Instance, obstacle: dict[str, bool]) -> None:
    user = a_user(server)
    set_token(server, user, **obstacle)
    assert committed(server, by_tokencode(user)) == lost_race(user, Reason.ALREADY_USED, STEP)
    assert token_row(server, user.serial).last_step == 0


@pytest.mark.parametrize("obstacle", [{"enabled": False}, {"locked_at": NOW - 119, "counts_version": 1}])
def test_an_account_that_was_disabled_or_locked_meanwhile_is_refused(
    server: Instance, obstacle: dict[str, object]
) -> None:
    user = a_user(server)
    give_code(server, user)
    set_account(server, user, **obstacle)
    for granted in (by_tokencode(user), by_code(user)):
        assert committed(server, granted) == refused(user, Reason.LOCKED)
        assert committed(server, Asked(ChallengeKind.NEW_PIN, granted)) == refused(user, Reason.LOCKED)
        assert completed(server, granted) == refused(user, Reason.LOCKED)
        assert not accepted_at_once(server, granted)
    assert token_row(server, user.serial).last_step == 0


def test_a_lock_ends_after_its_time(server: Instance) -> None:
    user = a_user(server)
    set_account(server, user, failures=5, first_failure_at=NOW - 130, locked_at=NOW - 120)
    assert committed(server, by_tokencode(user)) == by_tokencode(user)
    assert failures_of(server, user) == (0, None, None)


def test_failures_meanwhile_ask_for_the_next_tokencode_and_lock_out_emergency_codes(server: Instance) -> None:
    user = a_user(server)
    set_token(server, user, offline_code_online=True)
    give_code(server, user)
    tokencode, code = by_tokencode(user, asks_after=3), replace(by_code(user), asks_after=3)
    failed(server, user, 3)
    asked = Asked(ChallengeKind.NEXT_TOKENCODE, tokencode, NEXT_TOKENCODE_TEXT)
    assert committed(server, tokencode) == asked
    assert token_row(server, user.serial).last_step == 0
    assert committed(server, code) == refused(user, Reason.LOCKED)
    assert committed(server, replace(tokencode, token_id=None)) == Denied(Reason.LOCKED, user.account_id)
    assert not accepted_at_once(server, tokencode)
    failed(server, user, 2)
    assert committed(server, tokencode) == tokencode


def test_without_a_limit_failures_meanwhile_ask_for_nothing(server: Instance) -> None:
    user = a_user(server)
    failed(server, user, 4)
    granted = by_tokencode(user, asks_after=0)
    assert not accepted_at_once(server, granted)
    assert committed(server, granted) == granted
    assert failures_of(server, user) == (0, None, None)
    assert token_row(server, user.serial).last_step == STEP


def test_s47_a_success_at_once_needs_unchanged_counts(server: Instance) -> None:
    user = a_user(server)
    assert accepted_at_once(server, by_tokencode(user))
    failed(server, user)
    assert not accepted_at_once(server, by_tokencode(user, STEP + 1))
    assert accepted_at_once(server, by_tokencode(user, STEP + 1, counts_version=1))
    assert failures_of(server, user) == (1, NOW - 1, None)  # the caller has seen that there is nothing to clear


def test_at_once_a_used_step_is_not_accepted_and_changes_nothing(server: Instance) -> None:
    user = a_user(server)
    failed(server, user)
    set_token(server, user, last_step=STEP)
    assert not accepted_at_once(server, by_tokencode(user))
    assert failures_of(server, user) == (1, NOW - 1, None)


def test_a_tokencode_ends_the_emergency_of_its_token_on_request(server: Instance) -> None:
    user, other = a_user(server), a_user(server)
    for each, code in ((user, "a"), (other, "b")):
        give_access(server, each, code)
    committed(server, by_tokencode(user))
    assert found(server, user).in_emergency
    committed(server, by_tokencode(user, STEP + 1, ends_emergency=True))
    assert not found(server, user).in_emergency
    assert found(server, other).in_emergency
    with server.database.write() as connection:
        assert statements.online_codes(connection, user.account_id) == []
        assert not statements.end_emergency(connection, user.token_id)
        assert statements.end_emergency(connection, other.token_id)
    give_access(server, other)  # its codes are used up already
    with server.database.write() as connection:
        assert statements.end_emergency(connection, other.token_id)


# Emergency codes


def test_an_offline_emergency_code_works_online_until_it_expires_and_while_it_is_allowed(server: Instance) -> None:
    user = a_user(server)
    give_code(server, user)
    expired = lost_race(user, Reason.EMERGENCY_CODE_EXPIRED)
    assert committed(server, by_code(user)) == expired
    set_token(server, user, offline_code_online=True, lost=True)
    assert committed(server, by_code(user)) == by_code(user)
    assert committed(server, by_code(user), NOW + 1) == expired
    assert failures_of(server, user) == (1, NOW + 1, None)
    set_token(server, user, enabled=False)
    assert committed(server, by_code(user)) == expired


@pytest.mark.parametrize(("kind", "times"), [("fixed", 2), ("one-time", 1)])
def test_an_online_emergency_code_works_once_or_often_by_its_kind(server: Instance, kind: str, times: int) -> None:
    user = a_user(server)
    give_access(server, user, "e", kind=kind)
    outcomes = [committed(server, online(user, "e")) for _ in range(2)]
    ended = lost_race(user, Reason.EMERGENCY_ENDED)
    assert outcomes == [online(user, "e")] * times + [ended] * (2 - times)
    assert committed(server, online(user, "e"), NOW + 1) == ended


# Challenges


def asked(granted: Granted, *, uses_code: bool = False) -> Asked:
    return Asked(ChallengeKind.NEW_PIN, granted, "?", uses_code=uses_code)


def test_a_challenge_uses_up_the_code_only_on_request_and_keeps_the_failures(server: Instance) -> None:
    user = a_user(server)
    failed(server, user, 4)
    challenge = asked(by_tokencode(user, asks_after=3))
    assert committed(server, challenge) == challenge
    assert token_row(server, user.serial).last_step == 0
    challenge = asked(by_tokencode(user, asks_after=3), uses_code=True)
    assert committed(server, challenge) == challenge
    assert token_row(server, user.serial).last_step == STEP
    assert failures_of(server, user) == (4, NOW - 1, None)
    outcome = committed(server, challenge)
    assert outcome == lost_race(user, Reason.ALREADY_USED, STEP)


def test_a_sign_in_is_complete_if_account_and_token_are_still_in_order(server: Instance) -> None:
    user = a_user(server)
    failed(server, user, 2)
    set_token(server, user, last_step=STEP)
    assert completed(server, by_tokencode(user)) == by_tokencode(user)
    assert failures_of(server, user) == (0, None, None)
    set_token(server, user, lost=True)
    failed(server, user, 2)
    assert completed(server, by_tokencode(user)) == refused(user, Reason.TOKEN_DISABLED)
    assert failures_of(server, user) == (2, NOW - 1, None)
    for method in (Method.EMERGENCY_TOKENCODE, Method.ONLINE_EMERGENCY):
        assert completed(server, by_code(user, method=method)) == by_code(user, method=method)
    set_token(server, user, enabled=False)
    assert completed(server, by_code(user)) == refused(user, Reason.TOKEN_DISABLED)


# Failures


def guess(user: User, **values: Any) -> Denied:
    return replace(Denied(Reason.WRONG_PASSCODE, user.account_id, user.token_id, counted=True), **values)


def test_failures_are_counted_up_to_the_lock_which_hides_the_guess(server: Instance) -> None:
    user = a_user(server)
    for count in range(1, 6):
        assert committed(server, guess(user), NOW + count) == guess(user)
        assert failures_of(server, user) == (count, NOW + 1, NOW + 5 if count == 5 else None)
    locked = refused(user, Reason.LOCKED)
    assert committed(server, guess(user, misread=(2,)), NOW + 6) == replace(locked, misread=(2,))
    repeat = guess(user, reason=Reason.ALREADY_USED, replay_step=STEP)
    assert committed(server, repeat, NOW + 6) == locked
    assert failures_of(server, user) == (5, NOW + 1, NOW + 5)
    # The lock has ended after two minutes, and counting restarts.
    assert committed(server, guess(user), NOW + 125) == guess(user)
    assert failures_of(server, user) == (1, NOW + 125, None)


@pytest.mark.parametrize(("gap", "count"), [(599, 2), (600, 1)])
def test_failures_count_together_within_the_time_of_the_policy(server: Instance, gap: int, count: int) -> None:
    user = a_user(server)
    for now in (NOW, NOW + gap):
        committed(server, guess(user), now)
    assert failures_of(server, user) == (count, NOW if count == 2 else NOW + gap, None)


def test_a_repeat_counts_once_for_each_step(server: Instance) -> None:
    user = a_user(server)
    repeats = [guess(user, reason=Reason.ALREADY_USED, replay_step=step) for step in (STEP, STEP, STEP + 1)]
    outcomes = [committed(server, repeat) for repeat in repeats]
    assert outcomes == [repeats[0], replace(repeats[1], counted=False), repeats[2]]
    assert failures_of(server, user)[0] == 2


def test_s49_a_code_that_a_device_used_up_meanwhile_counts_as_no_failure(server: Instance) -> None:
    user = a_user(server)
    set_token(server, user, last_step=STEP - 2)
    with server.database.write() as connection:
        assert tokens.use_up_by_report(connection, user.token_id, STEP - 1)
        assert tokens.use_up_by_report(connection, user.token_id, STEP)
        assert not tokens.use_up_by_report(connection, user.token_id, STEP)
    row = token_row(server, user.serial)
    assert (row.last_step, row.reported_from, row.reported_to) == (STEP, STEP - 2, STEP)
    for step, count in ((STEP, 0), (STEP - 1, 0), (STEP - 2, 1)):
        committed(server, guess(user, reason=Reason.ALREADY_USED, replay_step=step))
        assert failures_of(server, user)[0] == count
    assert committed(server, by_tokencode(user)) == replace(lost_race(user, Reason.ALREADY_USED, STEP), counted=False)


def test_a_report_after_a_success_here_marks_its_own_steps_alone(server: Instance) -> None:
    user = a_user(server)
    for steps in ((STEP, STEP + 1), (STEP + 5, STEP + 6)):
        set_token(server, user, last_step=steps[0])
        with server.database.write() as connection:
            tokens.use_up_by_report(connection, user.token_id, steps[1])
        row = token_row(server, user.serial)
        assert (row.reported_from, row.reported_to) == steps


def test_untested_guesses_and_guesses_for_unknown_users_are_not_counted(server: Instance) -> None:
    user = a_user(server)
    for denied in (guess(user, counted=False), guess(user, account_id=None)):
        assert committed(server, denied) == denied
    assert failures_of(server, user) == (0, None, None)
