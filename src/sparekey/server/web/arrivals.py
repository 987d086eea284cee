"""Turn a request into a visit: check its host, its address and its form.

Rules:
- The accepted hosts are fixed, so that no page contains text from a header.
- A form is accepted only with its mark and from our own origin (S61).
"""

import re
from typing import Final
from urllib.parse import unquote, urlsplit

from starlette.requests import Request

from sparekey.core.errors import NotAllowed
from sparekey.core.networks import is_within
from sparekey.secret import Secret
from sparekey.server.errors import RequestRejected
from sparekey.server.rest.callers import address_of, is_admitted
from sparekey.server.service import Service
from sparekey.server.web import cookies
from sparekey.server.web.fields import BadFields, Fields
from sparekey.server.web.rendering import MARK_FIELD
from sparekey.server.web.site import Site
from sparekey.server.web.visits import Visit, zone_of

_HOST: Final = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?", re.ASCII)


def admitted(service: Service, site: Site, request: Request) -> Visit:
    """Return the visit if this host and this address are allowed. Raises RequestRejected."""
    verify_host(service, request)
    networks = site.sessions.networks(service)
    if networks and not is_within(address_of(request), networks):
        raise RequestRejected(
            403,
            "not-from-here",
            f"{site.name} does not answer to this address",
            "ask the operator of the server (settings admin_networks, self_service_networks)",
        )
    return visit_of(service, request)


def token_of(site: Site, request: Request) -> Secret[str]:
    """Return the value of the session cookie of this site, or ""."""
    return Secret(request.cookies.get(site.sessions.cookie, ""))


def visit_of(service: Service, request: Request) -> Visit:
    """Return the visit from the request alone. Raises RequestRejected for a query that is not valid."""
    query = request.url.query
    try:
        fields = Fields.of(query)
    except BadFields:
        do = "follow a link, or begin at the first page"
        raise RequestRejected(400, "bad-request", "the part of the address after the ? is not valid", do) from None
    return Visit(
        instance=service.instance,
        settings=service.settings,
        now=service.now(),
        url=request.url.path + (f"?{query}" if query else ""),
        address=address_of(request),
        administrators_too=is_admitted(service, request),
        host=request.headers.get("host", ""),
        origins=service.origins,
        path={name: unquote(value) for name, value in request.path_params.items()},
        query=fields,
        zone=zone_of(unquote(request.cookies.get(cookies.ZONE, ""))),
        partial=request.headers.get("hx-request") == "true",
    )


def verify_host(service: Service, request: Request) -> None:
    """Verify the host name. Raises RequestRejected for a name that is not ours, or in a form that no browser sends."""
    named = _HOST.fullmatch(request.headers.get("host", ""))
    if named is None or named[1].strip("[]").lower() not in service.hosts:
        raise RequestRejected(
            421,
            "unknown-host",
            "this server does not answer under this name",
            "open it by the name in its certificate, or add this one to the setting names",
        )


def verify_ours(site: Site, request: Request, form: Fields) -> None:
    """Verify the origin and mark of a form. Raises NotAllowed if another site sent it, or if it is from before the
    sign-in (S61)."""
    origin, sent_from = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if (
        foreign
        or sent_from != "same-origin"
        or not cookies.is_mark(cookies.base_of(request.cookies, site.sessions.cookie), form.get(MARK_FIELD, ""))
    ):
        raise NotAllowed(
            "this form is from another page or an earlier sign-in", "reload the page and send the form again"
        )
