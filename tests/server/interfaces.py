"""Every interface of the server, in this process: a program with a key, devices that sign, administrators."""

import asyncio
import html
import itertools
import json
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from starlette.applications import Starlette

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.app.sessions.clients import add_client
from sparekey.secret import Secret
from sparekey.server.application import create_application
from sparekey.server.service import Service
from sparekey.server.settings import Settings
from sparekey.server.web import cookies
from sparekey.server.web.rendering import MARK_FIELD
from sparekey.wire import agent_api as api
from sparekey.wire import signing
from sparekey.wire.messages import encode
from tests.builders import NOW, ROOT, Device, a_device
from tests.server.asgi import Reply, ask

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R")
BROWSER = Secret("a-browser-of-somebody")  # the content of its cookie
FLOOR_MS = 20  # refusals are quick unless a test is about the floor


@dataclass
class Interfaces:
    """The application over one instance; `now` can be moved."""

    instance: Instance
    service: Service
    app: Starlette
    key: Secret[str]
    now: list[int] = field(default_factory=lambda: [NOW])

    async def rest(
        self, user: str, passcode: str, key: Secret[str] | None = None, *, reply_to: str = "", **more: Any
    ) -> Reply:
        """Submit a passcode as a program, or answer a challenge."""
        answering = {"reply_to": reply_to} if reply_to else {}
        body = json.dumps({"user": user, "passcode": passcode, **answering}).encode()
        headers = {"Authorization": f"Bearer {(self.key if key is None else key).reveal()}"}
        return await ask(self.app, "POST", "/v1/sign-ins", body, headers, **more)

    async def session(self, user: str, passcode: str, *, reply_to: str = "", **more: Any) -> Reply:
        """Sign an administrator in, or answer a challenge. Only administrators can do so (`make_administrator`)."""
        body = json.dumps({"user": user, "passcode": passcode, "reply_to": reply_to}).encode()
        return await ask(self.app, "POST", "/v1/sessions", body, **more)

    async def console(self, user: str, passcode: str, *, reply_to: str = "", **more: Any) -> Reply:
        """Sign an administrator in at the Security Console, or answer a challenge, like `self_service`."""
        form = {"user": user, "passcode": passcode, "reply-to": reply_to}
        return _read(await self._page("/console/sign-in", form, **more), user)

    async def passkey(self, answer: str, **more: Any) -> Reply:
        """Sign an administrator in at the Security Console with a passkey's answer."""
        return _read(await self._page("/console/sign-in/passkey", {"passkey": answer}, **more), "")

    async def self_service(self, user: str, passcode: str, *, reply_to: str = "", **more: Any) -> Reply:
        """Sign a user in at the self-service console, or answer a challenge. Return the page as REST's JSON."""
        form = {"user": user, "passcode": passcode, "reply-to": reply_to}
        return _read(await self._page("/self-service/sign-in", form, **more), user)

    async def self_service_passkey(self, answer: str, **more: Any) -> Reply:
        """Sign a user in at the self-service console with a passkey's answer."""
        return _read(await self._page("/self-service/sign-in/passkey", {"passkey": answer}, **more), "")

    async def _page(self, path: str, form: Mapping[str, str], **more: Any) -> Reply:
        sent = {**form, MARK_FIELD: cookies.new_mark(BROWSER)}
        headers = {
            "host": "localhost",
            "origin": "https://localhost",
            "content-type": "application/x-www-form-urlencoded",
            "cookie": f"{cookies.BROWSER}={BROWSER.reveal()}",
        }
        return await ask(self.app, "POST", path, urlencode(sent, errors="surrogatepass").encode(), headers, **more)

    async def signed(self, device: Device, path: str, message: "DataclassInstance | bytes", **more: Any) -> Reply:
        """Send a signed request of a device; the message is encoded unless it is bytes."""
        body = message if isinstance(message, bytes) else encode(message)
        return await ask(self.app, "POST", path, body, headers_of(device, path, body, self.now[0]), **more)

    async def sign_in(self, device: Device, user: str, passcode: str, check: str = "", *, reply_to: str = "") -> Reply:
        """Sign a user in on a device, or answer a challenge there."""
        return await self.signed(
            device, api.SIGN_INS, api.SignInRequest(login=user, passcode=passcode, check=check, reply_to=reply_to)
        )


