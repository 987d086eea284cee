"""Refusals of names that no user has: one row for each, until a minute is over and its audit event is written.

Rules: a refusal adds one row, as an event of the audit log would, and changes no other one. So it costs what the
refusal of a known name costs, and no two of them wait for each other (S07).
"""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, text

from sparekey.storage.rows import all_as
from sparekey.storage.tables import anonymous_refusal

# Plain text, for it is on the sign-in path.
_INSERT = text("INSERT INTO anonymous_refusal (at, source, reason) VALUES (:at, :source, :reason)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymousRefusal:
    """One refusal. `source`: the interface as the audit log names it, with the network of its client."""

    at: int  # unix seconds
    source: str
    reason: str


def insert_refusal(connection: Connection, refusal: AnonymousRefusal) -> None:
    """Add the refusal in the caller's transaction."""
    connection.execute(_INSERT, {"at": refusal.at, "source": refusal.source, "reason": refusal.reason})


def find_oldest(connection: Connection) -> int | None:
    """Return the unix second of the oldest refusal; None: there is none."""
    oldest: int | None = connection.execute(select(func.min(anonymous_refusal.c.at))).scalar_one()
    return oldest


def take_until(connection: Connection, until: int) -> list[AnonymousRefusal]:
    """Delete the refusals before `until` and return them. Of two processes, only one gets each."""
    columns = (anonymous_refusal.c.at, anonymous_refusal.c.source, anonymous_refusal.c.reason)
    gone = delete(anonymous_refusal).where(anonymous_refusal.c.at < until).returning(*columns)
    return all_as(AnonymousRefusal, connection.execute(gone))
