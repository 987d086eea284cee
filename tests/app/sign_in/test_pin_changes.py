"""S05: a PIN that was set with one factor is no second factor until its user has had a day's notice."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from sparekey.app.emergency.online import Terms, give_fixed
from sparekey.app.instance import Instance
from sparekey.app.self_service import emergency_access as own_emergency
from sparekey.app.self_service import own as self_service
from sparekey.app.self_service import passkeys as user_passkeys
from sparekey.app.sessions import passkeys
from sparekey.app.sessions.administrators import Session
from sparekey.app.sessions.passkeys import MayAdd
from sparekey.app.sessions.users import has_two_factors, open_session, refresh_second_factor
from sparekey.app.sign_in.pin_changes import ONE_FACTOR_SECONDS
from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.app.tokens import tokens
from sparekey.core.emergency.online import IfAvailable
from sparekey.core.errors import NotAllowed
from sparekey.core.policy.kinds import PolicyKind
from sparekey.secret import Secret
from sparekey.storage.tokens import tokens as stored
from tests.app.self_service.test_emergency_access import (
    ADDRESS,
    LATER,
    a_passkey,
    a_session,
    dashed,
    has_codes,
    held,
    signed_in,
)
from tests.authenticators import PLACE, Authenticator
from tests.builders import CALLED_BACK, NOW, PIN, ROOT, User, a_token, a_user, edit_policy
from tests.challenges import NEW_PIN, name_of


@pytest.fixture
def app(server: Instance) -> User:
    """The authenticator app of alice, which is used without a PIN; policy lets her make codes."""
    edit_policy(server, {"own_emergency_days": "3"}, kind=PolicyKind.TOKEN)
    return a_user(server, "alice")


@pytest.fixture
def fob(server: Instance, app: User) -> User:
    """Create her other token, whose PIN she knows."""
    return a_token(server, "alice", app.account_id, pin=PIN)


def answers(server: Instance, fob: User, typed: Secret[str], *, pin: str = NEW_PIN, now: int = LATER) -> Session:
    """Return the session of a user who types this, is asked for a new PIN and chooses this one."""
    opened = open_session(server, ADDRESS, fob.login, typed, Secret(""), now)
    for _ in range(2):
        opened = open_session(server, ADDRESS, fob.login, Secret(pin), name_of(opened), now)
    return held(server, opened, now)


def in_possession(server: Instance, fob: User) -> Session:
    """Return a session of a user who types the code of a token whose PIN is not set yet."""
    return answers(server, fob, Secret(fob.totp.code(fob.step(LATER))))


def with_new_pin(server: Instance, fob: User, now: int = LATER) -> Session:
    return a_session(server, replace(fob, pin=NEW_PIN), now)


def set_in(server: Instance, session: Session, fob: User) -> None:
    self_service.change_pin(server, session, fob.serial, Secret(NEW_PIN), now=LATER)


def may_add(server: Instance, session: Session) -> bool:
    with server.database.read() as connection:
        return has_two_factors(connection, session)


def _by_one_factor(server: Instance, app: User, fob: User) -> Session:
    set_in(server, a_session(server, app, LATER), fob)
    return with_new_pin(server, fob)


def _set_after_an_emergency_code(server: Instance, _: User, fob: User) -> Session:
    code = (
        give_fixed(server, ROOT, fob.serial, Terms(if_available=IfAvailable.END), CALLED_BACK, now=NOW)
        .codes[0]
        .reveal()
    )
    set_in(server, a_session(server, fob, LATER, Secret(PIN + code)), fob)
    return with_new_pin(server, fob)


def _after_it_was_cleared(server: Instance, _: User, fob: User) -> Session:
    tokens.clear_pin(server, ROOT, fob.serial, now=NOW)
    return in_possession(server, fob)


def _in_the_post(server: Instance, app: User, _: User) -> Session:
    return in_possession(server, a_token(server, "alice", app.account_id, with_pin=True))


def _shown_once_more(server: Instance, app: User, fob: User) -> Session:
    session = _after_it_was_cleared(server, app, fob)
    typed = replace(fob, pin=NEW_PIN).typed(LATER + 30)
    refresh_second_factor(server, ADDRESS, session, typed, Secret(""), LATER + 30)
    return session


def _set_once_more_by_itself(server: Instance, app: User, fob: User) -> Session:
    session = _after_it_was_cleared(server, app, fob)
    self_service.change_pin(server, session, fob.serial, Secret("50817263"), now=LATER)
    return a_session(server, replace(fob, pin="50817263"), LATER + 30)


def _changed_by_its_owner(server: Instance, app: User, fob: User) -> Session:
    """Change the PIN as its owner: the PIN typed before the challenge proves one factor."""
    set_in(server, a_session(server, app, LATER), fob)
    with server.database.write() as connection:
        stored.update_token(connection, fob.token_id, pin_must_change=True)
    return answers(server, fob, replace(fob, pin=NEW_PIN).typed(LATER), pin="50817263")


def _carried_to_another_token(server: Instance, app: User, fob: User) -> Session:
    set_in(server, a_session(server, app, LATER), fob)
    other = a_token(server, "alice", app.account_id, pin=PIN)
    token_lifecycle.unassign(server, ROOT, other.serial, now=LATER)
    token_lifecycle.replace(server, ROOT, fob.serial, other.serial, now=LATER)
    return with_new_pin(server, other)


REFUSED: dict[str, Callable[[Instance, User, User], Session]] = {
    "set by one factor": _by_one_factor,
    "set after an emergency code": _set_after_an_emergency_code,
    "chosen after it was cleared": _after_it_was_cleared,
    "chosen for a token in the post": _in_the_post,
    "shown once more": _shown_once_more,
    "set once more by itself": _set_once_more_by_itself,
    "changed by its owner": _changed_by_its_owner,
    "carried to another token": _carried_to_another_token,
}


@pytest.mark.parametrize("how", REFUSED, ids=dashed)
def test_s05_a_pin_that_one_factor_set_is_no_second_one(server: Instance, app: User, fob: User, how: str) -> None:
    """An attacker with both tokens has nothing else."""
    session = REFUSED[how](server, app, fob)
    with pytest.raises(NotAllowed, match="PIN of this token is too new"):
        user_passkeys.ask_for_registration(server, PLACE, session, LATER)
    with pytest.raises(NotAllowed, match="PIN of this token is too new"):
        own_emergency.give(server, session, app.serial, now=LATER + 30)
    assert not has_codes(server, app)


def test_s05_a_passkey_that_was_asked_for_before_is_not_added_either(server: Instance, app: User, fob: User) -> None:
    session = _by_one_factor(server, app, fob)
    everybody: MayAdd = lambda *_: None  # noqa: E731 -- so that there is something to be added
    answer = Authenticator().create(passkeys.ask_for_registration(server, PLACE, session, LATER, everybody))
    with pytest.raises(NotAllowed, match="PIN of this token is too new"):
        user_passkeys.add_passkey(server, PLACE, session, "phone", answer, LATER)
    assert passkeys.list_passkeys(server, ROOT, "alice") == []


@pytest.mark.parametrize("how", ["set by one factor", "chosen after it was cleared"], ids=dashed)
def test_a_day_later_the_pin_counts_but_not_in_a_session_from_before(
    server: Instance, app: User, fob: User, how: str
) -> None:
    """The server mailed its user about the PIN a day ago."""
    REFUSED[how](server, app, fob)
    before = with_new_pin(server, fob, LATER + ONE_FACTOR_SECONDS - 30)
    after = with_new_pin(server, fob, LATER + ONE_FACTOR_SECONDS)
    assert (may_add(server, before), may_add(server, after)) == (False, True)


def _by_two_factors(server: Instance, _: User, fob: User) -> Session:
    session = a_session(server, fob, LATER)
    set_in(server, session, fob)
    return session


def _by_a_passkey(server: Instance, app: User, fob: User) -> Session:
    key = a_passkey(server, fob)
    set_in(server, held(server, signed_in(server, key), LATER), fob)
    return with_new_pin(server, fob)


def _by_the_help_desk(server: Instance, app: User, fob: User) -> Session:
    _by_one_factor(server, app, fob)
    tokens.set_pin(server, ROOT, fob.serial, Secret("50817263"), now=LATER)
    return a_session(server, replace(fob, pin="50817263"), LATER + 30)


def _changed_by_a_user_who_knew_it(server: Instance, _: User, fob: User) -> Session:
    tokens.set_pin(server, ROOT, fob.serial, Secret("50817263"), must_change=True, now=NOW)
    return answers(server, fob, replace(fob, pin="50817263").typed(LATER))


COUNTS: dict[str, Callable[[Instance, User, User], Session]] = {
    "set by two factors": _by_two_factors,
    "set by a passkey": _by_a_passkey,
    "set by the help desk": _by_the_help_desk,
    "changed by a user who knew it": _changed_by_a_user_who_knew_it,
}


@pytest.mark.parametrize("how", COUNTS, ids=dashed)
def test_a_pin_that_was_set_by_more_than_one_factor_counts_at_once(
    server: Instance, app: User, fob: User, how: str
) -> None:
    user_passkeys.verify_may_add(server, COUNTS[how](server, app, fob))
