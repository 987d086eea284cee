"""S61 for passkeys: the server knows its addresses by its settings, and no header of a request adds one."""

import json
from urllib.parse import urlencode

import pytest

from sparekey.server.console.site import CONSOLE
from sparekey.server.origins import expected_origins
from sparekey.server.settings import Settings, is_origin
from sparekey.server.web import cookies
from sparekey.server.web.places import place_of
from sparekey.server.web.rendering import MARK_FIELD
from tests.app.sessions.test_passkeys import a_passkey
from tests.builders import PIN, a_user
from tests.server.asgi import Reply, ask
from tests.server.interfaces import BROWSER, Interfaces, make_administrator, run

HOSTS = frozenset({"Login.Example.Org", "localhost", "127.0.0.1", "::1", "192.0.2.10"})


@pytest.mark.parametrize(
    ("settings", "origins"),
    [
        (Settings(), {"https://login.example.org:8443", "https://localhost:8443"}),
        (Settings(listen="0.0.0.0:443"), {"https://login.example.org", "https://localhost"}),
        (
            Settings(origins=("https://login.example.org",)),
            {"https://login.example.org", "https://login.example.org:8443", "https://localhost:8443"},
        ),
        (Settings(tls="off"), {"https://login.example.org", "https://localhost", "http://localhost:8443"}),
        (
            Settings(tls="off", origins=("https://proxy.example.org:8443",)),
            {"https://proxy.example.org:8443", "http://localhost:8443"},
        ),
    ],
    ids=["tls", "usual port", "forwarded port", "proxy", "proxy at another address"],
)
def test_s61_the_origins_are_those_of_the_settings(settings: Settings, origins: set[str]) -> None:
    assert set(expected_origins(settings, HOSTS)) == origins


def test_s61_http_is_expected_only_without_tls_and_only_on_this_machine() -> None:
    for tls in ("local", "own"):
        assert not any(each.startswith("http:") for each in expected_origins(Settings(tls=tls), HOSTS))
    without = [each for each in expected_origins(Settings(tls="off"), HOSTS) if each.startswith("http:")]
    assert without == ["http://localhost:8443"]


@pytest.mark.parametrize(
    "text", ["https://login.example.org", "https://a:8443", "http://localhost:8080", "https://[2001:db8::1]:8443"]
)
def test_an_origin_is_written_as_browsers_do(text: str) -> None:
    assert is_origin(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "login.example.org",
        "https://",
        "https://login.example.org/",
        "https://login.example.org/console",
        "https://login.example.org?x",
        "https://user@login.example.org",
        "https://Login.example.org",
        "https://login.example.org:443",
        "https://login.example.org:0",
        "https://login.example.org:x",
        "https://login.example.org:99999",
        "https://[::1",
        "http://login.example.org",
        "http://localhost:80",
        "ftp://login.example.org",
        "https://*.example.org",
    ],
)
def test_no_other_text_is_an_origin(text: str) -> None:
    assert not is_origin(text)


def test_s61_a_host_only_selects_among_the_origins_of_the_settings() -> None:
    origins = ("https://login.example.org", "https://login.example.org:8443", "http://localhost:8443")
    for host in ("login.example.org", "LOGIN.example.org:8443", "login.example.org:443"):
        place = place_of(host, origins)
        assert place is not None
        assert (place.host, place.origins) == ("login.example.org", origins[:2])
    local = place_of("localhost:8443", origins)
    assert local is not None
    assert local.origins == origins[2:]
    for host in ("", "login.example.org:9999", "elsewhere.example", "localhost", "127.0.0.1:8443", "[::1", "a:x"):
        assert place_of(host, origins) is None, host


def _sent(interfaces: Interfaces, path: str, host: str, **form: str) -> Reply:
    body = urlencode({**form, MARK_FIELD: cookies.new_mark(BROWSER)}).encode()
    headers = {
        "host": host,
        "origin": f"https://{host}",
        "content-type": "application/x-www-form-urlencoded",
        "cookie": f"{cookies.BROWSER}={BROWSER.reveal()}",
    }
    return run(ask(interfaces.app, "POST", path, body, headers))


def test_s61_a_passkey_signs_in_at_an_address_of_the_settings_only(interfaces: Interfaces) -> None:
    """Another service on this computer relays the page: it sends its own address as the host."""
    chief = a_user(interfaces.instance, pin=PIN)
    make_administrator(interfaces.instance, chief.login)
    key = a_passkey(interfaces.instance, chief)
    path = f"{CONSOLE.sign_in}/passkey"
    statuses = {}
    for host, page in (("localhost", "https://localhost"), ("localhost:9999", "https://localhost:9999")):
        options = _sent(interfaces, f"{path}/challenge", "localhost").body.decode()
        assert json.loads(options)["rpId"] == "localhost"
        key.origin = page  # the browser names the page's address, whatever the request says
        answer = key.get(options)
        statuses[page] = (
            _sent(interfaces, path, host, passkey=answer).status,
            _sent(interfaces, f"{path}/challenge", host).status,
        )
    assert statuses == {"https://localhost": (303, 200), "https://localhost:9999": (400, 400)}


def test_a_page_at_another_address_offers_no_passkey(interfaces: Interfaces) -> None:
    for host, offered in (("localhost", True), ("localhost:9999", False), ("127.0.0.1", False)):
        page = run(ask(interfaces.app, "GET", CONSOLE.sign_in, headers={"host": host})).body.decode()
        assert (f'action="{CONSOLE.sign_in}/passkey"' in page) is offered
        assert ("Passkeys do not work at this address" in page) is not offered
