"""Authentication at the agent API: the device's signature over the whole request, checked before parsing.

Rules:
- The body of an unknown device is not read.
- Only a client with the device's key learns that the device is revoked, or that its clock is off.
- Check the device again after reading the body: it may have been revoked during a slow upload.
"""

import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from sparekey.app.devices.devices import find_device, tell_revoked
from sparekey.server.bodies import read_body
from sparekey.server.errors import RequestRejected
from sparekey.server.service import Service
from sparekey.storage.devices.devices import Device
from sparekey.wire import signing
from sparekey.wire.signing import BadSignature

HEADERS: Final = (signing.DEVICE_HEADER, signing.TIME_HEADER, signing.SIGNATURE_HEADER)
_DEVICE: Final = re.compile(r"[0-9a-f]{32}")
_TIME: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class SignedRequest:
    """The device, the body that it sent, and the time after the body was read."""

    device: Device
    body: bytes
    now: int


async def read_signed(service: Service, request: Request, most: int) -> SignedRequest:
    """Return the request. Raises RequestRejected unless a device that is enrolled now has signed exactly this one."""
    device_id, at, signature = (request.headers.get(name, "") for name in HEADERS)
    begun = service.now()
    device = await _get_device(service, device_id)
    body = await read_body(request, most)
    now = service.now()
    if now != begun:
        device = await _get_device(service, device_id)
    _verify(device, request, at, signature, body)
    if abs(now - int(at)) > signing.TOLERANCE:
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
    return SignedRequest(device, body, now)


async def _get_device(service: Service, device_id: str) -> Device:
    device = None
    if _DEVICE.fullmatch(device_id):
        device = await service.contacts.run(find_device, service.instance, device_id)
    if device is None:
        raise RequestRejected(401, "unknown-device", "this device is not enrolled here", "enrol it with a new code")
    return device


def _verify(device: Device, request: Request, at: str, signature: str, body: bytes) -> None:
    refusal = RequestRejected(401, "bad-signature", "the request is not signed by this device", "enrol it again")
    if not _TIME.fullmatch(at):
        raise refusal
    message = signing.request_bytes(request.method, request.url.path, device.id, int(at), body)
    try:
        signing.verify_signature(device.public_key, signing.from_header(signature), message)
    except BadSignature as error:
        raise refusal from error
