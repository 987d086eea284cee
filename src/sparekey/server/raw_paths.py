"""Paths that name things are matched as they came, percent-encoded: a name may hold a slash."""

from starlette.types import ASGIApp, Receive, Scope, Send

_PREFIXES = (b"/v1/", b"/console/", b"/self-service/")


class RawPaths:
    """Hands on the path that was sent; what it names is decoded by the operation that it leads to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = scope.get("raw_path") or b""
        if scope["type"] == "http" and sent.startswith(_PREFIXES):
            scope = {**scope, "path": sent.partition(b"?")[0].decode("ascii", "replace")}
        await self._app(scope, receive, send)
