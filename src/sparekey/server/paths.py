"""An address has one spelling: what the router sees is what was sent, and what a proxy or a log line before us saw.

Rules:
- Nothing is decoded before the router: `/%63onsole` is not the console, so that whoever guards `/console` by how a
  path begins guards all of it. What a path names is decoded by the page or operation that it leads to; it may hold a
  slash.
- A path that is none, or that others might take for another one (parts that are dots, in whatever spelling), leads
  nowhere; one that names what nobody can have (bytes that are no UTF-8, what cannot be printed) is refused.
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from sparekey.server.replies import NO_SUCH_ROUTE, Refusal

_LONGEST: Final = 8_192
# RFC 3986 section 3.3: pchar, each part after its slash
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")


class OneSpelling:
    """Hands on the path that was sent. Raises Refusal for one that leads nowhere (404) or names no text (400)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = sent_path(scope)
            if not is_path(path):
                raise Refusal(404, NO_SUCH_ROUTE.error, NO_SUCH_ROUTE.message, NO_SUCH_ROUTE.do)
            if not is_text(path):
                raise Refusal(
                    400, "bad-request", "the path contains unprintable characters, or is not UTF-8", "check the address"
                )
            scope = {**scope, "path": path}
        await self._app(scope, receive, send)


def sent_path(scope: Scope) -> str:
    """As it was sent, percent-encoded; "": the server in front of us does not tell."""
    raw: bytes = scope.get("raw_path") or b""
    return raw.partition(b"?")[0].decode("ascii", "replace")


def is_path(sent: str) -> bool:
    """Whether it can lead anywhere."""
    if len(sent) > _LONGEST or _PATH.fullmatch(sent) is None:
        return False
    return not {b".", b".."} & set(unquote_to_bytes(sent).split(b"/"))


def is_text(sent: str) -> bool:
    """Whether what it names can be anybody's name."""
    try:
        return unquote_to_bytes(sent).decode().isprintable()
    except UnicodeDecodeError:
        return False
