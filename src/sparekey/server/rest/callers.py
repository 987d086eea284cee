"""The caller of a request, from the session token or key that it carries, and from its address."""

from starlette.requests import Request

from sparekey.app.sessions.callers import Caller, find_caller
from sparekey.core.networks import is_within
from sparekey.secret import Secret
from sparekey.server.admission.parties import prove
from sparekey.server.errors import RequestRejected
from sparekey.server.service import Service


async def get_caller(service: Service, request: Request, now: int) -> Caller:
    """Return the caller. Raises RequestRejected, the same for every reason."""
    token = bearer_of(request)
    caller = None
    if token:
        caller = await service.administration.run(find_caller, service.instance, token, address_of(request), now)
    if caller is not None and caller.session is not None and not is_admitted(service, request):
        caller = None  # administrators cannot sign in from this address, so the session is not used where it began
    if caller is None:
        raise RequestRejected(
            401, "unknown-caller", "this session or key is not valid, or not from this address", "sign in again"
        )
    prove(caller.actor.name)
    service.known.remember(token, caller.actor.name)
    return caller


def is_admitted(service: Service, request: Request) -> bool:
    """Return True if administrators may connect from this address."""
    return not service.admin_networks or is_within(address_of(request), service.admin_networks)


def bearer_of(request: Request) -> Secret[str]:
    """Return the text after `Bearer`, or ""."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return Secret(token.strip() if scheme.lower() == "bearer" else "")


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""
