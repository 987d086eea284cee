"""Administration > Security domains: the tree, the contents of each domain, and its policies."""

from typing import Final
from urllib.parse import quote

from sparekey.app.people import domains
from sparekey.app.policies import policies
from sparekey.app.policies import previews as policy_previews
from sparekey.app.policies.previews import Preview, in_words
from sparekey.core.errors import BadInput
from sparekey.core.permissions import Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.server.console.forms.choices import domain_options
from sparekey.server.console.forms.confirming import ask_first
from sparekey.server.console.policies.policies import cores_of
from sparekey.server.console.policies.words import label_of
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

LIST: Final = "/console/domains"
pages = Pages(LIST)
_KINDS: Final = {kind.value: kind for kind in PolicyKind}
_DEFAULT: Final = ""  # no name: always use the default


@pages.get("", Permission.DOMAIN_VIEW)
def manage(visit: Visit) -> Reply:
    """Return the tree, each domain followed by those below it."""
    return visit.show(
        "domains/manage.html", rows=domains.list_domains(visit.instance, visit.actor), kinds=tuple(PolicyKind)
    )


@pages.get(":add", Permission.DOMAIN_MANAGE)
def new(visit: Visit) -> Reply:
    return visit.show("domains/new.html", parents=domain_options(visit, Permission.DOMAIN_MANAGE))


@pages.post(":add", Permission.DOMAIN_MANAGE, again=new, fresh=True)
def add(visit: Visit) -> Reply:
    name = visit.form.text("name", "Name", needed=True)
    parent = visit.form.text("parent", "Parent domain", needed=True)
    made = domains.add_domain(visit.instance, visit.actor, name, parent, now=visit.now)
    return Redirect(address_of(made.name), f"{made.name} was added. It uses the default policies.")


@pages.get("/{name}", Permission.DOMAIN_VIEW)
def show(visit: Visit) -> Reply:
    found = domains.show_domain(visit.instance, visit.actor, visit.path["name"])
    return visit.show("domains/show.html", domain=found, here=address_of(found.view.name), kinds=tuple(PolicyKind))


@pages.get("/{name}/move", Permission.DOMAIN_MANAGE)
def before_move(visit: Visit) -> Reply:
    found = domains.show_domain(visit.instance, visit.actor, visit.path["name"])
    parents = domain_options(visit, Permission.DOMAIN_MANAGE, but=found.view.name)
    return visit.show("domains/move.html", domain=found, parents=parents, here=address_of(found.view.name))


@pages.post("/{name}/move", Permission.DOMAIN_MANAGE, again=before_move, fresh=True)
def move(visit: Visit) -> Reply:
    name, parent = visit.path["name"], visit.form.text("parent", "Parent domain", needed=True)
    domains.move_domain(visit.instance, visit.actor, name, parent, now=visit.now)
    return Redirect(address_of(name), f"{name} was moved below {parent}.")


@pages.get("/{name}/remove", Permission.DOMAIN_MANAGE)
def before_remove(visit: Visit) -> Reply:
    name = visit.path["name"]
    domains.show_domain(visit.instance, visit.actor, name)
    return ask_first(
        visit,
        f"Remove {name}",
        "Remove",
        f"{address_of(name)}/remove",
        "You can remove a domain only if it is empty.",
        "Its revoked devices and API clients move to the domain above it.",
        crumbs=((LIST, "Security domains"), (address_of(name), name)),
    )


@pages.post("/{name}/remove", Permission.DOMAIN_MANAGE, again=before_remove, fresh=True)
def remove(visit: Visit) -> Reply:
    name = visit.path["name"]
    domains.remove_domain(visit.instance, visit.actor, name, now=visit.now)
    return Redirect(LIST, f"{name} was removed.")


@pages.get("/{name}/policies", Permission.POLICY_MANAGE)
def before_assign(visit: Visit) -> Reply:
    """Return the form with the policies of each kind, the assigned one selected."""
    found = domains.show_domain(visit.instance, visit.actor, visit.path["name"])
    offered = {kind: _policy_options(visit, kind) for kind in PolicyKind}
    return visit.show("domains/policies.html", domain=found, offered=offered, here=address_of(found.view.name))


@pages.post("/{name}/policies", Permission.POLICY_MANAGE, again=before_assign, fresh=True)
def assign(visit: Visit) -> Reply:
    """Assign a policy of one kind. If it discards data on devices, first show the numbers and ask to confirm."""
    domain, kind = visit.path["name"], _kind(visit)
    policy = visit.form.text("policy") or None
    confirmed = visit.form.flag("confirmed")
    if not confirmed:
        preview = policy_previews.preview_assignment(visit.instance, visit.actor, kind, policy, domain, now=visit.now)
        if sentences := in_words(preview, cores_of(visit.settings)):
            return _ask_about(visit, kind, policy, preview, sentences)
    policies.assign_policy(visit.instance, visit.actor, kind, policy, domain, confirmed=confirmed, now=visit.now)
    words = f"the {kind} policy {policy}" if policy else f"the default {kind} policy"
    return Redirect(address_of(domain), f"{domain} now uses {words}.")


def _ask_about(visit: Visit, kind: PolicyKind, policy: str | None, preview: Preview, told: list[str]) -> Reply:
    domain = visit.path["name"]
    stricter = ", ".join(label_of(field).lower() for field in preview.tightened)
    sentences = [f"It is stricter than the current policy in these fields: {stricter}."] if stricter else []
    sentences += told
    return ask_first(
        visit,
        f"Assign {policy or 'the default policy'} to {domain}",
        "Assign",
        f"{address_of(domain)}/policies",
        *sentences,
        crumbs=((LIST, "Security domains"), (address_of(domain), domain)),
        fields={"kind": kind.value, "policy": policy or _DEFAULT, "confirmed": "on"},
    )


def _policy_options(visit: Visit, kind: PolicyKind) -> list[tuple[str, str]]:
    found = policies.list_policies(visit.instance, visit.actor, kind)
    default = next((option.name for option in found if option.is_default), "")
    return [(_DEFAULT, f"Always use the default ({default})"), *((option.name, option.name) for option in found)]


def _kind(visit: Visit) -> PolicyKind:
    kind = _KINDS.get(visit.form.get("kind", ""))
    if kind is None:
        raise BadInput("this policy does not exist", "choose one on this page")
    return kind


def address_of(name: str) -> str:
    """Return the address of a domain's page."""
    return f"{LIST}/{quote(name, safe='')}"
