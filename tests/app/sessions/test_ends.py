"""Removing a token or PIN ends the sessions that it may have begun."""

from collections.abc import Callable

import pytest

from sparekey.app.devices.stolen import report_stolen
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.app.sessions.administrators import find_session, open_session
from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.app.tokens import tokens
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.core.sign_in.outcome import Granted
from sparekey.secret import Secret
from tests.app.administrators import an_administrator
from tests.builders import NOW, PIN, ROOT, User, a_device, a_user, granted

Ends = Callable[[Instance, User], object]
LATER = NOW + 60

ENDS: dict[str, Ends] = {
    "PIN set": lambda server, it: tokens.set_pin(server, ROOT, it.serial, Secret("97531bdf"), now=LATER),
    "PIN cleared": lambda server, it: tokens.clear_pin(server, ROOT, it.serial, now=LATER),
    "expired": lambda server, it: tokens.set_expiry(server, ROOT, it.serial, expires_at=LATER, now=LATER),
    "lost": lambda server, it: tokens.set_lost(server, ROOT, it.serial, lost=True, now=LATER),
    "disabled": lambda server, it: tokens.set_enabled(server, ROOT, it.serial, enabled=False, now=LATER),
    "unassigned": lambda server, it: token_lifecycle.unassign(server, ROOT, it.serial, now=LATER),
    "removed": lambda server, it: token_lifecycle.remove(server, ROOT, it.serial, assigned_too=True, now=LATER),
}


def a_session(server: Instance, user: User, now: int = NOW) -> Secret[str]:
    opened = open_session(server, "192.0.2.7", user.login, user.typed(now), Secret(""), now)
    assert isinstance(opened.outcome, Granted)
    assert find_session(server, opened.token, now) is not None
    return opened.token


@pytest.mark.parametrize("how", ENDS)
def test_a_session_ends_with_the_token_that_began_it(any_server: Instance, how: str) -> None:
    chief = a_user(any_server, pin=PIN)
    roles.grant(any_server, ROOT, "auditor", HolderKind.USER, chief.login, TOP_DOMAIN, now=NOW)
    other, _ = an_administrator(any_server, (SUPER_ADMINISTRATOR, TOP_DOMAIN))
    taken, kept = a_session(any_server, chief), a_session(any_server, other)
    ENDS[how](any_server, chief)
    assert find_session(any_server, taken, LATER) is None
    assert find_session(any_server, kept, LATER) is not None


def test_s28_sessions_that_a_stolen_laptop_may_keep_end(any_server: Instance) -> None:
    chief, _ = an_administrator(any_server, (SUPER_ADMINISTRATOR, TOP_DOMAIN))
    an_administrator(any_server, (SUPER_ADMINISTRATOR, TOP_DOMAIN))
    laptop = a_device(any_server)
    granted(laptop.sign_in(chief, NOW).outcome)
    kept_there = a_session(any_server, chief, NOW + 30)
    report_stolen(any_server, ROOT, laptop.device_id, now=LATER)
    assert find_session(any_server, kept_there, LATER) is None
