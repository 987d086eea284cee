"""Forward the events of the audit log to a collector outside, batch by batch, in the order of the chain.

Rules: the cursor moves only after the collector has confirmed a batch, so that no event is lost while it is down. One
process at a time forwards. After a crash or a lost confirmation a batch is sent again; the collector recognises
duplicates by the number in each event.
"""

from typing import Any, Final

from sparekey.app.authorisation import verify_may
from sparekey.app.instance import Instance, new_id
from sparekey.app.ports import EventCollector
from sparekey.core.permissions import Actor, Permission
from sparekey.storage.audit_log import export as audit_export
from sparekey.storage.unit_of_work import Database

CURSOR: Final = "syslog"
CLAIM_SECONDS: Final = 120  # longer than the sum of all timeouts of one batch


def forward_next(database: Database, collector: EventCollector, now: int) -> int:
    """Forward one batch, unless another process is doing so. Return the number of events. Raises CollectorError."""
    with database.read() as connection:
        after = audit_export.find_cursor(connection, CURSOR)
        batch = audit_export.next_batch(connection, after or 0)
        events = audit_export.list_events(connection, batch) if batch is not None else ()
    if batch is None:
        return 0  # the usual case, without a write
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
    """Return the events of the next batch in the format of the export; none if no more events are chained yet.

    `after`: the `batch` of the last event that the caller has; 0 to begin. Raises NotAllowed unless the actor may see
    the whole audit log.
    """
    verify_may(actor, Permission.AUDIT_VIEW, None)
    with instance.database.read() as connection:
        while (batch := audit_export.next_batch(connection, after)) is not None:
            events = audit_export.list_events(connection, batch)
            if events:
                return [dict(event.members) for event in events]
            after = batch  # an attacker who deletes the rows of one batch does not hide the next one
    return []
