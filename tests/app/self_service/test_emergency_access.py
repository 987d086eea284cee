"""S05 for emergency access that users give themselves: two factors of another kind, no chain, no role; and its end."""

import json
from collections.abc import Callable

import pytest

from sparekey.app.devices.stolen import report_stolen
from sparekey.app.emergency.online import Terms, access_of, give_fixed
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles, users
from sparekey.app.people.roles import HolderKind
from sparekey.app.self_service import emergency_access as own_emergency
from sparekey.app.self_service import own as self_service
from sparekey.app.self_service import passkeys as user_passkeys
from sparekey.app.sessions import passkeys
from sparekey.app.sessions.administrators import FRESH_SECONDS, OpenedSession, Session
from sparekey.app.sessions.passkey_sign_ins import ask_to_sign_in, open_session_with_passkey
from sparekey.app.sessions.passkeys import MayAdd
from sparekey.app.sessions.users import find_session, open_session, refresh_second_factor
from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.app.tokens import tokens
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import NotAllowed, NotFound
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.reasons import Method, Reason
from sparekey.core.sign_in.outcome import Denied, Granted
from sparekey.secret import Secret
from tests.authenticators import PLACE, Authenticator
from tests.builders import (
    CALLED_BACK,
    DAY,
    NOW,
    PIN,
    ROOT,
    User,
    a_device,
    a_token,
    a_user,
    denied,
    edit_policy,
    granted,
    logged_events,
    set_end,
    set_mail,
    submit,
)

BROWSER, ADDRESS, DAYS, LATER = Secret("cookie of a browser"), "192.0.2.7", 3, NOW + 60


@pytest.fixture
def alice(server: Instance) -> User:
    """Create Alice, whose policy lets her make codes."""
    edit_policy(server, {"own_emergency_days": str(DAYS)}, kind=PolicyKind.TOKEN)
    return a_user(server, "alice", pin=PIN)


def held(server: Instance, opened: OpenedSession, now: int) -> Session:
    session = find_session(server, opened.token, now)
    assert session is not None, opened
    return session


def a_session(server: Instance, user: User, now: int = NOW, typed: Secret[str] | None = None) -> Session:
    """Return a self-service session begun with a passcode."""
    return held(server, open_session(server, ADDRESS, user.login, typed or user.typed(now), Secret(""), now), now)


def a_passkey(server: Instance, user: User, now: int = NOW) -> Authenticator:
    """One that the user has added at self-service."""
    made, session = Authenticator(), a_session(server, user, now)
    answer = made.create(user_passkeys.ask_for_registration(server, PLACE, session, now))
    user_passkeys.add_passkey(server, PLACE, session, "phone", answer, now)
    return made


def signed_in(
    server: Instance, key: Authenticator, now: int = LATER, *, administrators_too: bool = True
) -> OpenedSession:
    """Sign in at self-service with a passkey."""
    at = user_passkeys.entrance(administrators_too=administrators_too)
    answer = key.get(ask_to_sign_in(server, PLACE, BROWSER, now, at))
    return open_session_with_passkey(server, ADDRESS, PLACE, BROWSER, answer, now, at)


def dashed(words: str) -> str:
    """Return the words with dashes, like the name of a fault."""
    return words.replace(" ", "-")


def has_codes(server: Instance, user: User, now: int = LATER) -> bool:
    return access_of(server, ROOT, user.serial, now=now) is not None


