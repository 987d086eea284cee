"""S03 through the interfaces: a code that was used is not accepted again in any other spelling."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.builders import NOW, PIN, a_user
from tests.server.asgi import Reply
from tests.server.interfaces import Interfaces, at_devices, is_granted, make_administrator, run

FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def spellings(code: str) -> list[str]:
    """The code as it must not be taken again, and codes of the wrong length."""
    return [
        code,
        f" {code}",
        f"{code}\n",
        f"{code}\r\n",
        f"{code}\x00",
        f"\u00a0{code}",
        f"{code[:3]} {code[3:]}",
        code.translate(FULL_WIDTH),
        code.translate(ARABIC),
        f"+{code}",
        f"-{code}",
        code[1:],
        code[:-1],
        f"0{code}",
        f"{code}0",
    ]


async def at_once(*asked: Coroutine[Any, Any, Reply]) -> list[Reply]:
    """Each waits for the floor."""
    return await asyncio.gather(*asked)


def test_s03_a_used_code_is_not_accepted_in_another_form(interfaces: Interfaces) -> None:
    sign_in = at_devices(interfaces, 20)
    for pin in ("", PIN):
        # a token without a PIN works at no administrators' interface, nor for them at self-service
        for interface in ("device", "rest", "self-service", *(("session", "console") if pin else ())):
            user = a_user(interfaces.instance, pin=pin)
            if pin:
                make_administrator(interfaces.instance, user.login)
            code = user.totp.code(user.step(NOW))
            ways: dict[str, Callable[..., Coroutine[Any, Any, Reply]]] = {
                "device": sign_in,
                "rest": interfaces.rest,
                "session": interfaces.session,
                "console": interfaces.console,
                "self-service": interfaces.self_service,
            }
            assert is_granted(run(ways[interface](user.login, pin + code)))
            for spelling in spellings(code):
                for typed in (pin + spelling, f" {pin}{spelling}"):
                    replies = run(at_once(*(way(user.login, typed) for way in ways.values())))
                    assert not any(map(is_granted, replies)), ascii(typed)


def test_s03_a_code_in_another_form_is_not_accepted_at_first_either(interfaces: Interfaces) -> None:
    user = a_user(interfaces.instance)
    code = user.totp.code(user.step(NOW))
    outer = {code, f" {code}", f"{code}\n", f"{code}\r\n"}
    for spelling in spellings(code):
        if spelling not in outer:
            assert not is_granted(run(interfaces.rest(user.login, spelling))), ascii(spelling)
    assert is_granted(run(interfaces.rest(user.login, f" {code}\n")))
