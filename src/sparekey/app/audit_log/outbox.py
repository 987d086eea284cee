"""Sends the mail that waits, one message at a time (ADR 10).

Rules: a message is claimed by one conditional write, sent outside any transaction, and marked; whoever dies in between
leaves it to the next claim, so that nothing is lost, and nothing is sent twice but after a crash; while no mail server
answers nothing is given up; what a server refuses for good is given up after a week, and stays to be seen.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import new_id
from sparekey.app.notices import ADMINISTRATORS
from sparekey.app.ports import Mailer, MailError, MailFailure, Message
from sparekey.storage.audit_log import outbox
from sparekey.storage.rows import AnyRow
from sparekey.storage.unit_of_work import Database

CLAIM_SECONDS: Final = 300  # longer than all waits of one message together
FIRST_PAUSE: Final = 5
LONGEST_PAUSE: Final = 900
GIVE_UP_AFTER: Final = 7 * 86_400  # what is refused
KEEP_SETTLED: Final = 30 * 86_400  # what was sent or given up
KEEP_WITHOUT_SERVER: Final = 7 * 86_400  # so that whoever sets a mail server up does not send a year's notices


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
        row = outbox.find_due(connection, now)
    if row is None:
        return Sent.NOTHING_DUE
    until = now + CLAIM_SECONDS
    with database.write() as connection:
        if not outbox.claim(connection, row.id, row.next_attempt_at, until):
            return Sent.PASSED_ON
        recipient = row.recipient or _addressed(connection, row, administrators, until)
    if not recipient:
        return Sent.PASSED_ON
    return _send(database, mailer, row, recipient, until, now)


def forget_old(database: Database, now: int, *, with_mailer: bool) -> int:
    """Deletes what nobody needs any more; how many messages that were."""
    with database.write() as connection:
        waiting = None if with_mailer else now - KEEP_WITHOUT_SERVER
        return outbox.delete_before(connection, now - KEEP_SETTLED, waiting)


def pause_after(attempts: int) -> int:
    """Seconds from a failed attempt to the next one."""
    return int(min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), LONGEST_PAUSE))


def _send(database: Database, mailer: Mailer, row: AnyRow, recipient: str, until: int, now: int) -> Sent:
    again: int | None = now + pause_after(row.attempts + 1)
    try:
        mailer.send(Message(row.id, recipient, row.subject, row.body, row.created_at))
    except MailError as error:
        result = Sent.UNREACHABLE if error.failure is MailFailure.UNREACHABLE else Sent.FAILED
        if error.failure is MailFailure.REFUSED and now - row.created_at > GIVE_UP_AFTER:
            again = None
        why = str(error)
    except ValueError as error:
        # No time will make mail of it.
        result, again, why = Sent.FAILED, None, f"it cannot be sent: {error}"
    else:
        with database.write() as connection:
            outbox.mark_sent(connection, row.id, now)
        return Sent.SENT
    with database.write() as connection:
        outbox.mark_failed(connection, row.id, until, again, why)
    return result


def _addressed(connection: Connection, row: AnyRow, administrators: Sequence[str], until: int) -> str:
    """The first administrator; each of the others gets a message of their own. Empty: there is nobody."""
    if not administrators:
        outbox.mark_failed(connection, row.id, until, None, "alarm_mail names nobody")
        return ADMINISTRATORS
    first, *others = administrators
    outbox.address(connection, row.id, first)
    for address in others:
        copied = ("kind", "subject", "body", "account_id", "created_at")
        values = {name: getattr(row, name) for name in copied}
        outbox.insert_message(connection, {"id": new_id(), "recipient": address, **values})
    return first
