"""Identity > Roles: the permissions of each role, its holders, and custom roles."""

from collections import Counter
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from sparekey.app.people import roles
from sparekey.app.people.roles import GrantView, HolderKind
from sparekey.core.errors import BadInput
from sparekey.core.permission_words import PERMISSION_GROUPS
from sparekey.core.permissions import Permission
from sparekey.server.console.forms.choices import domain_options
from sparekey.server.console.forms.confirming import ask_first
from sparekey.server.web.fields import Fields
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

LIST: Final = "/console/roles"
pages = Pages(LIST)
_KINDS: Final = {kind.value: kind for kind in HolderKind}
KIND_WORDS: Final = ((HolderKind.USER.value, "A user"), (HolderKind.CLIENT.value, "An API client"))


@pages.get("", Permission.ROLE_VIEW)
def manage(visit: Visit) -> Reply:
    """Return the list (Manage Existing)."""
    rows = roles.list_roles(visit.instance, visit.actor)
    held = Counter(item.role for item in roles.list_grants(visit.instance, visit.actor).items)
    areas = {role.name: [heading for heading, _ in in_words(role.permissions)] for role in rows}
    return visit.show("roles/manage.html", rows=rows, held=held, areas=areas, everything=len(Permission))


@pages.get(":holders", Permission.ROLE_VIEW)
def holders(visit: Visit) -> Reply:
    """Return the role holders."""
    kind, text = _KINDS.get(visit.query.get("kind", "")), visit.query.text("text").casefold()
    found = roles.list_grants(visit.instance, visit.actor, kind)
    rows = [item for item in found.items if text in f"{item.holder}\n{item.role}\n{item.domain}".casefold()]
    return visit.show("roles/holders.html", rows=rows, cut=found.cut)


@pages.get(":grant", Permission.ROLE_MANAGE)
def new_grant(visit: Visit) -> Reply:
    """Return the form for a grant; the query may fill in role, holder and domain."""
    names = [role.name for role in roles.list_roles(visit.instance, visit.actor)]
    return visit.show(
        "roles/grant.html",
        roles=[(name, name) for name in names],
        kinds=KIND_WORDS,
        domains=domain_options(visit, Permission.ROLE_MANAGE),
        given={**visit.query, **visit.form},
    )


@pages.post(":grant", Permission.ROLE_MANAGE, again=new_grant, fresh=True)
def grant(visit: Visit) -> Reply:
    wanted = _grant_in(visit.form)
    made = roles.grant(
        visit.instance, visit.actor, wanted.role, wanted.kind, wanted.holder, wanted.domain, now=visit.now
    )
    words = f"{made.holder} now has the role {made.role} in {made.domain} and below."
    return Redirect(address_of(made.role) if visit.may(Permission.ROLE_VIEW) else "/console", words)


@pages.get(":add", Permission.ROLE_MANAGE)
def new(visit: Visit) -> Reply:
    """Return the form for a new role. `like`: the role whose permissions are preselected, if the visitor has them."""
    rows, like = roles.list_roles(visit.instance, visit.actor), visit.query.get("like", "")
    copied = next((row.permissions for row in rows if row.name == like), ())
    ticked = (
        visit.form.all("permission")
        if visit.form
        else [role for role in copied if visit.actor.may(Permission(role), None)]
    )
    return visit.show(
        "roles/edit.html",
        role=None,
        ticked=ticked,
        groups=PERMISSION_GROUPS,
        like=like if copied else "",
        names=[("", "nothing"), *((row.name, row.name) for row in rows)],
    )


@pages.post(":add", Permission.ROLE_MANAGE, again=new, fresh=True)
def add(visit: Visit) -> Reply:
    name = visit.form.text("name", "Name", needed=True)
    made = roles.add_role(visit.instance, visit.actor, name, visit.form.all("permission"), now=visit.now)
    return Redirect(address_of(made.name), f"The role {made.name} was added. It has no holders yet.")


