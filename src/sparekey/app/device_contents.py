"""What is on a device: who has offline data there until when, which emergency codes it holds, and what happened there.

Rules: "holds" is what the device has confirmed; users outside every domain of the reader are counted and have no name;
what happened there is told without the right to read the record, as far as it is about the device or about users whom
the reader may look at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import verify_somewhere
from sparekey.app.devices import DeviceView, view_of
from sparekey.app.instance import Instance
from sparekey.app.lookup import get_device
from sparekey.app.record_rows import RecordRow, with_names
from sparekey.core.events import Action
from sparekey.core.offline import DAY
from sparekey.core.permissions import Actor, Permission
from sparekey.core.why_offline import HeldCode, HeldData
from sparekey.storage import audit, devices, holdings
from sparekey.storage.rows import AnyRow

ROWS: Final = 25  # of what happened
_HAPPENED: Final = (
    Action.SIGN_IN_GRANTED, Action.SIGN_IN_DENIED, Action.SIGN_IN_ASKED, Action.SIGN_IN_OFFLINE, Action.ACCOUNT_LOCKED,
    Action.EMERGENCY_SHOWN, Action.EMERGENCY_USED, Action.EMERGENCY_REPLACED, Action.EMERGENCY_VOIDED,
    Action.DEVICE_ENROLLED, Action.DEVICE_RENEWED, Action.DEVICE_REVOKED, Action.DEVICE_STOLEN, Action.DEVICE_EVENT,
    *(action for action in Action if action.is_alarm),
)  # fmt: skip


@dataclass(frozen=True)
class UserOnDevice:
    """`data`: of the tokens used there, until when each opens; `pending`: something was changed that the device does
    not know yet."""

    login: str
    name: str
    last_sign_in: int | None
    data: tuple[HeldData, ...]
    codes: tuple[HeldCode, ...]
    pending: bool

    @property
    def ends_at(self) -> int | None:
        """Until when some token opens there; None: none does."""
        return max((each.ends_at for each in self.data), default=None)


@dataclass(frozen=True)
class DeviceContents:
    """`elsewhere`: how many more users have offline data there, who are in no domain of the reader. `happened`: the
    newest first."""

    device: DeviceView
    users: tuple[UserOnDevice, ...]
    elsewhere: int
    happened: list[RecordRow]


def look_into(instance: Instance, actor: Actor, name: str, *, now: int) -> DeviceContents:
    """One device, by name or id."""
    with instance.database.read() as connection:
        row = get_device(connection, actor, name, Permission.DEVICE_VIEW)
        people = devices.people_on_device(connection, row.id)
        seen = [each for each in people if actor.sees(each.domain_id)]
        users = _users(connection, row.id, seen, now)
        elsewhere = len({each.id for each in people} - {each.id for each in seen})
        rows = audit.list_rows(
            connection, limit=ROWS, device_id=row.id, actions=_HAPPENED, within=actor.domains_with(Permission.USER_VIEW)
        )
        return DeviceContents(view_of(row), users, elsewhere, with_names(connection, actor, rows))


def count_users(instance: Instance, actor: Actor, device_ids: Sequence[str]) -> dict[str, int]:
    """How many users have offline data on each of these devices, which the actor has found; 0 is left out."""
    verify_somewhere(actor, Permission.DEVICE_VIEW)
    with instance.database.read() as connection:
        return devices.count_accounts(connection, device_ids)


def _users(connection: Connection, device_id: str, rows: Sequence[AnyRow], now: int) -> tuple[UserOnDevice, ...]:
    ids = sorted({row.id for row in rows})
    found = holdings.held(connection, ids, now // DAY, now) if ids else ()
    held: dict[str, list[AnyRow]] = {account_id: [] for account_id in ids}
    for each in found:
        if each.device_id == device_id:
            held[each.account_id].append(each)
    of_user: dict[str, list[AnyRow]] = {}
    for row in rows:
        of_user.setdefault(row.id, []).append(row)
    return tuple(_user(mine, held[account_id], now) for account_id, mine in of_user.items())


def _user(rows: Sequence[AnyRow], held: Sequence[AnyRow], now: int) -> UserOnDevice:
    """`rows`: one for each token that the user has used there."""
    first, tokens = rows[0], {row.token_id: row for row in rows if row.token_id}
    data = [
        HeldData(tokens[each.token_id].serial, _end(each, tokens[each.token_id], now))
        for each in held
        if each.kind != holdings.CODE and each.token_id in tokens
    ]
    codes = [
        HeldCode(tokens[each.token_id].serial if each.token_id else "", each.number, each.not_after)
        for each in held
        if each.kind == holdings.CODE and (each.token_id is None or each.token_id in tokens)
    ]
    return UserOnDevice(
        first.login, first.name, first.last_sign_in,
        tuple(sorted((each for each in data if each.ends_at > now), key=lambda each: (-each.ends_at, each.serial))),
        tuple(sorted(codes, key=lambda each: each.serial, reverse=True)),
        first.stale,
    )  # fmt: skip


def _end(held: AnyRow, token: AnyRow, now: int) -> int:
    """No record is sealed past the end of token or account."""
    end: int = held.not_after if held.kind == holdings.PACK else (now // DAY + held.number) * DAY
    ends: list[int] = [end, *(each for each in (token.token_end, token.expires_at) if each is not None)]
    return min(ends)