_ASKS = {
    "Choose": "new-pin",
    "Not taken": "new-pin",
    "The two": "new-pin",
    "Enter": "confirm-pin",
    "Wait": "next-tokencode",
}


def _read(reply: Reply, user: str) -> Reply:
    """Return the reply with the page's message, and a page without the parts that vary or were typed."""
    if reply.status not in (200, 303):
        return reply
    page = reply.body.decode()
    assert dict(reply.headers).get(b"content-length", b"0") == str(len(reply.body)).encode()
    said: dict[str, Any] = {"result": "granted" if reply.status == 303 else "denied"}
    challenge = re.search(r'<div class="note"><p>(.*?)</p></div>.*?name="reply-to" value="(.*?)"', page, re.DOTALL)
    if challenge is not None:
        text = html.unescape(challenge.group(1))
        kind = next(kind for start, kind in _ASKS.items() if text.startswith(start))
        said = {"result": "ask", "ask": kind, "text": text, "reply_to": challenge.group(2)}
    policy = dict(reply.headers).get(b"content-security-policy", b"").decode()
    changing = [nonce.group(1) for nonce in re.finditer(r"nonce-([\w-]+)", policy)]
    changing += re.findall(rf'name="{MARK_FIELD}" value="(\w+)"', page)
    headers = tuple((name, value) for name, value in reply.headers if name != b"content-length")
    for each in changing:
        page = page.replace(each, "")
        headers = tuple((name, value.replace(each.encode(), b"")) for name, value in headers)
    page = page.replace(f' value="{html.escape(user)}"', "")
    status = 200 if reply.status == 303 else reply.status
    return replace(reply, status=status, headers=headers, body=json.dumps({**said, "page": page}).encode())


def headers_of(device: Device, path: str, body: bytes, at: int) -> dict[str, str]:
    """Return the headers that the device adds to a request with this body."""
    head = signing.BodyHead.of(body)
    message = signing.request_bytes("POST", path, device.device_id, at, head)
    return {
        signing.DEVICE_HEADER: device.device_id,
        signing.TIME_HEADER: str(at),
        signing.BODY_HEADER: head.to_header(),
        signing.SIGNATURE_HEADER: signing.to_header(signing.sign(device.private_key, message)),
    }


def at_devices(interfaces: Interfaces, number: int) -> Callable[..., Coroutine[Any, Any, Reply]]:
    """Return a sign-in like `Interfaces.sign_in`, each at the next of so many devices.

    A device has one sign-in in work at a time, and a limited number of them.
    """
    devices = itertools.cycle([a_device(interfaces.instance) for _ in range(number)])
    return lambda *typed, **more: interfaces.sign_in(next(devices), *typed, **more)


def make_administrator(instance: Instance, *logins: str) -> None:
    """Let these users sign in at the administrators' interfaces, too."""
    for login in logins:
        roles.grant(instance, ROOT, "auditor", HolderKind.USER, login, TOP_DOMAIN, now=NOW)


@contextmanager
def interfaces_of(
    instance: Instance,
    *,
    floor_ms: int = FLOOR_MS,
    domain: str = TOP_DOMAIN,
    threads: int = 8,
    client: str = "web",
    admin_networks: tuple[str, ...] = (),
) -> Iterator[Interfaces]:
    """Yield the interfaces of an instance, which stays open."""
    now = [NOW]
    settings = Settings(
        refusal_floor_ms=floor_ms,
        sign_in_threads=threads,
        admin_networks=admin_networks,
        origins=("https://localhost",),  # as behind a forwarded port
    )
    service = Service.of(instance, settings, lambda: now[0])
    key = add_client(instance, ROOT, client, domain, now=NOW)
    try:
        yield Interfaces(instance, service, create_application(service), key, now)
    finally:
        service.end_work()


def run(work: Coroutine[Any, Any, R]) -> R:
    """Run a test's requests on an event loop of their own."""
    return asyncio.run(work)


def is_granted(reply: Reply) -> bool:
    return reply.status == 200 and reply.json["result"] == "granted"
