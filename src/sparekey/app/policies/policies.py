"""Policies of each kind: add, edit, assign, remove, choose the default; the effective policy of a user on a device.

A change of an offline policy is *replace, then discard*, unless it is stricter: then data are discarded at the next
contact, and the administrator must confirm the number of affected devices (ADR 5, `app.policies.changes`). A change of
a token or lockout policy holds from the next sign-in on. A change by which one operator alone could sign in as a user
needs an approval (S48).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import verify_may, verify_somewhere
from sparekey.app.emergency.second_person import Wanted, acting, verify_approved
from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_account, get_device, get_domain, get_policy
from sparekey.app.policies.changes import PolicyChange, carry_out, verify_confirmed
from sparekey.app.policies_in_force import effective_in
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.acts import ACTS, OperatorAct
from sparekey.core.errors import BadInput, Conflict, NotAllowed
from sparekey.core.names import verify_name
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy.fields import PolicyError
from sparekey.core.policy.kinds import PolicyKind, StoredPolicy
from sparekey.core.policy.offline import EffectivePolicy, OfflinePolicy
from sparekey.storage.people import domains
from sparekey.storage.policies import places as policy_places
from sparekey.storage.policies import policies
from sparekey.storage.policies.policies import NamedPolicy

LONGEST_NAME = 128

_OF_THE_USER: Final = (PolicyKind.TOKEN, PolicyKind.LOCKOUT)


@dataclass(frozen=True)
class PolicyView:
    """A policy as administrators see it. `values`: one per field, as they are stored."""

    kind: PolicyKind
    name: str
    is_default: bool
    revision: int
    values: Mapping[str, bool | int | str]


@dataclass(frozen=True)
class PolicyEdit:
    """The effect of an edit. `tightened`: the fields that discarded data. `regenerated`: the number of holders, that is
    users on devices, whose offline data are renewed."""

    view: PolicyView
    tightened: tuple[str, ...]
    regenerated: int


@dataclass(frozen=True)
class AssignedView:
    """A policy in force, and the domain that it is assigned to."""

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
    """Add a policy with the defaults and these fields, as a person wrote them.

    Raises BadInput if the name or a field is not valid, Conflict if the name exists already, and NotAllowed.
    """
    verify_may(actor, Permission.POLICY_MANAGE, None)
    verify_name(name, "policy", LONGEST_NAME)
    policy = edited_policy(kind, kind.type(), fields)
    with instance.database.write() as connection:
        if policies.find_policy(connection, kind, name) is not None:
            raise Conflict(f"a policy {name!r} of this kind already exists", "choose another name, or set its fields")
        policies.insert_policy(connection, kind, new_id(), name, policy, is_default=False)
        log(connection, now, actor, Action.POLICY_ADDED, kind=kind, name=name, fields=dict(fields))
    return PolicyView(kind, name, False, 1, dataclasses.asdict(policy))


def list_policies(
    instance: Instance, actor: Actor, kind: PolicyKind, limit: int = 1_000, after: str = ""
) -> list[PolicyView]:
    """Return policies in order of name, after the name `after`. Raises NotAllowed."""
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
    """Edit some fields. Raises ConfirmationNeeded if that discards data and is not confirmed.

    `revision`: of the policy that the editor has read. Raises Conflict if the policy was edited since.
    """
    verify_may(actor, Permission.POLICY_MANAGE, None)
    with acting(instance) as connection:
        policies.lock_policies(connection, kind)
        row = get_policy(connection, actor, kind, name, Permission.POLICY_MANAGE)
        if revision not in (None, row.revision):
            raise Conflict(
                f"the policy {name!r} was changed in the meantime", "check the new values, then edit it again"
            )
        new = edited_policy(kind, row.policy, fields)
        affected = policies.domains_using(connection, kind, row.id, is_default=row.is_default)
        change = PolicyChange(row.policy, new, affected)
        verify_confirmed(connection, change, now, confirmed=confirmed)
        _verify_lift(connection, actor, change, row.id, name, now)
        policies.update_policy(connection, kind, row.id, new)
        regenerated = carry_out(connection, actor, change, now)
        log(
            connection,
            now,
            actor,
            Action.POLICY_SET,
            kind=kind,
            name=name,
            fields=dict(fields),
            revision=row.revision + 1,
            regenerated=regenerated,
        )
        view = _view(kind, get_policy(connection, actor, kind, name, Permission.POLICY_MANAGE))
        return PolicyEdit(view, change.effect.discarding, regenerated)


def assign_policy(
    instance: Instance,
    actor: Actor,
    kind: PolicyKind,
    name: str | None,
    domain: str,
    *,
    confirmed: bool = False,
    now: int,
) -> None:
    """Assign a policy to a domain; None: the domain always uses the default.

    Raises ConfirmationNeeded as `set_fields` does.
    """
    with acting(instance) as connection:
        row = get_domain(connection, actor, domain, Permission.POLICY_MANAGE)
        policies.lock_policies(connection, kind)
        chosen = get_policy(connection, actor, kind, name, Permission.POLICY_VIEW) if name else None
        change = assignment(connection, kind, row.id, chosen)
        verify_confirmed(connection, change, now, confirmed=confirmed)
        _verify_lift(connection, actor, change, row.id, domain, now)
        domains.assign_policy(connection, row.id, kind, chosen.id if chosen else None)
        regenerated = carry_out(connection, actor, change, now)
        log(
            connection, now, actor, Action.POLICY_ASSIGNED, kind=kind, name=name, domain=domain, regenerated=regenerated
        )


def make_default(
    instance: Instance, actor: Actor, kind: PolicyKind, name: str, *, confirmed: bool = False, now: int
) -> None:
    """Make a policy the default of its kind, in force in every domain that uses the default.

    Raises ConfirmationNeeded as `set_fields` does, and Conflict if it is the default already.
    """
    verify_may(actor, Permission.POLICY_MANAGE, None)
    with acting(instance) as connection:
        policies.lock_policies(connection, kind)
        row = get_policy(connection, actor, kind, name, Permission.POLICY_MANAGE)
        before = default_policy(connection, kind)
        if row.is_default:
            raise Conflict(f"{name!r} is the default {kind} policy already", "there is nothing to do")
        change = PolicyChange(before.policy, row.policy, policies.domains_with_default(connection, kind))
        verify_confirmed(connection, change, now, confirmed=confirmed)
        _verify_lift(connection, actor, change, row.id, name, now)
        if not policies.make_default(connection, kind, row.id):
            raise LookupError("a policy is gone that this transaction holds")
        regenerated = carry_out(connection, actor, change, now)
        log(
            connection,
            now,
            actor,
            Action.POLICY_DEFAULT,
            kind=kind,
            name=name,
            before=before.name,
            regenerated=regenerated,
        )


def remove_policy(
    instance: Instance, actor: Actor, kind: PolicyKind, name: str, *, confirmed: bool = False, now: int
) -> None:
    """Remove a policy and put its domains back on the default. The default itself cannot be removed.

    Raises ConfirmationNeeded as `set_fields` does.
    """
    verify_may(actor, Permission.POLICY_MANAGE, None)
    with acting(instance) as connection:
        policies.lock_policies(connection, kind)
        row = get_policy(connection, actor, kind, name, Permission.POLICY_MANAGE)
        if row.is_default:
            raise NotAllowed(
                "the default policy cannot be removed",
                f"edit it, or make another one the default first with `sparekey policy {kind} default`",
            )
        touched = policies.domains_using(connection, kind, row.id, is_default=False)
        change = PolicyChange(row.policy, default_policy(connection, kind).policy, touched)
        verify_confirmed(connection, change, now, confirmed=confirmed)
        _verify_lift(connection, actor, change, row.id, name, now)
        if not policies.delete_policy(connection, kind, row.id):
            raise LookupError("a policy is gone that this transaction holds")
        regenerated = carry_out(connection, actor, change, now)
        log(connection, now, actor, Action.POLICY_REMOVED, kind=kind, name=name, regenerated=regenerated)


def _verify_lift(
    connection: Connection, actor: Actor, change: PolicyChange, subject_id: str, subject: str, now: int
) -> None:
    """Use up an approval if the change ends the rule of two people in some domain. `subject`: the policy or domain."""
    old, new = change.old, change.new
    if not (isinstance(old, OfflinePolicy) and isinstance(new, OfflinePolicy) and change.domains):
        return
    if old.passcode_approval and not new.passcode_approval:
        why = f"with {ACTS[OperatorAct.RULE_LIFTED].with_this}, you alone could sign in as users"
        wanted = Wanted(OperatorAct.RULE_LIFTED, None, why, subject_id=subject_id, subject=subject)
        verify_approved(connection, actor, wanted, now)


def places_of(instance: Instance, actor: Actor, kind: PolicyKind) -> dict[str, list[str]]:
    """Return the names of the domains in which each policy of a kind is in force, by name of the policy.

    Only domains that the actor may see are included.
    """
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
    """Return the policies of every kind for a user, on this device; None: on a device of the user's own domain."""
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
    """Return the effective policy of a user with its sources, on this device; None: on one of the user's own domain."""
    with instance.database.read() as connection:
        account = get_account(connection, actor, login, Permission.USER_VIEW)
        domain = account.domain_id
        if device:
            domain = get_device(connection, actor, device, Permission.DEVICE_VIEW).domain_id
        return effective_in(connection, account.domain_id, domain)


def _view(kind: PolicyKind, row: NamedPolicy) -> PolicyView:
    return PolicyView(kind, row.name, row.is_default, row.revision, dataclasses.asdict(row.policy))


def edited_policy(kind: PolicyKind, policy: StoredPolicy, texts: Mapping[str, str]) -> StoredPolicy:
    """Return the policy with these fields changed, as a person wrote them. Raises BadInput."""
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


def assignment(connection: Connection, kind: PolicyKind, domain_id: str, chosen: NamedPolicy | None) -> PolicyChange:
    """Return the change that results if this policy is assigned to a domain; None: the default."""
    new = (chosen or default_policy(connection, kind)).policy
    before = policies.policy_of_domain(connection, kind, domain_id)
    return PolicyChange(before.named.policy if before else new, new, frozenset({domain_id}))


def default_policy(connection: Connection, kind: PolicyKind) -> NamedPolicy:
    """Return the default of a kind. Raises LookupError where there is none."""
    found = [named for named in policies.list_policies(connection, kind) if named.is_default]
    if not found:
        raise LookupError(f"there is no default {kind} policy")
    return found[0]
