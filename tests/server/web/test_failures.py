"""Answers where there is no page: a message and a link on, with the headers of every page."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.sessions import administrators as admin_sessions
from sparekey.app.sessions import users as user_sessions
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.server.application import create_application
from sparekey.server.console.site import CONSOLE
from sparekey.server.selfservice.site import SELF_SERVICE
from sparekey.server.web.site import Site
from sparekey.server.work import WorkPool
from tests.server.asgi import Reply, ask
from tests.server.interfaces import Interfaces, run
from tests.server.operation_world import World, an_administrator
from tests.server.page_world import header, visit

SITES = (CONSOLE, SELF_SERVICE)
every_site = pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
_OURS = {"host": "localhost"}
_PREFIXES = {CONSOLE.name: admin_sessions.TOKEN_PREFIX, SELF_SERVICE.name: user_sessions.TOKEN_PREFIX}


def is_page(reply: Reply, *words: str, leads_on: str = "") -> bool:
    """Return True if the reply explains the failure in words and has the headers of every page."""
    page = reply.body.decode()
    assert header(reply, "content-type").startswith("text/html"), page
    assert "default-src 'none'" in header(reply, "content-security-policy")
    assert "unsafe" not in header(reply, "content-security-policy")
    assert (header(reply, "cache-control"), header(reply, "x-content-type-options")) == ("no-store", "nosniff")
    assert header(reply, "referrer-policy") == "same-origin"
    assert "<h1>" in page
    assert all(word in page for word in words), page
    assert not leads_on or f'href="{leads_on}"' in page
    return True


def got(interfaces: Interfaces, path: str, headers: Mapping[str, str] = _OURS, **more: Any) -> Reply:
    return run(ask(interfaces.app, "GET", path, headers=headers, **more))


def sent(interfaces: Interfaces, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
    form = {"content-type": "application/x-www-form-urlencoded", **_OURS, **(headers or {})}
    return run(ask(interfaces.app, "POST", path, body, form))


def with_service(interfaces: Interfaces, **changed: Any) -> Interfaces:
    service = replace(interfaces.service, **changed)
    return replace(interfaces, service=service, app=create_application(service))


@every_site
def test_an_unknown_page_is_not_found(interfaces: Interfaces, site: Site) -> None:
    for path in (f"{site.home}/nothing/of/the/kind", f"{site.home}/%2e%2e/x", f"{site.home}/%zz"):
        reply = got(interfaces, path)
        assert reply.status == 404
        assert is_page(reply, "This page does not exist", leads_on=site.home)


@every_site
def test_an_address_for_forms_allows_no_get(interfaces: Interfaces, site: Site) -> None:
    reply = got(interfaces, site.sign_out)
    assert reply.status == 405
    assert header(reply, "allow") == "POST"
    assert is_page(reply, "only accepts forms", leads_on=site.home)


@every_site
def test_another_host_has_no_page_that_leads_back_here(interfaces: Interfaces, site: Site) -> None:
    reply = got(interfaces, site.home, {"host": "elsewhere.example"})
    assert reply.status == 421
    assert is_page(reply, "does not answer under this name", "certificate")
    assert f'href="{site.home}"' not in reply.body.decode()
    assert "elsewhere" not in reply.body.decode()
    assert not header(reply, "set-cookie")


@every_site
def test_other_networks_are_refused(interfaces: Interfaces, site: Site) -> None:
    networks = ("192.0.2.0/24",)
    settings = replace(interfaces.service.settings, self_service_networks=networks)
    inside = with_service(interfaces, settings=settings, admin_networks=networks)
    reply = got(inside, site.sign_in, address="198.51.100.7")
    assert reply.status == 403
    assert is_page(reply, "does not answer to this address")


@every_site
def test_forms_that_are_none(interfaces: Interfaces, site: Site) -> None:
    too_large, no_form, no_mark = (
        sent(interfaces, site.sign_in, b"x=" + b"y" * 70_000),
        sent(interfaces, site.sign_in, b"user=%ff"),
        sent(interfaces, site.sign_in, b"user=alice"),
    )
    assert [too_large.status, no_form.status, no_mark.status] == [413, 400, 403]
    assert is_page(too_large, "The body has more than", leads_on=site.home)
    assert is_page(no_form, "The form could not be read", leads_on=site.home)
    assert is_page(no_mark, "Reload the page", leads_on=site.home)


@every_site
def test_errors_of_a_busy_server_or_a_missing_database(interfaces: Interfaces, site: Site) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise OperationalError("SELECT 1", {}, OSError("connection refused"))

    none = WorkPool("none", 1, -1)
    busy = with_service(interfaces, administration=none, self_service=none, sessions=none)
    unreachable = with_service(interfaces, instance=replace(interfaces.instance, database=Broken()))  # type: ignore[arg-type] # as good as one that is gone
    for broken, words in ((busy, "The server is busy"), (unreachable, "The server is temporarily unavailable")):
        reply = got(broken, site.home, {"cookie": f"{site.sessions.cookie}={_PREFIXES[site.name]}x", **_OURS})
        assert reply.status == 503
        assert is_page(reply, words, leads_on=site.home)
        assert "SELECT" not in reply.body.decode()
    none.close()


def test_a_sign_in_over_the_limit_is_refused(interfaces: Interfaces) -> None:
    none = WorkPool("none", 1, -1)
    busy = with_service(interfaces, self_service=none, sessions=none)
    for sign_in, site in ((busy.console, CONSOLE), (busy.self_service, SELF_SERVICE)):
        reply = run(sign_in("alice", "123456"))
        assert reply.status == 429
        assert is_page(reply, "The server is busy", leads_on=site.home)
    none.close()


@every_site
def test_a_server_that_fails(interfaces: Interfaces, site: Site) -> None:
    def no_clock() -> int:
        raise OSError("a clock that says " + "too much")

    reply = got(with_service(interfaces, now=no_clock), site.sign_in)
    assert reply.status == 500
    assert is_page(reply, "An internal error occurred", leads_on=site.home)
    assert "too much" not in reply.body.decode()


def test_a_refusal_within_the_console_leads_on(world: World) -> None:
    token = an_administrator(world.instance, "auditor", TOP_DOMAIN)
    beyond = next(page for page in CONSOLE.pages if page.changes and page.permission and not page.permission.only_looks)
    reply = run(visit(world, beyond, token))
    assert reply.status == 403
    assert is_page(reply, "Security Console")
    over = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    users = next(page for page in CONSOLE.pages if not page.changes and page.path == "/console/users/{login}")
    reply = run(visit(world, users, over, path="/console/users/nobody"))
    assert reply.status == 404
    assert is_page(reply, "nobody")


@pytest.mark.parametrize("path", ["/v1/nothing", "/agent/v1/nothing", "/v1/%2e%2e/console", "/nothing"])
def test_programs_get_errors_as_json(interfaces: Interfaces, path: str) -> None:
    reply = got(interfaces, path)
    assert (reply.status, reply.error) == (404, "no-such-route")
    assert got(interfaces, "/v1/nothing", {"accept": "text/html"}).error == "no-such-route"


def test_a_mistyped_address_shows_links_to_begin(interfaces: Interfaces) -> None:
    reply = got(interfaces, "/consol", {"accept": "text/html,application/xhtml+xml;q=0.9", **_OURS})
    assert reply.status == 404
    assert is_page(reply, "This page does not exist", leads_on=SELF_SERVICE.home)


def test_our_scripts_get_errors_as_json(interfaces: Interfaces) -> None:
    reply = sent(interfaces, "/console/sign-in/passkey/challenge", headers={"accept": "application/json"})
    assert (reply.status, reply.error) == (403, "not-allowed")