def test_a_set_of_codes_takes_the_place_of_the_token_until_it_turns_up(server: Instance, alice: User) -> None:
    set_mail(server, alice, "alice@example.org")
    key = a_passkey(server, alice)
    tokens.set_lost(server, ROOT, alice.serial, lost=True, now=NOW)
    session = held(server, signed_in(server, key), LATER)
    given = own_emergency.give(server, session, alice.serial, now=LATER)
    assert (len(given.codes), given.expires_at, given.needs_pin) == (own_emergency.CODES, LATER + DAYS * DAY, True)
    assert own_emergency.look(server, session, alice.serial, now=LATER).own
    first, second = (Secret(PIN + each.reveal()) for each in given.codes[:2])
    assert granted(submit(server, alice, LATER, first)).method is Method.ONLINE_EMERGENCY
    assert isinstance(submit(server, alice, LATER, first), Denied)
    assert isinstance(submit(server, alice, LATER, given.codes[2]), Denied)  # without the PIN
    (row,) = logged_events(server, Action.EMERGENCY_TEMPORARY)
    assert (row.actor, row.account_id, row.token_id) == (f"user:{alice.account_id}", alice.account_id, alice.token_id)
    assert json.loads(row.detail)["caller"] == "the user themself, at self-service"
    assert given.codes[0].reveal() not in json.dumps([each.detail for each in logged_events(server)])
    tokens.set_lost(server, ROOT, alice.serial, lost=False, now=LATER)
    granted(submit(server, alice, LATER + 30))
    assert not has_codes(server, alice)
    assert isinstance(submit(server, alice, LATER + 30, second), Denied)


def test_users_end_only_access_that_they_gave(server: Instance, alice: User) -> None:
    session = held(server, signed_in(server, a_passkey(server, alice)), LATER)
    with pytest.raises(NotFound):
        own_emergency.end(server, session, alice.serial, now=LATER)
    give_fixed(server, ROOT, alice.serial, Terms(), CALLED_BACK, now=LATER)
    with pytest.raises(NotFound):
        own_emergency.end(server, session, alice.serial, now=LATER)
    own_emergency.give(server, session, alice.serial, now=LATER)
    own_emergency.end(server, session, alice.serial, now=LATER)
    assert not has_codes(server, alice)


def _policy_off(server: Instance, alice: User) -> Session:
    edit_policy(server, {"own_emergency_days": "0"}, kind=PolicyKind.TOKEN)
    return held(server, signed_in(server, a_passkey(server, alice)), LATER)


def _the_token_itself(server: Instance, alice: User) -> Session:
    return a_session(server, alice, LATER)


def _one_factor(server: Instance, alice: User) -> Session:
    return a_session(server, a_token(server, "alice", alice.account_id), LATER)


def _an_emergency_code(server: Instance, alice: User) -> Session:
    other = a_token(server, "alice", alice.account_id, pin="93kd71")
    code = give_fixed(server, ROOT, other.serial, Terms(), CALLED_BACK, now=NOW).codes[0].reveal()
    return a_session(server, alice, LATER, Secret("93kd71" + code))


def _codes_of_their_own(server: Instance, alice: User) -> Session:
    other = a_token(server, "alice", alice.account_id, pin="93kd71")
    first = held(server, signed_in(server, a_passkey(server, alice)), LATER)
    code = own_emergency.give(server, first, other.serial, now=LATER).codes[0].reveal()
    return a_session(server, alice, LATER, Secret("93kd71" + code))


def _a_role(server: Instance, alice: User) -> Session:
    key = a_passkey(server, alice)
    roles.grant(server, ROOT, "help desk", HolderKind.USER, "alice", TOP_DOMAIN, now=NOW)
    return held(server, signed_in(server, key), LATER)


def _an_old_second_factor(server: Instance, alice: User) -> Session:
    return held(server, signed_in(server, a_passkey(server, alice), LATER - FRESH_SECONDS), LATER)


def _an_expired_token(server: Instance, alice: User) -> Session:
    key = a_passkey(server, alice)
    set_end(server, alice, token=LATER)
    return held(server, signed_in(server, key), LATER)


REFUSED: dict[str, tuple[Callable[[Instance, User], Session], str]] = {
    "policy off": (_policy_off, "does not allow this in self-service"),
    "the token itself": (_the_token_itself, "the token itself"),
    "one factor": (_one_factor, "without a PIN"),
    "an emergency code": (_an_emergency_code, "an emergency code"),
    "codes of their own": (_codes_of_their_own, "an emergency code"),
    "a role": (_a_role, "administrators cannot give themselves"),
    "an old second factor": (_an_old_second_factor, "older than ten minutes"),
    "an expired token": (_an_expired_token, "has expired"),
}


