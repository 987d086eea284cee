"""Sign in to the Security Console and out of it: the one sign-in of every door, refused at the floor, alike for all."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sparekey.app.admin_sessions import Opened, door_name, end_session, id_of, open_session
from sparekey.app.passkey_sign_ins import ask_to_sign_in, open_session_with_passkey
from sparekey.app.sign_in import Door
from sparekey.core.errors import BadInput, Conflict
from sparekey.core.passkeys import Place
from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE, HOME, SIGN_IN, SIGN_OUT
from sparekey.server.floor import Floor
from sparekey.server.service import Service
from sparekey.server.sign_ins import judge
from sparekey.server.web import cookies
from sparekey.server.web.arrivals import admitted, token_of, verify_ours
from sparekey.server.web.fields import Fields
from sparekey.server.web.forms import read_form
from sparekey.server.web.pages import FORM
from sparekey.server.web.replies import Sent, SentOn, Shown
from sparekey.server.web.responses import failed, respond
from sparekey.server.web.signing_in import answered, way_back
from sparekey.server.web.visits import Visit
from sparekey.server.work import Busy

_REFUSED: Final = (
    "Not signed in. Check the name and the passcode: your PIN, then the code that your token shows now. "
    "A code works once."
)
_PASSKEY_REFUSED: Final = (
    "Not signed in. This passkey was not accepted: try once more, or sign in with your name and passcode."
)
_BUSY: Final = Conflict("more is waiting than this server takes on", "try again in a second")
PASSKEY: Final = f"{SIGN_IN}/passkey"
PASSKEY_QUESTION: Final = f"{PASSKEY}/question"


def routes(service: Service) -> APIRouter:
    """GET and POST sign-in, with a passcode or a passkey; POST sign-out."""
    router = APIRouter(include_in_schema=False)

    @router.get(SIGN_IN, response_class=Response)
    async def page(request: Request) -> Response:
        visit = admitted(service, CONSOLE, request)
        return respond(CONSOLE, request, visit, _page(visit, visit.query))

    @router.post(SIGN_IN, response_class=Response)
    async def sign_in(request: Request) -> Response:
        arrived = Floor.arrival()
        visit, _ = await _form_of(service, request)
        form = visit.form
        verify: Callable[[], Opened] = lambda: open_session(  # noqa: E731
            visit.instance, visit.address, form.get("user", "").strip(), form.secret("passcode"),
            form.secret("reply-to"), visit.now,
        )  # fmt: skip
        try:
            return await _judged(service, request, visit, arrived, verify, _REFUSED)
        except Busy:
            return failed(CONSOLE, request, visit, _BUSY, 429)

    @router.post(PASSKEY_QUESTION, response_class=Response)
    async def question(request: Request) -> Response:
        """What is to be signed, for this browser."""
        visit, browser = await _form_of(service, request)
        options = await service.sessions.run(ask_to_sign_in, visit.instance, _place(visit), browser, visit.now)
        return respond(CONSOLE, request, visit, Sent(options.encode(), "application/json", "question.json"))

    @router.post(PASSKEY, response_class=Response)
    async def sign_in_with_passkey(request: Request) -> Response:
        arrived = Floor.arrival()
        visit, browser = await _form_of(service, request)
        place, signed = _place(visit), visit.form.get("passkey", "")
        verify: Callable[[], Opened] = lambda: open_session_with_passkey(  # noqa: E731
            visit.instance, visit.address, place, browser, signed, visit.now
        )
        try:
            return await _judged(service, request, visit, arrived, verify, _PASSKEY_REFUSED)
        except Busy:
            return failed(CONSOLE, request, visit, _BUSY, 429)

    @router.post(SIGN_OUT, response_class=Response)
    async def sign_out(request: Request) -> Response:
        visit = admitted(service, CONSOLE, request)
        verify_ours(CONSOLE, request, await read_form(request, FORM))
        token = token_of(CONSOLE, request)
        await service.administration.run(_end, visit, token)
        return respond(CONSOLE, request, visit, SentOn(SIGN_IN, "You are signed out.", signs_out=True))

    return router


async def _form_of(service: Service, request: Request) -> tuple[Visit, Secret[str]]:
    """The form of our page, and what only this browser has: questions are bound to it. Raises Refusal, NotAllowed."""
    visit = admitted(service, CONSOLE, request)
    visit = replace(visit, form=await read_form(request, FORM))
    verify_ours(CONSOLE, request, visit.form)
    return visit, cookies.base_of(request.cookies, CONSOLE.sessions.cookie)


def _place(visit: Visit) -> Place:
    """Raises BadInput where no passkey can be used."""
    if visit.place is None:
        raise BadInput("passkeys do not work at an address of numbers", "open this server by its name")
    return visit.place


async def _judged(
    service: Service, request: Request, visit: Visit, arrived: float, verify: Callable[[], Opened], refusal: str
) -> Response:
    form = visit.form
    door = Door(door_name(visit.address))
    judged = await judge(
        service, arrived, door, visit.now, verify, lambda opened: opened.verdict.outcome, service.sessions
    )
    return answered(CONSOLE, request, visit, judged, lambda **more: _page(visit, form, **more), refusal)


def _page(visit: Visit, fields: Fields, **more: str) -> Shown:
    """What the page is given: never what was typed as a passcode."""
    given: dict[str, Any] = {
        "user": fields.get("user", ""), "to": way_back(fields.get("to", ""), HOME), "question": "", "reply_to": "",
        "refused": "", "passkeys": visit.place is not None,
    }  # fmt: skip
    return visit.show("sign-in.html", **given | more)


def _end(visit: Visit, token: Secret[str]) -> None:
    end_session(visit.instance, id_of(token), visit.now)
