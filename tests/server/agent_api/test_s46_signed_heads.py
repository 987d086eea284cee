"""S46: the head of a device's request is verified first. Without the key of the device, no byte of a body is read."""

import json
from collections.abc import Mapping

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparekey.app.devices.devices import revoke
from sparekey.wire import agent_api as api
from sparekey.wire import signing
from sparekey.wire.messages import encode
from tests.builders import NOW, ROOT, a_device
from tests.server.asgi import Reply, ask
from tests.server.interfaces import Interfaces, headers_of, run

BODY = encode(api.SyncRequest(held=[], checkpoint="", hardware_bound=False))


class Body:
    """The body of a request, which counts how often the server asks for a part of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted() -> Message:
            self.asked += 1
            return await receive()

        await self._app(scope, counted, send)


def ask_counted(interfaces: Interfaces, headers: Mapping[str, str], body: bytes = BODY) -> tuple[Reply, int]:
    counting = Body(interfaces.app)
    return run(ask(counting, "POST", api.SYNC, body, headers, announced=False)), counting.asked


@pytest.mark.parametrize("change", ["signature", "device", "length", "hash", "time"])
def test_s46_no_body_is_read_before_the_signature_is_verified(interfaces: Interfaces, change: str) -> None:
    device, other = a_device(interfaces.instance), a_device(interfaces.instance)
    signed = headers_of(device, api.SYNC, BODY, NOW)
    length, digest = signed[signing.BODY_HEADER].split()
    changed = {
        "signature": {signing.SIGNATURE_HEADER: headers_of(other, api.SYNC, BODY, NOW)[signing.SIGNATURE_HEADER]},
        "device": {signing.DEVICE_HEADER: other.device_id},
        "length": {signing.BODY_HEADER: f"{int(length) + 1} {digest}"},
        "hash": {signing.BODY_HEADER: f"{length} {digest[::-1]}"},
        "time": {signing.TIME_HEADER: str(NOW - 1)},
    }
    reply, asked = ask_counted(interfaces, signed | changed[change])
    assert (reply.status, reply.error, asked) == (401, "bad-signature", 0)
    assert ask_counted(interfaces, signed)[0].status == 200


def test_s46_neither_a_revoked_device_nor_an_old_head_has_a_body_read(interfaces: Interfaces) -> None:
    device = a_device(interfaces.instance)
    old = headers_of(device, api.SYNC, BODY, NOW - signing.TOLERANCE - 1)
    reply, asked = ask_counted(interfaces, old)
    assert (reply.error, asked) == ("stale-time", 0)
    too_long = b" " * ((8 << 20) + 1)
    reply, asked = ask_counted(interfaces, headers_of(device, api.SYNC, too_long, NOW), too_long)
    assert (reply.error, asked) == ("too-large", 0)
    revoke(interfaces.instance, ROOT, device.device_id, now=NOW)
    reply, asked = ask_counted(interfaces, headers_of(device, api.SYNC, BODY, NOW))
    assert (reply.error, asked) == ("revoked", 0)


@pytest.mark.parametrize("body", [BODY[:-1] + b" ", BODY[:-1], BODY + b" "])
@pytest.mark.parametrize("announced", [False, True])
def test_s46_another_body_than_the_signed_one_is_refused(
    interfaces: Interfaces, body: bytes, *, announced: bool
) -> None:
    headers = headers_of(a_device(interfaces.instance), api.SYNC, BODY, NOW)
    reply = run(ask(interfaces.app, "POST", api.SYNC, body, headers, announced=announced))
    longer = len(body) > len(BODY) and not announced
    assert reply.error == ("too-large" if longer else "bad-signature")


def test_s46_a_long_body_is_compared_with_its_hash_too(interfaces: Interfaces) -> None:
    body = BODY + b" " * 100_000
    headers = headers_of(a_device(interfaces.instance), api.SYNC, body, NOW)
    assert run(ask(interfaces.app, "POST", api.SYNC, body, headers)).status == 200
    assert run(ask(interfaces.app, "POST", api.SYNC, b" " + body[:-1], headers)).error == "bad-signature"


def test_an_agent_without_the_signed_length_is_told_to_upgrade(interfaces: Interfaces) -> None:
    headers = headers_of(a_device(interfaces.instance), api.SYNC, BODY, NOW)
    del headers[signing.BODY_HEADER]
    reply, asked = ask_counted(interfaces, headers)
    assert (reply.status, reply.error, asked) == (400, "old-agent", 0)
    assert "upgrade the agent" in reply.json["do"]


def members_of(held: int) -> bytes:
    """Return a sync that reports so many units."""
    unit = {"user": "u", "kind": "day", "token": "t", "day": 1, "generation": 1, "version": 0, "unit_hash": ""}
    return json.dumps({"held": [unit] * held, "checkpoint": "", "hardware_bound": False}).encode()


@pytest.mark.parametrize(("held", "status"), [(api.MOST_HELD, 200), (api.MOST_HELD + 1, 400)])
def test_s46_a_list_longer_than_a_device_can_need_is_refused(interfaces: Interfaces, held: int, status: int) -> None:
    reply = run(interfaces.signed(a_device(interfaces.instance), api.SYNC, members_of(held)))
    assert reply.status == status
    if status == 400:
        assert reply.json["message"] == f"message.held: expected a list of at most {api.MOST_HELD}"


def test_s46_a_million_members_are_not_parsed(interfaces: Interfaces) -> None:
    body = b"{" + b",".join(b'"%d":0' % number for number in range(250_000)) + b"}"
    reply = run(interfaces.signed(a_device(interfaces.instance), api.SYNC, body))
    assert (reply.status, reply.error) == (400, "bad-request")
    assert "message: expected at most" in reply.json["message"]