@pytest.mark.parametrize("how", REFUSED, ids=dashed)
def test_s05_making_codes_needs_two_other_factors(server: Instance, alice: User, how: str) -> None:
    arrange, words = REFUSED[how]
    session = arrange(server, alice)
    with pytest.raises(NotAllowed, match=words):
        own_emergency.give(server, session, alice.serial, now=LATER)
    assert not has_codes(server, alice)


def test_s05_the_latest_second_factor_counts(server: Instance, alice: User) -> None:
    """A thief with the token finds a session of a passkey open, and confirms it with the token."""
    session = held(server, signed_in(server, a_passkey(server, alice)), LATER)
    refresh_second_factor(server, ADDRESS, session, alice.typed(LATER), Secret(""), LATER)
    with pytest.raises(NotAllowed, match="the token itself"):
        own_emergency.give(server, session, alice.serial, now=LATER)


def _passkey_removed(server: Instance, *_: object) -> None:
    (only,) = passkeys.list_passkeys(server, ROOT, "alice")
    passkeys.remove_passkey(server, ROOT, "alice", only.passkey, now=LATER)


def _device_stolen(server: Instance, alice: User, _: User, key: Authenticator) -> None:
    laptop = a_device(server)
    granted(laptop.sign_in(alice, LATER).outcome)
    # the token ends the access on the laptop, so give it again
    session = held(server, signed_in(server, key), LATER)
    own_emergency.give(server, session, alice.serial, now=LATER)
    report_stolen(server, ROOT, laptop.device_id, now=LATER)


def _role_given(server: Instance, *_: object) -> None:
    roles.grant(server, ROOT, "help desk", HolderKind.USER, "alice", TOP_DOMAIN, now=LATER)


ENDS: dict[str, Callable[[Instance, User, User, Authenticator], object]] = {
    "passkey removed": _passkey_removed,
    "another token lost": lambda server, _, it, *__: tokens.set_lost(server, ROOT, it.serial, lost=True, now=LATER),
    "another token disabled": lambda server, _, it, *__: tokens.set_enabled(
        server, ROOT, it.serial, enabled=False, now=LATER
    ),
    "PIN of another token set": lambda server, _, it, *__: tokens.set_pin(
        server, ROOT, it.serial, Secret("97531bdf"), now=LATER
    ),
    "PIN of another token changed": lambda server, _, it, *__: self_service.change_pin(
        server, a_session(server, it, LATER), it.serial, Secret("97531bdf"), now=LATER
    ),
    "PIN of another token cleared": lambda server, _, it, *__: tokens.clear_pin(server, ROOT, it.serial, now=LATER),
    "another token expired": lambda server, _, it, *__: tokens.set_expiry(
        server, ROOT, it.serial, expires_at=LATER, now=LATER
    ),
    "another token unassigned": lambda server, _, it, *__: token_lifecycle.unassign(server, ROOT, it.serial, now=LATER),
    "device stolen": _device_stolen,
    "user disabled": lambda server, it, *_: users.set_enabled(server, ROOT, it.login, enabled=False, now=LATER),
    "role given": _role_given,
}


@pytest.mark.parametrize("how", ENDS, ids=dashed)
def test_s05_codes_end_with_the_factor_that_made_them(server: Instance, alice: User, how: str) -> None:
    other = a_token(server, "alice", alice.account_id, pin="93kd71")
    key = a_passkey(server, alice)
    opened = signed_in(server, key)
    given = own_emergency.give(server, held(server, opened, LATER), alice.serial, now=LATER)
    ENDS[how](server, alice, other, key)
    assert not has_codes(server, alice)
    assert isinstance(submit(server, alice, LATER, Secret(PIN + given.codes[0].reveal())), Denied)
    assert find_session(server, opened.token, LATER) is None


