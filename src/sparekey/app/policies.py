"""Offline policies: add, edit, assign, remove, and the effective policy of a user on a device.

An edit is *replace, then discard*, except where it tightens: then data are discarded at once, and the operator confirms
how many devices that touches (product.md, "Offline authentication policy").
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_account, get_device, get_domain, get_policy
from sparekey.core.errors import BadInput, Conflict, NotAllowed
from sparekey.core.events import Action
from sparekey.core.names import verify_name
from sparekey.core.policy import (
    FIELDS,
    AssignedPolicy,
    EffectivePolicy,
    OfflinePolicy,
    PolicyError,
    effective_policy,
    tightened,
)
from sparekey.storage import devices, domains, emergency_codes, policies
from sparekey.storage.rows import AnyRow

LONGEST_NAME = 128


@dataclass(frozen=True)
class PolicyView:
    name: str
    is_default: bool
    revision: int
    policy: OfflinePolicy


@dataclass(frozen=True)
class PolicyEdit:
    """What an edit did: the fields that became stricter, and how many users' data on devices are made anew."""

    view: PolicyView
    tightened: tuple[str, ...]
    regenerated: int


def add_policy(instance: Instance, actor: str, name: str, texts: Mapping[str, str], *, now: int) -> PolicyView:
    """A new policy: the defaults with the fields that were given, as a person wrote them."""
    verify_name(name, "policy", LONGEST_NAME)
    policy = _edited(OfflinePolicy(), texts)
    with instance.database.write() as connection:
        if policies.find_policy(connection, name) is not None:
            raise Conflict(f"there is an offline policy {name!r} already", "choose another name, or set its fields")
        policies.insert_policy(connection, new_id(), name, dataclasses.asdict(policy), is_default=False)
        log(connection, now, actor, Action.POLICY_ADDED, name=name, fields=dict(texts))
    return PolicyView(name, False, 1, policy)


def list_policies(instance: Instance) -> list[PolicyView]:
    with instance.database.read() as connection:
        return [_view(row) for row in policies.list_policies(connection)]


def show_policy(instance: Instance, name: str) -> PolicyView:
    with instance.database.read() as connection:
        return _view(get_policy(connection, name))


def set_fields(
    instance: Instance, actor: str, name: str, texts: Mapping[str, str], *, confirmed: bool, now: int
) -> PolicyEdit:
    """Edit some fields. NotAllowed where that discards data at once and nobody confirmed it."""
    with instance.database.write() as connection:
        row = get_policy(connection, name)
        old = stored_policy(row)
        new = _edited(old, texts)
        stricter = tuple(tightened(old, new))
        affected = policies.domains_using(connection, row.id, is_default=row.is_default)
        regenerated = _discard(connection, old, new, stricter, affected)
        if stricter and regenerated and not confirmed:
            raise NotAllowed(
                f"this makes {', '.join(stricter)} stricter and discards the offline data of {regenerated} "
                "users' devices at their next contact; whoever is offline keeps the old data until then",
                "run it again with --confirm",
            )
        policies.update_policy(connection, row.id, dataclasses.asdict(new))
        if new.emergency_lifetime != old.emergency_lifetime:
            emergency_codes.set_lifetime(connection, affected, new.emergency_lifetime, now)
        log(connection, now, actor, Action.POLICY_SET, name=name, fields=dict(texts), regenerated=regenerated)
        return PolicyEdit(_view(get_policy(connection, name)), stricter, regenerated)


def assign_policy(instance: Instance, actor: str, name: str | None, domain: str, *, now: int) -> None:
    """Put a domain under a policy; None: always use the default."""
    with instance.database.write() as connection:
        row = get_domain(connection, domain)
        before = policies.policy_of_domain(connection, row.id)
        domains.assign_policy(connection, row.id, get_policy(connection, name).id if name else None)
        after = policies.policy_of_domain(connection, row.id)
        if before is not None and after is not None:
            old, new = stored_policy(before), stored_policy(after)
            _discard(connection, old, new, tuple(tightened(old, new)), frozenset({row.id}))
        log(connection, now, actor, Action.POLICY_ASSIGNED, name=name, domain=domain)


def remove_policy(instance: Instance, actor: str, name: str, *, now: int) -> None:
    """Its domains go back to the default; the default itself stays."""
    with instance.database.write() as connection:
        row = get_policy(connection, name)
        if row.is_default:
            raise NotAllowed("the default policy cannot be removed", "edit it with `sparekey policy offline set`")
        touched = policies.domains_using(connection, row.id, is_default=False)
        policies.delete_policy(connection, row.id)
        devices.raise_generation_in_domains(connection, touched)
        log(connection, now, actor, Action.POLICY_REMOVED, name=name)


def effective_of(instance: Instance, login: str, device: str | None) -> EffectivePolicy:
    """What is in force for a user on a device (None: on a device of the user's own domain), with the sources."""
    with instance.database.read() as connection:
        account = get_account(connection, login)
        domain = get_device(connection, device).domain_id if device else account.domain_id
        return effective_in(connection, account.domain_id, domain)


def effective_in(connection: Connection, user_domain: str, device_domain: str) -> EffectivePolicy:
    """The merged policy of two domains, by id."""
    return effective_policy(_assigned(connection, user_domain), _assigned(connection, device_domain))


def stored_policy(row: Any) -> OfflinePolicy:
    """The policy in a row with one column per field."""
    return OfflinePolicy.of({name: getattr(row, name) for name in FIELDS})


def _assigned(connection: Connection, domain_id: str) -> AssignedPolicy | None:
    row = policies.policy_of_domain(connection, domain_id)
    return AssignedPolicy(row.name, row.domain, stored_policy(row), row.revision) if row else None


def _view(row: AnyRow) -> PolicyView:
    return PolicyView(row.name, row.is_default, row.revision, stored_policy(row))


def _edited(policy: OfflinePolicy, texts: Mapping[str, str]) -> OfflinePolicy:
    unknown = texts.keys() - FIELDS.keys()
    if unknown:
        raise BadInput(f"an offline policy has no field {', '.join(sorted(unknown))}", f"fields: {', '.join(FIELDS)}")
    values = dataclasses.asdict(policy)
    try:
        values |= {name: FIELDS[name].parse(text) for name, text in texts.items()}
        return OfflinePolicy.of(values)
    except PolicyError as error:
        raise BadInput(str(error), "see `sparekey policy offline fields`") from error


def _discard(
    connection: Connection, old: OfflinePolicy, new: OfflinePolicy, stricter: tuple[str, ...], affected: frozenset[str]
) -> int:
    """Raise the generation where data are to be made anew (offline-day.md, server rule 3); for how many."""
    if not stricter and new.protection_level is old.protection_level:
        return 0
    return devices.raise_generation_in_domains(connection, affected)
