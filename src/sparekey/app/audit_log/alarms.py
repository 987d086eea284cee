"""Alarms that nobody has looked at yet, and how somebody says that they have.

Rules: an alarm is seen, and acknowledged, by whoever has the permission in the domain of its user, else of its device;
one that is about neither asks for the permission everywhere; who acknowledged is on record.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparekey.app.audit_log.named_rows import names_of_actors
from sparekey.app.authorisation import verify_may, verify_somewhere
from sparekey.app.instance import Instance, log
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import alarm_sentence
from sparekey.core.errors import Conflict, NotFound
from sparekey.core.permissions import Actor, Permission
from sparekey.storage.audit_log import alarms
from sparekey.storage.rows import AnyRow


@dataclass(frozen=True)
class AlarmView:
    """One line; times in unix seconds. `domain`: None where it is about no user and no device."""

    id: str
    action: str
    words: str
    first_at: int
    last_at: int
    times: int
    user: str | None
    token: str | None
    device: str | None
    result: str
    detail: Mapping[str, Any]
    acknowledged_at: int | None
    acknowledged_by: str | None
    domain: str | None


def list_alarms(
    instance: Instance, actor: Actor, *, limit: int = 100, after: str = "", acknowledged: bool = False
) -> list[AlarmView]:
    """Newest first, from the one after that with the id `after`: the open ones, or all."""
    domains = verify_somewhere(actor, Permission.AUDIT_VIEW)
    with instance.database.read() as connection:
        rows = alarms.list_alarms(connection, limit=limit, after=after, acknowledged=acknowledged, domains=domains)
        details = [json.loads(row.detail) for row in rows]
        people = {row.acknowledged_by for row in rows} | {detail.get("operator") for detail in details}
        called = names_of_actors(connection, actor, {each for each in people if isinstance(each, str)})
        return [_view(row, detail, called) for row, detail in zip(rows, details, strict=True)]


def acknowledge(instance: Instance, actor: Actor, alarm_id: str, *, now: int) -> None:
    """Somebody has looked. Raises NotFound, NotAllowed, or Conflict where somebody did before."""
    with instance.database.write() as connection:
        row = next(iter(alarms.list_alarms(connection, alarm_id=alarm_id)), None)
        if row is None or not actor.may(Permission.AUDIT_VIEW, row.domain_id):
            raise NotFound(f"there is no alarm {alarm_id!r}", "see `sparekey alarm list`")
        verify_may(actor, Permission.ALARM_ACKNOWLEDGE, row.domain_id)
        if not alarms.acknowledge(connection, alarm_id, actor.name, now):
            who = row.acknowledged_by or "somebody else"  # None: it was just now
            who = _named(names_of_actors(connection, actor, [who]), who)
            raise Conflict(f"{who} has acknowledged it already", "see `sparekey alarm list --all`")
        log(
            connection,
            now,
            actor,
            Action.ALARMS_ACKNOWLEDGED,
            account=row.account_id,
            token=row.token_id,
            device=row.device_id,
            alarm=alarm_id,
            of=row.action,
            times=row.times,
        )


def _view(row: AnyRow, detail: Mapping[str, Any], called: Mapping[str, str]) -> AlarmView:
    """`called`: names of who acted, as far as the reader may know them."""
    operator = {"operator": _named(called, detail["operator"])} if "operator" in detail else {}
    return AlarmView(
        id=row.id,
        action=row.action,
        words=alarm_sentence(Action(row.action)),
        first_at=row.first_at,
        last_at=row.last_at,
        times=row.times,
        user=row.login,
        token=row.serial,
        device=row.device_name,
        result=row.result,
        detail={**detail, **operator},
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=_named(called, row.acknowledged_by),
        domain=row.domain,
    )


def _named(called: Mapping[str, str], who: Any) -> Any:
    return called.get(who, who) if isinstance(who, str) else who
