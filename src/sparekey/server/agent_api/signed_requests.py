"""Authentication at the agent API: the device's signature over the head of a request, verified before its body is read.

Rules:
- No byte of a body is read before the signature is verified. The head has the length and the hash of the body.
- Only a client with the device's key learns that the device is revoked, or that its clock is off.
- Each device has its share of this process (`device_limits`). A known device that has used it up is refused before the
  database is asked.
- Check the device again after reading the body: it may have been revoked during a slow upload.
- Long bodies are hashed and parsed in one thread, one after the other, never on the event loop.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from starlette.requests import Request

from sparekey.app.devices.devices import find_device, tell_revoked
from sparekey.app.instance import Instance
from sparekey.server.admission.parties import current_party, prove, rest_connection
from sparekey.server.agent_api.device_limits import TOO_MANY, Share
from sparekey.server.bodies import read_body, too_large
from sparekey.server.errors import RequestRejected
from sparekey.server.service import Service
from sparekey.storage.devices.devices import Device
from sparekey.wire import signing
from sparekey.wire.messages import decode
from sparekey.wire.signing import BadSignature, BodyHead

M = TypeVar("M")

HEADERS: Final = (signing.DEVICE_HEADER, signing.TIME_HEADER, signing.BODY_HEADER, signing.SIGNATURE_HEADER)
_DEVICE: Final = re.compile(r"[0-9a-f]{32}")
_TIME: Final = re.compile(r"[0-9]{1,12}")
_SHORT: Final = 16_384  # bytes: parsing them takes less time than giving them to a thread


@dataclass(frozen=True)
class Expected(Generic[M]):
    """The message that a route expects, at most `most` bytes of it, and the share of the device that it takes."""

    message: type[M]
    most: int
    share: Share


@dataclass(frozen=True)
class SignedRequest(Generic[M]):
    """The device, the message that it sent, and the time after the body was read."""

    device: Device
    message: M
    now: int


@dataclass(frozen=True)
class _Head:
    """The signed head of a request."""

    method: str
    path: str
    device_id: str
    at: int
    body: BodyHead
    signature: bytes


@asynccontextmanager
async def signed_request(service: Service, request: Request, expected: Expected[M]) -> AsyncIterator[SignedRequest[M]]:
    """Yield the request. Raises RequestRejected unless a device that is enrolled now has signed exactly this one, and
    BadMessage if it is not the expected message.

    The device can have no other request of this lane in work until the context ends.
    """
    head = _read_head(request)
    try:
        begun = service.now()
        device = await _paying_device(service, head, expected)
        await _verify_current(service, device, head, begun)
        async with service.devices.one(device.id, expected.share, head.body.length):
            body = await read_body(request, head.body.length)
            message = await _opened(service, head, body, expected.message)
            now = service.now()
            if now != begun:
                device = await service.contacts.run(_get_device, service.instance, head.device_id)
                await _verify_current(service, device, head, now)
            yield SignedRequest(device, message, now)
    except RequestRejected as rejected:
        if rejected.status == TOO_MANY and current_party() == _party(head.device_id):
            rest_connection(service.devices.rest_after_refusal(head.device_id))
        raise


async def _paying_device(service: Service, head: _Head, expected: Expected[M]) -> Device:
    """Return the device that signed the head, after taking this request from its share."""
    is_recognised = current_party() == _party(head.device_id)
    if is_recognised:
        _pay(service, head, expected)
    device = await service.contacts.run(_verified_device, service.instance, head)
    if not is_recognised:
        service.known_devices.remember(device.id, device.public_key)
        prove(_party(device.id))
        _pay(service, head, expected)
    return device


def _pay(service: Service, head: _Head, expected: Expected[M]) -> None:
    if head.body.length > expected.most:
        raise too_large(expected.most)
    service.devices.pay(head.device_id, expected.share, head.body.length)


def prove_known_device(service: Service, request: Request) -> None:
    """Count a device that asked before for itself, not for its address, already before its row is looked up.

    Safe because this decides only whose turn it is: the signature is verified again with the key in the database.
    """
    key = service.known_devices.find_key(request.headers.get(signing.DEVICE_HEADER, ""))
    if key is None:
        return
    try:
        head = _read_head(request)
    except RequestRejected:
        return  # it is refused when its turn comes
    if _is_signed(head, key):
        prove(_party(head.device_id))


def _party(device_id: str) -> str:
    return f"device:{device_id}"


def _read_head(request: Request) -> _Head:
    device_id, at, body, signature = (request.headers.get(name, "") for name in HEADERS)
    if not _DEVICE.fullmatch(device_id):
        raise _unknown_device()
    if not body and signature:
        raise RequestRejected(
            400,
            "old-agent",
            f"the agent does not sign length and hash of the body ({signing.BODY_HEADER}), as this server requires",
            "upgrade the agent on this device (package sparekey-agent) to the release of the server",
        )
    try:
        head = BodyHead.from_header(body)
        announced = request.headers.get("content-length", str(head.length))
        if not _TIME.fullmatch(at) or announced != str(head.length):
            raise _bad_signature()
        return _Head(request.method, request.url.path, device_id, int(at), head, signing.from_header(signature))
    except BadSignature as error:
        raise _bad_signature() from error


def _verified_device(instance: Instance, head: _Head) -> Device:
    device = _get_device(instance, head.device_id)
    if not _is_signed(head, device.public_key):
        raise _bad_signature()
    return device


def _is_signed(head: _Head, public_key: bytes) -> bool:
    message = signing.request_bytes(head.method, head.path, head.device_id, head.at, head.body)
    try:
        signing.verify_signature(public_key, head.signature, message)
    except BadSignature:
        return False
    return True


def _get_device(instance: Instance, device_id: str) -> Device:
    device = find_device(instance, device_id)
    if device is None:
        raise _unknown_device()
    return device


async def _verify_current(service: Service, device: Device, head: _Head, now: int) -> None:
    """Raise RequestRejected for a revoked device, or a time too far from the server's."""
    if abs(now - head.at) > signing.TOLERANCE:
        raise RequestRejected(
            401,
            "stale-time",
            "the request is too old or from the future",
            "sign it with the server's time",
            server_time=now,
        )
    if device.revoked_at is not None:
        await service.contacts.run(tell_revoked, service.instance, device, now=now)
        raise RequestRejected(
            403,
            "revoked",
            "this device was revoked",
            "to use it again: `sparekey-agent clear --all`, then enrol it with a new code",
        )


async def _opened(service: Service, head: _Head, body: bytes, kind: type[M]) -> M:
    if len(body) <= _SHORT:
        return _open(head, body, kind)
    return await service.bodies.run(_open, head, body, kind)


def _open(head: _Head, body: bytes, kind: type[M]) -> M:
    try:
        head.body.verify(body)
    except BadSignature as error:
        raise _bad_signature() from error
    return decode(kind, body)


def _unknown_device() -> RequestRejected:
    return RequestRejected(401, "unknown-device", "this device is not enrolled here", "enrol it with a new code")


def _bad_signature() -> RequestRejected:
    return RequestRejected(401, "bad-signature", "the request is not signed by this device", "enrol it again")
