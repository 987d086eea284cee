"""A slow request is decided by the state at the end of its body: a key revoked meanwhile, and the current time.

S28 covers the device: the server refuses a revoked key at once, also over connections that were open before.
"""

import json
from collections.abc import Callable, Mapping

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparekey.app.devices.devices import revoke
from sparekey.app.sessions.clients import revoke_client
from sparekey.wire import agent_api as api
from sparekey.wire.messages import encode
from tests.builders import NOW, ROOT, a_device, a_user, token_row
from tests.server.asgi import Reply, ask
from tests.server.interfaces import Interfaces, headers_of, is_granted, run

LATER = 120  # seconds: no code of before is right any more, and a signature still is


def slowly(app: ASGIApp, meanwhile: Callable[[], None]) -> ASGIApp:
    """Return the application for a client that sends the body only after `meanwhile`."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        async def late() -> Message:
            meanwhile()
            return await receive()

        await app(scope, late, send)

    return asked


def ask_slowly(
    interfaces: Interfaces, path: str, body: bytes, headers: Mapping[str, str], meanwhile: Callable[[], None]
) -> Reply:
    return run(ask(slowly(interfaces.app, meanwhile), "POST", path, body, headers))


def by_key(interfaces: Interfaces) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {interfaces.key.reveal()}"}


def sign_in_body(user: str, passcode: str) -> bytes:
    return json.dumps({"user": user, "passcode": passcode}).encode()


@pytest.mark.parametrize("known", [False, True])
def test_a_client_that_was_revoked_while_it_sent_asks_nothing(interfaces: Interfaces, *, known: bool) -> None:
    alice = a_user(interfaces.instance)
    if known:
        run(interfaces.rest(alice.login, "no passcode"))

    def revoked() -> None:
        interfaces.now[0] += LATER
        revoke_client(interfaces.instance, ROOT, "web", now=interfaces.now[0])

    typed = alice.typed(NOW + LATER).reveal()
    reply = ask_slowly(interfaces, "/v1/sign-ins", sign_in_body(alice.login, typed), by_key(interfaces), revoked)
    assert reply.status == 401
    assert token_row(interfaces.instance, alice.serial).last_step == 0


def test_a_program_that_sends_slowly_does_not_stop_the_clock(interfaces: Interfaces) -> None:
    alice = a_user(interfaces.instance)

    def later() -> None:
        interfaces.now[0] = NOW + LATER

    body = sign_in_body(alice.login, alice.typed(NOW).reveal())
    assert not is_granted(ask_slowly(interfaces, "/v1/sign-ins", body, by_key(interfaces), later))


def test_s28_a_device_revoked_during_its_request_learns_so(interfaces: Interfaces) -> None:
    device = a_device(interfaces.instance)
    body = encode(api.SyncRequest(held=[], checkpoint="", hardware_bound=False))

    def revoked() -> None:
        interfaces.now[0] += 1
        revoke(interfaces.instance, ROOT, device.device_id, now=interfaces.now[0])

    reply = ask_slowly(interfaces, api.SYNC, body, headers_of(device, api.SYNC, body, NOW), revoked)
    assert (reply.status, reply.error) == (403, "revoked")


def test_a_device_that_sends_slowly_does_not_stop_the_clock(interfaces: Interfaces) -> None:
    alice, device = a_user(interfaces.instance), a_device(interfaces.instance)
    body = encode(api.SignInRequest(login=alice.login, passcode=alice.typed(NOW).reveal(), check=""))

    def later() -> None:
        interfaces.now[0] = NOW + LATER

    assert not is_granted(
        ask_slowly(interfaces, api.SIGN_INS, body, headers_of(device, api.SIGN_INS, body, NOW), later)
    )

    def much_later() -> None:
        interfaces.now[0] += 301

    reply = ask_slowly(interfaces, api.SIGN_INS, body, headers_of(device, api.SIGN_INS, body, NOW), much_later)
    assert (reply.status, reply.error) == (401, "stale-time")
