"""Requests of a device at a contact: upload events, sync, fetch units, acknowledge them."""

import secrets
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.app.offline.contact import Witness, take_contact
from sparekey.app.offline.events import take_events
from sparekey.app.offline.sealing import FetchedTooOften, seal_for_device
from sparekey.app.offline.sync import acknowledge
from sparekey.app.ports import KeyPurpose
from sparekey.server.agent_api.device_limits import Lane, Rate, Share, finished, too_many
from sparekey.server.agent_api.enrolment import unhex
from sparekey.server.agent_api.signed_requests import HEADERS, Expected, SignedRequest, signed_request
from sparekey.server.json_replies import answer
from sparekey.server.openapi import Handler, Messages, described_route
from sparekey.server.service import Service
from sparekey.server.work import Busy
from sparekey.wire import agent_api as api

_EVENT_BYTES: Final = 1_024  # two events, which take five milliseconds of a transaction
_SYNC: Final = Expected(api.SyncRequest, 8 << 20, Share(Lane.SHORT, Rate.CONTACTS, cost=2))
_EVENTS: Final = Expected(api.EventsRequest, 1 << 20, Share(Lane.SHORT, Rate.CONTACTS, bytes_each=_EVENT_BYTES))
_UNIT: Final = Expected(api.UnitRequest, 4_096, Share(Lane.UNITS, Rate.CONTACTS))
_ACKNOWLEDGEMENTS: Final = Expected(api.AcknowledgementRequest, 131_072, Share(Lane.SHORT, Rate.CONTACTS))
_ERRORS = (400, 401, 403, 409, 413, 429, 503)
_SEALING_PAUSE: Final = 15  # seconds until a device that was turned away may ask again

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
        async with signed_request(service, request, _EVENTS) as signed:
            taken = service.contacts.run(
                take_events, service.instance, signed.device, signed.message.events, now=signed.now
            )
            return answer(api.EventsReply(last_number=await finished(taken), server_time=signed.now))

    return _described(api.EVENTS, events, api.EventsRequest, api.EventsReply)


def _sync(service: Service) -> Route:
    async def sync(request: Request) -> Response:
        """Tell the device which units to keep, to erase and to fetch."""
        async with signed_request(service, request, _SYNC) as signed:
            return answer(await _synced(service, signed))

    return _described(api.SYNC, sync, api.SyncRequest, api.SyncReply)


async def _synced(service: Service, signed: SignedRequest[api.SyncRequest]) -> api.SyncReply:
    settled = service.contacts.run(take_contact, service.instance, signed.device, signed.message, now=signed.now)
    contact = await finished(settled)
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
        async with signed_request(service, request, _UNIT) as signed:
            sealed = service.units.run(seal_for_device, service.instance, signed.device, signed.message, now=signed.now)
            try:
                return Response(await finished(sealed), media_type=api.UNIT_MEDIA_TYPE)
            except Busy:
                raise too_many("many devices are waiting for units", _SEALING_PAUSE) from None
            except FetchedTooOften as error:
                raise too_many(error.message, error.seconds) from None

    return _described(api.UNITS, units, api.UnitRequest, api.UNIT_MEDIA_TYPE)


def _acknowledgements(service: Service) -> Route:
    async def acknowledgements(request: Request) -> Response:
        """Acknowledge the units that are now on the disk of the device."""
        async with signed_request(service, request, _ACKNOWLEDGEMENTS) as signed:
            hashes = [unhex(unit_hash, "unit_hashes") for unit_hash in signed.message.unit_hashes]
            count = await finished(service.contacts.run(_acknowledge, service, signed, hashes))
            return answer(api.AcknowledgementReply(acknowledged=count, server_time=signed.now))

    return _described(api.ACKNOWLEDGEMENTS, acknowledgements, api.AcknowledgementRequest, api.AcknowledgementReply)


def _acknowledge(service: Service, signed: SignedRequest[api.AcknowledgementRequest], hashes: list[bytes]) -> int:
    with service.instance.database.write() as connection:
        return acknowledge(connection, signed.device, hashes, signed.now)
