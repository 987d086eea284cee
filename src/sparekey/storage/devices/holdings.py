"""The data that devices hold for users. Each query is one statement for many users.

A device *holds* data that it has confirmed in a signed request and that the server has not ordered it to erase.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, and_, func, literal, select, union_all

from sparekey.storage.rows import AnyRow, AnySelect, all_as
from sparekey.storage.tables import (
    device,
    device_account,
    device_code,
    device_token,
    emergency_code,
    token,
    unit_receipt,
)
from sparekey.unit_kind import UnitKind


class HeldKind(StrEnum):
    """The kinds of data that open on a device."""

    DATA = UnitKind.DAY.value
    PACK = UnitKind.EVENTS.value
    CODE = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDevice:
    """A device with offline data of a user. `stale`: the device does not know the newest changes yet."""

    account_id: str
    stale: bool
    id: str
    name: str
    domain_id: str
    revoked_at: int | None
    supports_offline: bool
    hardware_bound: bool
    last_contact: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOnDevice:
    """A token that a user used on a device, without its seed."""

    device_id: str
    account_id: str
    id: str
    serial: str
    digits: int
    enabled: bool
    lost: bool
    expires_at: int | None
    with_pin: bool
    pin_sealed: bytes | None
    pin_salt: bytes | None
    pin_memory: int | None
    pin_passes: int | None
    pin_must_change: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Data of one user that open on one device; `token_id` None: the passcode.

    `number`: for DATA the count of days, one after the other, from today; for CODE the version of the emergency code.
    `not_after`: the end of a PACK or a CODE; 0 for DATA.
    """

    kind: HeldKind
    account_id: str
    device_id: str
    token_id: str | None
    number: int
    not_after: int


_USER_DEVICE: Final = (
    device_account.c.account_id,
    device_account.c.stale,
    device.c.id,
    device.c.name,
    device.c.domain_id,
    device.c.revoked_at,
    device.c.supports_offline,
    device.c.hardware_bound,
    device.c.last_contact,
)


def devices_of(connection: Connection, account_ids: Sequence[str]) -> list[UserDevice]:
    """Return each device with offline data of one of these users, by user, then in order of name."""
    query = (
        select(*_USER_DEVICE)
        .join(device, device.c.id == device_account.c.device_id)
        .where(device_account.c.account_id.in_(account_ids))
        .order_by(device_account.c.account_id, device.c.name, device.c.id)
    )
    return all_as(UserDevice, connection.execute(query))


def tokens_used(connection: Connection, account_ids: Sequence[str]) -> list[TokenOnDevice]:
    """Return each token of these users of which days are kept on a device, the one used last first."""
    query = (
        select(
            device_token.c.device_id,
            device_token.c.account_id,
            token.c.id,
            token.c.serial,
            token.c.digits,
            token.c.enabled,
            token.c.lost,
            token.c.expires_at,
            token.c.with_pin,
            token.c.pin_sealed,
            token.c.pin_salt,
            token.c.pin_memory,
            token.c.pin_passes,
            token.c.pin_must_change,
        )
        .join(token, token.c.id == device_token.c.token_id)
        .where(device_token.c.account_id.in_(account_ids), token.c.account_id == device_token.c.account_id)
        .order_by(device_token.c.account_id, device_token.c.last_used.desc(), token.c.id)
    )
    return all_as(TokenOnDevice, connection.execute(query))


def devices_and_tokens_of(connection: Connection, account_id: str) -> list[tuple[UserDevice, str | None]]:
    """Return each device of the user once for each token that they used there, with the token's id, or with None.

    The token that was used last comes first. One statement does the work of `devices_of` and `tokens_used`.
    """
    query = (
        select(*_USER_DEVICE, device_token.c.token_id)
        .join(device, device.c.id == device_account.c.device_id)
        .outerjoin(
            device_token,
            and_(device_token.c.device_id == device.c.id, device_token.c.account_id == device_account.c.account_id),
        )
        .where(device_account.c.account_id == account_id)
        .order_by(device.c.name, device.c.id, device_token.c.last_used.desc(), device_token.c.token_id)
    )
    found = []
    for row in connection.execute(query):
        values = row._asdict()
        token_id = values.pop("token_id")
        found.append((UserDevice(**values), token_id))
    return found


def held(connection: Connection, account_ids: Sequence[str], today: int, now: int) -> list[Holding]:
    """Return all data of these users that open on a device now.

    Days one after the other from `today`; packs of event-based tokens with counters that are not used up; emergency
    codes that have not expired.
    """
    parts = _days(account_ids, today), _packs(account_ids, now), _codes(account_ids, now)
    return [_holding(row) for row in connection.execute(union_all(*parts))]


def _holding(row: AnyRow) -> Holding:
    return Holding(
        kind=HeldKind(row.kind),
        account_id=row.account_id,
        device_id=row.device_id,
        token_id=row.token_id,
        number=row.number,
        not_after=row.not_after,
    )


def _days(account_ids: Sequence[str], today: int) -> AnySelect:
    receipt = unit_receipt.c
    held = (
        select(receipt.account_id, receipt.device_id, receipt.token_id, receipt.day)
        .where(receipt.account_id.in_(account_ids), receipt.kind == UnitKind.DAY, receipt.day >= today)
        .where(receipt.acknowledged_at.is_not(None))
        .distinct()
        .subquery()
    )
    rank = func.row_number().over(
        partition_by=(held.c.account_id, held.c.device_id, held.c.token_id), order_by=held.c.day
    )
    ranked = select(held, rank.label("rank")).subquery()
    columns = (ranked.c.account_id, ranked.c.device_id, ranked.c.token_id)
    data = literal(HeldKind.DATA.value).label("kind")
    return (
        select(data, *columns, func.count().label("number"), literal(0).label("not_after"))
        .where(ranked.c.day == today + ranked.c.rank - 1)  # day and rank no longer agree after a gap
        .group_by(*columns)
    )


def _packs(account_ids: Sequence[str], now: int) -> AnySelect:
    receipt = unit_receipt.c
    columns = (receipt.account_id, receipt.device_id, receipt.token_id)
    return (
        select(literal(HeldKind.PACK.value), *columns, literal(0), func.max(receipt.not_after))
        .join(token, token.c.id == receipt.token_id)
        .where(receipt.account_id.in_(account_ids), receipt.kind == UnitKind.EVENTS, receipt.not_after > now)
        .where(receipt.acknowledged_at.is_not(None), receipt.first + receipt.count - 1 > token.c.last_step)
        .group_by(*columns)
    )


def _codes(account_ids: Sequence[str], now: int) -> AnySelect:
    return (
        select(
            literal(HeldKind.CODE.value),
            device_code.c.account_id,
            device_code.c.device_id,
            emergency_code.c.token_id,
            emergency_code.c.version,
            emergency_code.c.not_after,
        )
        .join(emergency_code, emergency_code.c.id == device_code.c.held_code_id)
        .where(device_code.c.account_id.in_(account_ids), emergency_code.c.not_after > now)
    )
