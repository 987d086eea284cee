"""Online emergency access at the interfaces: a success names its method, a refusal nothing (S07)."""

from collections.abc import Iterator

import pytest

from sparekey.app.emergency.online import Terms, end, give_fixed, give_one_time
from sparekey.app.tokens.tokens import set_enabled
from sparekey.storage.unit_of_work import Database
from tests.builders import CALLED_BACK, DAY, NOW, PIN, ROOT, User, a_device, a_user, an_instance
from tests.server.interfaces import Interfaces, interfaces_of, is_granted, run

ANOTHER = "ABCDEFGH"


@pytest.fixture
def interfaces(memory_database: Database) -> Iterator[Interfaces]:
    with interfaces_of(an_instance(memory_database)) as interfaces:
        yield interfaces


def a_fixed_code(interfaces: Interfaces, user: User, days: int = 7) -> str:
    return give_fixed(interfaces.instance, ROOT, user.serial, Terms(days), CALLED_BACK, now=NOW).codes[0].reveal()


def test_a_code_is_accepted_at_both_interfaces_and_the_answer_names_the_method(interfaces: Interfaces) -> None:
    user, device = a_user(interfaces.instance, pin=PIN), a_device(interfaces.instance)
    typed = PIN + a_fixed_code(interfaces, user).lower()
    for reply in (run(interfaces.rest(user.login, typed)), run(interfaces.sign_in(device, user.login, typed))):
        assert is_granted(reply)
        assert reply.json["method"] == "online-emergency"


def refused_cases(interfaces: Interfaces) -> dict[str, tuple[str, str]]:
    """Return login and passcode that are right except for the reason."""
    instance = interfaces.instance
    users = {
        name: a_user(instance, pin=PIN)
        for name in ("wrong", "wrong PIN", "token", "used", "over", "ended by an operator", "disabled")
    }
    codes = {name: a_fixed_code(interfaces, user, 1 if name == "over" else 7) for name, user in users.items()}
    codes["used"] = (
        give_one_time(instance, ROOT, users["used"].serial, 1, Terms(), CALLED_BACK, now=NOW).codes[0].reveal()
    )
    assert is_granted(run(interfaces.rest(users["used"].login, PIN + codes["used"])))
    end(instance, ROOT, users["ended by an operator"].serial, now=NOW)
    set_enabled(instance, ROOT, users["disabled"].serial, enabled=False, now=NOW)
    typed = {name: PIN + code for name, code in codes.items()}
    typed |= {
        "wrong": PIN + ANOTHER,
        "wrong PIN": PIN[::-1] + codes["wrong PIN"],
        "token": users["token"].typed(NOW + DAY).reveal(),
    }
    return {name: (user.login, typed[name]) for name, user in users.items()}


def test_s07_no_answer_reveals_why_a_code_is_refused(interfaces: Interfaces) -> None:
    device = a_device(interfaces.instance)
    cases = refused_cases(interfaces)
    interfaces.now[0] = NOW + DAY
    for ask in (interfaces.rest, lambda login, typed: interfaces.sign_in(device, login, typed)):
        for name, (login, typed) in cases.items():
            reply, to_nobody = run(ask(login, typed)), run(ask("nobody", typed))
            assert reply.json["result"] == "denied", name
            assert (reply.status, reply.headers, reply.body) == (to_nobody.status, to_nobody.headers, to_nobody.body), (
                name
            )


def test_s07_misread_groups_do_not_reveal_emergency_access(interfaces: Interfaces) -> None:
    short = "4711"
    users = [a_user(interfaces.instance, pin=PIN) for _ in range(2)]
    a_fixed_code(interfaces, users[0])
    typed = short + "ABCDEFGHJK"  # six characters before the last eight: they could be a PIN
    replies = [run(interfaces.rest(login, typed)) for login in ("nobody", *(user.login for user in users))]
    assert len({(reply.status, reply.headers, reply.body) for reply in replies}) == 1
    assert replies[0].json["misread"] == [1, 2]
