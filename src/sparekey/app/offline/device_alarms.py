"""Alarms that the events of a device raise: a few an hour of each kind, however many events it uploads (S27).

The events themselves are all in the audit log. An alarm beyond the limit is counted on its open line, so it is still
seen; it is neither logged nor mailed once more.
"""

from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit import canonical_json
from sparekey.app.instance import MICROSECONDS
from sparekey.app.notices import raise_alarm
from sparekey.core.audit_log.actions import OK, Action
from sparekey.json_value import Json
from sparekey.storage.audit_log import alarms
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.audit_log.alarms import RaisedAlarm
from sparekey.storage.audit_log.events import AuditFilter

MOST_ALARMS: Final = 20  # of one kind, by one device, within an hour
_HOUR: Final = 3_600


def raise_device_alarm(
    connection: Connection,
    now: int,
    actor: str,
    action: Action,
    *,
    device: str,
    account: str | None = None,
    token: str | None = None,
    **detail: Json,
) -> None:
    """Raise the alarm, or count it on its open line if this device has raised too many of its kind within an hour.

    Safe because an alarm without an open line is always raised: an acknowledgement or another user starts a new line.
    """
    rows = audit_events.list_rows(connection, AuditFilter(device_id=device, actions=(action,)), limit=MOST_ALARMS)
    if len(rows) == MOST_ALARMS and rows[-1].at > (now - _HOUR) * MICROSECONDS:
        raised = RaisedAlarm(
            action=action,
            actor=actor,
            account_id=account,
            token_id=token,
            device_id=device,
            result=OK,
            detail=canonical_json(detail),
        )
        if alarms.count_again(connection, raised, now) is not None:
            return
    raise_alarm(connection, now, actor, action, result=OK, account=account, token=token, device=device, **detail)
