"""Challenges through every interface: the views of a program, a device and an administrator, and uniform refusals."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from sparekey.app.authorisation import grants_of
from sparekey.app.tokens.tokens import set_enabled, set_lost
from sparekey.core.audit_log.actions import Action
from sparekey.core.policy.lockout import InterfaceGroup
from sparekey.storage.unit_of_work import Database
from tests.builders import NOW, PIN, ROOT, User, a_device, a_user, account_row, an_instance, logged_events
from tests.challenges import NEW_PIN, edit_token_policy, make_suspicious
from tests.server.asgi import Reply
from tests.server.interfaces import Interfaces, interfaces_of, is_granted, make_administrator, run

FLOOR_MS = 150
Interface = Callable[[User, str, str], Coroutine[Any, Any, Reply]]


def interface_of(interfaces: Interfaces, name: str) -> Interface:
    """Return a function of user, text and challenge ("": none) that asks at this interface."""
    if name == "rest":
        return lambda user, text, to: interfaces.rest(user.login, text, reply_to=to)
    if name in ("session", "console"):
        ask = interfaces.session if name == "session" else interfaces.console
        return lambda user, text, to: _as_administrator(interfaces, ask, user, text, to)
    if name == "self-service":
        return lambda user, text, to: interfaces.self_service(user.login, text, reply_to=to)
    device = a_device(interfaces.instance)
    return lambda user, text, to: interfaces.sign_in(device, user.login, text, reply_to=to)


def _as_administrator(
    interfaces: Interfaces, ask: Callable[..., Coroutine[Any, Any, Reply]], user: User, text: str, to: str
) -> Coroutine[Any, Any, Reply]:
    with interfaces.instance.database.read() as connection:
        is_one = bool(grants_of(connection, user.account_id))
    if not is_one:
        make_administrator(interfaces.instance, user.login)
    return ask(user.login, text, reply_to=to)


both = pytest.mark.parametrize("name", ["rest", "agent", "session", "console", "self-service"])


def code_of(user: User, ahead: int = 0) -> str:
    return user.totp.code(user.step(NOW) + ahead)


@both
def test_a_new_pin_is_chosen_at_every_interface(any_interfaces: Interfaces, name: str) -> None:
    user, interface = a_user(any_interfaces.instance, with_pin=True), interface_of(any_interfaces, name)

    async def choose() -> list[Reply]:
        first = await interface(user, code_of(user), "")
        second = await interface(user, "1234", first.json["reply_to"])  # blocked
        third = await interface(user, NEW_PIN, second.json["reply_to"])
        return [first, second, third, await interface(user, NEW_PIN, third.json["reply_to"])]

    replies = run(choose())
    assert [reply.status for reply in replies] == [200] * 4
    assert [reply.json.get("ask") for reply in replies[:3]] == ["new-pin", "new-pin", "confirm-pin"]
    assert len({reply.json["reply_to"] for reply in replies[:3]}) == 3
    assert "letters or digits" in replies[0].json["text"]
    assert "easy to guess" in replies[1].json["text"]
    assert is_granted(replies[3])
    any_interfaces.now[0] = NOW + 30
    assert is_granted(run(interface(user, NEW_PIN + code_of(user, 1), "")))


@both
def test_the_next_tokencode_is_required_at_every_interface(any_interfaces: Interfaces, name: str) -> None:
    user, interface = a_user(any_interfaces.instance, pin=PIN), interface_of(any_interfaces, name)
    make_suspicious(any_interfaces.instance, user)
    challenge = run(interface(user, PIN + code_of(user), ""))
    assert (challenge.json["result"], challenge.json["ask"]) == ("ask", "next-tokencode")
    any_interfaces.now[0] = NOW + 30
    assert is_granted(run(interface(user, code_of(user, 1), challenge.json["reply_to"])))


@both
def test_another_interface_cannot_answer(interfaces: Interfaces, name: str) -> None:
    user = a_user(interfaces.instance, pin=PIN)
    here, there = interface_of(interfaces, name), interface_of(interfaces, "agent" if name == "rest" else "rest")
    make_suspicious(interfaces.instance, user)
    to = run(here(user, PIN + code_of(user), "")).json["reply_to"]
    interfaces.now[0] = NOW + 30
    assert run(there(user, code_of(user, 1), to)).json["result"] == "denied"
    assert is_granted(run(here(user, code_of(user, 1), to)))


def test_another_program_cannot_answer(interfaces: Interfaces) -> None:
    user = a_user(interfaces.instance, pin=PIN)
    make_suspicious(interfaces.instance, user)
    to = run(interfaces.rest(user.login, PIN + code_of(user))).json["reply_to"]
    with interfaces_of(interfaces.instance, client="other") as others:
        assert run(others.rest(user.login, code_of(user, 1), reply_to=to)).json["result"] == "denied"
    assert is_granted(run(interfaces.rest(user.login, code_of(user, 1), reply_to=to)))


@both
def test_s07_every_refused_answer_looks_and_takes_the_same(memory_database: Database, name: str) -> None:
    with interfaces_of(an_instance(memory_database), floor_ms=FLOOR_MS) as interfaces:
        edit_token_policy(interfaces.instance, {"pin_history": "0"})
        interface = interface_of(interfaces, name)
        replies = [run(interface(user, text, to)) for user, text, to in _refused(interfaces, interface).values()]
        plain = run(interface(a_user(interfaces.instance), "000000", ""))
    seen = {(reply.status, reply.headers, reply.body) for reply in [*replies, plain]}
    assert len(seen) == 1
    assert next(iter(seen))[0] == 200
    # asyncio's timers are a millisecond coarse
    assert min(reply.seconds for reply in replies) > FLOOR_MS / 1000 - 0.002
    reasons = {row.result for row in logged_events(interfaces.instance, Action.SIGN_IN_DENIED)}
    # losing or disabling the token ended its challenge
    assert {"no-such-question", "wrong-passcode", "pin-not-allowed"} <= reasons


def _refused(interfaces: Interfaces, interface: Interface) -> dict[str, tuple[User, str, str]]:
    """Return user, answer and challenge for every reason of a refusal."""
    instance = interfaces.instance

    def challenge(user: User) -> str:
        make_suspicious(instance, user)
        name: str = run(interface(user, user.pin + code_of(user), "")).json["reply_to"]
        return name

    wrong, gone, lost, disabled, other = (a_user(instance, pin=PIN) for _ in range(5))
    names = [challenge(user) for user in (wrong, gone, lost, disabled)]
    assert is_granted(run(interface(gone, code_of(gone, 1), names[1])))
    set_lost(instance, ROOT, lost.serial, lost=True, now=NOW)
    set_enabled(instance, ROOT, disabled.serial, enabled=False, now=NOW)
    return {
        "wrong": (wrong, "000000", names[0]),
        "answered before": (gone, code_of(gone, 1), names[1]),
        "lost": (lost, code_of(lost, 1), names[2]),
        "disabled": (disabled, code_of(disabled, 1), names[3]),
        "another user": (other, code_of(other), challenge(a_user(instance, pin=PIN))),
        "no such user": (replace(other, login="nobody"), code_of(other), "0" * 32),
        "no such challenge": (other, code_of(other), "no challenge"),
        "a PIN too many": (*_third_try(interfaces, interface),),
    }


def _third_try(interfaces: Interfaces, interface: Interface) -> tuple[User, str, str]:
    user = a_user(interfaces.instance, with_pin=True)
    to = run(interface(user, code_of(user), "")).json["reply_to"]
    for _ in range(2):
        to = run(interface(user, "1234", to)).json["reply_to"]
    return user, "1234", to


@both
def test_s06_wrong_answers_lock_at_the_limit(any_interfaces: Interfaces, name: str) -> None:
    user, interface = a_user(any_interfaces.instance, pin=PIN), interface_of(any_interfaces, name)
    make_suspicious(any_interfaces.instance, user)
    for _ in range(2):
        to = run(interface(user, PIN + code_of(user), "")).json["reply_to"]
        assert run(interface(user, "000000", to)).json["result"] == "denied"
    group = InterfaceGroup.ADMINISTRATORS if name in ("session", "console") else InterfaceGroup.ELSEWHERE
    assert account_row(any_interfaces.instance, user.login).count_at(group).locked_at == NOW
    assert run(interface(user, PIN + code_of(user, 1), "")).json["result"] == "denied"
