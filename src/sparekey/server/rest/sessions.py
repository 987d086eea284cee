"""`/v1/sessions`: an administrator signs in, confirms the second factor again, and logs out.

Rules:
- The sign-in is the same as everywhere. A refusal is sent at the floor (`server.floor`).
- Only the reply contains the session token.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.app.sessions.administrators import (
    OpenedSession,
    Session,
    end_session,
    id_of,
    interface_name,
    open_session,
    refresh_second_factor,
)
from sparekey.app.sign_in.verification import SignInInterface, SignInResult
from sparekey.core.sign_in.outcome import Asked, Denied, Granted
from sparekey.secret import Secret
from sparekey.server.bodies import read_body
from sparekey.server.errors import RequestRejected
from sparekey.server.floor import Floor
from sparekey.server.json_replies import NOT_KEPT, answer, error_answer
from sparekey.server.openapi import Messages, described_route
from sparekey.server.rest.callers import address_of, bearer_of, get_caller, is_admitted
from sparekey.server.service import Service
from sparekey.server.sign_in_floor import run_sign_in
from sparekey.server.work import Busy
from sparekey.wire.agent_api import ErrorReply
from sparekey.wire.messages import TYPED, decode

PATH = "/v1/sessions"
SECOND_FACTOR = f"{PATH}/second-factor"
_LARGEST = 16_384
_ERRORS = (400, 403, 413, 429, 503)
# Checked first, and the same for every name: an attacker elsewhere cannot lock administrators out.
_NOT_FROM_HERE = RequestRejected(
    403, "not-from-here", "administrators cannot sign in from this address", "see the setting admin_networks"
)


@dataclass(frozen=True)
class SessionRequest:
    """A sign-in; with `reply_to`, `passcode` is the answer to the challenge of that name."""

    user: str = field(metadata=TYPED)
    passcode: str = field(repr=False, metadata=TYPED)
    reply_to: str = field(repr=False, default="", metadata=TYPED)


@dataclass(frozen=True)
class SecondFactorRequest:
    """A second factor of the user of the session, like a sign-in."""

    passcode: str = field(repr=False, metadata=TYPED)
    reply_to: str = field(repr=False, default="", metadata=TYPED)


@dataclass(frozen=True)
class SessionAnswer:
    """The result: granted, denied or ask. A denial reveals no more, except misread groups of an emergency code."""

    result: str  # granted | denied | ask
    misread: list[int]
    session: str = field(repr=False, default="")  # its token, shown here once; "": no new one
    expires_at: int = 0  # unix seconds; sooner if it is not used
    ask: str = ""  # new-pin | confirm-pin | next-tokencode
    text: str = ""  # the challenge, for the person at the screen
    reply_to: str = field(repr=False, default="")  # one answer, within two minutes, from the same address


def routes(service: Service) -> list[Route]:
    """Return the routes for POST and DELETE of sessions, and for POST of a second factor."""

    async def begin(request: Request) -> Response:
        """Sign in as an administrator. A user without a role is refused, and no failure is counted."""
        arrived = Floor.arrival()
        if not is_admitted(service, request):
            raise _NOT_FROM_HERE
        asked = decode(SessionRequest, await read_body(request, _LARGEST))
        address, now = address_of(request), service.now()

        def verify() -> OpenedSession:
            return open_session(
                service.instance, address, asked.user, Secret(asked.passcode), Secret(asked.reply_to), now
            )

        return await _sign_in_reply(service, arrived, address, now, Secret(asked.passcode), verify)

    async def refresh(request: Request) -> Response:
        """Confirm the second factor again, for operations that need a fresh one."""
        arrived = Floor.arrival()
        now = service.now()
        await _session(service, request, now)
        asked = decode(SecondFactorRequest, await read_body(request, _LARGEST))
        now = service.now()
        session, address = await _session(service, request, now), address_of(request)

        def verify() -> OpenedSession:
            typed, reply_to = Secret(asked.passcode), Secret(asked.reply_to)
            result = refresh_second_factor(service.instance, address, session, typed, reply_to, now)
            return OpenedSession(result.outcome, result.reply_to)

        return await _sign_in_reply(service, arrived, address, now, Secret(asked.passcode), verify)

    async def end(request: Request) -> Response:
        """End the session."""
        now = service.now()
        try:
            await _session(service, request, now)
        finally:
            # Also if the session is not valid now: it could become valid again, for example at another address.
            token = bearer_of(request)
            await service.administration.run(
                end_session, service.instance, id_of(service.instance.database.seals, token), now
            )
        return Response(status_code=204, headers=NOT_KEPT)

    return [
        described_route("POST", PATH, begin, "sessions", _BEGIN),
        described_route("DELETE", PATH, end, "sessions", _END),
        described_route("POST", SECOND_FACTOR, refresh, "sessions", _REFRESH),
    ]


_BEGIN: Final = Messages(request=SessionRequest, reply=SessionAnswer, errors=_ERRORS)
_END: Final = Messages(errors=(401, 503), security=("session",))
_REFRESH: Final = Messages(
    request=SecondFactorRequest, reply=SessionAnswer, errors=(401, *_ERRORS), security=("session",)
)


async def _sign_in_reply(
    service: Service, arrived: float, address: str, now: int, typed: Secret[str], verify: Callable[[], OpenedSession]
) -> Response:
    interface = SignInInterface(interface_name(address))
    try:
        result = await run_sign_in(service, arrived, interface, now, typed, verify, service.sessions)
    except Busy:
        busy = ErrorReply(error="busy", message="the server is busy", do="try again in a few seconds")
        return error_answer(429, busy, {"Retry-After": "1"})
    reply = answer(_answer(result))
    reply.headers.update(NOT_KEPT)
    return reply


async def _session(service: Service, request: Request, now: int) -> Session:
    caller = await get_caller(service, request, now)
    if caller.session is None:
        raise RequestRejected(
            401, "no-session", "an API client has no session", "this is for administrators who signed in"
        )
    return caller.session


def _answer(result: SignInResult) -> SessionAnswer:
    match result.outcome:
        case Granted() if isinstance(result, OpenedSession):
            return SessionAnswer("granted", [], result.token.reveal(), result.expires_at)
        case Asked() as asked:
            name = result.reply_to.reveal() if result.reply_to else ""
            return SessionAnswer("ask", [], ask=asked.ask, text=asked.text, reply_to=name)
        case Denied() as denied:
            return SessionAnswer("denied", list(denied.misread))
    return SessionAnswer("denied", [])
