"""`POST /v1/sign-ins`: a program with its own key verifies the passcode of a user."""

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.app.sign_in.answers import answer_challenge
from sparekey.app.sign_in.verification import Door, Verdict, sign_in
from sparekey.core.sign_in.outcome import Asked, Denied, Granted
from sparekey.secret import Secret
from sparekey.server.bodies import read_body
from sparekey.server.floor import Floor
from sparekey.server.openapi import Messages, described_route
from sparekey.server.replies import Refusal, answer, error_answer
from sparekey.server.rest.doors import Doors
from sparekey.server.service import Service
from sparekey.server.sign_in_answers import judge
from sparekey.server.work import Busy
from sparekey.wire.agent_api import ErrorReply
from sparekey.wire.messages import TYPED, decode

PATH = "/v1/sign-ins"
_LARGEST = 16_384


@dataclass(frozen=True)
class SignInQuestion:
    """A sign-in; with `reply_to`, `passcode` is the answer to the challenge of that name."""

    user: str = field(metadata=TYPED)
    passcode: str = field(repr=False, metadata=TYPED)
    reply_to: str = field(repr=False, default="", metadata=TYPED)


@dataclass(frozen=True)
class SignInAnswer:
    """The result: granted, denied or ask. A denial reveals no more, except misread groups of an emergency code."""

    result: str  # granted | denied | ask
    user: str
    method: str
    misread: list[int]
    ask: str = ""  # new-pin | confirm-pin | next-tokencode
    text: str = ""  # the question, for the person at the screen
    reply_to: str = field(repr=False, default="")  # one answer, within two minutes, by this client for this user


def routes(service: Service) -> list[Route]:
    """POST sign-ins."""
    doors = Doors(service)
    messages = Messages(
        request=SignInQuestion, reply=SignInAnswer, errors=(400, 401, 413, 429, 503), security=("client",)
    )

    async def ask(request: Request) -> Response:
        """Verify a passcode. A correct tokencode is used up: it is granted once."""
        try:
            return answer(await _sign_in(service, doors, request))
        except Busy:
            busy = ErrorReply(error="busy", message="the server is busy", do="try again in a few seconds")
            return error_answer(429, busy, {"Retry-After": "1"})

    return [described_route("POST", PATH, ask, "sign-in", messages)]


async def _sign_in(service: Service, doors: Doors, request: Request) -> SignInAnswer:
    """Return the result of the sign-in; a denial not before the floor. Raises Refusal or Busy."""
    arrived = Floor.arrival()
    await _find_door(doors, request, service.now())
    body = await read_body(request, _LARGEST)
    # Check again after reading the body: the client may have been revoked during a slow upload.
    now = service.now()
    door = await _find_door(doors, request, now)
    asked = decode(SignInQuestion, body)
    judged = await judge(
        service, arrived, door, now, lambda: _verify(service, door, asked, now), lambda verdict: verdict.outcome
    )
    return _describe(judged)


async def _find_door(doors: Doors, request: Request, now: int) -> Door:
    """Return the door of the client whose key the request carries. Raises Refusal, the same for every reason."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    address = request.client.host if request.client else ""
    door = None
    if scheme.lower() == "bearer" and key:
        door = await doors.find(Secret(key.strip()), address, now)
    if door is None:
        raise Refusal(401, "unknown-client", "this key is not valid, or not from this address", "see `sparekey client`")
    return door


def _verify(service: Service, door: Door, asked: SignInQuestion, now: int) -> Verdict:
    """Verify a passcode, or the answer to an earlier challenge."""
    typed = Secret(asked.passcode)
    if asked.reply_to:
        return answer_challenge(service.instance, door, asked.user, Secret(asked.reply_to), typed, now)
    return sign_in(service.instance, door, asked.user, typed, now)


def _describe(judged: Verdict | Denied) -> SignInAnswer:
    """Return the message for this result. It has no reason for a denial."""
    outcome = judged.outcome if isinstance(judged, Verdict) else judged
    match outcome:
        case Granted():
            return SignInAnswer("granted", outcome.login, outcome.method, [])
        case Asked():
            name = judged.reply_to.reveal() if isinstance(judged, Verdict) and judged.reply_to else ""
            return SignInAnswer("ask", "", "", [], outcome.ask, outcome.text, name)
        case Denied():
            return SignInAnswer("denied", "", "", list(outcome.misread))
