"""Roles: add, change, remove, and grant to users and API clients in a security domain.

Rules: administrators cannot give permissions that they do not have themselves, by a grant or by a change of a role.
They cannot take permissions from a holder who has more. Predefined roles cannot be changed. There is always a super
administrator (`super_administrators`). A user with several roles has the permissions of all of them. When the last one
is revoked, the user's console sessions end: another role does not reopen them (S63).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from sparekey.app.authorisation import permissions_of, scope_of, verify_may, verify_somewhere
from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_account, get_client, get_domain
from sparekey.app.sessions.ends import end_before_grant, end_without_role
from sparekey.app.super_administrators import one_remains
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, Conflict, NotAllowed, NotFound
from sparekey.core.names import verify_name
from sparekey.core.permissions import PREDEFINED, Actor, Grant, Permission
from sparekey.core.plurals import counted
from sparekey.storage.people import accounts, roles
from sparekey.storage.people.accounts import Account

LONGEST_NAME = 64
MOST_ROLES = 1_000  # beside the predefined ones
MOST_LISTED = 1_000  # grants
_MORE_RIGHTS = "you can grant only permissions that you have yourself"
_ASK = "ask an administrator who has them"


class HolderKind(StrEnum):
    """The kind of a holder of a role."""

    USER = "user"
    CLIENT = "client"


@dataclass(frozen=True)
class RoleView:
    name: str
    predefined: bool
    permissions: tuple[str, ...]


@dataclass(frozen=True)
class GrantView:
    """A grant: the holder has the role in the domain and in all domains below it."""

    role: str
    kind: HolderKind
    holder: str  # login, or name of an API client
    domain: str


@dataclass(frozen=True)
class GrantList:
    """Some grants. `cut`: there are more than these."""

    items: tuple[GrantView, ...]
    cut: bool


@dataclass(frozen=True)
class RoleDetails:
    """A role with its grants, as far as the reader sees them; `cut`: there are more than these."""

    role: RoleView
    grants: tuple[GrantView, ...]
    cut: bool = False


def add_role(instance: Instance, actor: Actor, name: str, permissions: Iterable[str], *, now: int) -> RoleView:
    """Add a role with these permissions, given by name.

    Raises BadInput for an unknown permission, NotAllowed for one that the actor does not have, and Conflict if the name
    exists or if there are too many roles.
    """
    verify_name(name, "role", LONGEST_NAME)
    wanted = _read(permissions)
    _verify_has_everywhere(actor, wanted)
    with instance.database.write() as connection:
        if name.lower() in PREDEFINED or roles.find_role(connection, name) is not None:
            raise Conflict(f"a role {name!r} already exists", "choose another name")
        if roles.count_roles(connection) >= MOST_ROLES:
            raise Conflict(f"the limit of {MOST_ROLES} roles is reached", "remove one first")
        roles.insert_role(connection, new_id(), name, _stored(wanted), now)
        log(connection, now, actor, Action.ROLE_ADDED, name=name, permissions=_names(wanted))
    return RoleView(name, False, _names(wanted))


def set_permissions(instance: Instance, actor: Actor, name: str, permissions: Iterable[str], *, now: int) -> RoleView:
    """Replace the permissions of a role that is not predefined, for all its holders."""
    wanted = _read(permissions)
    with instance.database.write() as connection:
        had = _get_own(connection, actor, name)
        _verify_has_everywhere(actor, wanted | had)
        roles.set_permissions(connection, name, _stored(wanted))
        log(connection, now, actor, Action.ROLE_CHANGED, name=name, permissions=_names(wanted), before=_names(had))
    return RoleView(name, False, _names(wanted))


def remove_role(instance: Instance, actor: Actor, name: str, *, now: int) -> None:
    """Remove a role that is not predefined. Raises Conflict if it is granted."""
    with instance.database.write() as connection:
        had = _get_own(connection, actor, name)
        _verify_has_everywhere(actor, had)
        holders = roles.count_grants(connection, name)
        if holders:
            granted = counted(holders, "time")
            raise Conflict(f"the role {name!r} is granted {granted}", "revoke it first: see `sparekey role show`")
        roles.delete_role(connection, name)
        log(connection, now, actor, Action.ROLE_REMOVED, name=name, permissions=_names(had))


def list_roles(instance: Instance, actor: Actor) -> list[RoleView]:
    """Return the predefined roles, then the others by name."""
    verify_somewhere(actor, Permission.ROLE_VIEW)
    with instance.database.read() as connection:
        own = [
            RoleView(role.name, False, _names(permissions_of(role.name, role.permissions)))
            for role in roles.list_roles(connection)
        ]
    return [RoleView(name, True, _names(permissions)) for name, permissions in PREDEFINED.items()] + own


def show_role(instance: Instance, actor: Actor, name: str) -> RoleDetails:
    within = verify_somewhere(actor, Permission.ROLE_VIEW)
    with instance.database.read() as connection:
        role = RoleView(name, name in PREDEFINED, _names(_get_permissions(connection, name)))
        found = _grants(connection, actor, within, name)
        return RoleDetails(role, found.items, found.cut)


def list_grants(
    instance: Instance, actor: Actor, kind: HolderKind | None = None, holder: str | None = None
) -> GrantList:
    """Return the grants that the actor sees, by role: at most 1,000. `show_role` returns those of one role.

    `kind`: only those of users, or of API clients; `holder`: only those of the holder with this name.
    """
    within = verify_somewhere(actor, Permission.ROLE_VIEW)
    with instance.database.read() as connection:
        return _grants(connection, actor, within, kind=kind, holder=holder)


@dataclass(frozen=True)
class RolesAndPasskeys:
    """The roles of a user that the reader may know, and the number of passkeys. `holds_a_role`: in any domain."""

    roles: tuple[GrantView, ...]
    passkeys: int
    holds_a_role: bool


def roles_and_passkeys(connection: Connection, actor: Actor, account: Account) -> RolesAndPasskeys:
    """Return the roles and passkeys of a user. The caller has checked that the actor sees the user."""
    within = actor.domains_with(Permission.ROLE_VIEW)
    found = roles.of_user(connection, account.id)
    views = tuple(
        GrantView(role, HolderKind.USER, account.login, domain)
        for role, domain_id, domain in found.held
        if within is None or domain_id in within
    )
    return RolesAndPasskeys(views, found.passkeys, bool(found.held))


def grant(
    instance: Instance, actor: Actor, role: str, kind: HolderKind, holder: str, domain: str, *, now: int
) -> GrantView:
    """Grant the role to the holder in the domain and in all domains below it.

    Raises NotAllowed if the role has a permission that the actor does not have, and Conflict if it was granted before.
    """
    with instance.database.write() as connection:
        roles.lock_role(connection, role)  # so that the permissions cannot change between the check and the grant
        permissions = _get_permissions(connection, role)
        domain_id = get_domain(connection, actor, domain, Permission.ROLE_MANAGE).id
        principal_id = _get_holder(connection, actor, kind, holder)
        if not actor.covers([Grant(permissions, scope_of(connection, domain_id))]):
            raise NotAllowed(_MORE_RIGHTS, _ASK)
        accounts.lock_accounts(connection, [principal_id])  # an API client has none
        if roles.find_grant(connection, role, principal_id, domain_id) is not None:
            raise Conflict(f"{holder} already has the role {role!r} in {domain}", "nothing was changed")
        if kind is HolderKind.USER:
            end_before_grant(connection, actor, principal_id, now)
        roles.insert_grant(connection, new_id(), role, principal_id, domain_id, now)
        _log_grant(connection, now, actor, Action.ROLE_GRANTED, kind, principal_id, role, domain)
    return GrantView(role, kind, holder, domain)


def revoke(
    instance: Instance, actor: Actor, role: str, kind: HolderKind, holder: str, domain: str, *, now: int
) -> None:
    """Revoke the role of the holder in the domain. Raises NotFound if the holder does not have it."""
    with instance.database.write() as connection:
        domain_id = get_domain(connection, actor, domain, Permission.ROLE_MANAGE).id
        with one_remains(connection, now):
            principal_id = _get_holder(connection, actor, kind, holder)
            accounts.lock_accounts(connection, [principal_id])  # an API client has none
            grant_id = roles.find_grant(connection, role, principal_id, domain_id)
            if grant_id is None or not roles.delete_grant(connection, grant_id):
                raise NotFound(f"{holder} does not have the role {role!r} in {domain}", "see `sparekey role show`")
        if kind is HolderKind.USER:
            end_without_role(connection, principal_id)
        _log_grant(connection, now, actor, Action.ROLE_REVOKED, kind, principal_id, role, domain)


def _get_holder(connection: Connection, actor: Actor, kind: HolderKind, name: str) -> str:
    """Return the id of a user or client who has no permission that the actor does not have."""
    if kind is HolderKind.USER:
        return get_account(connection, actor, name, Permission.ROLE_MANAGE).id
    return get_client(connection, actor, name, Permission.ROLE_MANAGE).id


def _log_grant(
    connection: Connection,
    now: int,
    actor: Actor,
    action: Action,
    kind: HolderKind,
    principal_id: str,
    role: str,
    domain: str,
) -> None:
    account, client = (principal_id, None) if kind is HolderKind.USER else (None, principal_id)
    log(connection, now, actor, action, account=account, role=role, domain=domain, client=client)


def _grants(
    connection: Connection,
    actor: Actor,
    within: frozenset[str] | None,
    role: str | None = None,
    kind: HolderKind | None = None,
    holder: str | None = None,
) -> GrantList:
    found = [
        GrantView(row.role, HolderKind(row.kind), row.holder, row.domain)
        for row in roles.list_grants(connection, role, kind, holder)
        if (within is None or row.domain_id in within) and actor.sees(row.holder_domain_id)
    ]
    return GrantList(tuple(found[:MOST_LISTED]), len(found) > MOST_LISTED)


def _get_permissions(connection: Connection, name: str) -> frozenset[Permission]:
    role = roles.find_role(connection, name)
    if role is None and name not in PREDEFINED:
        raise NotFound(f"there is no role {name!r}", "see `sparekey role list`")
    return permissions_of(name, role.permissions if role else None)


def _get_own(connection: Connection, actor: Actor, name: str) -> frozenset[Permission]:
    """Return the permissions of a role that can be changed.

    A role belongs to no domain, so a change applies in all of them.
    """
    verify_may(actor, Permission.ROLE_MANAGE, None)
    if name in PREDEFINED:
        raise NotAllowed(f"{name!r} is predefined and cannot be changed", "add your own role with `sparekey role add`")
    role = roles.lock_role(connection, name)
    if role is None:
        raise NotFound(f"there is no role {name!r}", "see `sparekey role list`")
    return permissions_of(name, role.permissions)


def _verify_has_everywhere(actor: Actor, permissions: frozenset[Permission]) -> None:
    verify_may(actor, Permission.ROLE_MANAGE, None)
    if not actor.covers([Grant(permissions, None)]):
        raise NotAllowed(_MORE_RIGHTS, _ASK)


def _read(names: Iterable[str]) -> frozenset[Permission]:
    known = {permission.value: permission for permission in Permission}
    wanted = [*names]
    unknown = sorted(set(wanted) - known.keys())
    if unknown or not wanted:
        message = f"there is no permission {', '.join(map(repr, unknown))}" if unknown else "a role needs a permission"
        raise BadInput(message, f"permissions: {', '.join(known)}" if unknown else "choose at least one")
    return frozenset(known[name] for name in wanted)


def _stored(permissions: frozenset[Permission]) -> str:
    return ",".join(_names(permissions))


def _names(permissions: frozenset[Permission]) -> tuple[str, ...]:
    return tuple(permission.value for permission in Permission if permission in permissions)
