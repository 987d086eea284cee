"""Alarms: a line for each until somebody acknowledges it; the same one again is counted on its line."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, func, insert, literal, select, tuple_, update

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import account, alarm, device, security_domain, token

_NEVER: Final = 0  # of a notice
_SAME: Final = ("action", "account_id", "token_id", "device_id")


def count_again(connection: Connection, values: Mapping[str, Any], now: int) -> str | None:
    """Counts it on its open line; the id of that. None: there is none."""
    line = _is_open_line(values)
    latest = {name: values[name] for name in ("actor", "result", "detail")}
    counted = connection.execute(update(alarm).where(line).values(times=alarm.c.times + 1, last_at=now, **latest))
    if counted.rowcount == 0:
        return None
    return connection.execute(select(alarm.c.id).where(line).order_by(alarm.c.first_at, alarm.c.id).limit(1)).scalar()


def insert_alarm(connection: Connection, values: Mapping[str, Any], now: int) -> None:
    """A new line, of which nobody has been told."""
    connection.execute(insert(alarm).values(**values, first_at=now, last_at=now, times=1, noticed_at=_NEVER))


def count_told(connection: Connection, action: str, since: int) -> int:
    """Of how many open lines of this kind administrators were told after that moment."""
    told = (alarm.c.acknowledged_at.is_(None)) & (alarm.c.action == action) & (alarm.c.noticed_at > since)
    return connection.execute(select(func.count()).where(told)).scalar_one()


def mark_told(connection: Connection, alarm_id: str, before: int, now: int) -> bool:
    """Administrators are told now; False: they were, after that moment."""
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
) -> Sequence[AnyRow]:
    """Newest first, after the one with the id `after` ("": from the first), with the names of whom they are about.

    The open ones, or all; of these domains, or of all. One that is raised again meanwhile becomes the newest.
    An alarm belongs to the domain of its user, else of its device; one that has neither is in no domain.
    """
    domain = func.coalesce(account.c.domain_id, device.c.domain_id)
    query = (
        select(
            alarm,
            account.c.login,
            token.c.serial,
            device.c.name.label("device_name"),
            security_domain.c.id.label("domain_id"),
            security_domain.c.name.label("domain"),
        )
        .outerjoin(account, alarm.c.account_id == account.c.id)
        .outerjoin(token, alarm.c.token_id == token.c.id)
        .outerjoin(device, alarm.c.device_id == device.c.id)
        .outerjoin(security_domain, security_domain.c.id == domain)
        .order_by(alarm.c.last_at.desc(), alarm.c.id.desc())
        .limit(limit)
    )
    if after:
        last = select(alarm.c.last_at).where(alarm.c.id == after).scalar_subquery()
        query = query.where(tuple_(alarm.c.last_at, alarm.c.id) < tuple_(last, literal(after)))
    if not acknowledged:
        query = query.where(alarm.c.acknowledged_at.is_(None))
    if alarm_id is not None:
        query = query.where(alarm.c.id == alarm_id)
    if domains is not None:
        query = query.where(domain.in_(domains))
    return connection.execute(query).all()


def count_open(connection: Connection) -> int:
    """How many nobody has acknowledged."""
    return connection.execute(select(func.count()).where(alarm.c.acknowledged_at.is_(None))).scalar_one()


def acknowledge(connection: Connection, alarm_id: str, by: str, now: int) -> bool:
    """False: somebody has already."""
    done = connection.execute(
        update(alarm)
        .where(alarm.c.id == alarm_id, alarm.c.acknowledged_at.is_(None))
        .values(acknowledged_at=now, acknowledged_by=by)
    )
    return done.rowcount == 1


def find_names(
    connection: Connection, account_id: str | None, token_id: str | None, device_id: str | None
) -> Mapping[str, str | None]:
    """Login, serial and device name as they are now."""
    login = select(account.c.login).where(account.c.id == account_id)
    serial = select(token.c.serial).where(token.c.id == token_id)
    name = select(device.c.name).where(device.c.id == device_id)
    return {
        "user": connection.execute(login).scalar() if account_id else None,
        "token": connection.execute(serial).scalar() if token_id else None,
        "device": connection.execute(name).scalar() if device_id else None,
    }


def _is_open_line(values: Mapping[str, Any]) -> ColumnElement[bool]:
    same = (alarm.c[name].is_not_distinct_from(values[name]) for name in _SAME)
    return and_(alarm.c.acknowledged_at.is_(None), *same)
