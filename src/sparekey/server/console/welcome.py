"""The target of a super administrator link: enter the code, add a passkey or a token with a PIN, then sign in.

The code follows the `#` of the link, which browsers never send and no log contains; a script puts it into the form.
Without the script, the user pastes it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.app.people import admin_links
from sparekey.core.errors import BadInput, Conflict, SparekeyError
from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE, SIGN_IN, WELCOME
from sparekey.server.console.tokens.new import handed_over
from sparekey.server.errors import is_unavailable, log_unforeseen
from sparekey.server.service import Service
from sparekey.server.web.arrivals import admitted, verify_ours
from sparekey.server.web.forms import with_form
from sparekey.server.web.page_results import Download, Redirect, Reply, Shown
from sparekey.server.web.passkeys import get_place
from sparekey.server.web.responses import failed, respond, status_of
from sparekey.server.web.visits import Visit
from sparekey.server.work import Busy

_BUSY: Final = Conflict("the server is busy", "try again in a few seconds")


def routes(service: Service) -> list[Route]:
    """Return the routes for GET of the page, and for POST of the code and of the passkey or token."""

    async def page(request: Request) -> Response:
        visit = admitted(service, CONSOLE, request)
        return respond(CONSOLE, request, visit, _ask_for_code(visit))

    return [
        Route(WELCOME, page, methods=["GET"]),
        _post(service, WELCOME, choose),
        _post(service, f"{WELCOME}/passkey/challenge", passkey_challenge),
        _post(service, f"{WELCOME}/passkey", use_with_passkey),
        _post(service, f"{WELCOME}/token", use_with_token),
    ]


def choose(visit: Visit) -> Reply:
    """Show the choice between a passkey and a token; the code is valid."""
    return _choices(visit)


def passkey_challenge(visit: Visit) -> Reply:
    """Return the challenge for a new passkey, for passkey.js."""
    code, login = _code(visit), visit.form.text("user")
    options = admin_links.ask_for_passkey(visit.instance, get_place(visit), code, login, visit.now)
    return Download(options.encode(), "application/json", "challenge.json")


def use_with_passkey(visit: Visit) -> Reply:
    form = visit.form
    name, answer = form.text("name", "Name of the passkey", needed=True), form.get("passkey", "")
    login = admin_links.use_with_passkey(
        visit.instance, get_place(visit), _code(visit), form.text("user"), name, answer, visit.now
    )
    return Redirect(SIGN_IN, f"{login} is now a super administrator. Sign in with your passkey.")


def use_with_token(visit: Visit) -> Reply:
    """Add the token, and show its key: only this reply contains it. Raises BadInput if the two PINs differ."""
    form = visit.form
    pin = form.secret("pin")
    if pin.reveal() != form.secret("pin-again").reveal():
        raise BadInput("the two PINs are different", "type the same PIN twice")
    login, made = admin_links.use_with_token(visit.instance, _code(visit), form.text("user"), pin, visit.now)
    return visit.show("welcome/token.html", secret=True, login=login, **handed_over(made, login))


def _post(service: Service, path: str, handler: Callable[[Visit], Reply]) -> Route:
    async def handle(request: Request) -> Response:
        visit = await with_form(service, request, admitted(service, CONSOLE, request))
        verify_ours(CONSOLE, request, visit.form)
        try:
            return await service.sessions.run(_answered, request, visit, handler)
        except Busy:
            return failed(CONSOLE, request, visit, _BUSY, 429)

    return Route(path, handle, methods=["POST"])


def _answered(request: Request, visit: Visit, handler: Callable[[Visit], Reply]) -> Response:
    """Show a mistake in the form, or ask for the code again if the link is not valid."""
    try:
        return respond(CONSOLE, request, visit, handler(visit))
    except SparekeyError as error:
        visit = replace(visit, error=error)
        return respond(CONSOLE, request, visit, replace(_again(visit), status=status_of(error)))
    except Exception as error:  # noqa: BLE001 -- every error becomes a page, which does not show its message
        log_unforeseen(error)
        said = Conflict("an internal error occurred", "reload the page in a moment")
        return failed(CONSOLE, request, visit, said, 503 if is_unavailable(error) else 500)


def _again(visit: Visit) -> Shown:
    try:
        return _choices(visit)
    except SparekeyError:
        return _ask_for_code(visit)


def _ask_for_code(visit: Visit) -> Shown:
    return visit.show("welcome/code.html")


def _choices(visit: Visit) -> Shown:
    code = _code(visit)
    link = admin_links.look_at_link(visit.instance, code, visit.now)
    given: dict[str, object] = {"code": code.reveal(), "link": link, "passkeys": visit.place is not None}
    return visit.show("welcome/choose.html", secret=True, **given)


def _code(visit: Visit) -> Secret[str]:
    """Return the code as it was pasted, or filled in by the script."""
    return Secret("".join(visit.form.get("code", "").split()))
