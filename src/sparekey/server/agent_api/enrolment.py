"""Enrolment of a device: the only two requests that are not signed."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.app.devices.devices import EnrolmentRequest, enrol
from sparekey.app.ports import KeyPurpose
from sparekey.core.errors import BadInput
from sparekey.secret import Secret
from sparekey.server.bodies import read_body
from sparekey.server.json_replies import answer
from sparekey.server.openapi import Messages, described_route
from sparekey.server.service import Service
from sparekey.wire import agent_api as api
from sparekey.wire.messages import decode

_LARGEST = 8_192
_TAG = "agent: enrolment"


def routes(service: Service) -> list[Route]:
    """Return the routes for GET of the trust and POST of an enrolment."""

    async def trust(_: Request) -> Response:
        """Return the CA certificate and the signing key that the enrolment code's pin covers."""
        instance = service.instance
        signing_key = instance.keystore.public_key(KeyPurpose.OFFLINE)
        return answer(api.TrustReply(ca_certificate=instance.ca_certificate.hex(), signing_key=signing_key.hex()))

    async def enrol_device(request: Request) -> Response:
        """Enrol a device that shows a one-time secret, and proves that it has the private half of its key."""
        asked = decode(api.EnrolRequest, await read_body(request, _LARGEST))
        now = service.now()
        enrolled = await service.contacts.run(enrol, service.instance, _enrolment(asked), now=now)
        keystore = service.instance.keystore
        return answer(
            api.EnrolReply(
                device=enrolled.device_id,
                name=enrolled.name,
                signing_keys=[keystore.public_key(KeyPurpose.OFFLINE).hex()],
                checkpoint_key=keystore.public_key(KeyPurpose.CHECKPOINT).hex(),
                server_time=now,
            )
        )

    enrolment = Messages(request=api.EnrolRequest, reply=api.EnrolReply, errors=(400, 403, 413, 503))
    return [
        described_route("GET", api.TRUST, trust, _TAG, Messages(reply=api.TrustReply, errors=(503,))),
        described_route("POST", api.ENROL, enrol_device, _TAG, enrolment),
    ]


def _enrolment(asked: api.EnrolRequest) -> EnrolmentRequest:
    return EnrolmentRequest(
        secret=Secret(unhex(asked.secret, "secret")),
        public_key=unhex(asked.public_key, "public_key"),
        proof=unhex(asked.proof, "proof"),
        name=asked.name,
        supports_offline=asked.supports_offline,
        hardware_bound=asked.hardware_bound,
    )


def unhex(text: str, name: str) -> bytes:
    """Return the bytes of a member in hex. Raises BadInput, which never repeats them."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise BadInput(f"{name} is not in hex", "give bytes as lower-case hex") from None
