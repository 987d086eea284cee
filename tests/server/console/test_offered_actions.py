"""Menus and buttons offer the actions that the visitor may do with this very object."""

import re
from collections.abc import Iterator

import pytest

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE
from sparekey.server.web.pages import Page
from tests.builders import NOW, ROOT, a_user
from tests.server.operation_world import OUTSIDE, World, session_of
from tests.server.page_world import address_of
from tests.server.reading_pages import look, statements

_NAME = re.compile(r"{\w+}")
_LINK = re.compile(r'href="(/console[^"#]*)')
_FORM = re.compile(r'<form[^>]*method="post"[^>]*action="([^"?]*)')


@pytest.fixture
def token(world: World) -> Secret[str]:
    """Return the session of an administrator who sees everything, and may act in an empty domain only."""
    user = a_user(world.instance)
    for role, domain in (("auditor", TOP_DOMAIN), ("domain administrator", OUTSIDE)):
        roles.grant(world.instance, ROOT, role, HolderKind.USER, user.login, domain, now=NOW)
    return session_of(world.instance, user)


def pages_about_something() -> Iterator[Page]:
    """Yield the pages that the visitor may see."""
    for page in CONSOLE.pages:
        if page.is_opened_by_address and (page.permission is None or page.permission.only_looks):
            yield page


def main_of(world: World, token: Secret[str], path: str) -> str:
    reply = look(world, token, path)
    assert reply.status == 200, f"{path}: {reply.status}"
    return reply.body.decode().partition("<main")[2].replace("&amp;", "&")


def page_of(action: str) -> Page:
    """The form's page."""
    found = [page for page in CONSOLE.pages if page.changes and re.fullmatch(_NAME.sub("[^/]+", page.path), action)]
    return min(found, key=lambda page: page.path.count("{"))


def test_rights_in_other_domains_offer_no_actions_here(world: World, token: Secret[str]) -> None:
    looked_at: set[str] = set()
    offered: dict[str, str] = {}  # with the page that does
    for page in pages_about_something():
        path = address_of(world, page)
        looked_at.add(path)
        shown = main_of(world, token, path)
        offered |= dict.fromkeys(_LINK.findall(shown), path)
        for action in _FORM.findall(shown):
            found = page_of(action)
            # pages without a name are searches, or act on the chosen rows; the own account is one's own
            its_own = found.permission is None or "{" not in found.path
            assert its_own, f"{path} offers {found.path}"
    for link, path in offered.items():
        if link not in looked_at:
            reply = look(world, token, link)
            assert reply.status == 200, f"{path} offers {link}, which answers {reply.status}"


def test_permissions_are_checked_once_for_all_rows(world: World, token: Secret[str]) -> None:
    for number in range(20):
        a_user(world.instance, f"user-{number}")
    for path in ("/console/users", "/console/tokens"):
        with statements(world) as asked:
            main_of(world, token, path)
        assert len(asked) <= 10, "\n".join(asked)
