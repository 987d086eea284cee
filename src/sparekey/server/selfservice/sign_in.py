"""Sign-in and sign-out of self-service.

Rules:
- A refusal is sent at the floor (`server.floor`), with the same text for every reason.
- `/` redirects here: most people who type the name of the server are users.
"""

from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.app.self_service.passkeys import entrance
from sparekey.app.sessions.administrators import OpenedSession, id_of
from sparekey.app.sessions.users import end_session, interface_name, open_session
from sparekey.app.sign_in.verification import SignInInterface
from sparekey.secret import Secret
from sparekey.server.floor import Floor
from sparekey.server.rest.callers import is_admitted
from sparekey.server.selfservice.site import HOME, SELF_SERVICE, SIGN_IN, SIGN_OUT
from sparekey.server.service import Service
from sparekey.server.sign_in_floor import run_sign_in
from sparekey.server.web.after_sign_in import answered, way_back
from sparekey.server.web.arrivals import admitted, token_of, verify_ours
from sparekey.server.web.fields import Fields
from sparekey.server.web.forms import with_form
from sparekey.server.web.page_results import Redirect, Shown
from sparekey.server.web.passkeys import BUSY, PasskeySignIn, form_of
from sparekey.server.web.passkeys import routes as passkey_routes
from sparekey.server.web.responses import failed, respond
from sparekey.server.web.visits import Visit
from sparekey.server.work import Busy

_REFUSED: Final = (
    "Not signed in. Check the name and the passcode: your PIN, then the code that your token shows now. "
    "A code works once."
)


def routes(service: Service) -> list[Route]:
    """Return the routes for GET and POST of the sign-in, for POST of the sign-out, and the redirect from `/`."""
    passkeys = PasskeySignIn(
        SELF_SERVICE,
        service.passkeys,
        lambda request: entrance(administrators_too=is_admitted(service, request)),
        _page,
    )

    async def front(request: Request) -> Response:
        visit = admitted(service, SELF_SERVICE, request)
        return respond(SELF_SERVICE, request, visit, Redirect(HOME))

    async def page(request: Request) -> Response:
        visit = admitted(service, SELF_SERVICE, request)
        return respond(SELF_SERVICE, request, visit, _page(visit, visit.query))

    async def sign_in(request: Request) -> Response:
        arrived = Floor.arrival()
        visit, _ = await form_of(service, SELF_SERVICE, request)
        try:
            return await _sign_in_reply(service, request, visit, arrived)
        except Busy:
            return failed(SELF_SERVICE, request, visit, BUSY, 429)

    async def sign_out(request: Request) -> Response:
        visit = await with_form(service, request, admitted(service, SELF_SERVICE, request))
        verify_ours(SELF_SERVICE, request, visit.form)
        await service.self_service.run(_end, visit, token_of(SELF_SERVICE, request))
        return respond(SELF_SERVICE, request, visit, Redirect(SIGN_IN, "You are signed out.", signs_out=True))

    return [
        *passkey_routes(service, passkeys),
        Route("/", front, methods=["GET"]),
        Route(SIGN_IN, page, methods=["GET"]),
        Route(SIGN_IN, sign_in, methods=["POST"]),
        Route(SIGN_OUT, sign_out, methods=["POST"]),
    ]


async def _sign_in_reply(service: Service, request: Request, visit: Visit, arrived: float) -> Response:
    form = visit.form
    from_inside = is_admitted(service, request)
    verify: Callable[[], OpenedSession] = lambda: open_session(  # noqa: E731
        visit.instance,
        visit.address,
        form.get("user", "").strip(),
        form.secret("passcode"),
        form.secret("reply-to"),
        visit.now,
        administrators_too=from_inside,
    )
    interface = SignInInterface(interface_name(visit.address))
    typed = form.secret("passcode")
    result = await run_sign_in(service, arrived, interface, visit.now, typed, verify, service.self_service)
    return answered(SELF_SERVICE, request, visit, result, lambda **more: _page(visit, form, **more), _REFUSED)


def _page(visit: Visit, fields: Fields, **more: str) -> Shown:
    """Return the values of the page, which never contain a typed passcode."""
    given: dict[str, Any] = {
        "user": fields.get("user", ""),
        "to": way_back(fields.get("to", ""), HOME),
        "challenge": "",
        "reply_to": "",
        "refused": "",
        "passkeys": visit.place is not None,
    }
    return visit.show("self-service/sign-in.html", **given | more)


def _end(visit: Visit, token: Secret[str]) -> None:
    end_session(visit.instance, id_of(visit.instance.database.seals, token))
