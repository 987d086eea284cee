"""Security domains: add, list, show, move, remove.

Policies are assigned to a domain and never inherited from the one above it. Moving a domain therefore changes no
effective policy and renews no offline data. It changes the scope of administrators and API clients, which is computed
from the tree each time. So an administrator may move a domain only if they have the same rights at its new place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import verify_may, verify_no_gain, verify_somewhere
from sparekey.app.hidden_names import hidden_names_counted, name_taken
from sparekey.app.instance import TOP_DOMAIN, Instance, log, new_id
from sparekey.app.lookup import get_domain
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import Conflict, NotAllowed
from sparekey.core.names import verify_name
from sparekey.core.permissions import Actor, Permission
from sparekey.core.plurals import counted
from sparekey.core.policy.kinds import PolicyKind
from sparekey.storage.people import domain_tree, domains
from sparekey.storage.people.domains import Domain
from sparekey.storage.policies import policies

LONGEST_NAME = 100
MOST_DOMAINS = 1_000
# The contents of a domain by their names in storage: singular and plural.
_CONTENTS: Final[Mapping[str, tuple[str, str]]] = {
    "users": ("user", "users"),
    "tokens": ("unassigned token", "unassigned tokens"),
    "devices": ("device", "devices"),
    "API clients": ("API client", "API clients"),
    "roles granted": ("role granted", "roles granted"),
    "domains": ("domain", "domains"),
}


@dataclass(frozen=True)
class DomainView:
    """A domain.

    `parent` is None if the actor does not see it; `assigned` has None where the domain uses the default policy.
    """

    name: str
    parent: str | None
    assigned: Mapping[PolicyKind, str | None]
    depth: int = 0  # below the topmost domain that the actor sees


@dataclass(frozen=True)
class DomainChoice:
    """A domain in a list to choose from; `depth` as in DomainView."""

    name: str
    depth: int


@dataclass(frozen=True)
class DomainDetails:
    """A domain.

    `policies`: per kind, the name of the one in force; `contents`: how many objects the domain itself owns.
    """

    view: DomainView
    policies: Mapping[PolicyKind, str]
    contents: Mapping[str, int]


def add_domain(instance: Instance, actor: Actor, name: str, parent: str = TOP_DOMAIN, *, now: int) -> DomainView:
    """Add a domain below `parent`. It uses the default policies until others are assigned.

    Raises BadInput for a wrong name, and Conflict if it is taken or if there are too many domains.
    """
    verify_name(name, "security domain", LONGEST_NAME)
    with hidden_names_counted(instance, actor, now), instance.database.write() as connection:
        domain_tree.lock_tree(connection)
        parent_id = get_domain(connection, actor, parent, Permission.DOMAIN_MANAGE).id
        existing = domains.find_domain(connection, name)
        if existing is not None:
            raise name_taken(actor, existing.id, f"a security domain {name!r} already exists", "choose another name")
        if domains.count_domains(connection) >= MOST_DOMAINS:
            raise Conflict(f"the limit of {MOST_DOMAINS} security domains is reached", "remove one first")
        domains.insert_domain(connection, new_id(), name, parent_id)
        log(connection, now, actor, Action.DOMAIN_ADDED, name=name, parent=parent)
    return DomainView(name, parent, dict.fromkeys(PolicyKind))


def list_domains(instance: Instance, actor: Actor) -> list[DomainView]:
    """Return all domains that the actor sees, each followed by those below it."""
    within = verify_somewhere(actor, Permission.DOMAIN_VIEW)
    with instance.database.read() as connection:
        return _tree(domains.list_domains(connection), within)


def list_choices(instance: Instance, actor: Actor, needed: Permission) -> list[DomainChoice]:
    """Return the domains in which the actor has this permission, each followed by those below it."""
    within = verify_somewhere(actor, needed)
    with instance.database.read() as connection:
        return [DomainChoice(view.name, view.depth) for view in _tree(domains.list_domains(connection), within)]


def show_domain(instance: Instance, actor: Actor, name: str) -> DomainDetails:
    with instance.database.read() as connection:
        domain = get_domain(connection, actor, name, Permission.DOMAIN_VIEW)
        within = actor.domains_with(Permission.DOMAIN_VIEW)
        view = next(view for view in _tree(domains.list_domains(connection), within) if view.name == name)
        in_force = policies.names_in_force(connection, domain.id)
        return DomainDetails(view, in_force, domain_tree.count_contents(connection, domain.id))


def move_domain(instance: Instance, actor: Actor, name: str, parent: str, *, now: int) -> None:
    """Move a domain, with all domains below it, below `parent`.

    Raises NotAllowed for the top domain, and Conflict if `parent` is the domain itself or below it.
    """
    with instance.database.write() as connection:
        domain_tree.lock_tree(connection)
        domain, parent_id = _get_below_top(connection, actor, name)
        # The old place needs the permission, too: losing a domain changes that place.
        verify_may(actor, Permission.DOMAIN_MANAGE, parent_id)
        new = get_domain(connection, actor, parent, Permission.DOMAIN_MANAGE)
        verify_no_gain(connection, actor, domain.id, new.id)
        if new.id in domains.domain_and_below(connection, domain.id):
            raise Conflict(f"{parent!r} is {name!r} itself or below it", "choose a domain outside of it")
        domain_tree.set_parent(connection, domain.id, new.id)
        log(connection, now, actor, Action.DOMAIN_MOVED, name=name, parent=parent, before=domain.parent)


def remove_domain(instance: Instance, actor: Actor, name: str, *, now: int) -> None:
    """Remove an empty domain. Its revoked devices and clients are kept in the domain above it.

    Raises NotAllowed for the top domain, and Conflict if the domain is not empty.
    """
    with instance.database.write() as connection:
        domain_tree.lock_tree(connection)
        domain, parent_id = _get_below_top(connection, actor, name)
        held = {what: count for what, count in domain_tree.count_contents(connection, domain.id).items() if count}
        if held:
            contents = ", ".join(contents_in_words(held))
            raise Conflict(f"{name!r} is not empty: {contents}", "move, remove or revoke them first")
        domain_tree.delete_domain(connection, domain.id, parent_id)
        log(connection, now, actor, Action.DOMAIN_REMOVED, name=name)


def contents_in_words(contents: Mapping[str, int]) -> list[str]:
    """Return a text for each kind, such as `1 user` or `2 devices`."""
    return [counted(count, *_CONTENTS.get(what, (what, what))) for what, count in contents.items()]


def _get_below_top(connection: Connection, actor: Actor, name: str) -> tuple[Domain, str]:
    """Return the domain, and the id of the domain above it."""
    domain = get_domain(connection, actor, name, Permission.DOMAIN_MANAGE)
    if domain.parent_id is None:
        raise NotAllowed(f"the top domain {name!r} cannot be moved or removed", "choose a domain below it")
    return domain, domain.parent_id


def _tree(every: Sequence[Domain], within: frozenset[str] | None) -> list[DomainView]:
    """Return each domain followed by those below it, sorted by name. A parent that is not visible becomes None."""
    seen = [domain for domain in every if within is None or domain.id in within]
    names = {domain.name for domain in seen}
    below: dict[str | None, list[Domain]] = {}
    for domain in seen:
        below.setdefault(domain.parent if domain.parent in names else None, []).append(domain)
    found: list[DomainView] = []
    waiting = [(domain, 0) for domain in reversed(below.get(None, []))]
    while waiting:
        domain, depth = waiting.pop()
        parent = domain.parent if domain.parent in names else None
        found.append(DomainView(domain.name, parent, domain.assigned, depth))
        waiting += [(child, depth + 1) for child in reversed(below.get(domain.name, []))]
    return found
