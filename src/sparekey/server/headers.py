"""Headers of every request and of every reply, whatever the route (S61).

Rules:
- A request names one host. Of two `Host` headers, a proxy may read one and this server the other.
- Every reply has `nosniff`: a browser takes no JSON, page or file for anything else.
- With TLS, every reply tells browsers to use this name with TLS only, for a year. Behind a proxy (`tls = "off"`), that
  is the proxy's task.
- No reply names the software of the server.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparekey.server.errors import RequestRejected

_NO_SNIFFING: Final = (b"x-content-type-options", b"nosniff")
_TLS_ONLY: Final = (b"strict-transport-security", b"max-age=31536000")  # RFC 6797; not for other names below this one
_LOCAL: Final = b"localhost"


class OneHost:
    """Pass on requests with at most one host. Raises RequestRejected (400) for others (RFC 9112 section 3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and len(_hosts(scope)) > 1:
            raise RequestRejected(400, "bad-request", "the request names more than one host", "name one")
        await self._app(scope, receive, send)


class ReplyHeaders:
    """Add the headers that every reply has. `tls`: True if this server uses TLS itself."""

    def __init__(self, app: ASGIApp, *, tls: bool) -> None:
        self._app = app
        self._tls = tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        more = (_NO_SNIFFING, _TLS_ONLY) if self._tls and not _is_local(scope) else (_NO_SNIFFING,)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._app(scope, receive, with_headers)


def _hosts(scope: Scope) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == b"host"]


def _is_local(scope: Scope) -> bool:
    """Return True for `localhost`, which all programs of a computer share: they could not be used without TLS any
    more, and connections to it do not leave the computer."""
    return any(host.partition(b":")[0].lower() == _LOCAL for host in _hosts(scope))
