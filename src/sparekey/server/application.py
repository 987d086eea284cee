"""The ASGI application: all routes, path normalisation, error replies, and the tasks that run beside them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparekey.server import health, openapi
from sparekey.server.admission.requests import PartyOfRequest
from sparekey.server.agent_api import contacts, enrolment
from sparekey.server.agent_api import sign_ins as agent_sign_ins
from sparekey.server.console import sign_in as console_sign_in
from sparekey.server.console import welcome
from sparekey.server.console.site import CONSOLE
from sparekey.server.errors import NO_SUCH_ROUTE, HttpFailure, failure_of
from sparekey.server.headers import OneHost, ReplyHeaders
from sparekey.server.paths import OneSpelling
from sparekey.server.recognition import recognise
from sparekey.server.rest import administration, sessions
from sparekey.server.rest import sign_ins as rest_sign_ins
from sparekey.server.selfservice import sign_in as self_service_sign_in
from sparekey.server.selfservice.site import SELF_SERVICE
from sparekey.server.service import Service
from sparekey.server.web import assets, routing
from sparekey.server.web.failures import Failures

Lifespan = Callable[[], AbstractAsyncContextManager[None]]


def create_application(service: Service, beside: Lifespan | None = None) -> Starlette:
    """Return the application of one service. `beside` runs as long as the application."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if beside is None:
            yield
        else:
            async with beside():
                yield

    failures = Failures(service, (CONSOLE, SELF_SERVICE))
    application = Starlette(
        routes=_routes(service),
        middleware=[
            Middleware(PartyOfRequest, service.settings, partial(recognise, service)),
            Middleware(ReplyHeaders, tls=service.settings.tls != "off"),
            Middleware(_ErrorsAnswered, failures),
            Middleware(OneHost),
            Middleware(OneSpelling),
        ],
        exception_handlers={HTTPException: _no_such_route(failures)},
        lifespan=lifespan,
    )
    # Safe because no redirect sends a key or a signed request to an address from a header.
    application.router.redirect_slashes = False
    return application


def _routes(service: Service) -> list[Route]:
    """Return every route. The router tries them in order, so the few busy ones come before the many operations."""
    for_programs = [
        *health.routes(service),
        *rest_sign_ins.routes(service),
        *sessions.routes(service),
        *enrolment.routes(service),
        *agent_sign_ins.routes(service),
        *contacts.routes(service),
        *administration.routes(service),
    ]
    return [
        *for_programs,
        openapi.document_route(for_programs),
        *assets.routes(),
        *console_sign_in.routes(service),
        *welcome.routes(service),
        *routing.routes(service, CONSOLE),
        *self_service_sign_in.routes(service),
        *routing.routes(service, SELF_SERVICE),
    ]


class _ErrorsAnswered:
    """Turn exceptions of every route into replies, and keep their messages out of the log."""

    def __init__(self, app: ASGIApp, failures: Failures) -> None:
        self._app = app
        self._failures = failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 -- every error becomes a reply
            answer = self._failures.answer(Request(scope), failure_of(error))
            if not started:
                await answer(scope, receive, send)


def _no_such_route(failures: Failures) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (404, None)
        return failures.answer(request, HttpFailure(status, NO_SUCH_ROUTE, headers))

    return answer
