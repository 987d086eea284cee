"""Authentication > Tokens: the list, and what is done with one token."""

from urllib.parse import quote

from sparekey.app import tokens
from sparekey.core.permissions import Permission
from sparekey.server.web.pages import Pages
from sparekey.server.web.replies import Reply
from sparekey.server.web.visits import Visit

pages = Pages("/console/tokens")
_PAGE = 50


@pages.get("", Permission.TOKEN_VIEW)
def manage(visit: Visit) -> Reply:
    """Manage Existing."""
    rows = tokens.list_tokens(visit.instance, visit.actor, _PAGE + 1, visit.query.get("after", ""))
    shown = rows[:_PAGE]
    return visit.show("tokens/manage.html", rows=shown, next=shown[-1].serial if len(rows) > _PAGE else None)


def address_of(serial: str) -> str:
    """The token's own page."""
    return f"/console/tokens/{quote(serial, safe='')}"
