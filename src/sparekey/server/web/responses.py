"""Turn results of pages into responses, with the frame of the site and its cookies."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from sparekey.core.errors import BadInput, Conflict, NotAllowed, NotFound, SparekeyError
from sparekey.secret import Secret
from sparekey.server.json_replies import error_answer
from sparekey.server.web import cookies
from sparekey.server.web.failures import asks_for_json
from sparekey.server.web.page_results import Download, Redirect, Reply, Shown
from sparekey.server.web.pages import Page
from sparekey.server.web.rendering import file_response, moved_response, page_headers, page_response
from sparekey.server.web.site import Site
from sparekey.server.web.visits import Visit
from sparekey.wire.agent_api import ErrorReply

_STATUS: Final[Mapping[type[SparekeyError], int]] = {BadInput: 400, NotAllowed: 403, NotFound: 404, Conflict: 409}
_LONGEST_SAID: Final = 1_000


def status_of(error: SparekeyError) -> int:
    """Return the HTTP status of an error."""
    return next((number for kind, number in _STATUS.items() if isinstance(error, kind)), 409)


def respond(site: Site, request: Request, visit: Visit, reply: Reply) -> Response:
    """Return the response of a result, in the frame of the site."""
    match reply:
        case Download():
            return file_response(reply)
        case Redirect():
            return _moved(site, reply)
    said = _said(request)
    frame = {
        "site": site,
        "navigation": site.links_for(visit.actor) if visit.session is not None else [],
        "said": said,
        "error": visit.error,
    }
    base = cookies.base_of(request.cookies, site.sessions.cookie)
    new = Secret(cookies.new_browser()) if not base.reveal() else None
    response = page_response(reply, visit, frame, new or base, gzipped=_takes_gzip(request))
    if new is not None:
        cookies.set_cookie(response, cookies.BROWSER, new.reveal())
    if said:
        cookies.delete_cookie(response, cookies.SAID)
    return response


def failed(site: Site, request: Request, visit: Visit, error: SparekeyError, status: int) -> Response:
    """Return an error as a page, or as JSON if one of our scripts sent the request."""
    if asks_for_json(request.headers.get("accept", "")):
        return error_answer(status, ErrorReply(error=error.error, message=error.message, do=error.do), page_headers(""))
    return respond(site, request, visit, Shown("failed.html", {"failure": error, "leads_here_again": False}, status))


def _moved(site: Site, sent_on: Redirect) -> Response:
    response = moved_response(sent_on)
    if sent_on.said:
        said = json.dumps(sent_on.said[:_LONGEST_SAID]).encode()
        cookies.set_cookie(response, cookies.SAID, urlsafe_b64encode(said).decode())
    if sent_on.session is not None:
        cookies.set_cookie(response, site.sessions.cookie, sent_on.session.reveal())
    if sent_on.signs_out:
        cookies.delete_cookie(response, site.sessions.cookie)
    return response


def _said(request: Request) -> str:
    """Return the message of the previous page. Safe because only the server can set the cookie, and the text is
    escaped."""
    try:
        said = json.loads(urlsafe_b64decode(request.cookies.get(cookies.SAID, "")) or b'""')
    except ValueError:
        return ""
    return said if isinstance(said, str) else ""


def to_sign_in(site: Site, page: Page, request: Request) -> Response:
    """Return a redirect to the sign-in page, and from there back to this page. Input of a form is not kept."""
    way = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = f"?to={quote(way, safe='')}" if not page.changes else ""
    if request.headers.get("hx-request"):
        # a part of a page cannot hold the sign-in: the whole page goes there
        return Response(status_code=204, headers={"HX-Redirect": site.sign_in, "Cache-Control": "no-store"})
    return moved_response(Redirect(f"{site.sign_in}{back}"))


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")
