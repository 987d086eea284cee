"""Mail that waits: put in with its effect, claimed by one process at a time, marked.

Rules: who sends a message has claimed it by one conditional write that moves its next attempt away from the moment that
was seen (architecture, rule 5); what a lapsed claim failed to do does not overwrite the next claim.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import outbox


@dataclass(frozen=True)
class Waiting:
    """What was not sent so far."""

    messages: int
    since: int | None  # when the oldest was written
    given_up: int
    last_error: str


def insert_message(connection: Connection, values: Mapping[str, Any]) -> None:
    """One more, due at once, in the caller's transaction."""
    fresh = {"attempts": 0, "next_attempt_at": values["created_at"], "last_error": ""}
    connection.execute(insert(outbox).values(fresh | dict(values)))


def count_to_user(connection: Connection, account_id: str, kind: str, since: int) -> int:
    """How many of this kind were written for this user after that."""
    query = select(func.count()).select_from(outbox)
    query = query.where(outbox.c.created_at > since, outbox.c.account_id == account_id, outbox.c.kind == kind)
    return connection.execute(query).scalar_one()


def find_due(connection: Connection, now: int) -> AnyRow | None:
    """The one that is due for longest."""
    query = select(outbox).where(outbox.c.next_attempt_at <= now)
    return connection.execute(query.order_by(outbox.c.next_attempt_at, outbox.c.id).limit(1)).one_or_none()


def claim(connection: Connection, message_id: str, seen: int, until: int) -> bool:
    """Takes it until then; False: another process did, since its next attempt was seen to be at `seen`."""
    claimed = connection.execute(
        update(outbox)
        .where(outbox.c.id == message_id, outbox.c.next_attempt_at == seen)
        .values(next_attempt_at=until, attempts=outbox.c.attempts + 1)
    )
    return claimed.rowcount == 1


def address(connection: Connection, message_id: str, recipient: str) -> None:
    """Says to whom it goes."""
    connection.execute(update(outbox).where(outbox.c.id == message_id).values(recipient=recipient))


def mark_sent(connection: Connection, message_id: str, now: int) -> None:
    """Whoever had claimed it: it is on its way."""
    connection.execute(
        update(outbox).where(outbox.c.id == message_id).values(sent_at=now, next_attempt_at=None, last_error="")
    )


def mark_failed(connection: Connection, message_id: str, claimed_until: int, again_at: int | None, why: str) -> None:
    """The next attempt, or none; of the claim that was made until then."""
    connection.execute(
        update(outbox)
        .where(outbox.c.id == message_id, outbox.c.next_attempt_at == claimed_until)
        .values(next_attempt_at=again_at, last_error=why[:200])
    )


def delete_before(connection: Connection, settled: int, waiting: int | None) -> int:
    """Forgets what is older: settled (sent or given up) and, where a moment is given, what still waits."""
    is_old = (outbox.c.next_attempt_at.is_(None)) & (outbox.c.created_at < settled)
    if waiting is not None:
        is_old |= outbox.c.created_at < waiting
    return connection.execute(delete(outbox).where(is_old)).rowcount


def count_waiting(connection: Connection) -> Waiting:
    """How the mail is doing."""
    waits = outbox.c.next_attempt_at.is_not(None)
    messages, since = connection.execute(select(func.count(), func.min(outbox.c.created_at)).where(waits)).one()
    given_up = connection.execute(select(func.count()).where(~waits, outbox.c.sent_at.is_(None))).scalar_one()
    errors = select(outbox.c.last_error).where(outbox.c.last_error != "").order_by(outbox.c.created_at.desc()).limit(1)
    return Waiting(messages, since, given_up, connection.execute(errors).scalar() or "")
