"""Challenges of a sign-in as use cases: answered by their user only, once, in time, against the current state."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from sparekey.app.emergency.offline import set_online
from sparekey.app.emergency.online import Terms, end, give_fixed, give_one_time
from sparekey.app.instance import Instance
from sparekey.app.people.users import set_enabled as set_user_enabled
from sparekey.app.sign_in.challenges import LIFETIME
from sparekey.app.sign_in.verification import SignInInterface, SignInResult
from sparekey.app.tokens.life_cycle import replace as replace_token
from sparekey.app.tokens.life_cycle import unassign
from sparekey.app.tokens.tokens import clear_pin, set_enabled, set_lost, set_pin
from sparekey.core.audit_log.actions import Action
from sparekey.core.reasons import ChallengeKind, Method, Reason
from sparekey.core.sign_in.outcome import Denied, Granted, Outcome
from sparekey.core.tokens import Hotp
from sparekey.core.tokens.hotp import FAR
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.tokens import tokens
from tests.builders import (
    CALLED_BACK,
    NOW,
    PIN,
    REST,
    ROOT,
    User,
    a_device,
    a_filled_device,
    a_user,
    account_row,
    denied,
    granted,
    logged_events,
    set_end,
    shown_code,
    submit,
    token_row,
)
from tests.challenges import NEW_PIN, asked, begin, edit_token_policy, make_suspicious, name_of, reply
from tests.event_tokens import a_presser
from tests.token_stock import a_stocked_token

NEXT = NOW + 30


def a_suspicious_user(server: Instance) -> User:
    user = a_user(server, pin=PIN)
    make_suspicious(server, user)
    return user


def failures(server: Instance, user: User) -> int:
    return int(account_row(server, user.login).failures)


def reason(outcome: Outcome) -> Reason:
    return denied(outcome).reason


def next_code(user: User, now: int = NOW) -> str:
    return user.totp.code(user.step(now) + 1)


# A new PIN


def test_a_user_with_a_cleared_pin_chooses_a_new_one(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    clear_pin(any_server, ROOT, user.serial, now=NOW)
    code = user.totp.code(user.step(NOW))
    first = begin(any_server, user, typed=code)
    asked(first, ChallengeKind.NEW_PIN)
    second = reply(any_server, user, first, NEW_PIN)
    asked(second, ChallengeKind.CONFIRM_PIN)
    done = granted(reply(any_server, user, second, NEW_PIN).outcome)
    assert done.step == user.step(NOW)
    renewed = replace(user, pin=NEW_PIN)
    assert reason(submit(any_server, renewed, NOW, Secret(NEW_PIN + code))) is Reason.ALREADY_USED
    granted(submit(any_server, renewed, NEXT))
    assert reason(submit(any_server, user, NEXT + 30)) is Reason.WRONG_PASSCODE
    (row,) = logged_events(any_server, Action.TOKEN_PIN_SET)[-1:]
    assert (row.actor, '"by":"the user"' in row.detail) == (REST.actor, True)


def test_s05_without_a_pin_the_tokencode_alone_is_not_enough(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    clear_pin(any_server, ROOT, user.serial, now=NOW)
    for now in (NOW, NEXT):
        verdict = begin(any_server, user, now, user.totp.code(user.step(now)))
        asked(verdict, ChallengeKind.NEW_PIN)
        assert not isinstance(reply(any_server, user, verdict, "", now).outcome, Granted)
    assert not logged_events(any_server, Action.SIGN_IN_GRANTED)


def test_a_pin_that_an_administrator_set_for_once_is_changed_by_its_user(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    set_pin(server, ROOT, user.serial, Secret("first777"), must_change=True, now=NOW)
    user = replace(user, pin="first777")
    first = begin(server, user)
    again = reply(server, user, first, "first777")
    assert asked(again, ChallengeKind.NEW_PIN).tries == 1
    # nor the one before it
    third = reply(server, user, again, PIN)
    assert asked(third, ChallengeKind.NEW_PIN).tries == 2
    granted(reply(server, user, reply(server, user, third, NEW_PIN), NEW_PIN).outcome)
    assert token_row(server, user.serial).pin_must_change is False
    granted(submit(server, replace(user, pin=NEW_PIN), NEXT))


@pytest.mark.parametrize("code_kind", ["fixed", "one-time", "offline"])
def test_after_an_emergency_code_too_a_pin_that_has_to_be_changed_is_asked_for(
    any_server: Instance, code_kind: str
) -> None:
    """Token at home, PIN forgotten: the help desk sets a PIN, which it knows, and shows a code. The user must change
    that PIN."""
    user, code = _in_an_emergency(any_server, code_kind)
    set_pin(any_server, ROOT, user.serial, Secret("first777"), must_change=True, now=NOW)
    set_lost(any_server, ROOT, user.serial, lost=True, now=NOW)
    first = begin(any_server, user, typed="first777" + code)
    assert asked(first, ChallengeKind.NEW_PIN).granted.token_id == user.token_id
    done = granted(reply(any_server, user, reply(any_server, user, first, NEW_PIN), NEW_PIN).outcome)
    assert done.method is (Method.EMERGENCY_TOKENCODE if code_kind == "offline" else Method.ONLINE_EMERGENCY)
    row = token_row(any_server, user.serial)
    assert (row.pin_must_change, row.lost) == (False, True)
    # Used once, logged once; the access stays, because the token is still away.
    assert len(logged_events(any_server, Action.EMERGENCY_USED)) == 1
    again = begin(any_server, user, typed=NEW_PIN + code).outcome
    assert isinstance(again, Denied if code_kind == "one-time" else Granted)


def test_s01_a_one_time_code_is_used_up_by_the_challenge_for_a_pin(any_server: Instance) -> None:
    user, code = _in_an_emergency(any_server, "one-time")
    set_pin(any_server, ROOT, user.serial, Secret("first777"), must_change=True, now=NOW)
    asked(begin(any_server, user, typed="first777" + code), ChallengeKind.NEW_PIN)
    assert reason(begin(any_server, user, typed="first777" + code).outcome) is Reason.WRONG_PASSCODE


@pytest.mark.parametrize("code_kind", ["fixed", "offline"])
def test_s05_access_withdrawn_during_a_challenge_sets_no_pin(any_server: Instance, code_kind: str) -> None:
    user, code = _in_an_emergency(any_server, code_kind)
    set_pin(any_server, ROOT, user.serial, Secret("first777"), must_change=True, now=NOW)
    second = reply(any_server, user, begin(any_server, user, typed="first777" + code), NEW_PIN)
    asked(second, ChallengeKind.CONFIRM_PIN)
    if code_kind == "fixed":
        end(any_server, ROOT, user.serial, now=NOW)
    else:
        set_online(any_server, ROOT, user.serial, allowed=False, now=NOW)
    assert isinstance(reply(any_server, user, second, NEW_PIN).outcome, Denied)
    assert token_row(any_server, user.serial).pin_must_change is True


def test_s05_expired_access_ends_its_challenge(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    given = give_fixed(any_server, ROOT, user.serial, Terms(until=NOW + 60), CALLED_BACK, now=NOW)
    set_pin(any_server, ROOT, user.serial, Secret("first777"), must_change=True, now=NOW)
    first = begin(any_server, user, typed="first777" + given.codes[0].reveal())
    second = reply(any_server, user, first, NEW_PIN)
    asked(second, ChallengeKind.CONFIRM_PIN)
    assert reason(reply(any_server, user, second, NEW_PIN, NOW + 60).outcome) is Reason.EMERGENCY_ENDED
    assert token_row(any_server, user.serial).pin_must_change is True


@pytest.mark.parametrize("code_kind", ["fixed", "one-time"])
def test_s05_withdrawn_access_that_is_given_again_does_not_revive_a_challenge(
    any_server: Instance, code_kind: str
) -> None:
    """The challenge of an impostor ends when the help desk renews the user's access."""
    user, code = _in_an_emergency(any_server, code_kind)
    set_pin(any_server, ROOT, user.serial, Secret("first777"), must_change=True, now=NOW)
    second = reply(any_server, user, begin(any_server, user, typed="first777" + code), NEW_PIN)
    end(any_server, ROOT, user.serial, now=NOW)
    give_fixed(any_server, ROOT, user.serial, Terms(), CALLED_BACK, now=NOW)
    assert reason(reply(any_server, user, second, NEW_PIN).outcome) is Reason.NO_SUCH_CHALLENGE
    assert token_row(any_server, user.serial).pin_must_change is True


