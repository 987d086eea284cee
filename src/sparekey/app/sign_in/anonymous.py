"""Refused sign-ins of names that no user has: counted at once, and logged once a minute for each source (ADR 38).

Rules:
- A refusal is committed before its answer leaves, like every other one. Only its audit event waits for the end of the
  minute, so that attackers without an account cannot fill the chained log.
- The source is the network of the client's address at the consoles and over REST, a device, or an API client.
- A minute has at most a hundred events. Further sources, those with the fewest refusals, share one.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit import SYSTEM, AuditEntry, append
from sparekey.app.instance import MICROSECONDS
from sparekey.core.audit_log.actions import Action
from sparekey.core.networks import SourcePrefixes
from sparekey.core.reasons import Reason
from sparekey.storage.audit_log import refusals
from sparekey.storage.audit_log.refusals import AnonymousRefusal
from sparekey.storage.unit_of_work import Database

MINUTE: Final = 60
MOST_SOURCES: Final = 100  # with an event of their own, in one minute
_MOST_MINUTES: Final = 60  # in one call
_DEVICE: Final = "device"
_WITH_ADDRESS: Final = ("rest", "self")  # interfaces that are named by the address of the client


def count_refusal(connection: Connection, actor: str, prefixes: SourcePrefixes, reason: Reason, now: int) -> None:
    """Count a refusal at this interface, in the transaction that its answer waits for."""
    refusals.insert_refusal(connection, AnonymousRefusal(at=now, source=_source(actor, prefixes), reason=reason))


def log_refusals(database: Database, until: int) -> None:
    """Log the refusals of the minutes that are over at `until` (unix seconds), each minute in one transaction."""
    for _ in range(_MOST_MINUTES):
        with database.glance() as connection:
            oldest = refusals.find_oldest(connection)
        if oldest is None or oldest >= until:
            return
        end = min(oldest - oldest % MINUTE + MINUTE, until)
        with database.write() as connection:
            for entry in _entries(refusals.take_until(connection, end)):
                append(connection, entry)


def whole_minutes(now: int) -> int:
    """Return the beginning of the present minute: the refusals before it can be logged."""
    return now - now % MINUTE


def _entries(taken: Sequence[AnonymousRefusal]) -> list[AuditEntry]:
    """Return the events for the refusals of one minute, those with most refusals first."""
    by_source: dict[str, list[AnonymousRefusal]] = defaultdict(list)
    for refusal in taken:
        by_source[refusal.source].append(refusal)
    ranked = sorted(by_source.items(), key=lambda found: (-len(found[1]), found[0]))
    entries = [_entry(source, of_source) for source, of_source in ranked[:MOST_SOURCES]]
    rest = [refusal for _, of_source in ranked[MOST_SOURCES:] for refusal in of_source]
    return [*entries, _entry(SYSTEM, rest, sources=len(ranked) - MOST_SOURCES)] if rest else entries


def _entry(actor: str, of_source: Sequence[AnonymousRefusal], **more: int) -> AuditEntry:
    """Return one event: its time is that of the last refusal, its result the most frequent reason."""
    reasons = Counter(refusal.reason for refusal in of_source)
    kind, _, device_id = actor.partition(":")
    return AuditEntry(
        max(refusal.at for refusal in of_source) * MICROSECONDS,
        actor,
        Action.SIGN_IN_DENIED,
        min(reasons, key=lambda reason: (-reasons[reason], reason)),
        device_id=device_id if kind == _DEVICE else None,
        detail={
            "count": len(of_source),
            "since": min(refusal.at for refusal in of_source),
            "reasons": dict(reasons),
            **more,
        },
    )


def _source(actor: str, prefixes: SourcePrefixes) -> str:
    """Return the interface with the source of its client in place of the address."""
    kind, _, address = actor.partition(":")
    source = prefixes.source_of(address) if kind in _WITH_ADDRESS else None
    return actor if source is None else f"{kind}:{source}"
