"""S61 and S08 for requests of strangers: hosts, the way back after a sign-in, forms that are slow to read."""

from urllib.parse import urlencode

import pytest
from starlette.routing import Route

from sparekey.server.console.site import CONSOLE
from sparekey.server.openapi import document
from sparekey.server.selfservice.site import SELF_SERVICE
from sparekey.server.web import cookies
from sparekey.server.web.after_sign_in import way_back
from sparekey.server.web.rendering import MARK_FIELD
from tests.builders import NOW, PIN, a_user
from tests.server.asgi import Reply, ask
from tests.server.interfaces import BROWSER, Interfaces, make_administrator, run
from tests.server.page_world import header

SITES = (CONSOLE, SELF_SERVICE)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "elsewhere.example",
        "x@localhost",
        "localhost/console",
        "localhost?x",
        "localhost:",
        "localhost:x",
        "localhost localhost",
        "[::1",
        "localhost:999999",
    ],
)
@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_s61_a_host_is_one_of_ours_and_written_as_browsers_do(interfaces: Interfaces, site: object, host: str) -> None:
    reply = run(ask(interfaces.app, "GET", site.sign_in, headers={"host": host}))  # type: ignore[attr-defined] # a Site
    assert (reply.status, "does not answer under this name" in reply.body.decode()) == (421, True)
    assert not any(name == b"set-cookie" for name, _ in reply.headers)
    assert host not in reply.body.decode() or not host


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost:8443", "127.0.0.1:80", "[::1]:8443"])
def test_s61_our_own_hosts_are_answered(interfaces: Interfaces, host: str) -> None:
    assert run(ask(interfaces.app, "GET", CONSOLE.sign_in, headers={"host": host})).status == 200


@pytest.mark.parametrize(
    "to", ["/console", "/console/users?after=x", "/console?x=../..", "/console/tokens#a", "/console/users/a.b..c"]
)
def test_s61_the_way_back_leads_to_pages_of_ours(to: str) -> None:
    assert way_back(to, "/console") == to