@pytest.mark.parametrize("how", ["lost", "disabled"])
def test_s05_a_token_that_was_briefly_disabled_begins_a_new_challenge(any_server: Instance, how: str) -> None:
    user = a_suspicious_user(any_server)
    challenge = begin(any_server, user)
    for away in (True, False):
        if how == "lost":
            set_lost(any_server, ROOT, user.serial, lost=away, now=NOW)
        else:
            set_enabled(any_server, ROOT, user.serial, enabled=not away, now=NOW)
    assert reason(reply(any_server, user, challenge, next_code(user), NEXT).outcome) is Reason.NO_SUCH_CHALLENGE


def _in_an_emergency(server: Instance, kind: str) -> tuple[User, str]:
    """A user and a code that may be typed after the PIN at a server interface."""
    user = a_user(server, pin=PIN)
    if kind == "offline":
        a_filled_device(server, user)
        code = shown_code(server, user)
        set_online(server, ROOT, user.serial, allowed=True, now=NOW)
        return user, code
    give = give_fixed if kind == "fixed" else partial(give_one_time, count=1)
    return user, give(server, ROOT, user.serial, terms=Terms(), showing=CALLED_BACK, now=NOW).codes[0].reveal()


def test_two_pins_that_differ_change_nothing(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    set_pin(server, ROOT, user.serial, Secret("first777"), must_change=True, now=NOW)
    user = replace(user, pin="first777")
    before = token_row(server, user.serial).pin_sealed
    verdict = reply(server, user, reply(server, user, begin(server, user), NEW_PIN), "1" + NEW_PIN[1:])
    asked(verdict, ChallengeKind.NEW_PIN)
    assert token_row(server, user.serial).pin_sealed == before


def test_s01_a_right_passcode_is_used_up_by_the_challenge_for_a_pin(any_server: Instance) -> None:
    user = a_user(any_server, with_pin=True)
    code = Secret(user.totp.code(user.step(NOW)))
    begin(any_server, user, typed=code.reveal())
    assert reason(submit(any_server, user, NOW, code)) is Reason.ALREADY_USED


def test_the_pin_to_be_confirmed_is_stored_only_sealed(server: Instance) -> None:
    user = a_user(server, with_pin=True)
    reply(server, user, begin(server, user, typed=user.totp.code(user.step(NOW))), NEW_PIN)
    with server.database.read() as connection:
        (row,) = connection.execute(tables.sign_in_challenge.select()).all()
    assert NEW_PIN.encode() not in bytes(row.pin_sealed)
    assert len(row.id) == 64  # of its name, only the hash


# The next tokencode


def test_after_three_failures_two_tokencodes_in_a_row_are_asked_for(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    for _ in range(3):
        submit(any_server, user, NOW, user.wrong(NOW))
    first = begin(any_server, user)
    asked(first, ChallengeKind.NEXT_TOKENCODE)
    assert failures(any_server, user) == 3  # nothing is forgiven yet
    assert granted(reply(any_server, user, first, next_code(user), NEXT).outcome).step == user.step(NOW) + 1
    assert failures(any_server, user) == 0
    # Both codes are used up.
    assert reason(submit(any_server, user, NEXT, user.typed(NOW))) is Reason.ALREADY_USED
    assert reason(submit(any_server, user, NEXT)) is Reason.ALREADY_USED


def test_s06_a_wrong_next_tokencode_counts_and_locks_at_the_limit(any_server: Instance) -> None:
    user = a_suspicious_user(any_server)
    for expected in (4, 5):
        wrong = reply(any_server, user, begin(any_server, user), "000000")
        assert reason(wrong.outcome) is Reason.WRONG_PASSCODE
        assert failures(any_server, user) == expected
    assert account_row(any_server, user.login).locked_at == NOW
    assert logged_events(any_server, Action.ACCOUNT_LOCKED)
    assert reason(submit(any_server, user, NEXT)) is Reason.LOCKED


def test_s06_failures_elsewhere_count_during_a_challenge(any_server: Instance) -> None:
    user = a_suspicious_user(any_server)
    challenge = begin(any_server, user)
    for _ in range(2):
        submit(any_server, user, NOW, user.wrong(NOW))
    assert reason(reply(any_server, user, challenge, next_code(user), NEXT).outcome) is Reason.LOCKED
    assert failures(any_server, user) == 5


def test_s06_a_new_pin_forgives_nothing_before_it_is_set(any_server: Instance) -> None:
    edit_token_policy(any_server, {"next_tokencode_after": "0"})
    user = a_user(any_server, with_pin=True)
    make_suspicious(any_server, user)
    first = begin(any_server, user, typed=user.totp.code(user.step(NOW)))
    second = reply(any_server, user, first, NEW_PIN)
    assert failures(any_server, user) == 3
    granted(reply(any_server, user, second, NEW_PIN).outcome)
    assert failures(any_server, user) == 0


def test_s06_a_pin_for_a_token_that_was_just_disabled_forgives_nothing(any_server: Instance) -> None:
    """Disabled after the answer was checked, before it counts: as when another instance does it meanwhile."""
    edit_token_policy(any_server, {"next_tokencode_after": "0"})
    user = a_user(any_server, with_pin=True)
    make_suspicious(any_server, user)
    second = reply(any_server, user, begin(any_server, user, typed=user.totp.code(user.step(NOW))), NEW_PIN)
    late = replace(any_server, database=_DisablesFirst(any_server, user))  # type: ignore[arg-type] # acts in between
    assert reason(reply(late, user, second, NEW_PIN).outcome) is Reason.TOKEN_DISABLED
    assert failures(any_server, user) == 3
    assert token_row(any_server, user.serial).pin_sealed is None


class _DisablesFirst:
    """A database in which the token is disabled before each writing transaction, with nothing else that this ends."""

    def __init__(self, instance: Instance, user: User) -> None:
        self._instance, self._user = instance, user

    def __getattr__(self, name: str) -> object:
        if name == "write":
            with self._instance.database.write() as connection:
                tokens.update_token(connection, self._user.token_id, enabled=False)
        return getattr(self._instance.database, name)


def test_an_event_token_far_ahead_moves_only_with_the_second_code(any_server: Instance) -> None:
    presser = a_presser(any_server)
    user, far = presser.user, FAR - 1
    for _ in range(2):
        first = begin(any_server, user, typed=presser.typed(far).reveal())
        assert asked(first, ChallengeKind.NEXT_TOKENCODE).granted.step == far
        assert token_row(any_server, user.serial).last_step == Hotp.unused
        wrong = reply(any_server, user, first, presser.otp.code(far + 2))
        assert reason(wrong.outcome) is Reason.WRONG_PASSCODE
    granted(submit(any_server, user, NOW, presser.typed(0)))  # near codes go on working
    first = begin(any_server, user, typed=presser.typed(far).reveal())
    granted(reply(any_server, user, first, presser.otp.code(far + 1)).outcome)
    assert token_row(any_server, user.serial).last_step == far + 1
    assert reason(submit(any_server, user, NOW, presser.typed(far + 1))) is Reason.ALREADY_USED


# Answering: by the same caller, in time, once


def test_s01_a_challenge_is_answered_once(any_server: Instance) -> None:
    user = a_suspicious_user(any_server)
    challenge = begin(any_server, user)
    granted(reply(any_server, user, challenge, next_code(user), NEXT).outcome)
    assert reason(reply(any_server, user, challenge, next_code(user), NEXT).outcome) is Reason.NO_SUCH_CHALLENGE
    assert failures(any_server, user) == 0


def test_s01_two_challenges_for_one_tokencode_lead_to_one_success(any_server: Instance) -> None:
    user = a_suspicious_user(any_server)
    first, second = begin(any_server, user), begin(any_server, user)
    granted(reply(any_server, user, first, next_code(user), NEXT).outcome)
    assert reason(reply(any_server, user, second, next_code(user), NEXT).outcome) is Reason.ALREADY_USED


def test_a_challenge_lasts_two_minutes(any_server: Instance) -> None:
    for wait, gone in ((LIFETIME - 1, False), (LIFETIME, True)):
        user = a_user(any_server, with_pin=True)
        challenge = begin(any_server, user, typed=user.totp.code(user.step(NOW)))
        outcome = reply(any_server, user, challenge, NEW_PIN, NOW + wait).outcome
        assert (outcome == Denied(Reason.NO_SUCH_CHALLENGE)) is gone


def test_expired_challenges_of_a_user_are_deleted_with_the_next_one(server: Instance) -> None:
    user = a_suspicious_user(server)
    begin(server, user)
    begin(server, user, NOW + LIFETIME)
    with server.database.read() as connection:
        assert len(connection.execute(tables.sign_in_challenge.select()).all()) == 1


@pytest.mark.parametrize(
    "interface", [SignInInterface("client:other"), SignInInterface("device:other", "other"), SignInInterface("os:root")]
)
def test_a_challenge_is_answered_at_its_own_interface_only(server: Instance, interface: SignInInterface) -> None:
    user = a_suspicious_user(server)
    challenge = begin(server, user)
    stranger = reply(server, user, challenge, next_code(user), NEXT, interface=interface)
    assert reason(stranger.outcome) is Reason.NO_SUCH_CHALLENGE
    granted(reply(server, user, challenge, next_code(user), NEXT).outcome)  # and it is still there


def test_a_challenge_belongs_to_one_user(server: Instance) -> None:
    user, other = a_suspicious_user(server), a_suspicious_user(server)
    challenge = begin(server, user)
    assert reason(reply(server, other, challenge, next_code(other), NEXT).outcome) is Reason.NO_SUCH_CHALLENGE
    assert failures(server, other) == 3


def test_an_answer_to_an_unknown_challenge_is_refused_and_not_counted(server: Instance) -> None:
    user = a_suspicious_user(server)
    for name in ("", "0" * 32, "\ud800", "x" * 5_000, str(name_of(begin(server, user)))):
        verdict = replace(begin(server, user), reply_to=Secret(name))
        assert reason(reply(server, user, verdict, next_code(user)).outcome) is Reason.NO_SUCH_CHALLENGE
    assert failures(server, user) == 3


# Changes during a challenge


def test_changes_of_a_token_end_its_challenges(any_server: Instance) -> None:
    stock = a_stocked_token(any_server)
    changes: dict[str, Callable[[User], object]] = {
        "PIN set": lambda user: set_pin(any_server, ROOT, user.serial, Secret(NEW_PIN), now=NOW),
        "PIN cleared": lambda user: clear_pin(any_server, ROOT, user.serial, now=NOW),
        "unassigned": lambda user: unassign(any_server, ROOT, user.serial, now=NOW),
        "replaced": lambda user: replace_token(any_server, ROOT, user.serial, stock.serial, now=NOW),
    }
    for name, change in changes.items():
        user = a_suspicious_user(any_server)
        challenge = begin(any_server, user)
        change(user)
        outcome = reply(any_server, user, challenge, next_code(user), NEXT).outcome
        assert outcome == Denied(Reason.NO_SUCH_CHALLENGE), name


def test_s05_a_token_that_cannot_be_used_is_asked_nothing(any_server: Instance) -> None:
    expired, disabled, lost = (a_user(any_server, with_pin=True) for _ in range(3))
    set_end(any_server, expired, token=NOW)
    set_enabled(any_server, ROOT, disabled.serial, enabled=False, now=NOW)
    set_lost(any_server, ROOT, lost.serial, lost=True, now=NOW)
    suspicious = a_suspicious_user(any_server)
    set_lost(any_server, ROOT, suspicious.serial, lost=True, now=NOW)
    for user, why in (
        (expired, Reason.TOKEN_EXPIRED),
        (disabled, Reason.TOKEN_DISABLED),
        (lost, Reason.TOKEN_LOST),
        (suspicious, Reason.TOKEN_LOST),
    ):
        assert reason(begin(any_server, user, typed=user.pin + user.totp.code(user.step(NOW))).outcome) is why
    with any_server.database.read() as connection:
        assert connection.execute(tables.sign_in_challenge.select()).all() == []


def test_disabling_a_user_ends_their_challenge(any_server: Instance) -> None:
    user = a_suspicious_user(any_server)
    challenge = begin(any_server, user)
    set_user_enabled(any_server, ROOT, user.login, enabled=False, now=NOW)
    assert reason(reply(any_server, user, challenge, next_code(user), NEXT).outcome) is Reason.ACCOUNT_DISABLED
    set_user_enabled(any_server, ROOT, user.login, enabled=True, now=NOW)
    assert reason(reply(any_server, user, challenge, next_code(user), NEXT).outcome) is Reason.NO_SUCH_CHALLENGE


# On a device


def test_on_a_device_the_key_comes_with_the_last_answer(any_server: Instance) -> None:
    user, device = a_user(any_server, with_pin=True), a_device(any_server)
    first = device.sign_in(user, NOW, Secret(user.totp.code(user.step(NOW))))
    assert first.key.check == b""
    assert first.reply_to is not None
    second = device.answer(user, first.reply_to, NEW_PIN, NOW)
    assert second.reply_to is not None
    # No program can take the challenge over.
    elsewhere = reply(any_server, user, SignInResult(second.outcome, second.reply_to), NEW_PIN)
    assert reason(elsewhere.outcome) is Reason.NO_SUCH_CHALLENGE
    done = device.answer(user, second.reply_to, NEW_PIN, NOW)
    granted(done.outcome)
    assert done.key.check
    assert {row.device_id for row in logged_events(any_server, Action.SIGN_IN_GRANTED)} == {device.device_id}


def test_an_event_token_is_made_and_presses_on(any_server: Instance) -> None:
    presser = a_presser(any_server)
    for counter in (0, 1, 5):
        granted(submit(any_server, presser.user, NOW, presser.typed(counter)))
    assert reason(submit(any_server, presser.user, NOW, presser.typed(5))) is Reason.ALREADY_USED
