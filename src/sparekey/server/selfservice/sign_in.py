"""Sign in to the self-service console and out of it: the one sign-in of every door, refused at the floor, alike for
all.

`/` leads here: most people who type the server's name are users.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sparekey.app.admin_sessions import Opened
from sparekey.app.sign_in import Door
from sparekey.app.user_sessions import door_name, end_session, find_session, open_session
from sparekey.core.errors import Conflict
from sparekey.core.outcome import Asked, Denied, Granted
from sparekey.secret import Secret
from sparekey.server.floor import Floor
from sparekey.server.rest.callers import is_admitted
from sparekey.server.selfservice.site import HOME, SELF_SERVICE, SIGN_IN, SIGN_OUT
from sparekey.server.service import Service
from sparekey.server.sign_ins import judge
from sparekey.server.web.fields import Fields
from sparekey.server.web.pages import FORM
from sparekey.server.web.replies import SentOn
from sparekey.server.web.site import admitted, failed, read_form, respond, token_of, verify_ours
from sparekey.server.web.visits import Visit
from sparekey.server.work import Busy

_REFUSED: Final = (
    "Not signed in. Check the name and the passcode: your PIN, then the code that your token shows now. "
    "A code works once."
)
_TEMPLATE: Final = "self-service/sign-in.html"


def routes(service: Service) -> APIRouter:
    """GET and POST sign-in, POST sign-out, and the way there from the server's name alone."""
    router = APIRouter(include_in_schema=False)

    @router.get("/", response_class=Response)
    async def front(request: Request) -> Response:
        visit = admitted(service, SELF_SERVICE, request)
        return respond(SELF_SERVICE, request, visit, SentOn(HOME))

    @router.get(SIGN_IN, response_class=Response)
    async def page(request: Request) -> Response:
        visit = admitted(service, SELF_SERVICE, request)
        return respond(SELF_SERVICE, request, visit, visit.show(_TEMPLATE, **_form(visit.query)))

    @router.post(SIGN_IN, response_class=Response)
    async def sign_in(request: Request) -> Response:
        arrived = Floor.arrival()
        visit = admitted(service, SELF_SERVICE, request)
        visit = replace(visit, form=await read_form(request, FORM))
        verify_ours(SELF_SERVICE, request, visit.form)
        try:
            return await _judged(service, request, visit, arrived)
        except Busy:
            busy = Conflict("more is waiting than this server takes on", "try again in a second")
            return failed(SELF_SERVICE, request, visit, busy, 429)

    @router.post(SIGN_OUT, response_class=Response)
    async def sign_out(request: Request) -> Response:
        visit = admitted(service, SELF_SERVICE, request)
        verify_ours(SELF_SERVICE, request, await read_form(request, FORM))
        await service.self_service.run(_end, visit, token_of(SELF_SERVICE, request))
        return respond(SELF_SERVICE, request, visit, SentOn(SIGN_IN, "You are signed out.", signs_out=True))

    return router


async def _judged(service: Service, request: Request, visit: Visit, arrived: float) -> Response:
    form = visit.form
    from_inside = is_admitted(service, request)
    verify: Callable[[], Opened] = lambda: open_session(  # noqa: E731
        visit.instance,
        visit.address,
        form.get("user", "").strip(),
        form.secret("passcode"),
        form.secret("reply-to"),
        visit.now,
        administrators_too=from_inside,
    )
    door = Door(door_name(visit.address))
    judged = await judge(
        service, arrived, door, visit.now, verify, lambda opened: opened.verdict.outcome, service.self_service
    )
    outcome = judged.verdict.outcome if isinstance(judged, Opened) else judged
    match outcome:
        case Granted() if isinstance(judged, Opened):
            return respond(SELF_SERVICE, request, visit, SentOn(_way_back(form.get("to", "")), session=judged.token))
        case Asked() if isinstance(judged, Opened):
            name = judged.verdict.reply_to.reveal() if judged.verdict.reply_to else ""
            asked = _form(form) | {"question": outcome.text, "reply_to": name}
            return respond(SELF_SERVICE, request, visit, visit.show(_TEMPLATE, **asked))
        case Denied() if outcome.misread:
            groups = " and ".join(str(number) for number in outcome.misread)
            refusal = f"Group {groups} of the code was misread. Nothing was counted: type it once more."
            return respond(SELF_SERVICE, request, visit, visit.show(_TEMPLATE, **_form(form) | {"refused": refusal}))
    return respond(SELF_SERVICE, request, visit, visit.show(_TEMPLATE, **_form(form) | {"refused": _REFUSED}))


def _form(fields: Fields) -> dict[str, Any]:
    """What the page is given: never what was typed as a passcode."""
    return {
        "user": fields.get("user", ""), "to": _way_back(fields.get("to", "")), "question": "", "reply_to": "",
        "refused": "",
    }  # fmt: skip


def _way_back(to: str) -> str:
    """Where the visitor wanted to go, if that is a page of ours."""
    parts = urlsplit(to)
    ours = not parts.scheme and not parts.netloc and (parts.path == HOME or parts.path.startswith(f"{HOME}/"))
    return to if ours and "\\" not in to and to.isprintable() else HOME


def _end(visit: Visit, token: Secret[str]) -> None:
    session = find_session(visit.instance, token, visit.now)
    if session is not None:
        end_session(visit.instance, session)
