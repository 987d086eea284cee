"""S28: an action begun in a session is not completed once a report of a stolen device has ended the session."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sparekey.app.devices.stolen import report_stolen
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.app.self_service import emergency_access as own_emergency
from sparekey.app.self_service import own as self_service
from sparekey.app.self_service import passkeys as user_passkeys
from sparekey.app.sessions import passkeys
from sparekey.app.sessions.administrators import Session
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import NotAllowed
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.reasons import ChallengeKind
from sparekey.core.sign_in.outcome import Asked
from sparekey.secret import Secret
from sparekey.storage.sessions import sessions as admin_sessions
from tests.app.administrators import actor_again
from tests.app.self_service import test_emergency_access as at_self_service
from tests.app.sessions import test_passkeys as at_the_console
from tests.app.test_changes_at_once import at_once
from tests.authenticators import PLACE, Authenticator
from tests.builders import (
    NOW,
    PIN,
    ROOT,
    Device,
    User,
    a_device,
    a_token,
    a_user,
    edit_policy,
    granted,
    logged_events,
    submit,
    token_row,
)

LATER = NOW + 60
NEW_PIN = "86429753"
ROUNDS = 3


@dataclass
class Victim:
    """A user with two tokens, the laptop with which they signed in, and a self-service session that the laptop's thief
    uses. The session began with the other token."""

    server: Instance
    user: User
    other: User
    laptop: Device
    session: Session

    def report(self) -> None:
        report_stolen(self.server, ROOT, self.laptop.device_id, now=LATER)

    def codes_of(self, user: User, step: int) -> tuple[Secret[str], Secret[str]]:
        return Secret(user.totp.code(step)), Secret(user.totp.code(step + 1))


def a_victim(server: Instance) -> Victim:
    user = a_user(server, pin=PIN)
    other = a_token(server, user.login, user.account_id, pin="93kd71")
    laptop = a_device(server)
    granted(laptop.sign_in(user, NOW).outcome)
    return Victim(server, user, other, laptop, at_self_service.a_session(server, other, LATER))


class Meanwhile(Secret[str]):
    """Typed text with an action that happens after it is sent and before it is checked."""

    __slots__ = ("_happens",)

    def __init__(self, value: str, happens: Callable[[], None]) -> None:
        super().__init__(value)
        self._happens: list[Callable[[], None]] = [happens]

    def reveal(self) -> str:
        while self._happens:
            self._happens.pop()()
        return super().reveal()


@pytest.fixture
def victim(server: Instance) -> Victim:
    """Create a victim whose policy lets users make codes."""
    edit_policy(server, {"own_emergency_days": "3"}, kind=PolicyKind.TOKEN)
    return a_victim(server)


def test_s28_no_passkey_is_added_in_a_session_that_the_report_has_ended(victim: Victim) -> None:
    server, session = victim.server, victim.session
    answer = Authenticator().create(user_passkeys.ask_for_registration(server, PLACE, session, LATER))
    victim.report()
    with pytest.raises(NotAllowed, match="has ended"):
        user_passkeys.add_passkey(server, PLACE, session, "thief", answer, LATER)
    assert passkeys.list_passkeys(server, ROOT, victim.user.login) == []


def test_s28_no_passkey_is_added_at_the_console_in_a_session_that_the_report_has_ended(server: Instance) -> None:
    chief = a_user(server, pin=PIN)
    roles.grant(server, ROOT, "auditor", HolderKind.USER, chief.login, TOP_DOMAIN, now=NOW)
    laptop = a_device(server)
    granted(laptop.sign_in(chief, NOW).outcome)
    session = at_the_console.a_session(server, chief, LATER)
    answer = Authenticator().create(passkeys.ask_for_registration(server, PLACE, session, LATER))
    report_stolen(server, ROOT, laptop.device_id, now=LATER)
    with pytest.raises(NotAllowed, match="has ended"):
        passkeys.add_passkey(server, PLACE, session, "thief", answer, LATER)
    assert passkeys.list_passkeys(server, ROOT, chief.login) == []
    assert actor_again(server, chief).grants  # it did not fail because of a missing role


def test_s28_a_pin_change_in_progress_does_not_undo_the_report(victim: Victim) -> None:
    """It is hashed before the transaction, which takes a while."""
    pin = Meanwhile(NEW_PIN, victim.report)
    with pytest.raises(NotAllowed, match="has ended"):
        self_service.change_pin(victim.server, victim.session, victim.user.serial, pin, now=LATER)
    assert token_row(victim.server, victim.user.serial).pin_must_change
    asked = submit(victim.server, victim.user, LATER + 30)
    assert isinstance(asked, Asked)
    assert asked.ask is ChallengeKind.NEW_PIN


def test_s28_a_token_is_not_set_right_in_a_session_that_the_report_has_ended(victim: Victim) -> None:
    before = token_row(victim.server, victim.user.serial).last_step
    first, second = victim.codes_of(victim.user, LATER // 30 + 40)
    with pytest.raises(NotAllowed, match="has ended"):
        self_service.resynchronise(
            victim.server,
            victim.session,
            victim.user.serial,
            Meanwhile(first.reveal(), victim.report),
            second,
            now=LATER,
        )
    assert token_row(victim.server, victim.user.serial).last_step == before
    assert logged_events(victim.server, Action.TOKEN_RESYNCED) == []


EFFECTS: dict[str, Callable[[Victim], object]] = {
    "codes": lambda it: own_emergency.give(it.server, it.session, it.user.serial, now=LATER),
    "no codes": lambda it: own_emergency.end(it.server, it.session, it.user.serial, now=LATER),
    "PIN": lambda it: self_service.change_pin(it.server, it.session, it.user.serial, Secret(NEW_PIN), now=LATER),
    "lost": lambda it: self_service.report_lost(it.server, it.session, it.user.serial, now=LATER),
    "stolen": lambda it: self_service.report_stolen(it.server, it.session, it.laptop.device_id, now=LATER),
}


@pytest.mark.parametrize("what", EFFECTS, ids=at_self_service.dashed)
def test_s28_nothing_is_done_in_a_session_that_has_ended(victim: Victim, what: str) -> None:
    with victim.server.database.write() as connection:
        admin_sessions.delete_of_account(connection, victim.user.account_id)
    before = logged_events(victim.server)
    with pytest.raises(NotAllowed, match="has ended"):
        EFFECTS[what](victim)
    assert logged_events(victim.server) == before


def _everything_at_once(it: Victim) -> None:
    asked = user_passkeys.ask_for_registration(it.server, PLACE, it.session, LATER)
    answer = Authenticator().create(asked)
    at_once(
        it.report,
        lambda: user_passkeys.add_passkey(it.server, PLACE, it.session, "thief", answer, LATER),
        lambda: EFFECTS["PIN"](it),
        lambda: EFFECTS["codes"](it),
    )


def test_s28_of_simultaneous_changes_the_report_wins(any_server: Instance) -> None:
    """On both databases: whatever comes first."""
    edit_policy(any_server, {"own_emergency_days": "3"}, kind=PolicyKind.TOKEN)
    for _ in range(ROUNDS):
        it = a_victim(any_server)
        _everything_at_once(it)
        assert passkeys.list_passkeys(any_server, ROOT, it.user.login) == []
        assert token_row(any_server, it.user.serial).pin_must_change
        assert not at_self_service.has_codes(any_server, it.user)
