"""S61 and S08 for what a stranger sends: hosts, the way back after a sign-in, forms that are slow to read."""

import pytest

from sparekey.server.console.site import CONSOLE
from sparekey.server.selfservice.site import SELF_SERVICE
from sparekey.server.web.signing_in import way_back
from tests.server.asgi import ask
from tests.server.doors import Doors, run

SITES = (CONSOLE, SELF_SERVICE)


@pytest.mark.parametrize(
    "host", ["", "elsewhere.example", "x@localhost", "localhost/console", "localhost?x", "localhost:", "localhost:x",
             "localhost localhost", "[::1", "localhost:999999"],
)  # fmt: skip
@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_s61_a_host_is_one_of_ours_and_written_as_browsers_do(doors: Doors, site: object, host: str) -> None:
    reply = run(ask(doors.app, "GET", site.sign_in, headers={"host": host}))  # type: ignore[attr-defined] # a Site
    assert (reply.status, reply.error) == (421, "unknown-host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost:8443", "127.0.0.1:80", "[::1]:8443"])
def test_s61_our_own_hosts_are_answered(doors: Doors, host: str) -> None:
    assert run(ask(doors.app, "GET", CONSOLE.sign_in, headers={"host": host})).status == 200


@pytest.mark.parametrize("to", ["/console", "/console/users?after=x", "/console?x=1", "/console/tokens#a"])
def test_s61_the_way_back_leads_to_pages_of_ours(to: str) -> None:
    assert way_back(to, "/console") == to


@pytest.mark.parametrize(
    "to", ["", "/", "//console/x", "///console/x", "https://elsewhere.example/console", "/consolexyz", "\\console",
           "/console\\..\\x", "/console/\r\nx", "javascript:alert(1)", "/self-service"],
)  # fmt: skip
def test_s61_and_nowhere_else(to: str) -> None:
    assert way_back(to, "/console") == "/console"


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "undefined", "latin-1"])
@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_s08_a_form_is_read_in_no_code_that_its_sender_names(doors: Doors, site: object, charset: str) -> None:
    """Some of them take time that grows with the square of the length, and anybody may send a form here."""
    body = b'--x\r\nContent-Disposition: form-data; name="user"\r\n\r\n' + b"\xe4" * 60_000 + b"\r\n--x--\r\n"
    headers = {"host": "localhost", "content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    reply = run(ask(doors.app, "POST", site.sign_in, body, headers))  # type: ignore[attr-defined] # a Site
    assert (reply.status, reply.error) == (400, "bad-request")
