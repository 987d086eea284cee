"""One attempt at a server interface: its outcome and its audit event, on both databases."""

import json

import pytest

from sparekey.app.instance import Instance
from sparekey.app.people.domains import add_domain
from sparekey.app.people.users import set_enabled as set_user_enabled
from sparekey.app.sign_in.verification import SignInInterface, sign_in
from sparekey.app.tokens.tokens import NewToken, set_enabled, set_lost
from sparekey.core.audit_log.actions import Action
from sparekey.core.policy.lockout import LockoutPolicy
from sparekey.core.reasons import Method, Reason
from sparekey.core.sign_in.outcome import Denied, Granted
from sparekey.secret import Secret
from sparekey.storage.people.domains import domain_and_below, find_domain
from sparekey.storage.sign_in import statements as stored
from tests.builders import (
    LIMIT,
    NOW,
    PIN,
    REST,
    ROOT,
    a_device,
    a_token,
    a_user,
    account_row,
    denied,
    granted,
    logged_events,
    set_end,
    submit,
    token_row,
)


def test_a_success_uses_up_its_step_and_is_logged(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    outcome = granted(submit(any_server, user, NOW))
    assert (outcome.method, outcome.token_id, outcome.step) == (Method.TOKENCODE, user.token_id, user.step(NOW))
    assert token_row(any_server, user.serial).last_step == user.step(NOW)
    (row,) = logged_events(any_server, Action.SIGN_IN_GRANTED)
    assert (row.actor, row.account_id, row.token_id, row.at) == (
        REST.actor,
        user.account_id,
        user.token_id,
        NOW * 10**6,
    )
    assert json.loads(row.detail) == {"method": "tokencode", "step": user.step(NOW)}


def test_each_refusal_is_logged_with_its_reason_and_without_typed_text(any_server: Instance) -> None:
    user = a_user(any_server)
    submit(any_server, user, NOW, Secret("31337-secret"))
    submit(any_server, user, NOW, user.wrong(NOW))
    sign_in(any_server, REST, "nobody-of-that-name", Secret("123456"), NOW)
    rows = logged_events(any_server, Action.SIGN_IN_DENIED)
    assert [row.result for row in rows] == ["not-a-passcode", "wrong-passcode", "unknown-user"]
    assert [row.account_id for row in rows] == [user.account_id, user.account_id, None]
    everything = repr(rows)
    assert "31337" not in everything
    # An unknown login may be a PIN in the wrong field.
    assert "nobody-of-that-name" not in everything


def test_five_wrong_passcodes_lock_and_the_lock_is_logged_once(any_server: Instance) -> None:
    user = a_user(any_server)
    for _ in range(7):
        submit(any_server, user, NOW, user.wrong(NOW))
    row = account_row(any_server, user.login)
    assert (row.failures, row.locked_at) == (5, NOW)
    assert len(logged_events(any_server, Action.ACCOUNT_LOCKED)) == 1
    assert denied(submit(any_server, user, NOW)).reason is Reason.LOCKED
    assert token_row(any_server, user.serial).last_step == 0


def test_misread_codes_and_impossible_passcodes_are_not_counted(server: Instance) -> None:
    user = a_user(server)
    for text in ("hello", "", "00000-00000-00000", "12345"):
        assert isinstance(submit(server, user, NOW, Secret(text)), Denied)
    assert account_row(server, user.login).failures == 0


def test_failures_count_over_all_tokens_together(server: Instance) -> None:
    first = a_user(server)
    second = a_token(server, first.login, first.account_id, token=NewToken(8, 60, "sha256"))
    for user in (first, second, first, second, first):
        submit(server, user, NOW, user.wrong(NOW))
    assert denied(submit(server, second, NOW)).reason is Reason.LOCKED


def test_a_right_pin_with_a_wrong_code_does_not_reset_the_count(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    for _ in range(3):
        submit(server, user, NOW, user.wrong(NOW))
    assert account_row(server, user.login).failures == 3


@pytest.mark.parametrize(
    "login", ["", "a\x00b", "\ud800", "x" * 10_000, "alice\n", "' OR 1=1 --", "älice", "\u202ealice"]
)
def test_an_impossible_login_is_unknown_on_every_database(any_server: Instance, login: str) -> None:
    outcome = sign_in(any_server, REST, login, Secret("123456"), NOW).outcome
    assert denied(outcome).reason is Reason.UNKNOWN_USER


def test_login_names_are_compared_exactly(any_server: Instance) -> None:
    user = a_user(any_server, "Alice")
    assert denied(sign_in(any_server, REST, "alice", user.typed(NOW), NOW).outcome).reason is Reason.UNKNOWN_USER
    granted(submit(any_server, user, NOW))


def test_a_user_outside_the_interface_s_scope_is_unknown_and_not_counted(any_server: Instance) -> None:
    add_domain(any_server, ROOT, "Branch", now=NOW)
    add_domain(any_server, ROOT, "Office", "Branch", now=NOW)
    with any_server.database.read() as connection:
        branch = find_domain(connection, "Branch")
        assert branch
        interface = SignInInterface("client:branch", scope=domain_and_below(connection, branch.id))
    outside, inside = a_user(any_server), a_user(any_server, domain="Office")
    for _ in range(6):
        for typed in (outside.typed(NOW), outside.wrong(NOW)):
            assert denied(submit(any_server, outside, NOW, typed, interface=interface)).reason is Reason.OUT_OF_SCOPE
    assert account_row(any_server, outside.login).failures == 0
    granted(submit(any_server, outside, NOW))
    granted(submit(any_server, inside, NOW, interface=interface))


def test_a_state_that_changed_since_the_snapshot_settles_it(any_server: Instance) -> None:
    """An accept is decided on a snapshot and settled later: changes in between win."""
    user = a_user(any_server)
    accept = Granted(user.account_id, user.login, Method.TOKENCODE, user.token_id, user.step(NOW), 0)

    def committed() -> Reason:
        with any_server.database.write() as connection:
            return denied(stored.commit(connection, accept, NOW, LockoutPolicy())).reason

    set_lost(any_server, ROOT, user.serial, lost=True, now=NOW)
    assert committed() is Reason.ALREADY_USED
    set_lost(any_server, ROOT, user.serial, lost=False, now=NOW)
    set_enabled(any_server, ROOT, user.serial, enabled=False, now=NOW)
    assert committed() is Reason.ALREADY_USED
    set_enabled(any_server, ROOT, user.serial, enabled=True, now=NOW)
    set_user_enabled(any_server, ROOT, user.login, enabled=False, now=NOW)
    assert committed() is Reason.LOCKED
    set_user_enabled(any_server, ROOT, user.login, enabled=True, now=NOW)
    for _ in range(LIMIT):
        submit(any_server, user, NOW, user.wrong(NOW))
    assert committed() is Reason.LOCKED
    assert token_row(any_server, user.serial).last_step == 0


@pytest.mark.parametrize("what", ["token", "account"])
def test_an_end_is_an_end(server: Instance, what: str) -> None:
    user = a_user(server)
    set_end(server, user, **{what: NOW + 30})
    granted(submit(server, user, NOW))
    expected = Reason.TOKEN_EXPIRED if what == "token" else Reason.ACCOUNT_EXPIRED
    assert denied(submit(server, user, NOW + 30)).reason is expected


def test_s02_the_token_s_clock_is_learnt_in_whole_steps(server: Instance) -> None:
    user = a_user(server)
    now, ahead = NOW, 0
    for _ in range(10):  # twenty seconds a minute, far more than any crystal, and never on the beat
        ahead += 20
        now += 61
        outcome = granted(submit(server, user, now, ahead=ahead))
        drift = token_row(server, user.serial).drift
        assert type(drift) is int
        assert drift == outcome.drift == user.step(now, ahead) - user.step(now)
    assert isinstance(submit(server, user, now + 60), Denied)


def test_s03_another_spelling_of_a_used_code_is_not_accepted(server: Instance) -> None:
    user = a_user(server)
    code = user.typed(NOW).reveal()
    granted(submit(server, user, NOW))
    full_width = "".join(chr(ord(digit) - ord("0") + 0xFF10) for digit in code)
    for text in (f" {code}", f"{code}\n", f"{code} ", full_width, f"+{code}", code[1:], f"0{code}", f"{code}\x00"):
        assert isinstance(submit(server, user, NOW, Secret(text)), Denied)


def test_s05_a_right_passcode_of_an_unusable_token_is_refused(server: Instance) -> None:
    """With a PIN that is right, and a code that is right: the state of the token alone decides."""
    for change in ("disable", "lose", "expire"):
        user = a_user(server, pin=PIN)
        match change:
            case "disable":
                set_enabled(server, ROOT, user.serial, enabled=False, now=NOW)
            case "lose":
                set_lost(server, ROOT, user.serial, lost=True, now=NOW)
            case _:
                set_end(server, user, token=NOW)
        for text in (user.typed(NOW).reveal(), PIN, user.totp.code(user.step(NOW)), f"{PIN}000000"):
            assert isinstance(submit(server, user, NOW, Secret(text)), Denied), change


def test_a_device_is_an_interface_like_any_other(any_server: Instance) -> None:
    user, device = a_user(any_server), a_device(any_server)
    granted(device.sign_in(user, NOW).outcome)
    assert denied(submit(any_server, user, NOW)).reason is Reason.ALREADY_USED
    refused = device.sign_in(user, NOW)
    assert denied(refused.outcome).reason is Reason.ALREADY_USED
    assert refused.key.offline_key is None
    (row,) = logged_events(any_server, Action.SIGN_IN_GRANTED)
    assert (row.actor, row.device_id) == (f"device:{device.device_id}", device.device_id)
