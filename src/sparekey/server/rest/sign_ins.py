"""`POST /v1/sign-ins`: a program with its own key verifies the passcode of a user."""

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.app.sign_in.challenge_answers import answer_challenge
from sparekey.app.sign_in.verification import SignInInterface, SignInResult, sign_in
from sparekey.core.sign_in.outcome import Asked, Denied, Granted
from sparekey.secret import Secret
from sparekey.server.bodies import read_body
from sparekey.server.errors import RequestRejected
from sparekey.server.floor import Floor
from sparekey.server.json_replies import answer, error_answer
from sparekey.server.openapi import Messages, described_route
from sparekey.server.rest.client_interfaces import ClientInterfaces
from sparekey.server.service import Service
from sparekey.server.sign_in_floor import run_sign_in
from sparekey.server.work import Busy
from sparekey.wire.agent_api import ErrorReply
from sparekey.wire.messages import TYPED, decode

PATH = "/v1/sign-ins"
_LARGEST = 16_384


@dataclass(frozen=True)
class ClientSignInRequest:
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
    text: str = ""  # the challenge, for the person at the screen
    reply_to: str = field(repr=False, default="")  # one answer, within two minutes, by this client for this user


def routes(service: Service) -> list[Route]:
    """Return the route for POST of sign-ins."""
    interfaces = ClientInterfaces(service)
    messages = Messages(
        request=ClientSignInRequest, reply=SignInAnswer, errors=(400, 401, 413, 429, 503), security=("client",)
    )

    async def ask(request: Request) -> Response:
        """Verify a passcode. A correct tokencode is used up: it is granted once."""
        try:
            return answer(await _sign_in(service, interfaces, request))
        except Busy:
            busy = ErrorReply(error="busy", message="the server is busy", do="try again in a few seconds")
            return error_answer(429, busy, {"Retry-After": "1"})

    return [described_route("POST", PATH, ask, "sign-in", messages)]


async def _sign_in(service: Service, interfaces: ClientInterfaces, request: Request) -> SignInAnswer:
    """Return the result of the sign-in. A denial waits for the floor. Raises RequestRejected or Busy."""
    arrived = Floor.arrival()
    await _client_interface(interfaces, request, service.now())
    body = await read_body(request, _LARGEST)
    # Check again after reading the body: the client may have been revoked during a slow upload.
    now = service.now()
    interface = await _client_interface(interfaces, request, now)
    asked = decode(ClientSignInRequest, body)

    def verify() -> SignInResult:
        return _verify(service, interface, asked, now)

    result = await run_sign_in(service, arrived, interface, now, Secret(asked.passcode), verify)
    return _describe(result)


async def _client_interface(interfaces: ClientInterfaces, request: Request, now: int) -> SignInInterface:
    """Return the interface of the client with this key. Raises RequestRejected, the same for every reason."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    address = request.client.host if request.client else ""
    interface = None
    if scheme.lower() == "bearer" and key:
        interface = await interfaces.find(Secret(key.strip()), address, now)
    if interface is None:
        raise RequestRejected(
            401, "unknown-client", "this key is not valid, or not from this address", "see `sparekey client`"
        )
    return interface


def _verify(service: Service, interface: SignInInterface, asked: ClientSignInRequest, now: int) -> SignInResult:
    """Verify a passcode, or the answer to an earlier challenge."""
    typed = Secret(asked.passcode)
    if asked.reply_to:
        return answer_challenge(service.instance, interface, asked.user, Secret(asked.reply_to), typed, now)
    return sign_in(service.instance, interface, asked.user, typed, now)


def _describe(result: SignInResult) -> SignInAnswer:
    """Return the message for this result. It has no reason for a denial."""
    outcome = result.outcome
    match outcome:
        case Granted():
            return SignInAnswer("granted", outcome.login, outcome.method, [])
        case Asked():
            name = result.reply_to.reveal() if result.reply_to else ""
            return SignInAnswer("ask", "", "", [], outcome.ask, outcome.text, name)
        case Denied():
            return SignInAnswer("denied", "", "", list(outcome.misread))
