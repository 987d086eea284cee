"""Send the queued mail, one message at a time (ADR 10).

Rules:
- A message is claimed with one conditional write, sent outside any transaction, and then marked as sent.
- If a process crashes in between, its claim expires and another process sends the message. So no message is lost, and
  none is sent twice except after a crash.
- While no mail server answers, no message is given up. A message that a server refuses is given up after a week, and
  stays visible.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import new_id
from sparekey.app.notices import ADMINISTRATORS
from sparekey.app.ports import Mailer, MailError, MailFailure, Message
from sparekey.durations import DAY_SECONDS
from sparekey.storage.audit_log import outbox
from sparekey.storage.audit_log.outbox import Mail
from sparekey.storage.unit_of_work import Database

CLAIM_SECONDS: Final = 300  # longer than the sum of all timeouts of one message
FIRST_PAUSE: Final = 5
LONGEST_PAUSE: Final = 900
GIVE_UP_AFTER: Final = 7 * DAY_SECONDS  # for messages that a server refuses
KEEP_SETTLED: Final = 30 * DAY_SECONDS  # for messages that were sent or given up
KEEP_WITHOUT_SERVER: Final = 7 * DAY_SECONDS  # so that a new mail server does not send the notices of a year


class SendResult(StrEnum):
    """The result of one step."""

    NOTHING_DUE = "nothing-due"
    SENT = "sent"
    PASSED_ON = "passed-on"  # another process has the message, or it has no recipient
    FAILED = "failed"  # this message failed; another one may succeed
    UNREACHABLE = "unreachable"  # every message would fail now


def send_next(database: Database, mailer: Mailer, administrators: Sequence[str], now: int) -> SendResult:
    """Send the message that has been due for the longest time. `administrators`: the addresses that get alarms."""
    with database.read() as connection:
        mail = outbox.find_due(connection, now)
    if mail is None:
        return SendResult.NOTHING_DUE
    until = now + CLAIM_SECONDS
    with database.write() as connection:
        if not outbox.claim(connection, mail, until):
            return SendResult.PASSED_ON
        recipient = mail.recipient or _addressed(connection, mail, administrators, until)
    if not recipient:
        return SendResult.PASSED_ON
    return _send(database, mailer, mail, recipient, until, now)


def forget_old(database: Database, now: int, *, with_mailer: bool) -> int:
    """Delete messages that are no longer needed. Return their number."""
    with database.write() as connection:
        waiting = None if with_mailer else now - KEEP_WITHOUT_SERVER
        return outbox.delete_before(connection, now - KEEP_SETTLED, waiting)


def pause_after(attempts: int) -> int:
    """Return the seconds from a failed attempt to the next one."""
    return int(min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), LONGEST_PAUSE))


def _send(database: Database, mailer: Mailer, mail: Mail, recipient: str, until: int, now: int) -> SendResult:
    again: int | None = now + pause_after(mail.attempts + 1)
    try:
        mailer.send(Message(mail.id, recipient, mail.subject, mail.body, mail.created_at))
    except MailError as error:
        result = SendResult.UNREACHABLE if error.failure is MailFailure.UNREACHABLE else SendResult.FAILED
        if error.failure is MailFailure.REFUSED and now - mail.created_at > GIVE_UP_AFTER:
            again = None
        why = str(error)
    except ValueError as error:
        # Safe to give up: a message that is not valid mail will not become valid later.
        result, again, why = SendResult.FAILED, None, f"it cannot be sent: {error}"
    else:
        with database.write() as connection:
            outbox.mark_sent(connection, mail.id, now)
        return SendResult.SENT
    with database.write() as connection:
        outbox.mark_failed(connection, mail.id, until, again, why)
    return result


def _addressed(connection: Connection, mail: Mail, administrators: Sequence[str], until: int) -> str:
    """Return the first administrator, and queue a copy for each of the others. Empty: there is no administrator."""
    if not administrators:
        outbox.mark_failed(connection, mail.id, until, None, "no address in alarm_mail")
        return ADMINISTRATORS
    first, *other_addresses = administrators
    outbox.address(connection, mail.id, first)
    for address in other_addresses:
        outbox.insert_message(connection, replace(mail, id=new_id(), recipient=address))
    return first
