"""Tells people what happened: a user about their own account, administrators about an alarm.

Rules: what is to be told is put into the outbox in the caller's transaction, so that it is told exactly when it
happened (S42); a user without a mail address is told nothing; an alarm is at once an audit row, a line that stays until
somebody acknowledges it, and a notice. The same alarm again is put on record each time, counted on its line, and told
once an hour; of one kind no more than twenty are told in an hour, the last of which says so, and to one user no more of
a kind either: nobody buries an alarm or a notice under others, and a thousand laptops with one trouble are no thousand
mails.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit import canonical_json
from sparekey.app.instance import log, new_id
from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.audit_log.notices import Letter, Notice, letter_of_alarm, letter_to_user
from sparekey.core.json_value import Json
from sparekey.core.permissions import Actor
from sparekey.storage.audit_log import alarms, outbox
from sparekey.storage.audit_log.alarms import RaisedAlarm
from sparekey.storage.audit_log.outbox import Mail
from sparekey.storage.people import accounts

ADMINISTRATORS: Final = ""  # the recipient of an alarm, until the sender puts the settings' addresses in its place
TOLD_AGAIN_AFTER: Final = 3_600  # seconds
MOST_TOLD: Final = 20  # of one kind in that time
_LAST_TO_USER: Final = "You get no more mails of this kind for an hour, even if this happens again."
_LAST_ONE: Final = "no more mails of this kind are sent for an hour; `sparekey alarm list` shows all alarms"


def notify_user(
    connection: Connection, now: int, account_id: str | None, notice: Notice, *, at: int | None = None, **facts: str
) -> None:
    """Queues a notice to this user, if there is one with an address. `at`: when it happened, if that was before."""
    account = accounts.find_account_by_id(connection, account_id) if account_id else None
    if account is None or not account.mail:
        return
    told = outbox.count_to_user(connection, account.id, notice, now - TOLD_AGAIN_AFTER)
    if told >= MOST_TOLD:
        return  # it is on record; the mail before said that there may be more
    letter = letter_to_user(notice, account.login, now if at is None else at, facts)
    if told == MOST_TOLD - 1:
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
    """Asks a person to look. Takes what `log` takes. Raises ValueError if this is no alarm."""
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
    told = alarms.count_told(connection, raised.action, now - TOLD_AGAIN_AFTER)
    if told >= MOST_TOLD or not alarms.mark_told(connection, alarm_id, now - TOLD_AGAIN_AFTER, now):
        return
    names = alarms.find_names(connection, raised.account_id, raised.token_id, raised.device_id)
    last = {"note": _LAST_ONE} if told == MOST_TOLD - 1 else {}
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
