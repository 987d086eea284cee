"""What an edit of a policy would do, before anybody does it: what is discarded and made anew, for how many devices,
with how much work; and what a stolen laptop costs to break.

Rules: it asks what `policies` asks and changes nothing; counts are of this moment.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.lookup import get_domain, get_policy
from sparekey.app.policies.policies import edited_policy
from sparekey.app.snapshots import pin_of
from sparekey.core.permissions import Actor, Permission
from sparekey.core.plurals import counted, rough_time
from sparekey.core.policy.attack_cost import StolenLaptop, stolen_laptop
from sparekey.core.policy.kinds import PolicyKind, StoredPolicy
from sparekey.core.policy.offline import OfflinePolicy, ProtectionLevel, tightened
from sparekey.core.policy.sealing_work import codes_seconds, days_seconds
from sparekey.core.policy.token import TokenPolicy
from sparekey.storage.policies import places as policy_places
from sparekey.storage.policies import policies, regeneration
from sparekey.storage.policies.policies import NamedPolicy

SILENT_AFTER: Final = 3_600  # seconds without a contact: the device may be offline
MOST_PINS: Final = 2_000  # whose length is looked at


@dataclass(frozen=True)
class Change:
    """One field, as it is stored and as it would be."""

    field: str
    before: bool | int | str
    after: bool | int | str


@dataclass(frozen=True)
class Regeneration:
    """`holders`: users on devices, each on each; `silent`: of these, on devices not heard of for an hour, which keep
    the old data until they are, but no longer than `kept_until` (unix seconds). `core_seconds`: of the server."""

    users: int
    devices: int
    holders: int
    silent: int
    kept_until: int | None
    core_seconds: float


@dataclass(frozen=True)
class Preview:
    """`tightened`: the fields for whose sake data are discarded at once. `anew`: what is made anew; None: nothing.
    `codes_only`: that is only the emergency codes, and nothing is discarded before it has been replaced. `too_short`:
    tokens whose PIN is too short for the new minimum; `many`: that is at least so many. `domains`: in how many it is in
    force; `costs`: of breaking a stolen laptop, before and after."""

    kind: PolicyKind
    changes: tuple[Change, ...]
    tightened: tuple[str, ...]
    anew: Regeneration | None
    codes_only: bool = False
    too_short: int = 0
    many: bool = False
    domains: int = 0
    costs: "tuple[PolicyCost, PolicyCost] | None" = None

    @property
    def discards(self) -> bool:
        """Whether somebody has to confirm it."""
        return bool(self.tightened) and self.anew is not None and self.anew.holders > 0


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
        old = row.policy
        new = edited_policy(kind, old, fields)
        affected = policies.domains_using(connection, kind, row.id, is_default=row.is_default)
        found = _preview(connection, instance, kind, old, new, affected, now)
        if kind is PolicyKind.LOCKOUT:
            return found
        beside = _beside(connection, kind, affected)
        return dataclasses.replace(found, costs=(_weakest(old, name, beside), _weakest(new, name, beside)))


def preview_assignment(
    instance: Instance, actor: Actor, kind: PolicyKind, name: str | None, domain: str, *, now: int
) -> Preview:
    """Of `policies.assign_policy`; None: the default policy."""
    with instance.database.read() as connection:
        row = get_domain(connection, actor, domain, Permission.POLICY_MANAGE)
        before = policies.policy_of_domain(connection, kind, row.id)
        after = get_policy(connection, actor, kind, name, Permission.POLICY_VIEW) if name else None
        new = (after or _default(connection, kind)).policy
        old = before.named.policy if before is not None else new
        return _preview(connection, instance, kind, old, new, frozenset({row.id}), now)


def preview_removal(instance: Instance, actor: Actor, kind: PolicyKind, name: str, *, now: int) -> Preview:
    """Of `policies.remove_policy`: its domains go back to the default, and their users' data are made anew."""
    with instance.database.read() as connection:
        row = get_policy(connection, actor, kind, name, Permission.POLICY_VIEW)
        affected = policies.domains_using(connection, kind, row.id, is_default=False)
        old, new = row.policy, _default(connection, kind).policy
        found = _preview(connection, instance, kind, old, new, affected, now)
        if isinstance(new, OfflinePolicy) and found.anew is None and affected:
            anew = _regeneration(connection, new, affected, now, codes_only=False)
            found = dataclasses.replace(found, anew=anew)
        return found


def in_words(preview: Preview, cores: int) -> str:
    """What is made anew by so many cores, for a question before it is done; "": nothing is."""
    anew = preview.anew
    if anew is None or not anew.holders:
        return ""
    what = "the emergency codes" if preview.codes_only else "the offline data"
    how = "discarded at the next contact and made anew" if preview.discards else "made anew"
    work = f", about {rough_time(anew.core_seconds / cores)} of work for the server" if anew.core_seconds else ""
    whose = f"{counted(anew.users, 'user')} on {counted(anew.devices, 'device')}"
    return f"{what} of {whose} are {how}{work}; whoever is offline keeps the old ones until then"


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
    rows = policy_places.in_force_in(connection, other, here) or [_default(connection, other)]
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


def _default(connection: Connection, kind: PolicyKind) -> NamedPolicy:
    return next(row for row in policies.list_policies(connection, kind) if row.is_default)


def _preview(
    connection: Connection,
    instance: Instance,
    kind: PolicyKind,
    old: StoredPolicy,
    new: StoredPolicy,
    affected: frozenset[str],
    now: int,
) -> Preview:
    changes = tuple(
        Change(name, getattr(old, name), getattr(new, name))
        for name in kind.fields
        if getattr(old, name) != getattr(new, name)
    )
    if not isinstance(old, OfflinePolicy) or not isinstance(new, OfflinePolicy):
        return Preview(kind, changes, (), None, domains=len(affected))
    stricter = tuple(tightened(old, new))
    all_anew = bool(stricter) or new.protection_level is not old.protection_level
    codes_only = not all_anew and new.emergency_lifetime != old.emergency_lifetime
    anew = None
    if affected and (all_anew or codes_only):
        anew = _regeneration(connection, new, affected, now, codes_only=codes_only)
    too_short, many = _too_short(connection, instance, old, new, affected)
    return Preview(kind, changes, stricter, anew, codes_only, too_short, many, len(affected))


def _regeneration(
    connection: Connection, new: OfflinePolicy, affected: frozenset[str], now: int, *, codes_only: bool
) -> Regeneration:
    since = now - SILENT_AFTER
    held = regeneration.count_holders(connection, affected, since)
    load = regeneration.load_of(connection, affected, held.holders)
    seconds = 0.0
    if new.enabled:
        seconds = codes_seconds(load, new) + (0.0 if codes_only else days_seconds(load, new))
    kept_until = regeneration.last_end(connection, affected, since) if held.silent else None
    return Regeneration(held.users, held.devices, held.holders, held.silent, kept_until, seconds)


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
