"""What a device does at a contact: upload events, sync, fetch units, acknowledge them."""

import secrets

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sparekey.app.offline.contact import Witness, take_contact
from sparekey.app.offline.events import take_events
from sparekey.app.offline.provisioning import acknowledge
from sparekey.app.offline.sealing import seal_for_device
from sparekey.app.ports import Purpose
from sparekey.core.errors import BadInput
from sparekey.server.agent_api.enrolment import unhex
from sparekey.server.agent_api.signed_requests import HEADERS, SignedRequest, read_signed
from sparekey.server.openapi import described
from sparekey.server.replies import answer
from sparekey.server.service import Service
from sparekey.wire import agent_api as api
from sparekey.wire.messages import decode

_LARGEST = 65_536
_LARGEST_EVENTS = 1 << 20
_LARGEST_SYNC = 8 << 20  # 50 users, 10 tokens each, 60 days of each token
_MOST_HASHES = 1_000
_ERRORS = (400, 401, 403, 409, 413, 503)

_log = structlog.get_logger()


def routes(service: Service) -> APIRouter:
    """POST events, sync, units, acknowledgements."""
    router = APIRouter(tags=["agent: contact"])
    _add_events(router, service)
    _add_sync(router, service)
    _add_units(router, service)
    return router


def _add_events(router: APIRouter, service: Service) -> None:
    extra = described(api.EventsRequest, api.EventsReply, *_ERRORS, headers=HEADERS)

    @router.post(api.EVENTS, openapi_extra=extra)
    async def events(request: Request) -> Response:
        """Take in what happened on the device while it was offline."""
        signed = await read_signed(service, request, _LARGEST_EVENTS)
        asked = decode(api.EventsRequest, signed.body)
        last = await service.contacts.run(take_events, service.instance, signed.device, asked.events, now=signed.now)
        return answer(api.EventsReply(last, signed.now))


def _add_sync(router: APIRouter, service: Service) -> None:
    extra = described(api.SyncRequest, api.SyncReply, *_ERRORS, headers=HEADERS)

    @router.post(api.SYNC, openapi_extra=extra)
    async def sync(request: Request) -> Response:
        """Tell the device what stays, what goes and what is to be fetched."""
        signed = await read_signed(service, request, _LARGEST_SYNC)
        return answer(await _synced(service, signed, decode(api.SyncRequest, signed.body)))


async def _synced(service: Service, signed: SignedRequest, asked: api.SyncRequest) -> api.SyncReply:
    contact = await service.contacts.run(take_contact, service.instance, signed.device, asked, now=signed.now)
    if contact.witness in (Witness.ROLLED_BACK, Witness.FOREIGN):
        _log.error("a device's audit checkpoint", verdict=contact.witness.value, device=signed.device.id)
    tenth = service.sync_interval // 10
    return api.SyncReply(
        server_time=signed.now,
        device_name=signed.device.name,
        signing_keys=[service.instance.keystore.public_key(Purpose.OFFLINE).hex()],
        checkpoint=contact.checkpoint,
        users=contact.users,
        last_event=contact.last_event,
        # Spread, so that devices that started together do not stay together.
        next_sync=service.sync_interval - tenth + secrets.randbelow(2 * tenth + 1),
    )


def _add_units(router: APIRouter, service: Service) -> None:
    unit_extra = described(api.UnitRequest, api.UNIT_MEDIA_TYPE, *_ERRORS, headers=HEADERS)

    @router.post(api.UNITS, openapi_extra=unit_extra)
    async def units(request: Request) -> Response:
        """Seal one unit; its bytes go to this device and nowhere else."""
        signed = await read_signed(service, request, _LARGEST)
        asked = decode(api.UnitRequest, signed.body)
        unit = await service.units.run(seal_for_device, service.instance, signed.device, asked, now=signed.now)
        return Response(unit, media_type=api.UNIT_MEDIA_TYPE)

    extra = described(api.AcknowledgementRequest, api.AcknowledgementReply, *_ERRORS, headers=HEADERS)

    @router.post(api.ACKNOWLEDGEMENTS, openapi_extra=extra)
    async def acknowledgements(request: Request) -> Response:
        """The device has these units on its disk."""
        signed = await read_signed(service, request, _LARGEST_EVENTS)
        asked = decode(api.AcknowledgementRequest, signed.body)
        if len(asked.unit_hashes) > _MOST_HASHES:
            raise BadInput(f"more than {_MOST_HASHES} units at once", "acknowledge them in parts")
        hashes = [unhex(each, "unit_hashes") for each in asked.unit_hashes]
        count = await service.contacts.run(_acknowledge, service, signed, hashes)
        return answer(api.AcknowledgementReply(count, signed.now))


def _acknowledge(service: Service, signed: SignedRequest, hashes: list[bytes]) -> int:
    with service.instance.database.write() as connection:
        return acknowledge(connection, signed.device, hashes, signed.now)
