"""The search box: redirects to the page of a single match, or lists the matches by kind."""

from typing import Final
from urllib.parse import quote

from sparekey.app.reports import search
from sparekey.app.reports.search import Found
from sparekey.server.console.people.users import address_of
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

pages = Pages("/console/search")
OF_EACH: Final = 8


@pages.get("", None)
def find(visit: Visit) -> Reply:
    """Search users, tokens and devices."""
    typed = visit.query.text("for", "Search")
    found = search.find(visit.instance, visit.actor, typed, OF_EACH, now=visit.now)
    there = direct_hit(found, typed)
    if there is not None:
        return Redirect(there)
    return visit.show("search.html", typed=typed, found=found, most=OF_EACH)


def direct_hit(found: Found, typed: str) -> str | None:
    """Return the page of the only match, or of the only exact match."""
    everything = _everything(found)
    if len({to for to, _ in everything}) == 1:
        return everything[0][0]
    exactly = {to for to, names in everything if typed.casefold() in {name.casefold() for name in names}}
    return exactly.pop() if len(exactly) == 1 else None


def _everything(found: Found) -> list[tuple[str, tuple[str, ...]]]:
    """Return the address and the names of each match."""
    users = [(address_of(user.login), (user.login, user.mail, user.name)) for user in found.users]
    tokens = [
        (address_of(token.login) if token.login else f"/console/tokens/{quote(token.serial, safe='')}", (token.serial,))
        for token in found.tokens
    ]
    devices = [(f"/console/devices/{quote(device.device_id, safe='')}", (device.name,)) for device in found.devices]
    return [*users, *tokens, *devices]
