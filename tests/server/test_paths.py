"""S63 for addresses: a path has one spelling, so that a check of a path's beginning guards all its pages."""

import re

from sparekey.app.instance import TOP_DOMAIN
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.server.console.site import CONSOLE
from sparekey.server.paths import is_path, is_text
from tests.server.asgi import ask
from tests.server.interfaces import Interfaces, run
from tests.server.operation_world import World, an_administrator
from tests.server.page_world import header, visit

_OTHERWISE = (
    "/%63onsole/users",
    "/c%6Fnsole/users",
    "/%2Fconsole/users",
    "%2Fconsole/users",
    "/console%2Fusers",
    "/CONSOLE/users",
    "//console/users",
    "/./console/users",
    "/%2e/console/users",
    "/x/../console/users",
    "/self-service/%2e%2e/console/users",
    "/self-service/..%2fconsole/users",
    "/console//users",
    "/console/./users",
    "/console/%2e%2e/console/users",
    "/console/users/",
    "/console/users%00",
    "/console/users%0d%0a",
    "/console/%75sers",
    "\\console\\users",
    "/console\\users",
    "/console/users;x=1",
    "/console/users#x",
    "https://localhost/console/users",
)


def test_s63_a_page_has_one_address(world: World) -> None:
    users = next(page for page in CONSOLE.pages if page.path == "/console/users" and not page.changes)
    token = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    assert "alice" in run(visit(world, users, token)).body.decode()
    for path in _OTHERWISE:
        reply = run(visit(world, users, token, path=path, headers={"accept": "text/html"}))
        assert (reply.status, header(reply, "location")) == (400 if re.search("%0|%7F", path) else 404, ""), path
        assert "alice" not in reply.body.decode(), path


def test_s63_paths_of_programs_have_one_spelling(interfaces: Interfaces) -> None:
    for path in ("/agent/v1/s%79nc", "/%61gent/v1/sync", "/agent/v1/x/%2e%2e/sync", "/%761/sign-ins"):
        assert run(ask(interfaces.app, "POST", path, b"{}")).status == 404, path


def test_s63_names_in_paths_may_have_slashes_and_no_dot_segments() -> None:
    for path in (
        "/",
        "/console",
        "/console/domains/A%2FB",
        "/console/users/CORP%5Calice",
        "/console/users/a@b.example",
        "/console/devices/M%C3%BCller",
        "/v1/domains/it's~(1)",
    ):
        assert is_path(path), path
        assert is_text(path), path
    for path in (
        "",
        "*",
        "console",
        "/a%",
        "/a%4",
        "/a%zz",
        "/a b",
        "/a%FF",
        "/a%ED%A0%80",
        "/a%7F",
        "/a%C2%85",
        "/a?b",
        "/a/..",
        "/a%2F..",
        "/%2E%2e/a",
        "/a/%2e",
        "/M\xfcller",
        "/" + "a" * 9_000,
    ):
        assert not (is_path(path) and is_text(path)), path
