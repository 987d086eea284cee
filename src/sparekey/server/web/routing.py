"""A site of pages: one route for each page, with the rules of every page.

Rules:
- The host and address are checked first (`arrivals`). The visitor is identified before any of the body is read.
- Visitors without a session are sent to the sign-in, and back.
- Dangerous pages need a second factor from the last ten minutes (S62), and so do others if their use case says so
  (`people.change_limit`). If it is older, the form is kept, and the page asks for a passcode or a passkey
  (`second_factors`). A refusal is sent at the floor (S07).
- Pages are made outside the event loop.
- A mistake in a form is shown in the form. An unexpected error is shown as one sentence, and logged without its message
  (S65).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.app.authorisation import verify_somewhere
from sparekey.app.sessions.administrators import Session
from sparekey.core.errors import BadInput, Conflict, SecondFactorNeeded, SparekeyError
from sparekey.server.bodies import ANONYMOUS_BODY, LargeBodyLimit, announced_size
from sparekey.server.errors import RequestRejected, is_unavailable, log_unforeseen
from sparekey.server.floor import Floor
from sparekey.server.service import Service
from sparekey.server.web.arrivals import admitted, token_of, verify_ours
from sparekey.server.web.forms import with_form
from sparekey.server.web.page_results import Shown
from sparekey.server.web.pages import FORM, Page
from sparekey.server.web.responses import failed, respond, status_of, to_sign_in
from sparekey.server.web.second_factors import ask_for_second_factor
from sparekey.server.web.site import Site
from sparekey.server.web.visits import Visit
from sparekey.server.work import Busy

_BUSY: Final = Conflict("the server is busy", "wait a moment and reload the page")


def routes(service: Service, site: Site) -> list[Route]:
    """Return a route for each page."""
    files = LargeBodyLimit()
    return [Route(page.path, _handler(service, site, page, files), methods=[page.method]) for page in site.pages]


def _handler(
    service: Service, site: Site, page: Page, files: LargeBodyLimit
) -> Callable[[Request], Awaitable[Response]]:
    is_file = page.largest > FORM

    async def handle(request: Request) -> Response:
        arrived = Floor.arrival()
        visit = admitted(service, site, request)
        pool = site.sessions.pool(service)
        try:
            with files.one(is_file=is_file):
                is_large = page.changes and announced_size(request) > ANONYMOUS_BODY
                refused = await pool.run(_refused_unread, site, page, request, visit) if is_large else None
                if refused is not None:
                    return refused
                if page.changes:
                    most = page.largest if is_large else ANONYMOUS_BODY
                    visit = await with_form(service, request, visit, most, pool if is_large else None)
                response, too_soon = await pool.run(_answered, service, site, page, request, visit)
        except Busy:
            return failed(site, request, visit, _BUSY, 503)
        except RequestRejected as refusal:  # no form, or one that is too large
            return failed(site, request, visit, BadInput(refusal.reply.message, refusal.reply.do), refusal.status)
        if too_soon:
            await service.floor.wait(arrived)
        return response

    return handle


def _refused_unread(site: Site, page: Page, request: Request, visit: Visit) -> Response | None:
    """Return a refusal before a large form is read if the visitor may not send one (S08), else None.

    Everything is checked again after the form was read.
    """
    session = site.sessions.find(visit, token_of(site, request))
    if session is None:
        return to_sign_in(site, page, request)
    try:
        if page.permission is not None:
            verify_somewhere(session.actor, page.permission)
    except SparekeyError as error:
        return failed(site, request, replace(visit, session=session), error, status_of(error))
    return None


def _answered(service: Service, site: Site, page: Page, request: Request, visit: Visit) -> tuple[Response, bool]:
    """Return the page, and True if it refuses a second factor, which must wait for the floor."""
    token = token_of(site, request)
    session = site.sessions.find(visit, token)
    if session is None:
        return to_sign_in(site, page, request), False
    service.known.remember(token, session.actor.name)
    visit = replace(visit, session=session)
    try:
        _verify_admitted(site, page, request, visit)
        return _made_if_fresh(site, page, request, visit, session)
    except SparekeyError as error:
        return failed(site, request, visit, error, status_of(error)), False
    except Exception as error:  # noqa: BLE001 -- every error becomes a page, which does not show its message
        log_unforeseen(error)
        status, said = (
            (503, "the server is temporarily unavailable")
            if is_unavailable(error)
            else (500, "an internal error occurred")
        )
        return failed(site, request, visit, Conflict(said, "reload the page in a moment"), status), False


def _verify_admitted(site: Site, page: Page, request: Request, visit: Visit) -> None:
    """Verify the form and the permission.

    Raises NotAllowed for a form that is not ours, or for a page that this visitor may not use anywhere. Raises BadInput
    for characters that no page sends.
    """
    if page.changes:
        verify_ours(site, request, visit.form)
    visit.form.verify_typeable()
    visit.query.verify_typeable()
    if page.permission is not None:
        verify_somewhere(visit.actor, page.permission)


def _made_if_fresh(site: Site, page: Page, request: Request, visit: Visit, session: Session) -> tuple[Response, bool]:
    """Return the page. If it needs a fresh second factor and the form has none, return the one that asks for it, and
    True if it was wrong."""
    if not page.fresh or session.is_fresh(visit.now):
        try:
            return _made(site, page, request, visit), False
        except SecondFactorNeeded:
            pass  # the use case has changed nothing
    asked = ask_for_second_factor(site, visit)
    if asked is not None:
        return respond(site, request, visit, asked), bool(asked.values["wrong"])
    return _made(site, page, request, replace(visit, session=session.refreshed(visit.now))), False


def _made(site: Site, page: Page, request: Request, visit: Visit) -> Response:
    """Return the reply of the page, or the form again with its input if there is a mistake in it."""
    try:
        reply = page.handler(visit)
    except SecondFactorNeeded:
        raise
    except SparekeyError as error:
        if page.again is None:
            raise
        visit = replace(visit, error=error)
        reply = page.again(visit)  # raises if the object of the form no longer exists
        if isinstance(reply, Shown):
            reply = replace(reply, status=status_of(error))
    return respond(site, request, visit, reply)
