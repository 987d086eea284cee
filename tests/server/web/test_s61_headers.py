"""S61 for the heads of requests and replies: one host, no guessing of types, TLS only."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from sparekey.server.application import create_application
from sparekey.server.console.site import CONSOLE
from sparekey.server.selfservice.site import SELF_SERVICE
from sparekey.server.web import assets
from tests.server.asgi import Reply, ask
from tests.server.interfaces import Interfaces, run
from tests.server.page_world import header

_STYLE = assets.address_of_asset("style.css")
_PATHS = (
    "/health",
    "/openapi.json",
    "/v1/users",
    "/nothing/of/the/kind",
    "/console/%2e%2e/x",
    _STYLE,
    CONSOLE.home,
    CONSOLE.sign_in,
    SELF_SERVICE.sign_in,
)


def got(app: ASGIApp, path: str, host: str = "login.example.org", **more: str) -> Reply:
    return run(ask(app, "GET", path, headers={"host": host, **more}))


def without_tls(interfaces: Interfaces) -> ASGIApp:
    settings = replace(interfaces.service.settings, tls="off")
    return create_application(replace(interfaces.service, settings=settings))


def with_hosts(app: ASGIApp, *hosts: str) -> ASGIApp:
    """Return the application behind a connection that adds these hosts to each request."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        more = [(b"host", host.encode()) for host in hosts]
        await app({**scope, "headers": [*scope["headers"], *more]}, receive, send)

    return asked


@pytest.mark.parametrize("path", _PATHS)
def test_s61_no_reply_is_taken_for_another_type(interfaces: Interfaces, path: str) -> None:
    for host in ("localhost", "elsewhere.example"):
        named = [value for name, value in got(interfaces.app, path, host).headers if name == b"x-content-type-options"]
        assert named == [b"nosniff"]


@pytest.mark.parametrize("path", _PATHS)
def test_s61_with_tls_browsers_use_this_name_with_tls_only(interfaces: Interfaces, path: str) -> None:
    assert header(got(interfaces.app, path), "strict-transport-security") == "max-age=31536000"
    assert header(got(without_tls(interfaces), path), "strict-transport-security") == ""


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8443"])
def test_the_name_that_all_programs_share_is_left_to_them(interfaces: Interfaces, host: str) -> None:
    assert header(got(interfaces.app, CONSOLE.sign_in, host), "strict-transport-security") == ""


@pytest.mark.parametrize("hosts", [("localhost",), ("elsewhere.example",), ("localhost", "localhost")])
@pytest.mark.parametrize("path", ["/health", "/v1/users", CONSOLE.sign_in, SELF_SERVICE.sign_in, _STYLE])
def test_s61_a_request_names_one_host(interfaces: Interfaces, path: str, hosts: tuple[str, ...]) -> None:
    reply = got(with_hosts(interfaces.app, *hosts), path, "localhost")
    assert (reply.status, "more than one host" in reply.body.decode()) == (400, True)
    assert not any(name == b"set-cookie" for name, _ in reply.headers)


@pytest.mark.parametrize(
    "headers",
    [{"content-type": "text/plain"}, {"content-type": "application/json"}, {"content-type": ""}, {}],
    ids=lambda headers: str(headers.get("content-type")),
)
@pytest.mark.parametrize("path", [CONSOLE.sign_in, SELF_SERVICE.sign_in])
def test_s61_only_a_form_is_a_form(interfaces: Interfaces, path: str, headers: Mapping[str, str]) -> None:
    """Another site can make a browser send `text/plain` with any content."""
    reply = run(ask(interfaces.app, "POST", path, b"user=alice", {"host": "localhost", **headers}))
    assert (reply.status, "form could not be read" in reply.body.decode()) == (400, True)
