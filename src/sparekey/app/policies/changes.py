"""A change of the policy in force: count the affected data, require a confirmation, and carry out the effect.

Rules: an edit, an assignment, a removal and a new default are the same change, from the policy that was in force in
some domains to the one that is in force there afterwards. Its effect follows from the fields (`core.policy.effects`).
Data that would be lost are counted and named in the error before anything is changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from sqlalchemy import Connection

from sparekey.app.sessions.ends import end_own_access
from sparekey.core.errors import ConfirmationNeeded
from sparekey.core.permissions import Actor
from sparekey.core.plurals import counted, rough_time
from sparekey.core.policy.effects import Extent, PolicyEffect, effect_of_edit
from sparekey.core.policy.kinds import StoredPolicy
from sparekey.core.policy.offline import OfflinePolicy
from sparekey.core.policy.sealing_work import codes_seconds, days_seconds
from sparekey.storage.devices import devices
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.storage.emergency import online as online_emergency
from sparekey.storage.people import accounts
from sparekey.storage.policies import regeneration

SILENT_AFTER: Final = 3_600  # seconds without a contact: the device may be offline
CONFIRM: Final = "send it again with `confirmed`; on the command line with --yes"


@dataclass(frozen=True)
class Regeneration:
    """The size of a renewal of offline data.

    `holders` counts each user on each device. `silent` counts those on devices without a contact in the last hour. Such
    devices keep the old data until their next contact, at most until `kept_until` (unix seconds). `core_seconds`: work
    of the server.
    """

    users: int
    devices: int
    holders: int
    silent: int
    kept_until: int | None
    core_seconds: float


@dataclass(frozen=True)
class PolicyChange:
    """A change of the policy in force from `old` to `new`. `domains`: ids of the domains in which it changes."""

    old: StoredPolicy
    new: StoredPolicy
    domains: frozenset[str]

    @cached_property
    def effect(self) -> PolicyEffect:
        return effect_of_edit(self.old, self.new)


def verify_confirmed(connection: Connection, change: PolicyChange, now: int, *, confirmed: bool) -> None:
    """Raise ConfirmationNeeded if the change discards data that exist, and was not confirmed."""
    if confirmed:
        return
    own_codes = users_who_lose_codes(connection, change, now)
    stricter = change.effect.discarding
    sentences = sentences_of(change.effect, find_renewal(connection, change, now) if stricter else None, own_codes)
    if sentences:
        fields = [f"Stricter: {', '.join(stricter)}."] if stricter else []
        raise ConfirmationNeeded(" ".join(fields + sentences), CONFIRM)


def carry_out(connection: Connection, actor: Actor, change: PolicyChange, now: int) -> int:
    """Discard, renew and end the data that the change makes stale. Return the number of holders to renew.

    Call it in the transaction of the change, after the change, because it reads the lifetime of codes from the policies
    in force.
    """
    effect = change.effect
    renewed = devices.raise_generation_in_domains(connection, change.domains) if effect.renews else 0
    if effect.renews_codes and isinstance(change.new, OfflinePolicy):
        emergency_codes.set_lifetime(connection, change.domains, change.new.emergency_lifetime, now)
    if effect.ends_own_codes:
        _end_own_codes(connection, actor, change.domains, now)
    return renewed


def find_renewal(connection: Connection, change: PolicyChange, now: int) -> Regeneration | None:
    """Count the data on devices that the change affects. None: the change affects no data on devices."""
    effect, new = change.effect, change.new
    if not change.domains or effect.extent is Extent.NOTHING or not isinstance(new, OfflinePolicy):
        return None
    since = now - SILENT_AFTER
    held = regeneration.count_holders(connection, change.domains, since)
    load = regeneration.load_of(connection, change.domains, held.holders)
    seconds = 0.0
    if new.enabled and effect.extent is not Extent.EXCESS:
        seconds = codes_seconds(load, new) + (days_seconds(load, new) if effect.renews else 0.0)
    kept_until = regeneration.last_end(connection, change.domains, since) if held.silent else None
    return Regeneration(held.users, held.devices, held.holders, held.silent, kept_until, seconds)


def users_who_lose_codes(connection: Connection, change: PolicyChange, now: int) -> int:
    """Return the number of users whose own online emergency codes end with the change."""
    if not change.effect.ends_own_codes:
        return 0
    return len(online_emergency.users_with_own(connection, change.domains, now))


def _end_own_codes(connection: Connection, actor: Actor, domains: frozenset[str], now: int) -> None:
    users = online_emergency.users_with_own(connection, domains, now)
    accounts.lock_accounts(connection, users)
    for account_id in sorted(users):
        end_own_access(connection, actor, account_id, "policy leaves it to the help desk", now)


def sentences_of(effect: PolicyEffect, renewal: Regeneration | None, own_codes: int, cores: int = 1) -> list[str]:
    """Return sentences about the data that a change affects; none if nothing is lost or renewed.

    `own_codes`: users whose own online emergency codes end; `cores`: of the server, to estimate its work.
    """
    found = []
    if renewal is not None and renewal.holders:
        whose = f"{counted(renewal.users, 'user')} on {counted(renewal.devices, 'device')}"
        found.append(_TOUCHED[effect.extent, bool(effect.discarding)].format(whose=whose))
        found.append("Devices that are offline keep the old data until then.")
        if renewal.core_seconds:
            work = rough_time(renewal.core_seconds / cores)
            found.append(f"Renewing them takes the server about {work} on {counted(cores, 'core')}.")
    if own_codes:
        found.append(f"The online emergency codes that {counted(own_codes, 'user')} made themselves end at once.")
    return found


_TOUCHED: Final[Mapping[tuple[Extent, bool], str]] = {  # by extent; True: data are lost
    (Extent.ALL, True): "The offline data of {whose} are discarded at the next contact and renewed.",
    (Extent.ALL, False): "The offline data of {whose} are renewed at the next contact.",
    (Extent.CODES, True): "At the next contact, the emergency codes of {whose} are renewed and data over the new limit "
    "are erased.",
    (Extent.CODES, False): "The emergency codes of {whose} are renewed at the next contact.",
    (
        Extent.EXCESS,
        True,
    ): "Data that the new policy no longer allows are erased at the next contact, of up to {whose}.",
}
