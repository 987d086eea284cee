"""One spelling for each address: the router sees the path as it was sent, as do proxies and logs before it.

Rules:
- Nothing is decoded before the router: `/%63onsole` is not the console. A proxy can therefore protect all of `/console`
  by its prefix.
- The page or operation decodes the values in its path. They may contain a slash.
- An ambiguous path (with `.` or `..` parts, in any spelling) leads nowhere.
- A path with bytes that are not UTF-8, or with unprintable characters, is rejected.
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from sparekey.server.errors import NO_SUCH_ROUTE, RequestRejected

_LONGEST: Final = 8_192
# RFC 3986 section 3.3: pchar, each part after its slash
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")


class OneSpelling:
    """Pass on the path as it was sent. Raises RequestRejected if it leads nowhere (404) or is not text (400)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = sent_path(scope)
            if not is_path(path):
                raise RequestRejected(404, NO_SUCH_ROUTE.error, NO_SUCH_ROUTE.message, NO_SUCH_ROUTE.do)
            if not is_text(path):
                raise RequestRejected(
                    400, "bad-request", "the path contains unprintable characters, or is not UTF-8", "check the address"
                )
            scope = {**scope, "path": path}
        await self._app(scope, receive, send)


def sent_path(scope: Scope) -> str:
    """Return the path as it was sent, percent-encoded; "" if the HTTP server does not report it."""
    raw: bytes = scope.get("raw_path") or b""
    return raw.partition(b"?")[0].decode("ascii", "replace")


def is_path(sent: str) -> bool:
    """Return True if the path can lead to a route."""
    if len(sent) > _LONGEST or _PATH.fullmatch(sent) is None:
        return False
    return not {b".", b".."} & set(unquote_to_bytes(sent).split(b"/"))


def is_text(sent: str) -> bool:
    """Return True if the values in the path can be names."""
    try:
        return unquote_to_bytes(sent).decode().isprintable()
    except UnicodeDecodeError:
        return False