def test_codes_stay_when_the_token_is_lost_that_they_are_for(server: Instance, alice: User) -> None:
    session = held(server, signed_in(server, a_passkey(server, alice)), LATER)
    given = own_emergency.give(server, session, alice.serial, now=LATER)
    tokens.set_lost(server, ROOT, alice.serial, lost=True, now=LATER)
    granted(submit(server, alice, LATER, Secret(PIN + given.codes[0].reveal())))


def test_codes_of_the_help_desk_stay_when_a_passkey_is_removed(server: Instance, alice: User) -> None:
    a_passkey(server, alice)
    give_fixed(server, ROOT, alice.serial, Terms(), CALLED_BACK, now=LATER)
    _passkey_removed(server)
    assert has_codes(server, alice)


@pytest.mark.parametrize("how", ["one factor", "an emergency code"], ids=dashed)
def test_s05_neither_one_factor_nor_an_emergency_code_adds_a_passkey(server: Instance, alice: User, how: str) -> None:
    session = REFUSED[how][0](server, alice)
    with pytest.raises(NotAllowed):
        user_passkeys.ask_for_registration(server, PLACE, session, LATER)
    everybody: MayAdd = lambda *_: None  # noqa: E731 -- so that there is something to be added
    answer = Authenticator().create(passkeys.ask_for_registration(server, PLACE, session, LATER, everybody))
    with pytest.raises(NotAllowed):
        user_passkeys.add_passkey(server, PLACE, session, "phone", answer, LATER)
    assert passkeys.list_passkeys(server, ROOT, "alice") == []


def test_s05_a_new_role_holder_must_sign_in_again(any_server: Instance) -> None:
    """A session that began with one factor is not carried along."""
    user, bystander = a_user(any_server), a_user(any_server)
    before, other = a_session(any_server, user), a_session(any_server, bystander)
    opened = open_session(any_server, ADDRESS, user.login, user.typed(NOW + 30), Secret(""), NOW + 30)
    roles.grant(any_server, ROOT, "auditor", HolderKind.USER, user.login, TOP_DOMAIN, now=LATER)
    assert find_session(any_server, opened.token, LATER) is None
    with pytest.raises(NotAllowed, match="has ended"):
        user_passkeys.verify_may_add(any_server, before)
    assert (
        held(
            any_server,
            open_session(any_server, ADDRESS, bystander.login, bystander.typed(LATER), Secret(""), LATER),
            LATER,
        ).login
        == other.login
    )


def test_a_passkey_opens_the_console_only_for_role_holders(server: Instance, alice: User) -> None:
    key = a_passkey(server, alice)
    assert isinstance(signed_in(server, key, administrators_too=False).outcome, Granted)
    console = open_session_with_passkey(
        server, ADDRESS, PLACE, BROWSER, key.get(ask_to_sign_in(server, PLACE, BROWSER, LATER)), LATER
    )
    assert denied(console.outcome).reason is Reason.OUT_OF_SCOPE
    roles.grant(server, ROOT, "auditor", HolderKind.USER, "alice", TOP_DOMAIN, now=LATER)
    assert isinstance(signed_in(server, key).outcome, Granted)
    outside = signed_in(server, key, administrators_too=False)
    assert denied(outside.outcome).reason is Reason.OUT_OF_SCOPE


def test_s05_a_passkey_answer_for_self_service_opens_no_console(server: Instance, alice: User) -> None:
    key = a_passkey(server, alice)
    roles.grant(server, ROOT, "auditor", HolderKind.USER, "alice", TOP_DOMAIN, now=LATER)
    answer = key.get(ask_to_sign_in(server, PLACE, BROWSER, LATER, user_passkeys.entrance()))
    opened = open_session_with_passkey(server, ADDRESS, PLACE, BROWSER, answer, LATER)
    assert denied(opened.outcome).reason is Reason.NO_SUCH_CHALLENGE
