"""Hands the record's events to a collector outside, batch by batch, in the order of the chain.

Rules: the cursor moves only after the collector has confirmed a batch, so that nothing is lost while it is down; one
process at a time forwards; a crash or a lost confirmation sends a batch again, and each event carries the number of its
row, by which a collector tells that it has it.
"""

from typing import Any, Final

from sparekey.app.authorisation import verify_may
from sparekey.app.instance import Instance, new_id
from sparekey.app.ports import EventCollector
from sparekey.core.permissions import Actor, Permission
from sparekey.storage.audit_log import export as audit_export
from sparekey.storage.unit_of_work import Database

CURSOR: Final = "syslog"
CLAIM_SECONDS: Final = 120  # longer than all waits of one batch together


def forward_next(database: Database, collector: EventCollector, now: int) -> int:
    """Forwards one batch, if there is one and no other process is about it; how many events. Raises CollectorError."""
    with database.read() as connection:
        after = audit_export.find_cursor(connection, CURSOR)
        batch = audit_export.next_batch(connection, after or 0)
        events = audit_export.list_events(connection, batch) if batch is not None else ()
    if batch is None:
        return 0  # most seconds: nothing is written
    claim = new_id()
    with database.write() as connection:
        if after is None:
            audit_export.make_cursor(connection, CURSOR)
        if not audit_export.claim_cursor(connection, CURSOR, after or 0, claim, now, now + CLAIM_SECONDS):
            return 0
    confirmed = after or 0
    try:
        if events:
            collector.send(events)
        confirmed = batch
    finally:
        with database.write() as connection:
            audit_export.release_cursor(connection, CURSOR, claim, confirmed)
    return len(events)


# Any: the JSON of an event; the description and the remote commands read the type from here.
def next_events(instance: Instance, actor: Actor, *, after: int = 0) -> list[dict[str, Any]]:
    """The events of the next batch of the record, as the export has them; none: nothing more is chained yet.

    `after`: the `batch` of the last event that one has, 0 to begin. Raises NotAllowed unless the actor may see the
    whole record.
    """
    verify_may(actor, Permission.AUDIT_VIEW, None)
    with instance.database.read() as connection:
        while (batch := audit_export.next_batch(connection, after)) is not None:
            events = audit_export.list_events(connection, batch)
            if events:
                return [dict(event.members) for event in events]
            after = batch  # whoever deleted its rows does not hide what follows
    return []
