"""Policies of each kind: add, edit, assign, remove, and the effective offline policy of a user on a device.

An edit of an offline policy is *replace, then discard*, except where it tightens: then data are discarded at once, and
the operator confirms how many devices that touches (product.md, "Offline authentication policy"). Token and lockout
policies are sealed into nothing: an edit holds from the next sign-in on.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import verify_may, verify_somewhere
from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_account, get_device, get_domain, get_policy
from sparekey.app.policies_in_force import effective_in
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, Conflict, NotAllowed
from sparekey.core.names import verify_name
from sparekey.core.permissions import Actor, Permission
from sparekey.core.plurals import counted
from sparekey.core.policy.fields import PolicyError
from sparekey.core.policy.kinds import PolicyKind, StoredPolicy
from sparekey.core.policy.offline import EffectivePolicy, OfflinePolicy, tightened
from sparekey.storage.devices import devices
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.storage.people import domains
from sparekey.storage.policies import places as policy_places
from sparekey.storage.policies import policies
from sparekey.storage.policies.policies import NamedPolicy

LONGEST_NAME = 128

_OF_THE_USER: Final = (PolicyKind.TOKEN, PolicyKind.LOCKOUT)


@dataclass(frozen=True)
class PolicyView:
    """`values`: one per field, as they are stored."""

    kind: PolicyKind
    name: str
    is_default: bool
    revision: int
    values: Mapping[str, bool | int | str]


@dataclass(frozen=True)
class PolicyEdit:
    """What an edit did: the fields that became stricter, and how many users' data on devices are made anew."""

    view: PolicyView
    tightened: tuple[str, ...]
    regenerated: int


@dataclass(frozen=True)
class AssignedView:
    """A policy that is in force, and the domain it is in force through."""

    name: str
    domain: str
    policy: StoredPolicy


@dataclass(frozen=True)
class InForce:
    """The policies of every kind for a user: the offline policy as merged, the others as they are stored."""

    offline: EffectivePolicy
    others: Mapping[PolicyKind, AssignedView]


def add_policy(
    instance: Instance, actor: Actor, kind: PolicyKind, name: str, fields: Mapping[str, str], *, now: int
) -> PolicyView:
    """A new policy: the defaults with the fields that were given, as a person wrote them."""
    verify_may(actor, Permission.POLICY_MANAGE, None)
    verify_name(name, "policy", LONGEST_NAME)
    policy = edited_policy(kind, kind.type(), fields)
    with instance.database.write() as connection:
        if policies.find_policy(connection, kind, name) is not None:
            raise Conflict(f"there is a policy {name!r} of this kind already", "choose another name, or set its fields")
        policies.insert_policy(connection, kind, new_id(), name, policy, is_default=False)
        log(connection, now, actor, Action.POLICY_ADDED, kind=kind, name=name, fields=dict(fields))
    return PolicyView(kind, name, False, 1, dataclasses.asdict(policy))


def list_policies(
    instance: Instance, actor: Actor, kind: PolicyKind, limit: int = 1_000, after: str = ""
) -> list[PolicyView]:
    """By name, from the one after `after`."""
    verify_somewhere(actor, Permission.POLICY_VIEW)
    with instance.database.read() as connection:
        views = [_view(kind, row) for row in policies.list_policies(connection, kind)]
    return [view for view in sorted(views, key=lambda view: view.name) if view.name > after][:limit]


def show_policy(instance: Instance, actor: Actor, kind: PolicyKind, name: str) -> PolicyView:
    with instance.database.read() as connection:
        return _view(kind, get_policy(connection, actor, kind, name, Permission.POLICY_VIEW))


def set_fields(
    instance: Instance,
    actor: Actor,
    kind: PolicyKind,
    name: str,
    fields: Mapping[str, str],
    *,
    confirmed: bool = False,
    revision: int | None = None,
    now: int,
) -> PolicyEdit:
    """Edit some fields. NotAllowed where that discards data at once and nobody confirmed it.

    `revision`: of the policy that the editor looked at. Conflict where somebody edited it since.
    """
    with instance.database.write() as connection:
        row = get_policy(connection, actor, kind, name, Permission.POLICY_MANAGE)
        if revision not in (None, row.revision):
            raise Conflict(f"somebody edited the policy {name!r} in the meantime", "look at it anew, then edit it")
        old = row.policy
        new = edited_policy(kind, old, fields)
        affected = policies.domains_using(connection, kind, row.id, is_default=row.is_default)
        stricter, regenerated = _discard(connection, old, new, affected)
        if stricter and regenerated and not confirmed:
            raise NotAllowed(
                f"this makes {', '.join(stricter)} stricter and discards the offline data of users on "
                f"{counted(regenerated, 'device')} at the next contact; whoever is offline keeps the old data until "
                "then",
                "run it again with --confirm",
            )
        policies.update_policy(connection, kind, row.id, new)
        _set_lifetime(connection, old, new, affected, now)
        log(
            connection,
            now,
            actor,
            Action.POLICY_SET,
            kind=kind,
            name=name,
            fields=dict(fields),
            regenerated=regenerated,
        )
        view = _view(kind, get_policy(connection, actor, kind, name, Permission.POLICY_MANAGE))
        return PolicyEdit(view, stricter, regenerated)


