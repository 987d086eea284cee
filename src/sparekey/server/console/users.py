"""Identity > Users: the list, and what is done with one user."""

from urllib.parse import quote

from sparekey.app import users
from sparekey.core.permissions import Permission
from sparekey.server.web.pages import Pages
from sparekey.server.web.replies import Reply, SentOn
from sparekey.server.web.visits import Visit

pages = Pages("/console/users")
_PAGE = 50


@pages.get("", Permission.USER_VIEW)
def manage(visit: Visit) -> Reply:
    """Manage Existing."""
    rows = users.list_users(visit.instance, visit.actor, _PAGE + 1, visit.query.get("after", ""))
    shown = rows[:_PAGE]
    return visit.show("users/manage.html", rows=shown, next=shown[-1].login if len(rows) > _PAGE else None)


@pages.post("/{login}/enabled", Permission.USER_EDIT, again=manage)
def set_enabled(visit: Visit) -> Reply:
    login, enabled = visit.path["login"], visit.form.flag("on")
    users.set_enabled(visit.instance, visit.actor, login, enabled=enabled, now=visit.now)
    return SentOn(address_of(login), f"{login} is {'enabled' if enabled else 'disabled'}.")


def address_of(login: str) -> str:
    """The user's own page."""
    return f"/console/users/{quote(login, safe='')}"
