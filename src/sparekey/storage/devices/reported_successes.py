"""Offline successes that devices reported and that cost their users codes (S49).

A success without a cost is in the audit log only.
"""

from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from sparekey.core.offline.reported_successes import HOUR, Past
from sparekey.durations import DAY_SECONDS
from sparekey.storage.rows import all_as
from sparekey.storage.tables import account, device, reported_success, token

KEPT: Final = 30 * DAY_SECONDS
_MINUTE: Final = 60
_COLUMNS: Final = reported_success.c


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedSuccesses:
    """Successes with one token that a device reported within one minute, at `now` in unix seconds."""

    device_id: str
    account_id: str
    token_id: str
    successes: int
    codes: int
    cost: int
    short_outage: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedCodes:
    """The codes of one token that one device used up. The device or token may have no name any more.

    `login`: of the user; `first_minute`, `last_minute`: of the reports, since 1970.
    """

    device_id: str
    device: str | None
    device_domain_id: str | None
    login: str
    user_domain_id: str
    serial: str | None
    successes: int
    codes: int
    first_minute: int
    last_minute: int


def past_of(connection: Connection, device_id: str, account_id: str, now: int) -> Past:
    """Return the last hour of this user on this device. Outages of the present minute are not counted again."""
    minute = now // _MINUTE
    query = select(_COLUMNS.minute, _COLUMNS.cost, _COLUMNS.short_outage).where(
        _COLUMNS.device_id == device_id, _COLUMNS.account_id == account_id, _COLUMNS.minute >= (now - HOUR) // _MINUTE
    )
    rows = connection.execute(query).all()
    outages = {row.minute for row in rows if row.short_outage and row.minute != minute}
    return Past(sum(row.cost for row in rows), len(outages))


def add(connection: Connection, new: ReportedSuccesses, now: int) -> None:
    """Add to the row of this minute. The caller has locked the device."""
    minute = now // _MINUTE
    changed = connection.execute(
        update(reported_success)
        .where(
            _COLUMNS.device_id == new.device_id,
            _COLUMNS.account_id == new.account_id,
            _COLUMNS.minute == minute,
            _COLUMNS.token_id == new.token_id,
        )
        .values(
            successes=_COLUMNS.successes + new.successes,
            codes=_COLUMNS.codes + new.codes,
            cost=_COLUMNS.cost + new.cost,
            short_outage=_COLUMNS.short_outage | new.short_outage,
        )
    )
    if changed.rowcount == 0:
        connection.execute(insert(reported_success).values(**asdict(new), minute=minute))


def delete_old(connection: Connection, device_id: str, now: int) -> None:
    """Delete the rows of this device that are no longer shown."""
    connection.execute(
        delete(reported_success).where(_COLUMNS.device_id == device_id, _COLUMNS.minute < (now - KEPT) // _MINUTE)
    )


def list_used_codes(
    connection: Connection,
    *,
    now: int,
    limit: int,
    account_id: str | None = None,
    device_id: str | None = None,
    user_domains: frozenset[str] | None = None,
) -> list[UsedCodes]:
    """Return the codes that devices used up in the last 30 days, by device and token, the latest report first.

    Filters: one user, one device, users in these domains.
    """
    last = func.max(_COLUMNS.minute).label("last_minute")
    owner = (
        _COLUMNS.device_id,
        device.c.name,
        device.c.domain_id,
        account.c.login,
        account.c.domain_id,
        token.c.serial,
    )
    query = (
        select(
            _COLUMNS.device_id,
            device.c.name.label("device"),
            device.c.domain_id.label("device_domain_id"),
            account.c.login,
            account.c.domain_id.label("user_domain_id"),
            token.c.serial,
            func.sum(_COLUMNS.successes).label("successes"),
            func.sum(_COLUMNS.codes).label("codes"),
            func.min(_COLUMNS.minute).label("first_minute"),
            last,
        )
        .join(account, account.c.id == _COLUMNS.account_id)
        .outerjoin(device, device.c.id == _COLUMNS.device_id)
        .outerjoin(token, token.c.id == _COLUMNS.token_id)
        .where(_COLUMNS.minute >= (now - KEPT) // _MINUTE, _COLUMNS.codes > 0)
        .group_by(*owner)
        .order_by(last.desc(), device.c.name, token.c.serial)
        .limit(limit)
    )
    if account_id is not None:
        query = query.where(_COLUMNS.account_id == account_id)
    if device_id is not None:
        query = query.where(_COLUMNS.device_id == device_id)
    if user_domains is not None:
        query = query.where(account.c.domain_id.in_(user_domains))
    return all_as(UsedCodes, connection.execute(query))
