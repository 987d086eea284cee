"""Whether an actor may do it, there: the sentences in which that is refused.

Rules: what lies outside every domain of the actor does not exist, in the same words as what is not there at all
(`lookup`); who sees it but may not do it is told which permission is missing; nobody changes an account whose holder,
or an API client that, has rights that the actor does not have; nobody gains rights over anything by moving it.
"""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from sparekey.core.errors import NotAllowed
from sparekey.core.permission_words import allows
from sparekey.core.permissions import PREDEFINED, Actor, Grant, Permission
from sparekey.storage.people import domains, roles
from sparekey.storage.people.roles import HeldRole
from sparekey.storage.rows import AnyRow

_ASK = "ask an administrator for a role with this permission"


def verify_may(actor: Actor, needed: Permission, domain_id: str | None) -> None:
    """Raises NotAllowed; `domain_id` None: for what belongs to no domain."""
    if not actor.may(needed, domain_id):
        where = "in all security domains" if domain_id is None else "in this security domain"
        raise NotAllowed(f"{_needs(needed)} {where}", _ASK)


def verify_somewhere(actor: Actor, needed: Permission) -> frozenset[str] | None:
    """The domains in which the actor has it, None: everywhere. Raises NotAllowed where there is none."""
    found = actor.domains_with(needed)
    if found is not None and not found:
        raise NotAllowed(_needs(needed), _ASK)
    return found


def _needs(permission: Permission) -> str:
    """In the words of the form in which roles are made, and by its name."""
    return f'this needs the permission "{allows(permission)}" ({permission})'


def verify_not_above(connection: Connection, actor: Actor, principal_id: str, what: str = "user") -> None:
    """Raises NotAllowed where this account's holder, or this API client, has rights that the actor has not."""
    if not actor.covers(grants_of(connection, principal_id)):
        raise NotAllowed(f"this {what} has rights that you do not have", "ask an administrator who has them")


def verify_no_gain(connection: Connection, actor: Actor, there: str, here: str) -> None:
    """Raises NotAllowed where moving something from domain `there` to `here` would give the actor rights over it.

    Else whoever may move users in both domains, and show codes in one of them, could show the codes of the other.
    """
    gained = [each for each in Permission if actor.may(each, here) and not actor.may(each, there)]
    if gained:
        names = [domains.get_name(connection, domain_id) for domain_id in (here, there)]
        words = "; ".join(f"{allows(each)}, {each}" for each in gained)
        raise NotAllowed(
            f"in {names[0]} you have rights that you do not have in {names[1]} ({words}), and moving would extend them",
            _ASK,
        )


def grants_of(connection: Connection, principal_id: str) -> tuple[Grant, ...]:
    """What the roles of an account or API client give, each in its domain and below; the top domain: everywhere."""
    return grants_of_several(connection, [principal_id]).get(principal_id, ())


def grants_of_several(connection: Connection, principal_ids: Collection[str]) -> dict[str, tuple[Grant, ...]]:
    """The same of several, by id; who has no role is left out."""
    held = roles.grants_of(connection, principal_ids)
    scopes = _scopes(connection, held)
    return {each: tuple(_grant(role, scopes) for role in theirs) for each, theirs in _by_holder(held).items()}


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
    """Of a predefined role, or as `stored` says; a role that is neither gives nothing."""
    if role in PREDEFINED:
        return PREDEFINED[role]
    known = {permission.value: permission for permission in Permission}
    return frozenset(known[name] for name in (stored or "").split(",") if name in known)


def scope_of(connection: Connection, domain_id: str) -> frozenset[str] | None:
    """The domain and all below; None for the top domain: what belongs to no domain is in its scope too."""
    return None if domains.is_top(connection, domain_id) else domains.domain_and_below(connection, domain_id)


def actor_of(connection: Connection, account_id: str) -> Actor:
    """An administrator as an actor; without a role they may do nothing."""
    return Actor(f"user:{account_id}", grants_of(connection, account_id), account_id)


def visitor_of(connection: Connection, account_id: str, rows: Sequence[AnyRow]) -> tuple[Actor, Mapping[str, str]]:
    """Return the actor from rows that another query read along (`storage.people.roles.with_grants`).

    Also return the domains to which roles are confined, and all below them: their ids, by name.
    """
    held = [role for row in rows if (role := roles.held_role(row)) is not None]  # where nothing is, nothing is given
    scopes = _scopes(connection, held)
    actor = Actor(f"user:{account_id}", tuple(_grant(role, scopes) for role in held), account_id)
    return actor, {name: each for below in scopes.values() for each, name in below.items()}
