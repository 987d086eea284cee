"""A site of pages: a route for each, through the rules that hold for every page.

Rules:
- Whether a request may come at all is known before anything else (`arrivals`); who asks, before anything of it is
  read; who is not signed in is sent to the sign-in, and back.
- What is dangerous needs a second factor that is not older than ten minutes (S62): where it is older, the form is kept
  and a passcode or a passkey asked for (`second_factors`). A refusal leaves at the floor (S07).
- Reading and rendering are done beside the event loop; a mistake in a form is shown in the form; what was not foreseen
  is said in one sentence and logged without its words (S65).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.app.authorisation import verify_somewhere
from sparekey.core.errors import BadInput, Conflict, SparekeyError
from sparekey.server.bodies import Files
from sparekey.server.floor import Floor
from sparekey.server.replies import Refusal, is_unavailable, log_unforeseen
from sparekey.server.service import Service
from sparekey.server.web.arrivals import admitted, token_of, verify_ours
from sparekey.server.web.forms import with_form
from sparekey.server.web.pages import FORM, Page
from sparekey.server.web.replies import Shown
from sparekey.server.web.responses import failed, respond, status_of, to_sign_in
from sparekey.server.web.second_factors import ask_for_second_factor
from sparekey.server.web.site import Site
from sparekey.server.web.visits import Visit
from sparekey.server.work import Busy

_BUSY: Final = Conflict("the server is busy", "wait a moment and reload the page")


def routes(service: Service, site: Site) -> list[Route]:
    """A route for each page."""
    files = Files()
    return [Route(each.path, _handler(service, site, each, files), methods=[each.method]) for each in site.pages]


def _handler(service: Service, site: Site, page: Page, files: Files) -> Callable[[Request], Awaitable[Response]]:
    is_file = page.largest > FORM

    async def handle(request: Request) -> Response:
        arrived = Floor.arrival()
        visit = admitted(service, site, request)
        pool = site.sessions.pool(service)
        try:
            with files.one(is_file=is_file):
                refused = await pool.run(_refused_unread, site, page, request, visit) if is_file else None
                if refused is not None:
                    return refused
                if page.changes:
                    visit = await with_form(service, request, visit, page.largest)
                response, too_soon = await pool.run(_answered, site, page, request, visit)
        except Busy:
            return failed(site, request, visit, _BUSY, 503)
        except Refusal as refusal:  # no form, or one that is too large
            return failed(site, request, visit, BadInput(refusal.reply.message, refusal.reply.do), refusal.status)
        if too_soon:
            await service.floor.wait(arrived)
        return response

    return handle


def _refused_unread(site: Site, page: Page, request: Request, visit: Visit) -> Response | None:
    """Who may send no file here sends none (S08); None: let it come, everything is looked at again then."""
    session = site.sessions.find(visit, token_of(site, request))
    if session is None:
        return to_sign_in(site, page, request)
    try:
        if page.permission is not None:
            verify_somewhere(session.actor, page.permission)
    except SparekeyError as error:
        return failed(site, request, replace(visit, session=session), error, status_of(error))
    return None


def _answered(site: Site, page: Page, request: Request, visit: Visit) -> tuple[Response, bool]:
    """The page, and whether it refuses a second factor, so that it waits."""
    session = site.sessions.find(visit, token_of(site, request))
    if session is None:
        return to_sign_in(site, page, request), False
    visit = replace(visit, session=session)
    try:
        _verify_admitted(site, page, request, visit)
        asked = ask_for_second_factor(site, visit) if page.fresh and not session.is_fresh(visit.now) else None
        if asked is not None:
            return respond(site, request, visit, asked), bool(asked.values["wrong"])
        return _made(site, page, request, visit), False
    except SparekeyError as error:
        return failed(site, request, visit, error, status_of(error)), False
    except Exception as error:  # noqa: BLE001 -- every error is a page, and its words are not shown
        log_unforeseen(error)
        status, said = (
            (503, "the server is temporarily unavailable")
            if is_unavailable(error)
            else (500, "an internal error occurred")
        )
        return failed(site, request, visit, Conflict(said, "reload the page in a moment"), status), False


def _verify_admitted(site: Site, page: Page, request: Request, visit: Visit) -> None:
    """Raises NotAllowed for a form that is not ours, or a page that this visitor can use nowhere; BadInput for text
    that no page sends, whichever field it is in.
    """
    if page.changes:
        verify_ours(site, request, visit.form)
    visit.form.verify_typeable()
    visit.query.verify_typeable()
    if page.permission is not None:
        verify_somewhere(visit.actor, page.permission)


def _made(site: Site, page: Page, request: Request, visit: Visit) -> Response:
    """What the page answers; where something is wrong with its form, the form once more with what was typed."""
    try:
        reply = page.handler(visit)
    except SparekeyError as error:
        if page.again is None:
            raise
        visit = replace(visit, error=error)
        reply = page.again(visit)  # raises where what the form is about is gone
        if isinstance(reply, Shown):
            reply = replace(reply, status=status_of(error))
    return respond(site, request, visit, reply)
