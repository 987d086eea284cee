"""Access > API clients: programs that use REST, each with its own key and roles."""

from typing import Final
from urllib.parse import quote

from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.app.sessions import clients
from sparekey.app.sessions.clients import ClientSearch
from sparekey.core.permissions import Permission
from sparekey.server.console.forms.choices import domain_options
from sparekey.server.console.forms.confirming import ask_first
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

LIST: Final = "/console/clients"
pages = Pages(LIST)
_PAGE: Final = 50
STATES: Final = (("", "Any"), ("in-use", "In use"), ("expired", "Expired"), ("revoked", "Revoked"))


@pages.get("", Permission.CLIENT_VIEW)
def manage(visit: Visit) -> Reply:
    """Return the list (Manage Existing)."""
    query = visit.query
    wanted = ClientSearch(query.text("text"), query.text("domain"), query.get("state", ""))
    rows = clients.search_clients(visit.instance, visit.actor, wanted, _PAGE + 1, query.get("after", ""), now=visit.now)
    shown = rows[:_PAGE]
    return visit.show(
        "clients/manage.html",
        rows=shown,
        next=shown[-1].name if len(rows) > _PAGE else None,
        states=STATES,
        domains=domain_options(visit, Permission.CLIENT_VIEW),
    )


@pages.get(":add", Permission.CLIENT_MANAGE)
def new(visit: Visit) -> Reply:
    return visit.show("clients/new.html", domains=domain_options(visit, Permission.CLIENT_MANAGE))


@pages.post(":add", Permission.CLIENT_MANAGE, again=new, fresh=True)
def add(visit: Visit) -> Reply:
    """Add an API client, and show its key: only this reply contains it."""
    form = visit.form
    name, domain = form.text("name", "Name", needed=True), form.text("domain", "Security domain", needed=True)
    addresses = ",".join(form.text("addresses", "Addresses").replace(",", " ").split())
    expires_at = form.day("expires", "Last day", visit.zone)
    # An administrator who may add clients may lack the permission to view them. Checked before the key is made: after
    # that, nothing may fail, because the key is shown only once.
    seen = visit.may(Permission.CLIENT_VIEW, domain)
    key = clients.add_client(visit.instance, visit.actor, name, domain, addresses, expires_at, now=visit.now)
    return visit.show("clients/key.html", secret=True, name=name, domain=domain, seen=seen, key=key)


@pages.get("/{name}", Permission.CLIENT_VIEW)
def show(visit: Visit) -> Reply:
    view, grants = clients.show_client(visit.instance, visit.actor, visit.path["name"]), None
    if visit.may(Permission.ROLE_VIEW, view.domain):
        grants = roles.list_grants(visit.instance, visit.actor, HolderKind.CLIENT, view.name)
    return visit.show("clients/show.html", client=view, grants=grants, here=address_of(view.name))


@pages.get("/{name}/revoke", Permission.CLIENT_MANAGE)
def before_revoke(visit: Visit) -> Reply:
    name = visit.path["name"]
    view = clients.show_client(visit.instance, visit.actor, name)
    return ask_first(
        visit,
        f"Revoke {view.name}",
        "Revoke",
        f"{address_of(view.name)}/revoke",
        f"The key of {view.name} stops working. Programs that use it can no longer connect.",
        "A revoked client stays in the list and cannot be used again.",
        crumbs=((LIST, "API clients"), (address_of(view.name), view.name)),
    )


@pages.post("/{name}/revoke", Permission.CLIENT_MANAGE, again=before_revoke, fresh=True)
def revoke(visit: Visit) -> Reply:
    name = visit.path["name"]
    clients.revoke_client(visit.instance, visit.actor, name, now=visit.now)
    return Redirect(address_of(name), f"The key of {name} was revoked.")


def address_of(name: str) -> str:
    """Return the address of a client's page."""
    return f"{LIST}/{quote(name, safe='')}"
