"""Recognises the sender of a request by its head, if it was here lately, before any other work on the request.

Rules:
- The result says only for whom the request counts. Safe because every credential is verified again before it is used.
- A device needs its signature, which is verified here with its key in memory. Knowing its id is not enough.
"""

from starlette.requests import Request

from sparekey.secret import Secret
from sparekey.server.agent_api.signed_requests import prove_known_device
from sparekey.server.rest.callers import bearer_of
from sparekey.server.service import Service
from sparekey.server.web import cookies
from sparekey.wire import signing

_SESSIONS = (cookies.SESSION, cookies.SELF_SERVICE)


def recognise(service: Service, request: Request) -> None:
    """Count the request for a known device, for the client of a known key, or for the holder of a known session."""
    headers = request.headers
    if signing.DEVICE_HEADER in headers:
        prove_known_device(service, request)
    elif "authorization" in headers:
        service.known.prove(bearer_of(request))
    elif "cookie" in headers:
        for name in _SESSIONS:
            if name in request.cookies and service.known.prove(Secret(request.cookies[name])):
                return