@pages.get("/{name}", Permission.ROLE_VIEW)
def show(visit: Visit) -> Reply:
    found = roles.show_role(visit.instance, visit.actor, visit.path["name"])
    allowed = in_words(found.role.permissions)
    return visit.show("roles/show.html", found=found, allowed=allowed, here=address_of(found.role.name))


@pages.get("/{name}/edit", Permission.ROLE_MANAGE)
def edit(visit: Visit) -> Reply:
    found = roles.show_role(visit.instance, visit.actor, visit.path["name"])
    ticked = visit.form.all("permission") if visit.form else found.role.permissions
    return visit.show("roles/edit.html", role=found.role, ticked=ticked, groups=PERMISSION_GROUPS)


@pages.post("/{name}/edit", Permission.ROLE_MANAGE, again=edit, fresh=True)
def set_permissions(visit: Visit) -> Reply:
    name = visit.path["name"]
    roles.set_permissions(visit.instance, visit.actor, name, visit.form.all("permission"), now=visit.now)
    return Redirect(address_of(name), f"The role {name} was changed for all its holders.")


@pages.get("/{name}/remove", Permission.ROLE_MANAGE)
def before_remove(visit: Visit) -> Reply:
    name = roles.show_role(visit.instance, visit.actor, visit.path["name"]).role.name
    return ask_first(
        visit,
        f"Remove the role {name}",
        "Remove",
        f"{address_of(name)}/remove",
        "You can remove only a custom role without holders.",
        crumbs=((LIST, "Roles"), (address_of(name), name)),
    )


@pages.post("/{name}/remove", Permission.ROLE_MANAGE, again=before_remove, fresh=True)
def remove(visit: Visit) -> Reply:
    name = visit.path["name"]
    roles.remove_role(visit.instance, visit.actor, name, now=visit.now)
    return Redirect(LIST, f"The role {name} was removed.")


@pages.get("/{name}/revoke", Permission.ROLE_MANAGE)
def before_revoke(visit: Visit) -> Reply:
    each = _grant_in(visit.form or visit.query, visit.path["name"])
    return ask_first(
        visit,
        f"Revoke the role {each.role} from {each.holder}",
        "Revoke",
        f"{address_of(each.role)}/revoke",
        f"{each.holder} immediately loses the role {each.role} in {each.domain} and below.",
        crumbs=((LIST, "Roles"), (address_of(each.role), each.role)),
        fields={"kind": each.kind.value, "holder": each.holder, "domain": each.domain},
    )


@pages.post("/{name}/revoke", Permission.ROLE_MANAGE, again=before_revoke, fresh=True)
def revoke(visit: Visit) -> Reply:
    each = _grant_in(visit.form, visit.path["name"])
    roles.revoke(visit.instance, visit.actor, each.role, each.kind, each.holder, each.domain, now=visit.now)
    words = f"{each.holder} no longer has the role {each.role} in {each.domain}."
    return Redirect(address_of(each.role) if visit.may(Permission.ROLE_VIEW) else "/console", words)


def in_words(permissions: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Return the phrases of these permissions by group, without empty groups."""
    held = set(permissions)
    groups = [
        (heading, [words for permission, words in group.items() if permission in held])
        for heading, group in PERMISSION_GROUPS.items()
    ]
    return [(heading, phrases) for heading, phrases in groups if phrases]


def _grant_in(fields: Fields, role: str = "") -> GrantView:
    kind = _KINDS.get(fields.get("kind", ""))
    if kind is None:
        raise BadInput("no holder of the role is given", "choose a user or an API client")
    role = role or fields.text("role", "Role", needed=True)
    holder = fields.text("holder", "Name", needed=True)
    return GrantView(role, kind, holder, fields.text("domain", "Security domain", needed=True))


def address_of(name: str) -> str:
    """Return the address of a role's page."""
    return f"{LIST}/{quote(name, safe='')}"
