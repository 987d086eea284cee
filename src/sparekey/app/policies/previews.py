"""Previews of changes of policies: the data that would be discarded or renewed, on how many devices, with how much
work; and the cost of breaking a stolen laptop.

Rules: a preview of a change computes the `PolicyChange` that `policies` carries out, and changes nothing; counts are of
this moment.
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

MOST_PINS: Final = 2_000  # whose length is looked at


@dataclass(frozen=True)
class Change:
    """One field, as it is stored and as it would be."""

    field: str
    before: bool | int | str
    after: bool | int | str


@dataclass(frozen=True)
class Preview:
    """`renewal`: what devices hold that the change touches; None: nothing. `too_short`: tokens whose PIN is too short
    for the new minimum; `many`: it is at least this number. `domains`: in how many it is in force; `costs`: of breaking
    a stolen laptop, before and after; `own_codes`: users whose own online emergency codes end."""

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
        """True if somebody has to confirm it."""
        return (bool(self.tightened) and self.touches_devices) or self.own_codes > 0


@dataclass(frozen=True)
class PolicyCost:
    """What a stolen laptop costs at each level, under the pair of policies that is the weakest of those in force
    together; `token_policy`: the one it is, by name."""

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
    """Of `policies.set_fields` with these fields, as a person wrote them. Raises BadInput."""
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
    """Of `policies.assign_policy`; None: the default policy."""
    with instance.database.read() as connection:
        row = get_domain(connection, actor, domain, Permission.POLICY_MANAGE)
        chosen = get_policy(connection, actor, kind, name, Permission.POLICY_VIEW) if name else None
        return _preview(connection, instance, kind, assignment(connection, kind, row.id, chosen), now)


def preview_default(instance: Instance, actor: Actor, kind: PolicyKind, name: str, *, now: int) -> Preview:
    """Of `policies.make_default`."""
    with instance.database.read() as connection:
        row = get_policy(connection, actor, kind, name, Permission.POLICY_VIEW)
        touched = policies.domains_with_default(connection, kind)
        change = PolicyChange(default_policy(connection, kind).policy, row.policy, touched)
        return _preview(connection, instance, kind, change, now)


def preview_removal(instance: Instance, actor: Actor, kind: PolicyKind, name: str, *, now: int) -> Preview:
    """Of `policies.remove_policy`: its domains go back to the default."""
    with instance.database.read() as connection:
        row = get_policy(connection, actor, kind, name, Permission.POLICY_VIEW)
        affected = policies.domains_using(connection, kind, row.id, is_default=False)
        change = PolicyChange(row.policy, default_policy(connection, kind).policy, affected)
        return _preview(connection, instance, kind, change, now)


def in_words(preview: Preview, cores: int) -> list[str]:
    """Sentences about the data that a change touches, for a question before it; none: it touches nothing."""
    return sentences_of(preview.effect, preview.renewal, preview.own_codes, cores)


def cost_of(
    instance: Instance, actor: Actor, kind: PolicyKind, name: str | None, fields: Mapping[str, str] = {}
) -> PolicyCost | None:
    """Of this offline or token policy, edited so, with those of the other kind that are in force where it is; None:
    of a new one. No lockout policy has one: it holds at the server only."""
    if kind is PolicyKind.LOCKOUT:
        return None
    with instance.database.read() as connection:
        row = get_policy(connection, actor, kind, name, Permission.POLICY_VIEW) if name else None
        own = edited_policy(kind, row.policy if row else kind.type(), fields)
        here = policies.domains_using(connection, kind, row.id, is_default=row.is_default) if row else frozenset()
        return _weakest(own, name or "", _beside(connection, kind, here))


def cost_between(offline: OfflinePolicy, tokens: TokenPolicy, names: tuple[str, str] = ("", "")) -> PolicyCost:
    """Of an offline policy and a token policy that are in force together; `names`: what they are called."""
    levels = {level: stolen_laptop(offline, tokens, level) for level in ProtectionLevel}
    return PolicyCost(levels, offline.protection_level, *names)


def _beside(connection: Connection, kind: PolicyKind, here: frozenset[str]) -> dict[str, StoredPolicy]:
    """By name, the policies of the other kind that count for the cost in these domains; there are none: the default."""
    other = PolicyKind.TOKEN if kind is PolicyKind.OFFLINE else PolicyKind.OFFLINE
    rows = policy_places.in_force_in(connection, other, here) or [default_policy(connection, other)]
    return {row.name: row.policy for row in rows}


def _weakest(own: StoredPolicy, name: str, beside: Mapping[str, StoredPolicy]) -> PolicyCost:
    return min((_pair(own, name, each, its) for its, each in beside.items()), key=_usd)


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
    each = (Change(name, getattr(change.old, name), getattr(change.new, name)) for name in kind.fields)
    return tuple(found for found in each if found.before != found.after)


def _too_short(
    connection: Connection, instance: Instance, old: OfflinePolicy, new: OfflinePolicy, affected: frozenset[str]
) -> tuple[int, bool]:
    """How many tokens whose PIN is long enough now, and would not be; and whether there may be more."""
    if new.minimum_passcode_length <= old.minimum_passcode_length:
        return 0, False
    rows = regeneration.tokens_with_pin(connection, affected, MOST_PINS + 1)
    lengths = [row.digits + pin.length for row in rows[:MOST_PINS] if (pin := pin_of(instance.vault, row)) is not None]
    lost = sum(old.minimum_passcode_length <= length < new.minimum_passcode_length for length in lengths)
    return lost, len(rows) > MOST_PINS
