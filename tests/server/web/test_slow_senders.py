"""A slow form is decided by the state at its end: codes, answers, sessions and links age meanwhile, and locks hold."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Message

from sparekey.app.people import admin_links
from sparekey.app.people.users import list_users
from sparekey.app.self_service import passkeys as user_passkeys
from sparekey.app.sessions.passkey_sign_ins import ask_to_sign_in, open_session_with_passkey
from sparekey.core.audit_log.actions import Action
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.sign_in.outcome import Denied, Granted
from sparekey.core.sign_in.passkeys import LIFETIME
from sparekey.server.bodies import read_body
from sparekey.server.errors import RequestRejected
from sparekey.server.web import cookies
from tests.app.self_service.test_emergency_access import a_session
from tests.authenticators import PLACE, Authenticator
from tests.builders import NOW, PIN, ROOT, User, a_user, edit_policy, logged_events
from tests.server.interfaces import BROWSER, Interfaces, make_administrator, run
from tests.server.self_service_visitor import HOME, Visitor, said, signed_in
from tests.server.test_bodies import slowly

HOUR, ADDRESS = 3_600, "192.0.2.9"


def held_back(interfaces: Interfaces, seconds: int, meanwhile: Callable[[], object] = lambda: None) -> Interfaces:
    """Return the same interfaces for a client whose form arrives `seconds` after the head of the request."""

    def later() -> None:
        interfaces.now[0] += seconds
        meanwhile()

    return replace(
        interfaces, app=cast("Starlette", slowly(interfaces.app, later))
    )  # all that is asked of it is answers


def a_synchronised_passkey(interfaces: Interfaces, user: User) -> Authenticator:
    """One that does not count its uses."""
    made, session = Authenticator(counts=False), a_session(interfaces.instance, user)
    answer = made.create(user_passkeys.ask_for_registration(interfaces.instance, PLACE, session, NOW))
    user_passkeys.add_passkey(interfaces.instance, PLACE, session, "phone", answer, NOW)
    return made


@pytest.mark.parametrize("interface", ["console", "self-service"])
def test_s04_a_form_that_is_held_back_keeps_no_code_good(interfaces: Interfaces, interface: str) -> None:
    alice = a_user(interfaces.instance, pin=PIN)
    make_administrator(interfaces.instance, alice.login)
    slow, typed = held_back(interfaces, HOUR), alice.typed(NOW).reveal()
    asked = slow.console(alice.login, typed) if interface == "console" else slow.self_service(alice.login, typed)
    assert run(asked).json["result"] == "denied"


def test_s01_no_answer_to_a_passkey_is_good_again(interfaces: Interfaces) -> None:
    """The passkey is synchronised and does not count its uses; the row of its use expires meanwhile."""
    keys = [
        a_synchronised_passkey(interfaces, a_user(interfaces.instance, login, pin=PIN))
        for login in ("alice", "mallory")
    ]
    at = user_passkeys.entrance()

    def signed(number: int, now: int) -> str:
        return keys[number].get(ask_to_sign_in(interfaces.instance, PLACE, BROWSER, now, at))

    def signs_in(answer: str, now: int) -> Granted | Denied:
        opened = open_session_with_passkey(interfaces.instance, ADDRESS, PLACE, BROWSER, answer, now, at)
        assert isinstance(opened.outcome, Granted | Denied)
        return opened.outcome

    answer, over = signed(0, NOW), NOW + LIFETIME
    assert isinstance(signs_in(answer, NOW), Granted)
    assert isinstance(signs_in(signed(1, over), over), Granted)
    assert isinstance(signs_in(answer, over - 1), Denied)  # another server, whose clock is behind
    slow = held_back(interfaces, 2 * LIFETIME, lambda: signs_in(signed(1, NOW + 2 * LIFETIME), NOW + 2 * LIFETIME))
    assert run(slow.self_service_passkey(answer)).json["result"] == "denied"


def test_s61_a_session_that_ended_meanwhile_does_nothing(interfaces: Interfaces) -> None:
    alice = a_user(interfaces.instance, pin=PIN)
    visitor, before = signed_in(interfaces, alice), logged_events(interfaces.instance, Action.TOKEN_PIN_SET)
    slow = Visitor(held_back(interfaces, 48 * HOUR), visitor.token)
    reply = slow.post(f"{HOME}/tokens/{alice.serial}/pin", {"new": "86429753", "again": "86429753"})
    assert said(reply) != HOME
    assert logged_events(interfaces.instance, Action.TOKEN_PIN_SET) == before


def test_s61_an_expired_link_makes_no_administrator(interfaces: Interfaces) -> None:
    link = admin_links.make_link(interfaces.instance, ROOT, now=NOW)
    slow = Visitor(held_back(interfaces, 72 * HOUR), BROWSER, cookies.BROWSER)
    form = {"code": link.code.reveal(), "user": "mallory", "pin": "72940185", "pin-again": "72940185"}
    slow.post("/console/welcome/token", form)
    assert list_users(interfaces.instance, ROOT) == []


def test_s06_a_lock_holds_for_guesses_that_were_held_back(interfaces: Interfaces) -> None:
    edit_policy(interfaces.instance, {"unlock_after_minutes": "15"}, kind=PolicyKind.LOCKOUT)
    alice = a_user(interfaces.instance, pin=PIN)
    later = NOW + 16 * 60
    for _ in range(6):
        interfaces.now[0] = later
        run(interfaces.self_service(alice.login, alice.wrong(later).reveal()))
        for _ in range(4):
            interfaces.now[0] = NOW  # its connection was opened a quarter of an hour ago
            run(held_back(interfaces, later - NOW).self_service(alice.login, alice.wrong(later).reveal()))
    interfaces.now[0] = later
    assert run(interfaces.self_service(alice.login, alice.typed(later).reveal())).json["result"] == "denied"


def test_s08_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    request = Request({"type": "http", "method": "POST", "headers": [(b"content-length", b"5")]}, never)
    with pytest.raises(RequestRejected) as refused:
        asyncio.run(asyncio.wait_for(read_body(request, 10, patience=0.01), 30))
    assert refused.value.status == 408
