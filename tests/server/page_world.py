"""Every page of the console, with a right address and form; only the caller may be wrong.

Rules: objects named by a page lie in the domain Sales (`operation_world`). Add the name of a new page to `names_of` if
its kind is new.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from sparekey.secret import Secret
from sparekey.server.web import cookies
from sparekey.server.web.pages import Page
from sparekey.server.web.rendering import MARK_FIELD
from tests.server.asgi import Reply, ask
from tests.server.operation_world import INSIDE, World

HOST = "localhost"
Form = Mapping[str, str]


def names_of(*, login: str, serial: str, device_id: str, client: str, domain: str) -> Mapping[str, str]:
    """Return the values for names in paths, by the page's noun and the name in braces, or by the name alone."""
    return {
        "login": login,
        "serial": serial,
        "device_id": device_id,
        "device": device_id,
        "devices/name": device_id,
        "clients/name": client,
        "domains/name": domain,
        "roles/name": "auditor",
        "policies/name": "Default",
        "kind": "token",
        "operator": login,
        "alarm_id": "none-of-them",
        "approval_id": "none-of-them",
        "passkey": "0" * 32,
        "session": "0" * 16,
    }


def placed(page: Page, names: Mapping[str, str]) -> str:
    """The page's path with these names."""
    noun = page.path.split("/")[2] if page.path.count("/") > 1 else ""

    def named(found: re.Match[str]) -> str:
        name = found.group(1)
        value = names.get(f"{noun}/{name}") or names.get(name)
        assert value is not None, f"tests/server/page_world.py does not know what {{{name}}} of {page.path} is"
        return quote(value, safe="")

    return re.sub(r"{(\w+)}", named, page.path)


def address_of(world: World, page: Page) -> str:
    """The page's path with names of things that are there."""
    names = names_of(login="alice", serial=world.alice.serial, device_id=world.device_id, client="crm", domain=INSIDE)
    return placed(page, names)


def marked(token: Secret[str], form: Form) -> dict[str, str]:
    """The form as our own page sends it."""
    return {MARK_FIELD: cookies.new_mark(token), **form}


async def visit(world: World, page: Page, token: Secret[str] | None, form: Form | None = None, **more: Any) -> Reply:
    """Request the page in this session. A form gets its mark unless `mark` is given."""
    headers = {"host": HOST, "accept-encoding": "identity", **more.pop("headers", {})}
    if token is not None:
        headers["cookie"] = f"{cookies.SESSION}={token.reveal()}"
    body = b""
    if page.changes:
        own = {"content-type": "application/x-www-form-urlencoded", "origin": f"https://{HOST}"}
        headers = own | headers
        sent = dict(form or {})
        if MARK_FIELD not in sent and token is not None:
            sent = marked(token, sent)
        body = urlencode(sent).encode()
    return await ask(
        world.interfaces.app, page.method, more.pop("path", address_of(world, page)), body, headers, **more
    )


def header(reply: Reply, name: str) -> str:
    return next((value.decode() for key, value in reply.headers if key == name.encode()), "")
