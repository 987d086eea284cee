"""Notify people: users about their own account, administrators about alarms.

Rules:
- A notice goes into the outbox in the caller's transaction: it is sent if and only if the event happened (S42).
- A user without a mail address gets no notice.
- An alarm is three things at once: an event in the audit log, an entry in the list of alarms that stays until it is
  acknowledged, and a notice.
- A repeated alarm is logged each time, counted in its entry, and mailed once an hour.
- Rate limit: at most twenty mails an hour for each kind of alarm, and for each kind of notice to one user. The last of
  them says so. So an attacker cannot hide an alarm among others, and a thousand laptops with the same problem do not
  send a thousand mails.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit import canonical_json
from sparekey.app.instance import log, new_id
from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.audit_log.notices import Letter, Notice, letter_of_alarm, letter_to_user
from sparekey.core.permissions import Actor
from sparekey.json_value import Json
from sparekey.storage.audit_log import alarms, outbox
from sparekey.storage.audit_log.alarms import RaisedAlarm
from sparekey.storage.audit_log.outbox import Mail
from sparekey.storage.people import accounts

ADMINISTRATORS: Final = ""  # stands for the recipients of an alarm until the sender fills in the configured addresses
TOLD_AGAIN_AFTER: Final = 3_600  # seconds
MOST_TOLD: Final = 20  # mails of one kind in that time
_LAST_TO_USER: Final = "You get no more mails of this kind for an hour, even if this happens again."
_LAST_ONE: Final = "no more mails of this kind are sent for an hour; `sparekey alarm list` shows all alarms"


def notify_user(
    connection: Connection, now: int, account_id: str | None, notice: Notice, *, at: int | None = None, **facts: str
) -> None:
    """Queue a notice to this user, if they have a mail address. `at`: the time of the event, if it was earlier."""
    account = accounts.find_account_by_id(connection, account_id) if account_id else None
    if account is None or not account.mail:
        return
    sent = outbox.count_to_user(connection, account.id, notice, now - TOLD_AGAIN_AFTER)
    if sent >= MOST_TOLD:
        return  # the event is in the audit log, and the last mail said that there may be more events
    letter = letter_to_user(notice, account.login, now if at is None else at, facts)
    if sent == MOST_TOLD - 1:
        letter = replace(letter, body=f"{letter.body}\n{_LAST_TO_USER}\n")
    _queue(connection, now, notice, account.mail, letter, account.id)


def raise_alarm(
    connection: Connection,
    now: int,
    actor: Actor | str,
    action: Action,
    *,
    result: str = OK,
    account: str | None = None,
    token: str | None = None,
    device: str | None = None,
    **detail: Json,
) -> None:
    """Log an alarm, list it and notify the administrators. Takes the arguments of `log`.

    Raises ValueError if the action is no alarm.
    """
    if not action.is_alarm:
        raise ValueError(f"{action} is no alarm")
    log(connection, now, actor, action, result=result, account=account, token=token, device=device, **detail)
    name = actor.name if isinstance(actor, Actor) else actor
    raised = RaisedAlarm(
        action=action,
        actor=name,
        account_id=account,
        token_id=token,
        device_id=device,
        result=result,
        detail=canonical_json(detail),
    )
    alarm_id = alarms.count_again(connection, raised, now)
    if alarm_id is None:
        alarm_id = new_id()
        alarms.insert_alarm(connection, alarm_id, raised, now)
    _tell_administrators(connection, now, alarm_id, raised, {"by": name, "result": result, **detail})


def _tell_administrators(
    connection: Connection, now: int, alarm_id: str, raised: RaisedAlarm, facts: Mapping[str, Json]
) -> None:
    sent = alarms.count_told(connection, raised.action, now - TOLD_AGAIN_AFTER)
    if sent >= MOST_TOLD or not alarms.mark_told(connection, alarm_id, now - TOLD_AGAIN_AFTER, now):
        return
    names = alarms.find_names(connection, raised.account_id, raised.token_id, raised.device_id)
    last = {"note": _LAST_ONE} if sent == MOST_TOLD - 1 else {}
    letter = letter_of_alarm(raised.action, alarm_id, now, {**names, **facts, **last})
    _queue(connection, now, raised.action, ADMINISTRATORS, letter, raised.account_id)


def _queue(connection: Connection, now: int, kind: str, recipient: str, letter: Letter, account_id: str | None) -> None:
    mail = Mail(
        id=new_id(),
        kind=str(kind),
        recipient=recipient,
        subject=letter.subject,
        body=letter.body,
        account_id=account_id,
        created_at=now,
    )
    outbox.insert_message(connection, mail)
