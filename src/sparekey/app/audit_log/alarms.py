"""List alarms and acknowledge them.

Rules: to see or acknowledge an alarm, administrators need the permission in the domain of its user, or else of its
device. For an alarm about no user and no device they need it in all domains. Each acknowledgement is logged.
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
from sparekey.json_value import Json
from sparekey.storage.audit_log import alarms
from sparekey.storage.audit_log.alarms import Alarm


@dataclass(frozen=True)
class AlarmView:
    """One alarm of the list; times in unix seconds. `domain`: None if it is about no user and no device."""

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
    detail: Mapping[str, Any]  # any JSON: the detail of the event
    acknowledged_at: int | None
    acknowledged_by: str | None
    domain: str | None


def list_alarms(
    instance: Instance, actor: Actor, *, limit: int = 100, after: str = "", acknowledged: bool = False
) -> list[AlarmView]:
    """Return the open alarms, newest first, from the one after the id `after`; with `acknowledged`, all alarms.

    Raises NotAllowed.
    """
    domains = verify_somewhere(actor, Permission.AUDIT_VIEW)
    with instance.database.read() as connection:
        found = alarms.list_alarms(connection, limit=limit, after=after, acknowledged=acknowledged, domains=domains)
        details = [json.loads(alarm.detail) for alarm in found]
        people = {alarm.acknowledged_by for alarm in found} | {detail.get("operator") for detail in details}
        called = names_of_actors(connection, actor, {person for person in people if isinstance(person, str)})
        return [_view(alarm, detail, called) for alarm, detail in zip(found, details, strict=True)]


def acknowledge(instance: Instance, actor: Actor, alarm_id: str, *, now: int) -> None:
    """Acknowledge an alarm. Raises NotFound, NotAllowed, or Conflict if it is acknowledged already."""
    with instance.database.write() as connection:
        alarm = next(iter(alarms.list_alarms(connection, alarm_id=alarm_id)), None)
        if alarm is None or not actor.may(Permission.AUDIT_VIEW, alarm.domain_id):
            raise NotFound(f"there is no alarm {alarm_id!r}", "see `sparekey alarm list`")
        verify_may(actor, Permission.ALARM_ACKNOWLEDGE, alarm.domain_id)
        if not alarms.acknowledge(connection, alarm_id, actor.name, now):
            who = alarm.acknowledged_by or "another administrator"  # None: acknowledged since the alarm was read
            who = names_of_actors(connection, actor, [who]).get(who, who)
            raise Conflict(f"{who} has already acknowledged this alarm", "see `sparekey alarm list --all`")
        log(
            connection,
            now,
            actor,
            Action.ALARMS_ACKNOWLEDGED,
            account=alarm.account_id,
            token=alarm.token_id,
            device=alarm.device_id,
            alarm=alarm_id,
            of=alarm.action,
            times=alarm.times,
        )


def _view(alarm: Alarm, detail: Mapping[str, Json], called: Mapping[str, str]) -> AlarmView:
    """Return the alarm as lists show it. `called`: names of the actors whom the reader may see."""
    operator = detail.get("operator")
    named = {"operator": called.get(operator, operator)} if isinstance(operator, str) else {}
    by = alarm.acknowledged_by
    return AlarmView(
        id=alarm.id,
        action=alarm.action,
        words=alarm_sentence(alarm.action),
        first_at=alarm.first_at,
        last_at=alarm.last_at,
        times=alarm.times,
        user=alarm.login,
        token=alarm.serial,
        device=alarm.device_name,
        result=alarm.result,
        detail={**detail, **named},
        acknowledged_at=alarm.acknowledged_at,
        acknowledged_by=None if by is None else called.get(by, by),
        domain=alarm.domain,
    )
