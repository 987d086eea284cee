"""Requests of a device at a contact: upload events, sync, fetch units, acknowledge them."""

import secrets

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.app.offline.contact import Witness, take_contact
from sparekey.app.offline.events import take_events
from sparekey.app.offline.sealing import seal_for_device
from sparekey.app.offline.sync import acknowledge
from sparekey.app.ports import KeyPurpose
from sparekey.core.errors import BadInput
from sparekey.server.agent_api.enrolment import unhex
from sparekey.server.agent_api.signed_requests import HEADERS, SignedRequest, read_signed
from sparekey.server.json_replies import answer
from sparekey.server.openapi import Handler, Messages, described_route
from sparekey.server.service import Service
from sparekey.wire import agent_api as api
from sparekey.wire.messages import decode

_LARGEST = 65_536
_LARGEST_EVENTS = 1 << 20
_LARGEST_SYNC = 8 << 20  # bytes: 50 users, 10 tokens each, 60 days of each token
_MOST_HASHES = 1_000
_ERRORS = (400, 401, 403, 409, 413, 503)

_log = structlog.get_logger()


def routes(service: Service) -> list[Route]:
    """Return the routes for POST of events, sync, units and acknowledgements."""
    return [_events(service), _sync(service), _units(service), _acknowledgements(service)]


def _described(path: str, handler: Handler, request: type[object], reply: type[object] | str) -> Route:
    messages = Messages(request=request, reply=reply, errors=_ERRORS, headers=HEADERS)
    return described_route("POST", path, handler, "agent: contact", messages)


def _events(service: Service) -> Route:
    async def events(request: Request) -> Response:
        """Store the events that happened on the device while it was offline."""
        signed = await read_signed(service, request, _LARGEST_EVENTS)
        asked = decode(api.EventsRequest, signed.body)
        last = await service.contacts.run(take_events, service.instance, signed.device, asked.events, now=signed.now)
        return answer(api.EventsReply(last_number=last, server_time=signed.now))

    return _described(api.EVENTS, events, api.EventsRequest, api.EventsReply)


def _sync(service: Service) -> Route:
    async def sync(request: Request) -> Response:
        """Tell the device which units to keep, to erase and to fetch."""
        signed = await read_signed(service, request, _LARGEST_SYNC)
        return answer(await _synced(service, signed, decode(api.SyncRequest, signed.body)))

    return _described(api.SYNC, sync, api.SyncRequest, api.SyncReply)


async def _synced(service: Service, signed: SignedRequest, asked: api.SyncRequest) -> api.SyncReply:
    contact = await service.contacts.run(take_contact, service.instance, signed.device, asked, now=signed.now)
    if contact.witness in (Witness.ROLLED_BACK, Witness.FOREIGN):
        _log.error("a device's audit checkpoint", verdict=contact.witness.value, device=signed.device.id)
    tenth = service.sync_interval // 10
    return api.SyncReply(
        server_time=signed.now,
        device_name=signed.device.name,
        signing_keys=[service.instance.keystore.public_key(KeyPurpose.OFFLINE).hex()],
        checkpoint=contact.checkpoint,
        users=contact.users,
        last_event=contact.last_event,
        # Spread at random, because devices that start together would otherwise make every contact together.
        next_sync=service.sync_interval - tenth + secrets.randbelow(2 * tenth + 1),
    )


def _units(service: Service) -> Route:
    async def units(request: Request) -> Response:
        """Seal one unit and return its bytes, to this device and nowhere else."""
        signed = await read_signed(service, request, _LARGEST)
        asked = decode(api.UnitRequest, signed.body)
        unit = await service.units.run(seal_for_device, service.instance, signed.device, asked, now=signed.now)
        return Response(unit, media_type=api.UNIT_MEDIA_TYPE)

    return _described(api.UNITS, units, api.UnitRequest, api.UNIT_MEDIA_TYPE)


def _acknowledgements(service: Service) -> Route:
    async def acknowledgements(request: Request) -> Response:
        """Acknowledge the units that are now on the disk of the device."""
        signed = await read_signed(service, request, _LARGEST_EVENTS)
        asked = decode(api.AcknowledgementRequest, signed.body)
        if len(asked.unit_hashes) > _MOST_HASHES:
            raise BadInput(f"more than {_MOST_HASHES} units at once", "acknowledge them in parts")
        hashes = [unhex(unit_hash, "unit_hashes") for unit_hash in asked.unit_hashes]
        count = await service.contacts.run(_acknowledge, service, signed, hashes)
        return answer(api.AcknowledgementReply(acknowledged=count, server_time=signed.now))

    return _described(api.ACKNOWLEDGEMENTS, acknowledgements, api.AcknowledgementRequest, api.AcknowledgementReply)


def _acknowledge(service: Service, signed: SignedRequest, hashes: list[bytes]) -> int:
    with service.instance.database.write() as connection:
        return acknowledge(connection, signed.device, hashes, signed.now)
