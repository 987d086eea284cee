"""The ASGI application: every route, the one spelling of paths, what is said of errors, and what runs beside them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sparekey import __version__
from sparekey.server import health
from sparekey.server.agent_api import contacts, enrolment
from sparekey.server.agent_api import sign_ins as agent_sign_ins
from sparekey.server.console import sign_in as console_sign_in
from sparekey.server.console import welcome
from sparekey.server.console.site import CONSOLE
from sparekey.server.openapi import SECURITY_SCHEMES
from sparekey.server.paths import OneSpelling
from sparekey.server.replies import NO_SUCH_ROUTE, Failure, failure_of
from sparekey.server.rest import administration, sessions
from sparekey.server.rest import sign_ins as rest_sign_ins
from sparekey.server.selfservice import sign_in as self_service_sign_in
from sparekey.server.selfservice.site import SELF_SERVICE
from sparekey.server.service import Service
from sparekey.server.web import assets, routing
from sparekey.server.web.failures import Failures

Lifespan = Callable[[], AbstractAsyncContextManager[None]]

_ROUTES = (
    health.routes,
    rest_sign_ins.routes,
    sessions.routes,
    administration.routes,
    enrolment.routes,
    agent_sign_ins.routes,
    contacts.routes,
)


def create_application(service: Service, beside: Lifespan | None = None) -> FastAPI:
    """The application over one service. `beside` runs as long as it does."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if beside is None:
            yield
        else:
            async with beside():
                yield

    application = _Described(
        title="Sparekey",
        version=__version__,
        summary="Sign-in with two factors, online, and the data that make it work offline.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a key, or a signed request, is never sent on to where a header says
        lifespan=lifespan,
    )
    for routes in _ROUTES:
        application.include_router(routes(service))
    application.include_router(assets.routes())
    application.include_router(console_sign_in.routes(service))
    application.include_router(welcome.routes(service))
    application.include_router(routing.routes(service, CONSOLE))
    application.include_router(self_service_sign_in.routes(service))
    application.include_router(routing.routes(service, SELF_SERVICE))
    failures = Failures(service, (CONSOLE, SELF_SERVICE))
    application.add_exception_handler(HTTPException, _no_such_route(failures))
    application.add_middleware(OneSpelling)
    application.add_middleware(_ErrorsAnswered, failures)
    return application


class _Described(FastAPI):
    """Its description names every operation, and says how a program shows who it is."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["paths"] |= administration.described_paths()
        document.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
        return document


class _ErrorsAnswered:
    """Around every route: an exception becomes an answer, and the log never sees its words."""

    def __init__(self, app: ASGIApp, failures: Failures) -> None:
        self._app = app
        self._failures = failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 -- every error is an answer
            answer = self._failures.answer(Request(scope), failure_of(error))
            if not started:
                await answer(scope, receive, send)


def _no_such_route(failures: Failures) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (404, None)
        return failures.answer(request, Failure(status, NO_SUCH_ROUTE, headers))

    return answer
