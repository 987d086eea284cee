"""The contents of a device: who has offline data there until when, its emergency codes, and its recent events.

Rules: "holds" means that the device has confirmed it. Users outside the reader's domains are counted, without a name.
Recent events need no permission to read the audit log; they are limited to events about the device itself, or about
users whom the reader may view.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit_log.named_rows import NamedEvent, names_of_actors, with_names
from sparekey.app.authorisation import verify_somewhere
from sparekey.app.devices.devices import DeviceView, view_of
from sparekey.app.devices.held import UserOnDevice, held_by
from sparekey.app.devices.used_codes import UsedCodesView, of_device
from sparekey.app.instance import MICROSECONDS, Instance
from sparekey.app.lookup import get_device
from sparekey.core.audit_log.actions import Action
from sparekey.core.permissions import Actor, Permission
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.audit_log.events import AuditFilter
from sparekey.storage.devices import devices
from sparekey.storage.devices.devices import Device

ROWS: Final = 25  # recent events
_MOST_ROWS: Final = 1_000  # events about its revocation that are read
_HAPPENED: Final = (
    Action.SIGN_IN_GRANTED,
    Action.SIGN_IN_DENIED,
    Action.SIGN_IN_ASKED,
    Action.SIGN_IN_OFFLINE,
    Action.ACCOUNT_LOCKED,
    Action.EMERGENCY_SHOWN,
    Action.EMERGENCY_USED,
    Action.EMERGENCY_REPLACED,
    Action.EMERGENCY_VOIDED,
    Action.DEVICE_ENROLLED,
    Action.DEVICE_RENEWED,
    Action.DEVICE_PROTECTION,
    Action.DEVICE_EXEMPT,
    Action.DEVICE_REVOKED,
    Action.DEVICE_STOLEN,
    Action.DEVICE_EVENT,
    *(action for action in Action if action.is_alarm),
)


@dataclass(frozen=True)
class HeldThen:
    """The user's data on the device when it was revoked, and until when they open there.

    None: the device held no such data, or the audit log does not say.
    """

    login: str
    data_until: int | None
    codes_until: int | None


@dataclass(frozen=True)
class GoneDevice:
    """A revoked or `stolen` device. `at` in unix seconds; `by`: the reporter, or "" if the audit log no longer says.

    `told_at`: the contact at which the device learnt of it, and erased itself. None: no contact since, and `held` may
    still open it. `elsewhere`: the number of further users, who have no name here.
    """

    at: int
    by: str
    stolen: bool
    told_at: int | None
    held: tuple[HeldThen, ...]
    elsewhere: int


@dataclass(frozen=True)
class DeviceContents:
    """A device for its page. `happened`: its events, newest first. `gone`: set if the device is revoked.

    `elsewhere`: the number of further users with offline data there, who are in no domain of the reader. `used`: the
    codes that the device used up.
    """

    device: DeviceView
    users: tuple[UserOnDevice, ...]
    elsewhere: int
    happened: list[NamedEvent]
    gone: GoneDevice | None = None
    used: Sequence[UsedCodesView] = ()


def look_into(instance: Instance, actor: Actor, name: str, *, now: int) -> DeviceContents:
    """Return the contents of one device, by name or id."""
    with instance.database.read() as connection:
        device = get_device(connection, actor, name, Permission.DEVICE_VIEW)
        everyone = devices.users_and_tokens_on(connection, device.id)
        seen = [user for user in everyone if actor.sees(user.domain_id)]
        users = held_by(connection, device.id, seen, now)
        elsewhere = len({user.account_id for user in everyone} - {user.account_id for user in seen})
        within = actor.domains_with(Permission.USER_VIEW)
        wanted = AuditFilter(device_id=device.id, actions=_HAPPENED, domains=within)
        rows = audit_events.list_rows(connection, wanted, limit=ROWS)
        gone = _gone(connection, actor, device, device.revoked_at) if device.revoked_at is not None else None
        used = of_device(connection, actor, device.id, now)
        return DeviceContents(view_of(device), users, elsewhere, with_names(connection, actor, rows), gone, used)


def count_users(instance: Instance, actor: Actor, device_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of users with offline data on each of these devices. A device without users is left out.

    The caller has checked that the actor may view the devices.
    """
    verify_somewhere(actor, Permission.DEVICE_VIEW)
    with instance.database.read() as connection:
        return devices.count_accounts(connection, device_ids)


def _gone(connection: Connection, actor: Actor, device: Device, revoked_at: int) -> GoneDevice:
    """Read the revocation from the audit log: the first report of a theft, or else the first revocation."""
    ends = (Action.DEVICE_STOLEN, Action.DEVICE_REVOKED)
    rows = audit_events.list_rows(connection, AuditFilter(device_id=device.id, actions=ends), limit=_MOST_ROWS)[::-1]
    of_device = sorted((row for row in rows if row.account_id is None), key=lambda row: ends.index(Action(row.action)))
    of_users: dict[str, list[dict[str, int | None]]] = {}
    for row in rows:
        if row.account_id is not None:
            of_users.setdefault(f"user:{row.account_id}", []).append(json.loads(row.detail))
    names = names_of_actors(connection, actor, [*of_users, *(row.actor for row in of_device[:1])])
    held = [
        HeldThen(names[user], *(_latest(details, member) for member in ("until", "codes_until")))
        for user, details in of_users.items()
        if user in names
    ]
    first = of_device[0] if of_device else None
    told = device.last_contact is not None and device.last_contact > revoked_at
    return GoneDevice(
        first.at // MICROSECONDS if first is not None else revoked_at,
        names.get(first.actor, first.actor) if first is not None else "",
        first is not None and first.action == Action.DEVICE_STOLEN,
        device.last_contact if told else None,
        tuple(sorted(held, key=lambda user: user.login)),
        len(of_users) - len(held),
    )


def _latest(details: Sequence[dict[str, int | None]], member: str) -> int | None:
    return max((end for detail in details if (end := detail.get(member)) is not None), default=None)
