"""Sends the mail that waits, one message at a time (ADR 10).

Rules: a message is claimed by one conditional write, sent outside any transaction, and marked; whoever dies in between
leaves it to the next claim, so that nothing is lost, and nothing is sent twice but after a crash; while no mail server
answers nothing is given up; what a server refuses for good is given up after a week, and stays to be seen.
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

CLAIM_SECONDS: Final = 300  # longer than all waits of one message together
FIRST_PAUSE: Final = 5
LONGEST_PAUSE: Final = 900
GIVE_UP_AFTER: Final = 7 * DAY_SECONDS  # what is refused
KEEP_SETTLED: Final = 30 * DAY_SECONDS  # what was sent or given up
KEEP_WITHOUT_SERVER: Final = 7 * DAY_SECONDS  # so that whoever sets a mail server up does not send a year's notices


class Sent(StrEnum):
    """What came of one step."""

    NOTHING_DUE = "nothing-due"
    SENT = "sent"
    PASSED_ON = "passed-on"  # another process has it, or there was nobody to send it to
    FAILED = "failed"  # this message; another one may fare better
    UNREACHABLE = "unreachable"  # no message would fare better now


def send_next(database: Database, mailer: Mailer, administrators: Sequence[str], now: int) -> Sent:
    """Sends the message that is due for longest; `administrators`: the addresses that alarms go to."""
    with database.read() as connection:
        mail = outbox.find_due(connection, now)
    if mail is None:
        return Sent.NOTHING_DUE
    until = now + CLAIM_SECONDS
    with database.write() as connection:
        if not outbox.claim(connection, mail, until):
            return Sent.PASSED_ON
        recipient = mail.recipient or _addressed(connection, mail, administrators, until)
    if not recipient:
        return Sent.PASSED_ON
    return _send(database, mailer, mail, recipient, until, now)


def forget_old(database: Database, now: int, *, with_mailer: bool) -> int:
    """Deletes what nobody needs any more; how many messages that were."""
    with database.write() as connection:
        waiting = None if with_mailer else now - KEEP_WITHOUT_SERVER
        return outbox.delete_before(connection, now - KEEP_SETTLED, waiting)


def pause_after(attempts: int) -> int:
    """Seconds from a failed attempt to the next one."""
    return int(min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), LONGEST_PAUSE))


def _send(database: Database, mailer: Mailer, mail: Mail, recipient: str, until: int, now: int) -> Sent:
    again: int | None = now + pause_after(mail.attempts + 1)
    try:
        mailer.send(Message(mail.id, recipient, mail.subject, mail.body, mail.created_at))
    except MailError as error:
        result = Sent.UNREACHABLE if error.failure is MailFailure.UNREACHABLE else Sent.FAILED
        if error.failure is MailFailure.REFUSED and now - mail.created_at > GIVE_UP_AFTER:
            again = None
        why = str(error)
    except ValueError as error:
        # No time will make mail of it.
        result, again, why = Sent.FAILED, None, f"it cannot be sent: {error}"
    else:
        with database.write() as connection:
            outbox.mark_sent(connection, mail.id, now)
        return Sent.SENT
    with database.write() as connection:
        outbox.mark_failed(connection, mail.id, until, again, why)
    return result


def _addressed(connection: Connection, mail: Mail, administrators: Sequence[str], until: int) -> str:
    """The first administrator; each of the others gets a message of their own. Empty: there is nobody."""
    if not administrators:
        outbox.mark_failed(connection, mail.id, until, None, "alarm_mail names nobody")
        return ADMINISTRATORS
    first, *others = administrators
    outbox.address(connection, mail.id, first)
    for address in others:
        outbox.insert_message(connection, replace(mail, id=new_id(), recipient=address))
    return first