def assign_policy(
    instance: Instance, actor: Actor, kind: PolicyKind, name: str | None, domain: str, *, now: int
) -> None:
    """Put a domain under a policy; None: always use the default."""
    with instance.database.write() as connection:
        row = get_domain(connection, actor, domain, Permission.POLICY_MANAGE)
        before = policies.policy_of_domain(connection, kind, row.id)
        chosen = get_policy(connection, actor, kind, name, Permission.POLICY_VIEW).id if name else None
        domains.assign_policy(connection, row.id, kind, chosen)
        after = policies.policy_of_domain(connection, kind, row.id)
        if before is not None and after is not None:
            _discard(connection, before.named.policy, after.named.policy, frozenset({row.id}))
        log(connection, now, actor, Action.POLICY_ASSIGNED, kind=kind, name=name, domain=domain)


def remove_policy(instance: Instance, actor: Actor, kind: PolicyKind, name: str, *, now: int) -> None:
    """Its domains go back to the default; the default itself stays."""
    with instance.database.write() as connection:
        row = get_policy(connection, actor, kind, name, Permission.POLICY_MANAGE)
        if row.is_default:
            raise NotAllowed("the default policy cannot be removed", f"edit it with `sparekey policy {kind} set`")
        touched = policies.domains_using(connection, kind, row.id, is_default=False)
        policies.delete_policy(connection, kind, row.id)
        if kind is PolicyKind.OFFLINE:
            devices.raise_generation_in_domains(connection, touched)
        log(connection, now, actor, Action.POLICY_REMOVED, kind=kind, name=name)


def places_of(instance: Instance, actor: Actor, kind: PolicyKind) -> dict[str, list[str]]:
    """The domains in which each policy of a kind is in force, of those that the actor sees; by names."""
    verify_somewhere(actor, Permission.POLICY_VIEW)
    with instance.database.read() as connection:
        rows = policies.list_policies(connection, kind)
        names = {row.id: row.name for row in rows}
        default = next((row.name for row in rows if row.is_default), "")
        found: dict[str, list[str]] = {row.name: [] for row in rows}
        for place in policy_places.places(connection, kind):
            if actor.sees(place.domain_id):
                name = names.get(place.policy_id or "", default)
                found.setdefault(name, []).append(place.domain)
        return found


def in_force_for(instance: Instance, actor: Actor, login: str, device: str | None) -> InForce:
    """The policies of every kind for a user, on this device or on one of the user's own domain."""
    with instance.database.read() as connection:
        account = get_account(connection, actor, login, Permission.USER_VIEW)
        domain = account.domain_id
        if device:
            domain = get_device(connection, actor, device, Permission.DEVICE_VIEW).domain_id
        others = {kind: policies.policy_of_domain(connection, kind, account.domain_id) for kind in _OF_THE_USER}
        stored = {
            kind: AssignedView(row.named.name, row.domain, row.named.policy)
            for kind, row in others.items()
            if row is not None
        }
        return InForce(effective_in(connection, account.domain_id, domain), stored)


def effective_of(instance: Instance, actor: Actor, login: str, device: str | None) -> EffectivePolicy:
    """What is in force for a user on a device (None: on a device of the user's own domain), with the sources."""
    with instance.database.read() as connection:
        account = get_account(connection, actor, login, Permission.USER_VIEW)
        domain = account.domain_id
        if device:
            domain = get_device(connection, actor, device, Permission.DEVICE_VIEW).domain_id
        return effective_in(connection, account.domain_id, domain)


def _view(kind: PolicyKind, row: NamedPolicy) -> PolicyView:
    return PolicyView(kind, row.name, row.is_default, row.revision, dataclasses.asdict(row.policy))


def edited_policy(kind: PolicyKind, policy: StoredPolicy, texts: Mapping[str, str]) -> StoredPolicy:
    """With these fields, as a person wrote them. Raises BadInput."""
    unknown = texts.keys() - kind.fields.keys()
    if unknown:
        names = ", ".join(kind.fields)
        raise BadInput(f"a policy of this kind has no field {', '.join(sorted(unknown))}", f"fields: {names}")
    values = dataclasses.asdict(policy)
    try:
        values |= {name: kind.fields[name].parse(text) for name, text in texts.items()}
        edited: StoredPolicy = kind.type.of(values)
    except PolicyError as error:
        raise BadInput(str(error), f"see `sparekey policy {kind} fields`") from error
    return edited


def _discard(
    connection: Connection, old: StoredPolicy, new: StoredPolicy, affected: frozenset[str]
) -> tuple[tuple[str, ...], int]:
    """Raise the generation where data are to be made anew (offline-day.md, server rule 3).

    Which fields became stricter, and for how many users' devices data are made anew.
    """
    if not isinstance(old, OfflinePolicy) or not isinstance(new, OfflinePolicy):
        return (), 0
    stricter = tuple(tightened(old, new))
    if not stricter and new.protection_level is old.protection_level:
        return (), 0
    return stricter, devices.raise_generation_in_domains(connection, affected)


def _set_lifetime(
    connection: Connection, old: StoredPolicy, new: StoredPolicy, affected: frozenset[str], now: int
) -> None:
    if not isinstance(old, OfflinePolicy) or not isinstance(new, OfflinePolicy):
        return
    if new.emergency_lifetime != old.emergency_lifetime:
        emergency_codes.set_lifetime(connection, affected, new.emergency_lifetime, now)
