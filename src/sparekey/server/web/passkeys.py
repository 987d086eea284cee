"""Passkeys in both consoles: sign-in, and the parts that their pages share.

Rules (S07):
- The page does not ask for a login, and all challenges look alike. So an attacker cannot find out which users have a
  passkey.
- A refusal is sent at the floor, with the same text for every reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.app.sessions.administrators import OpenedSession, Session
from sparekey.app.sessions.passkey_sign_ins import Entrance, ask_to_sign_in, open_session_with_passkey
from sparekey.app.sign_in.verification import SignInInterface
from sparekey.core.errors import BadInput, Conflict, NotAllowed
from sparekey.core.sign_in.passkeys import RelyingParty
from sparekey.secret import Secret
from sparekey.server.floor import Floor
from sparekey.server.service import Service
from sparekey.server.sign_in_floor import run_sign_in
from sparekey.server.web import cookies
from sparekey.server.web.after_sign_in import answered
from sparekey.server.web.arrivals import admitted, verify_ours
from sparekey.server.web.forms import with_form
from sparekey.server.web.page_results import Download, Shown
from sparekey.server.web.responses import failed, respond
from sparekey.server.web.site import Site
from sparekey.server.web.visits import Visit
from sparekey.server.work import Busy, WorkPool

BUSY: Final = Conflict("the server is busy", "try again in a few seconds")
_REFUSED: Final = "Not signed in. This passkey was not accepted: try once more, or sign in with your name and passcode."


@dataclass(frozen=True)
class PasskeySignIn:
    """The sign-in of a site with passkeys. `entrance`: for visitors from there; `page`: shows the sign-in again."""

    site: Site
    pool: WorkPool
    entrance: Callable[[Request], Entrance]
    page: Callable[..., Shown]


def routes(service: Service, it: PasskeySignIn) -> list[Route]:
    """Return the routes for the challenge and for the answer, below the address of the sign-in."""

    async def ask(request: Request) -> Response:
        visit, browser = await form_of(service, it.site, request)
        options = await it.pool.run(
            ask_to_sign_in, visit.instance, get_place(visit), browser, visit.now, it.entrance(request)
        )
        return respond(it.site, request, visit, challenge_file(options))

    async def sign_in(request: Request) -> Response:
        arrived = Floor.arrival()
        visit, browser = await form_of(service, it.site, request)
        place, signed, at = get_place(visit), visit.form.get("passkey", ""), it.entrance(request)
        verify: Callable[[], OpenedSession] = lambda: open_session_with_passkey(  # noqa: E731
            visit.instance, visit.address, place, browser, signed, visit.now, at
        )
        interface = SignInInterface(at.interface_name(visit.address))
        try:
            result = await run_sign_in(service, arrived, interface, visit.now, Secret(""), verify, it.pool)
        except Busy:
            return failed(it.site, request, visit, BUSY, 429)
        return answered(it.site, request, visit, result, lambda **more: it.page(visit, visit.form, **more), _REFUSED)

    path = f"{it.site.sign_in}/passkey"
    return [Route(f"{path}/challenge", ask, methods=["POST"]), Route(path, sign_in, methods=["POST"])]


async def form_of(service: Service, site: Site, request: Request) -> tuple[Visit, Secret[str]]:
    """Return the form and the cookie of the browser to which challenges are bound. Raises RequestRejected or
    NotAllowed."""
    visit = await with_form(service, request, admitted(service, site, request))
    verify_ours(site, request, visit.form)
    return visit, cookies.base_of(request.cookies, site.sessions.cookie)


def get_place(visit: Visit) -> RelyingParty:
    """Return the place. Raises BadInput if passkeys cannot be used there."""
    if visit.place is None:
        raise BadInput(
            "passkeys do not work at this address",
            "open this page by the server's name; the setting origins names other addresses of the server",
        )
    return visit.place


def get_session(visit: Visit) -> Session:
    """Return the session. Raises NotAllowed without one."""
    if visit.session is None:
        raise NotAllowed("you are not signed in", "sign in")
    return visit.session


def challenge_file(options: str) -> Download:
    """Return the challenge for a new passkey, for passkey.js."""
    return Download(options.encode(), "application/json", "challenge.json")
