"""Checks of an actor's permissions in a domain, and the messages of the refusals.

Rules:
- An object outside every domain of the actor does not exist for the actor: the message is the same as for an object
  that does not exist at all (`lookup`).
- If the actor sees the object but may not do this, the message names the missing permission.
- Actors cannot change an account or an API client that has rights which they do not have themselves.
- Actors cannot gain rights over an object by moving it.
"""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from sparekey.core.errors import NotAllowed
from sparekey.core.permission_words import allows
from sparekey.core.permissions import PREDEFINED, Actor, Grant, Permission
from sparekey.storage.people import domains, roles
from sparekey.storage.people.roles import HeldRole

_ASK = "ask an administrator for a role with this permission"


def verify_may(actor: Actor, needed: Permission, domain_id: str | None) -> None:
    """Raise NotAllowed unless the actor has the permission in this domain; None: in all domains."""
    if not actor.may(needed, domain_id):
        where = "in all security domains" if domain_id is None else "in this security domain"
        raise NotAllowed(f"{_needs(needed)} {where}", _ASK)


def verify_somewhere(actor: Actor, needed: Permission) -> frozenset[str] | None:
    """Return the domains in which the actor has the permission; None: all. Raises NotAllowed if there is none."""
    found = actor.domains_with(needed)
    if found is not None and not found:
        raise NotAllowed(_needs(needed), _ASK)
    return found


def _needs(permission: Permission) -> str:
    """Name the permission as the form for roles describes it, and by its id."""
    return f'this needs the permission "{allows(permission)}" ({permission})'


def verify_not_above(connection: Connection, actor: Actor, principal_id: str, what: str = "user") -> None:
    """Raise NotAllowed if this account or API client has rights that the actor does not have."""
    if not actor.covers(grants_of(connection, principal_id)):
        raise NotAllowed(f"this {what} has rights that you do not have", "ask an administrator who has them")


def verify_no_gain(connection: Connection, actor: Actor, there: str, here: str) -> None:
    """Raise NotAllowed if moving an object from domain `there` to `here` would give the actor rights over it.

    Otherwise an operator who may move users in both domains, and show codes in one of them, could show all codes.
    """
    gained = [
        permission for permission in Permission if actor.may(permission, here) and not actor.may(permission, there)
    ]
    if gained:
        names = [domains.get_name(connection, domain_id) for domain_id in (here, there)]
        rights = "; ".join(f"{allows(permission)}, {permission}" for permission in gained)
        raise NotAllowed(
            f"in {names[0]} you have rights that you do not have in {names[1]} ({rights}), and moving "
            "would extend them",
            _ASK,
        )


def grants_of(connection: Connection, principal_id: str) -> tuple[Grant, ...]:
    """Return the grants of an account or API client. A role applies in its domain and below; at the top, everywhere."""
    return grants_of_several(connection, [principal_id]).get(principal_id, ())


def grants_of_several(connection: Connection, principal_ids: Collection[str]) -> dict[str, tuple[Grant, ...]]:
    """Return the grants of several accounts or API clients by their ids, without those that have no role."""
    held = roles.grants_of(connection, principal_ids)
    scopes = _scopes(connection, held)
    return {
        principal_id: tuple(_grant(role, scopes) for role in principal_roles)
        for principal_id, principal_roles in _by_holder(held).items()
    }


def _by_holder(held: Sequence[HeldRole]) -> dict[str, list[HeldRole]]:
    found: dict[str, list[HeldRole]] = {}
    for role in held:
        found.setdefault(role.principal_id, []).append(role)
    return found


def _scopes(connection: Connection, held: Sequence[HeldRole]) -> dict[str, dict[str, str]]:
    return domains.scopes(connection, {role.granted_in for role in held if not role.at_top})


def _grant(role: HeldRole, scopes: Mapping[str, Mapping[str, str]]) -> Grant:
    within = None if role.at_top else frozenset(scopes[role.granted_in])
    return Grant(permissions_of(role.role, role.permissions), within)


def permissions_of(role: str, stored: str | None) -> frozenset[Permission]:
    """Return the permissions of a predefined role, or else those in `stored`. An unknown role gives none."""
    if role in PREDEFINED:
        return PREDEFINED[role]
    known = {permission.value: permission for permission in Permission}
    return frozenset(known[name] for name in (stored or "").split(",") if name in known)


def scope_of(connection: Connection, domain_id: str) -> frozenset[str] | None:
    """Return the domain and all domains below it; None for the top domain, whose scope has no limit."""
    return None if domains.is_top(connection, domain_id) else domains.domain_and_below(connection, domain_id)


def actor_of(connection: Connection, account_id: str) -> Actor:
    """Return an administrator as an actor. Without a role they may do nothing."""
    return Actor(f"user:{account_id}", grants_of(connection, account_id), account_id)


def visitor_of(connection: Connection, account_id: str, held: Sequence[HeldRole]) -> tuple[Actor, Mapping[str, str]]:
    """Return the account as an actor with these roles, and the domains to which its roles are limited: ids by name.

    The domains below those are included. Without a role, the actor may do nothing.
    """
    scopes = _scopes(connection, held)
    actor = Actor(f"user:{account_id}", tuple(_grant(role, scopes) for role in held), account_id)
    return actor, {name: domain_id for below in scopes.values() for domain_id, name in below.items()}
