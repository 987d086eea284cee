"""A user at the self-service console, in this process: raw pages, and forms as our own pages send them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote, urlencode

from sparekey.app.sessions.users import open_session
from sparekey.core.sign_in.outcome import Granted
from sparekey.secret import Secret
from sparekey.server.selfservice.site import SELF_SERVICE
from sparekey.server.web import cookies
from sparekey.server.web.pages import Page
from sparekey.server.web.rendering import MARK_FIELD
from tests.builders import User
from tests.server.asgi import Reply, ask
from tests.server.interfaces import Interfaces, run

HOST = "localhost"
HOME, SIGN_IN = SELF_SERVICE.home, SELF_SERVICE.sign_in


@dataclass
class Visitor:
    """A visitor. `token` is the session's, or None if the visitor has not signed in. `address` is the client's."""

    interfaces: Interfaces
    token: Secret[str] | None
    cookie: str = cookies.SELF_SERVICE
    address: str = "192.0.2.7"

    def get(self, path: str) -> Reply:
        return self._asked("GET", path, b"", self._headers())

    def post(
        self, path: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Reply:
        """The form with its mark, unless it has one."""
        base = self.token or Secret("")
        sent = {MARK_FIELD: cookies.new_mark(base), **(form or {})}
        own = {"content-type": "application/x-www-form-urlencoded", "origin": f"https://{HOST}"}
        return self._asked("POST", path, urlencode(sent).encode(), self._headers() | own | dict(headers))

    def ask(self, page: Page, serial: str, device: str, form: Mapping[str, str] | None = None) -> Reply:
        """A page of the registry, about this token or this device."""
        path = placed(page, serial, device)
        return self.post(path, form) if page.changes else self.get(path)

    def _asked(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return run(ask(self.interfaces.app, method, path, body, headers, address=self.address))

    def _headers(self) -> dict[str, str]:
        signed_in = {} if self.token is None else {"cookie": f"{self.cookie}={self.token.reveal()}"}
        return {"host": HOST, "accept-encoding": "identity", **signed_in}


def placed(page: Page, serial: str, device: str) -> str:
    """Return the page's path with these names."""
    names = {"serial": serial, "device": device, "passkey": "0" * 32}
    return re.sub(r"{(\w+)}", lambda found: quote(names[found.group(1)], safe=""), page.path)


def signed_in(interfaces: Interfaces, user: User) -> Visitor:
    """The user, with a session that began now."""
    now = interfaces.now[0]
    opened = open_session(interfaces.instance, "192.0.2.7", user.login, user.typed(now), Secret(""), now)
    assert isinstance(opened.outcome, Granted), opened
    return Visitor(interfaces, opened.token)


def text_of(reply: Reply) -> str:
    """Return the text of the page, roughly as a reader sees it."""
    page = re.sub(r"<(script|style|header|nav).*?</\1>", " ", reply.body.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def header(reply: Reply, name: str) -> str:
    return next((value.decode() for key, value in reply.headers if key == name.encode()), "")


def said(reply: Reply) -> str:
    """Return the target of the redirect, without the query."""
    return header(reply, "location").partition("?")[0]
