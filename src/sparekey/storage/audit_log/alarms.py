"""Alarms: each has an open line until it is acknowledged; the same alarm again is counted on that line."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, func, insert, literal, select, tuple_, update

from sparekey.core.audit_log.actions import Action
from sparekey.storage.rows import AnyRow, AnySelect
from sparekey.storage.tables import account, alarm, device, security_domain, token

_NEVER: Final = 0  # of a notice


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedAlarm:
    """An alarm when it is raised. `detail`: canonical JSON."""

    action: Action
    actor: str
    account_id: str | None
    token_id: str | None
    device_id: str | None
    result: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A line of the list of alarms, with the names of its subjects as they are now; times are unix seconds.

    `actor`, `result` and `detail`: of the last time. `domain_id`, `domain`: of the user, else of the device; None if
    the alarm is about neither.
    """

    id: str
    action: Action
    actor: str
    first_at: int
    last_at: int
    times: int
    account_id: str | None
    login: str | None
    token_id: str | None
    serial: str | None
    device_id: str | None
    device_name: str | None
    domain_id: str | None
    domain: str | None
    result: str
    detail: str  # canonical JSON
    acknowledged_at: int | None
    acknowledged_by: str | None


def count_again(connection: Connection, raised: RaisedAlarm, now: int) -> str | None:
    """Count the alarm on its open line, and return the id of the line; None: there is no open line."""
    line = _is_open_line(raised)
    latest = {"actor": raised.actor, "result": raised.result, "detail": raised.detail}
    counted = connection.execute(update(alarm).where(line).values(times=alarm.c.times + 1, last_at=now, **latest))
    if counted.rowcount == 0:
        return None
    return connection.execute(select(alarm.c.id).where(line).order_by(alarm.c.first_at, alarm.c.id).limit(1)).scalar()


def insert_alarm(connection: Connection, alarm_id: str, raised: RaisedAlarm, now: int) -> None:
    """Add a line that no administrator was notified of yet."""
    times = {"first_at": now, "last_at": now, "times": 1, "noticed_at": _NEVER}
    connection.execute(insert(alarm).values({"id": alarm_id, **asdict(raised), **times}))


def count_told(connection: Connection, action: str, since: int) -> int:
    """Count the open lines of this kind that administrators were notified of since that moment."""
    told = (alarm.c.acknowledged_at.is_(None)) & (alarm.c.action == action) & (alarm.c.noticed_at > since)
    return connection.execute(select(func.count()).where(told)).scalar_one()


def mark_told(connection: Connection, alarm_id: str, before: int, now: int) -> bool:
    """Save that administrators are notified now. Return False if they were notified after `before`."""
    marked = connection.execute(
        update(alarm).where(alarm.c.id == alarm_id, alarm.c.noticed_at <= before).values(noticed_at=now)
    )
    return marked.rowcount == 1


def list_alarms(
    connection: Connection,
    *,
    limit: int = 1,
    after: str = "",
    acknowledged: bool = True,
    alarm_id: str | None = None,
    domains: frozenset[str] | None = None,
) -> list[Alarm]:
    """Return the newest alarms first, after the one with the id `after` ("": from the first).

    `acknowledged`: with those that were acknowledged. `domains`: ids; None: all of them, and alarms of no domain.
    An alarm that is raised again meanwhile becomes the newest.
    """
    query = _alarms().order_by(alarm.c.last_at.desc(), alarm.c.id.desc()).limit(limit)
    if after:
        last = select(alarm.c.last_at).where(alarm.c.id == after).scalar_subquery()
        query = query.where(tuple_(alarm.c.last_at, alarm.c.id) < tuple_(last, literal(after)))
    if not acknowledged:
        query = query.where(alarm.c.acknowledged_at.is_(None))
    if alarm_id is not None:
        query = query.where(alarm.c.id == alarm_id)
    if domains is not None:
        query = query.where(_DOMAIN_ID.in_(domains))
    return [_alarm(row) for row in connection.execute(query)]


_DOMAIN_ID: Final = func.coalesce(account.c.domain_id, device.c.domain_id)


def _alarms() -> AnySelect:
    """Select the columns that `_alarm` reads."""
    columns = (
        account.c.login,
        token.c.serial,
        device.c.name.label("device_name"),
        security_domain.c.id.label("domain_id"),
        security_domain.c.name.label("domain"),
    )
    return (
        select(alarm, *columns)
        .outerjoin(account, alarm.c.account_id == account.c.id)
        .outerjoin(token, alarm.c.token_id == token.c.id)
        .outerjoin(device, alarm.c.device_id == device.c.id)
        .outerjoin(security_domain, security_domain.c.id == _DOMAIN_ID)
    )


def _alarm(row: AnyRow) -> Alarm:
    return Alarm(
        id=row.id,
        action=Action(row.action),
        actor=row.actor,
        first_at=row.first_at,
        last_at=row.last_at,
        times=row.times,
        account_id=row.account_id,
        login=row.login,
        token_id=row.token_id,
        serial=row.serial,
        device_id=row.device_id,
        device_name=row.device_name,
        domain_id=row.domain_id,
        domain=row.domain,
        result=row.result,
        detail=row.detail,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
    )


def count_open(connection: Connection) -> int:
    """Count the open lines."""
    return connection.execute(select(func.count()).where(alarm.c.acknowledged_at.is_(None))).scalar_one()


def acknowledge(connection: Connection, alarm_id: str, by: str, now: int) -> bool:
    """Close the line. Return False if it is closed already."""
    done = connection.execute(
        update(alarm)
        .where(alarm.c.id == alarm_id, alarm.c.acknowledged_at.is_(None))
        .values(acknowledged_at=now, acknowledged_by=by)
    )
    return done.rowcount == 1


def find_names(
    connection: Connection, account_id: str | None, token_id: str | None, device_id: str | None
) -> Mapping[str, str | None]:
    """Return login, serial and device name as they are now."""
    login = select(account.c.login).where(account.c.id == account_id)
    serial = select(token.c.serial).where(token.c.id == token_id)
    name = select(device.c.name).where(device.c.id == device_id)
    return {
        "user": connection.execute(login).scalar() if account_id else None,
        "token": connection.execute(serial).scalar() if token_id else None,
        "device": connection.execute(name).scalar() if device_id else None,
    }


def _is_open_line(raised: RaisedAlarm) -> ColumnElement[bool]:
    """Return the condition for the open line of the same action and subjects."""
    return and_(
        alarm.c.acknowledged_at.is_(None),
        alarm.c.action == raised.action,
        alarm.c.account_id.is_not_distinct_from(raised.account_id),
        alarm.c.token_id.is_not_distinct_from(raised.token_id),
        alarm.c.device_id.is_not_distinct_from(raised.device_id),
    )
