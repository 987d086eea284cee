"""Codes that devices used up by reports of offline sign-ins: which device, when and how many (S49).

Rules: the reports of the last 30 days are added up by device and token. A device is shown with its users in the
reader's domains only, and a device outside of them has no name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.lookup import ELSEWHERE, get_account, get_device
from sparekey.core.permissions import Actor, Permission
from sparekey.storage.devices.reported_successes import UsedCodes, list_used_codes

MOST_ROWS: Final = 100
_MINUTE: Final = 60


@dataclass(frozen=True)
class UsedCodesView:
    """The codes of one token that one device used up. `device_id`: "" for a device outside the reader's domains.

    `successes`: the offline sign-ins that it reported. `codes`: those used up, of the codes that would still have
    worked. `first_at`, `last_at`: the minutes of the first and the last report, in unix seconds.
    """

    device_id: str
    device: str
    login: str
    serial: str
    successes: int
    codes: int
    first_at: int
    last_at: int


def codes_used_up_by_device(instance: Instance, actor: Actor, name: str, *, now: int) -> list[UsedCodesView]:
    """Return the codes that this device used up, the latest report first. Users in other domains are left out."""
    with instance.database.read() as connection:
        device = get_device(connection, actor, name, Permission.DEVICE_VIEW)
        return of_device(connection, actor, device.id, now)


def codes_used_up_of_user(instance: Instance, actor: Actor, login: str, *, now: int) -> list[UsedCodesView]:
    """Return the codes of this user that devices used up, the latest report first."""
    with instance.database.read() as connection:
        account = get_account(connection, actor, login, Permission.USER_VIEW)
        return of_user(connection, actor, account.id, now)


def of_device(connection: Connection, actor: Actor, device_id: str, now: int) -> list[UsedCodesView]:
    """As `codes_used_up_by_device`, for a device that the actor may view."""
    within = actor.domains_with(Permission.USER_VIEW)
    return _views(
        actor, list_used_codes(connection, now=now, limit=MOST_ROWS, device_id=device_id, user_domains=within)
    )


def of_user(connection: Connection, actor: Actor, account_id: str, now: int) -> list[UsedCodesView]:
    """As `codes_used_up_of_user`, for a user whom the actor may view."""
    return _views(actor, list_used_codes(connection, now=now, limit=MOST_ROWS, account_id=account_id))


def _views(actor: Actor, rows: Sequence[UsedCodes]) -> list[UsedCodesView]:
    return [_view(actor, row) for row in rows]


def _view(actor: Actor, row: UsedCodes) -> UsedCodesView:
    seen = row.device is not None and actor.sees(row.device_domain_id)
    return UsedCodesView(
        device_id=row.device_id if seen else "",
        device=row.device if row.device is not None and seen else ELSEWHERE,
        login=row.login,
        serial=row.serial or "",
        successes=row.successes,
        codes=row.codes,
        first_at=row.first_minute * _MINUTE,
        last_at=row.last_minute * _MINUTE,
    )