@pytest.mark.parametrize(
    "to",
    [
        "",
        "/",
        "//console/x",
        "///console/x",
        "https://elsewhere.example/console",
        "/consolexyz",
        "\\console",
        "/console\\..\\x",
        "/console/\r\nx",
        "javascript:alert(1)",
        "/self-service",
        "/console/../self-service",
        "/console/..",
        "/console/%2e%2e/self-service",
        "/console/%2E./x",
        "/console/./x",
        "/console/users/..%2f..%2fx",
        "/console/%00",
        "/console/\u2025/x",
    ],
)
def test_s61_the_way_back_leads_to_no_other_site(to: str) -> None:
    assert way_back(to, "/console") == "/console"


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "undefined", "latin-1"])
@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_s08_a_form_is_read_in_no_code_that_its_sender_names(
    interfaces: Interfaces, site: object, charset: str
) -> None:
    """Some codecs take time that grows with the square of the length, and every visitor may send a form here."""
    body = b'--x\r\nContent-Disposition: form-data; name="user"\r\n\r\n' + b"\xe4" * 15_000 + b"\r\n--x--\r\n"
    headers = {"host": "localhost", "content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    reply = run(ask(interfaces.app, "POST", site.sign_in, body, headers))  # type: ignore[attr-defined] # a Site
    assert (reply.status, "the form could not be read" in reply.body.decode().lower()) == (400, True)


def _strangers(interfaces: Interfaces) -> set[tuple[str, str]]:
    """Return the requests that work without a session, or end one, and are in neither registry."""
    described = {
        (method.upper(), path) for path, ways in document(interfaces.app.routes)["paths"].items() for method in ways
    }
    pages = {(page.method, page.path) for site in SITES for page in site.pages}
    routes = [route for route in interfaces.app.routes if isinstance(route, Route)]
    assert len(routes) == len(interfaces.app.routes)
    reached = {(method, route.path) for route in routes for method in route.methods or ()}
    return {each for each in reached if each[0] != "HEAD"} - described - pages


def test_s61_requests_outside_the_registries_are_listed_here(interfaces: Interfaces) -> None:
    """The sweeps over every page take their routes from the registries: this is the rest, and swept below."""
    welcome = "/console/welcome"
    assert _strangers(interfaces) == {
        ("GET", "/"),
        ("GET", "/openapi.json"),
        ("GET", "/assets/{name}"),
        ("GET", CONSOLE.sign_in),
        ("GET", SELF_SERVICE.sign_in),
        ("GET", welcome),
        *(
            ("POST", path)
            for path in (
                CONSOLE.sign_in,
                f"{CONSOLE.sign_in}/passkey",
                f"{CONSOLE.sign_in}/passkey/challenge",
                CONSOLE.sign_out,
                SELF_SERVICE.sign_in,
                f"{SELF_SERVICE.sign_in}/passkey",
                f"{SELF_SERVICE.sign_in}/passkey/challenge",
                SELF_SERVICE.sign_out,
                welcome,
                f"{welcome}/passkey",
                f"{welcome}/passkey/challenge",
                f"{welcome}/token",
            )
        ),
    }


def test_s61_a_form_of_a_stranger_is_from_our_own_page(interfaces: Interfaces) -> None:
    for path in sorted(path for method, path in _strangers(interfaces) if method == "POST"):
        replies = [
            _sent(interfaces, path, mark=""),
            _sent(interfaces, path, mark=cookies.new_mark(cookies.base_of({}, cookies.BROWSER))),
            _sent(interfaces, path, origin="https://elsewhere.example"),
            _sent(interfaces, path, **{"sec-fetch-site": "same-site"}),
            _sent(interfaces, path, host="elsewhere.example"),
        ]
        assert [reply.status for reply in replies] == [403, 403, 403, 403, 421], path


def test_s61_a_page_for_strangers_runs_no_script_that_is_not_ours(interfaces: Interfaces) -> None:
    for path in sorted(path for method, path in _strangers(interfaces) if method == "GET"):
        reply = run(ask(interfaces.app, "GET", path, headers={"host": "localhost"}))
        if header(reply, "content-type").startswith("text/html"):
            policy = header(reply, "content-security-policy")
            assert ("default-src 'none'" in policy, "unsafe" in policy) == (True, False), path
            assert header(reply, "cache-control") == "no-store", path


def _sent(interfaces: Interfaces, path: str, mark: str | None = None, **headers: str) -> Reply:
    """Send a form as from our own page, with the given parts changed."""
    sent = urlencode({MARK_FIELD: cookies.new_mark(BROWSER) if mark is None else mark}).encode()
    own = {
        "host": "localhost",
        "origin": "https://localhost",
        "content-type": "application/x-www-form-urlencoded",
        "cookie": f"{cookies.BROWSER}={BROWSER.reveal()}",
    }
    return run(ask(interfaces.app, "POST", path, sent, own | headers))


def cookies_set(reply: Reply) -> dict[str, list[str]]:
    """Return the cookies' attributes, in lower case, by name."""
    lines = [value.decode() for name, value in reply.headers if name == b"set-cookie"]
    parts = [[each.strip() for each in line.split(";")] for line in lines]
    return {first.partition("=")[0]: sorted(each.lower() for each in rest) for first, *rest in parts}


def test_s61_cookies_are_for_our_pages_alone(interfaces: Interfaces) -> None:
    """No other host sets them, none but a safe connection carries them, no script reads them, no other site uses them;
    they go with the browser.
    """
    alice = a_user(interfaces.instance, "alice", pin=PIN)
    chief = a_user(interfaces.instance, "chief", pin=PIN)
    make_administrator(interfaces.instance, chief.login)
    before = [run(ask(interfaces.app, "GET", site.sign_in, headers={"host": "localhost"})) for site in SITES]
    entered = [
        run(interfaces.console("chief", chief.typed(NOW).reveal())),
        run(interfaces.self_service("alice", alice.typed(NOW).reveal())),
    ]
    names = (cookies.BROWSER, cookies.BROWSER, cookies.SESSION, cookies.SELF_SERVICE)
    for reply, name in zip((*before, *entered), names, strict=True):
        assert cookies_set(reply)[name] == ["httponly", "path=/", "samesite=strict", "secure"], reply.headers
    assert all(name.startswith("__Host-") for reply in (*before, *entered) for name in cookies_set(reply))
