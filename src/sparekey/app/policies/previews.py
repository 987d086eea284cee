"""Previews of changes of policies: the data to discard or renew, the number of devices, the work of the server, and the
cost of an attack on a stolen laptop.

Rules: a preview computes the same `PolicyChange` that `policies` carries out, and changes nothing; the counts are those
of this moment.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.lookup import get_domain, get_policy
from sparekey.app.policies.changes import PolicyChange, Regeneration, find_renewal, sentences_of, users_who_lose_codes
from sparekey.app.policies.policies import assignment, default_policy, edited_policy
from sparekey.app.snapshots import pin_of
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy.attack_cost import StolenLaptop, stolen_laptop
from sparekey.core.policy.effects import PolicyEffect
from sparekey.core.policy.kinds import PolicyKind, StoredPolicy
from sparekey.core.policy.offline import OfflinePolicy, ProtectionLevel
from sparekey.core.policy.token import TokenPolicy
from sparekey.storage.policies import places as policy_places
from sparekey.storage.policies import policies, regeneration

MOST_PINS: Final = 2_000  # PINs whose length is read


@dataclass(frozen=True)
class Change:
    """One policy field, with its stored value and its value after the change."""

    field: str
    before: bool | int | str
    after: bool | int | str


@dataclass(frozen=True)
class Preview:
    """The preview of a change.

    `renewal`: the data on devices that the change affects; None: no data. `too_short`: the number of tokens whose PIN
    is too short for the new minimum; with `many`, there may be more. `domains`: the number of domains in which the
    policy is in force. `costs`: of an attack on a stolen laptop, before and after. `own_codes`: the number of users
    whose own online emergency codes end.
    """

    kind: PolicyKind
    changes: tuple[Change, ...]
    effect: PolicyEffect
    renewal: Regeneration | None
    too_short: int = 0
    many: bool = False
    domains: int = 0
    costs: "tuple[PolicyCost, PolicyCost] | None" = None
    own_codes: int = 0

    @property
    def tightened(self) -> tuple[str, ...]:
        """The fields that discard or erase data."""
        return self.effect.discarding

    @property
    def touches_devices(self) -> bool:
        """True if a device holds data that would be discarded, erased or renewed."""
        return self.renewal is not None and self.renewal.holders > 0

    @property
    def discards(self) -> bool:
        """True if the administrator must confirm the change."""
        return (bool(self.tightened) and self.touches_devices) or self.own_codes > 0


@dataclass(frozen=True)
class PolicyCost:
    """The cost of an attack on a stolen laptop at each level, under the weakest pair of policies that are in force
    together. `offline_policy`, `token_policy`: the names of this pair."""

    levels: Mapping[ProtectionLevel, StolenLaptop]
    level: ProtectionLevel
    offline_policy: str
    token_policy: str

    @property
    def here(self) -> StolenLaptop:
        return self.levels[self.level]


def preview_edit(
    instance: Instance, actor: Actor, kind: PolicyKind, name: str, fields: Mapping[str, str], *, now: int
) -> Preview:
    """Preview `policies.set_fields` with these fields, as a person wrote them. Raises BadInput."""
    with instance.database.read() as connection:
        row = get_policy(connection, actor, kind, name, Permission.POLICY_VIEW)
        affected = policies.domains_using(connection, kind, row.id, is_default=row.is_default)
        change = PolicyChange(row.policy, edited_policy(kind, row.policy, fields), affected)
        found = _preview(connection, instance, kind, change, now)
        if kind is PolicyKind.LOCKOUT:
            return found
        beside = _beside(connection, kind, affected)
        costs = (_weakest(change.old, name, beside), _weakest(change.new, name, beside))
        return dataclasses.replace(found, costs=costs)


def preview_assignment(
    instance: Instance, actor: Actor, kind: PolicyKind, name: str | None, domain: str, *, now: int
) -> Preview:
    """Preview `policies.assign_policy`; None: the default policy."""
    with instance.database.read() as connection:
        row = get_domain(connection, actor, domain, Permission.POLICY_MANAGE)
        chosen = get_policy(connection, actor, kind, name, Permission.POLICY_VIEW) if name else None
        return _preview(connection, instance, kind, assignment(connection, kind, row.id, chosen), now)


def preview_default(instance: Instance, actor: Actor, kind: PolicyKind, name: str, *, now: int) -> Preview:
    """Preview `policies.make_default`."""
    with instance.database.read() as connection:
        row = get_policy(connection, actor, kind, name, Permission.POLICY_VIEW)
        touched = policies.domains_with_default(connection, kind)
        change = PolicyChange(default_policy(connection, kind).policy, row.policy, touched)
        return _preview(connection, instance, kind, change, now)


def preview_removal(instance: Instance, actor: Actor, kind: PolicyKind, name: str, *, now: int) -> Preview:
    """Preview `policies.remove_policy`, which puts its domains back on the default."""
    with instance.database.read() as connection:
        row = get_policy(connection, actor, kind, name, Permission.POLICY_VIEW)
        affected = policies.domains_using(connection, kind, row.id, is_default=False)
        change = PolicyChange(row.policy, default_policy(connection, kind).policy, affected)
        return _preview(connection, instance, kind, change, now)


def in_words(preview: Preview, cores: int) -> list[str]:
    """Return sentences about the data that a change affects, to confirm it; none if it affects no data."""
    return sentences_of(preview.effect, preview.renewal, preview.own_codes, cores)


def cost_of(
    instance: Instance, actor: Actor, kind: PolicyKind, name: str | None, fields: Mapping[str, str] = {}
) -> PolicyCost | None:
    """Return the cost of an attack under this policy with these edits; `name` None: a new policy.

    An offline policy is paired with the token policies of the domains in which it is in force, and the reverse. A
    lockout policy has no cost (None), because it holds at the server only.
    """
    if kind is PolicyKind.LOCKOUT:
        return None
    with instance.database.read() as connection:
        row = get_policy(connection, actor, kind, name, Permission.POLICY_VIEW) if name else None
        own = edited_policy(kind, row.policy if row else kind.type(), fields)
        affected = policies.domains_using(connection, kind, row.id, is_default=row.is_default) if row else frozenset()
        return _weakest(own, name or "", _beside(connection, kind, affected))


def cost_between(offline: OfflinePolicy, tokens: TokenPolicy, names: tuple[str, str] = ("", "")) -> PolicyCost:
    """Return the cost under an offline policy and a token policy that are in force together. `names`: their names."""
    levels = {level: stolen_laptop(offline, tokens, level) for level in ProtectionLevel}
    return PolicyCost(levels, offline.protection_level, *names)


def _beside(connection: Connection, kind: PolicyKind, domain_ids: frozenset[str]) -> dict[str, StoredPolicy]:
    """Return the policies of the other kind in force in these domains, by name; without domains, the default."""
    other = PolicyKind.TOKEN if kind is PolicyKind.OFFLINE else PolicyKind.OFFLINE
    rows = policy_places.in_force_in(connection, other, domain_ids) or [default_policy(connection, other)]
    return {row.name: row.policy for row in rows}


def _weakest(own: StoredPolicy, name: str, beside: Mapping[str, StoredPolicy]) -> PolicyCost:
    return min((_pair(own, name, policy, policy_name) for policy_name, policy in beside.items()), key=_usd)


def _pair(own: StoredPolicy, own_name: str, beside: StoredPolicy, beside_name: str) -> PolicyCost:
    if isinstance(own, OfflinePolicy) and isinstance(beside, TokenPolicy):
        return cost_between(own, beside, (own_name, beside_name))
    if isinstance(own, TokenPolicy) and isinstance(beside, OfflinePolicy):
        return cost_between(beside, own, (beside_name, own_name))
    raise TypeError("one offline policy and one token policy")


def _usd(cost: PolicyCost) -> float:
    return cost.here.weakest.usd if cost.here.weakest is not None else float("inf")


def _preview(connection: Connection, instance: Instance, kind: PolicyKind, change: PolicyChange, now: int) -> Preview:
    old, new = change.old, change.new
    too_short, many = 0, False
    if isinstance(old, OfflinePolicy) and isinstance(new, OfflinePolicy):
        too_short, many = _too_short(connection, instance, old, new, change.domains)
    return Preview(
        kind=kind,
        changes=_changes(kind, change),
        effect=change.effect,
        renewal=find_renewal(connection, change, now),
        too_short=too_short,
        many=many,
        domains=len(change.domains),
        own_codes=users_who_lose_codes(connection, change, now),
    )


def _changes(kind: PolicyKind, change: PolicyChange) -> tuple[Change, ...]:
    fields = (Change(name, getattr(change.old, name), getattr(change.new, name)) for name in kind.fields)
    return tuple(field for field in fields if field.before != field.after)


def _too_short(
    connection: Connection, instance: Instance, old: OfflinePolicy, new: OfflinePolicy, affected: frozenset[str]
) -> tuple[int, bool]:
    """Count the tokens whose PIN is long enough now but too short after the change. Also return True if there may be
    more."""
    if new.minimum_passcode_length <= old.minimum_passcode_length:
        return 0, False
    rows = regeneration.tokens_with_pin(connection, affected, MOST_PINS + 1)
    lengths = [row.digits + pin.length for row in rows[:MOST_PINS] if (pin := pin_of(instance.vault, row)) is not None]
    lost = sum(old.minimum_passcode_length <= length < new.minimum_passcode_length for length in lengths)
    return lost, len(rows) > MOST_PINS
