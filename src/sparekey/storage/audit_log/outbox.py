"""The queue of mail: written with its effect, claimed by one process at a time, marked when sent.

Rules: a sender claims a mail by one conditional write, which succeeds only if the time of the next attempt is still the
one it has read (architecture, rule 5); the failure of an expired claim does not overwrite a newer claim.
"""

from dataclasses import asdict, dataclass, fields
from typing import Final

from sqlalchemy import Connection, delete, func, select, update

from sparekey.storage.sealed_rows import all_intact, insert_row, update_rows
from sparekey.storage.tables import outbox

_MOST_ALTERED: Final = 100  # mails that are passed over


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail of the outbox. `recipient` "": the administrators that the settings name."""

    id: str
    kind: str  # of a notice, or an alarm's action
    recipient: str
    subject: str
    body: str
    account_id: str | None
    created_at: int  # unix seconds
    attempts: int = 0
    next_attempt_at: int | None = None  # None: it was sent or given up, or is not in the outbox yet


@dataclass(frozen=True, slots=True)
class Waiting:
    """The state of the queue."""

    messages: int
    since: int | None  # when the oldest was written
    given_up: int
    last_error: str


def insert_message(connection: Connection, mail: Mail) -> None:
    """Add a mail that is due at once, in the caller's transaction."""
    fresh = {"attempts": 0, "next_attempt_at": mail.created_at, "last_error": ""}
    insert_row(connection, outbox, asdict(mail) | fresh)


def count_to_user(connection: Connection, account_id: str, kind: str, since: int) -> int:
    """Count the mails of this kind to this user since that moment."""
    query = select(func.count()).select_from(outbox)
    query = query.where(outbox.c.created_at > since, outbox.c.account_id == account_id, outbox.c.kind == kind)
    return connection.execute(query).scalar_one()


def find_due(connection: Connection, now: int) -> Mail | None:
    """Return the mail that is due for longest. An altered mail is never sent: it would be a letter of an intruder."""
    query = select(*(outbox.c[field.name] for field in fields(Mail))).where(outbox.c.next_attempt_at <= now)
    query = query.order_by(outbox.c.next_attempt_at, outbox.c.id)
    found = all_intact(Mail, connection, query.limit(1), outbox)
    return next(iter(found or all_intact(Mail, connection, query.limit(_MOST_ALTERED), outbox)), None)


def claim(connection: Connection, mail: Mail, until: int) -> bool:
    """Claim the mail until then. Return False if another process has claimed it since it was read."""
    claimed = connection.execute(
        update(outbox)
        .where(outbox.c.id == mail.id, outbox.c.next_attempt_at == mail.next_attempt_at)
        .values(next_attempt_at=until, attempts=outbox.c.attempts + 1)
    )
    return claimed.rowcount == 1


def address(connection: Connection, message_id: str, recipient: str) -> None:
    """Set the recipient."""
    update_rows(connection, outbox, [outbox.c.id == message_id], {"recipient": recipient})


def mark_sent(connection: Connection, message_id: str, now: int) -> None:
    """Mark the mail as sent, whichever process holds the claim."""
    connection.execute(
        update(outbox).where(outbox.c.id == message_id).values(sent_at=now, next_attempt_at=None, last_error="")
    )


def mark_failed(connection: Connection, message_id: str, claimed_until: int, again_at: int | None, why: str) -> None:
    """Set the time of the next attempt, or give up (None), if the claim until `claimed_until` is still the newest."""
    connection.execute(
        update(outbox)
        .where(outbox.c.id == message_id, outbox.c.next_attempt_at == claimed_until)
        .values(next_attempt_at=again_at, last_error=why[:200])
    )


def delete_before(connection: Connection, settled: int, waiting: int | None) -> int:
    """Delete mails that were sent or given up, if older than `settled`, and waiting ones, if older than `waiting`.

    Return the number of mails.
    """
    is_old = (outbox.c.next_attempt_at.is_(None)) & (outbox.c.created_at < settled)
    if waiting is not None:
        is_old |= outbox.c.created_at < waiting
    return connection.execute(delete(outbox).where(is_old)).rowcount


def count_waiting(connection: Connection) -> Waiting:
    """Return the state of the queue."""
    waits = outbox.c.next_attempt_at.is_not(None)
    messages, since = connection.execute(select(func.count(), func.min(outbox.c.created_at)).where(waits)).one()
    given_up = connection.execute(select(func.count()).where(~waits, outbox.c.sent_at.is_(None))).scalar_one()
    errors = select(outbox.c.last_error).where(outbox.c.last_error != "").order_by(outbox.c.created_at.desc()).limit(1)
    return Waiting(messages, since, given_up, connection.execute(errors).scalar() or "")
