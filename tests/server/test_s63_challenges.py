"""S63 over every page of the console with a search or filter: objects out of scope are answered exactly like unknown
ones."""

import re

import pytest

from sparekey.app.instance import TOP_DOMAIN
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE
from sparekey.server.web.pages import Page
from tests.server.interfaces import run
from tests.server.operation_world import OUTSIDE, World, an_administrator
from tests.server.page_world import address_of, visit

# Search and filter fields of pages, with values that find an object; each page gets all of them.
ASKED = ("text", "for", "user", "device", "by", "holder")
# pages of single objects out of scope are in the sweep over every page (test_s63_pages)
LOOKED_AT = [page for page in CONSOLE.pages if not page.changes and "{" not in page.path]


def answers(world: World, page: Page, who: Secret[str], names: tuple[str, ...]) -> list[str]:
    """Return the page's answers for these names, without the names and the parts that always vary."""
    said = []
    for name in names:
        for field in ASKED:
            reply = run(visit(world, page, who, path=f"{address_of(world, page)}?{field}={name}"))
            body = re.sub(r'nonce="[^"]*"|name="mark" value="\w+"', "", reply.body.decode())
            location = next((value.decode() for key, value in reply.headers if key == b"location"), "")
            said.append(f"{field}: {reply.status} {location} {body}".replace(name, "NAME"))
    return said


@pytest.mark.parametrize("page", LOOKED_AT, ids=[page.path for page in LOOKED_AT])
def test_s63_objects_out_of_scope_are_answered_like_unknown_ones(world: World, page: Page) -> None:
    who = an_administrator(world.instance, SUPER_ADMINISTRATOR, OUTSIDE)
    assert answers(world, page, who, ("alice", "laptop")) == answers(world, page, who, ("alicf", "laptov"))


def test_objects_in_scope_are_answered(world: World) -> None:
    """The challenges above find objects."""
    who = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    lists = {"/console/users", "/console/tokens", "/console/devices", "/console/search", "/console/audit"}
    for page in LOOKED_AT:
        if page.path in lists:
            assert answers(world, page, who, ("alice", "laptop")) != answers(world, page, who, ("alicf", "laptov"))
            lists.remove(page.path)
    assert not lists
