"""The export of the audit log: whole batches in order, and a cursor at the last batch that arrived.

Rules: only chained rows are exported, because batches are committed one after the other and row ids are not; only the
process that holds the claim moves a cursor.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, func, select, text, update

from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.audit_log.export import ExportedEvent
from sparekey.storage.audit_log.events import ROW
from sparekey.storage.tables import account, audit, audit_batch, device, export_cursor, token

# Runs on both SQLite and PostgreSQL
_MAKE_CURSOR: Final = text(
    "INSERT INTO export_cursor (name, batch, claimed_by, claimed_until) VALUES (:name, 0, '', 0) "
    "ON CONFLICT (name) DO NOTHING"
)


def next_batch(connection: Connection, after: int) -> int | None:
    """Return the number of the batch after this one; None: there is none yet."""
    return connection.execute(select(func.min(audit_batch.c.number)).where(audit_batch.c.number > after)).scalar()


def list_events(connection: Connection, batch: int) -> Sequence[ExportedEvent]:
    """Return the rows of a batch in order of id, with the names of their subjects."""
    query = (
        select(*ROW, account.c.login, token.c.serial, device.c.name)
        .outerjoin(account, audit.c.account_id == account.c.id)
        .outerjoin(token, audit.c.token_id == token.c.id)
        .outerjoin(device, audit.c.device_id == device.c.id)
        .where(audit.c.batch == batch)
        .order_by(audit.c.id)
    )
    return [ExportedEvent(batch, AuditRow(*row[:-3]), *row[-3:]) for row in connection.execute(query)]


def make_cursor(connection: Connection, name: str) -> None:
    """Add a cursor at the beginning of the audit log, unless it is there already."""
    connection.execute(_MAKE_CURSOR, {"name": name})


def find_cursor(connection: Connection, name: str) -> int | None:
    """Return the last batch of which all rows arrived; None: there is no cursor of that name yet."""
    return connection.execute(select(export_cursor.c.batch).where(export_cursor.c.name == name)).scalar()


def claim_cursor(connection: Connection, name: str, seen: int, claim: str, now: int, until: int) -> bool:
    """Claim the cursor. Return False if it has moved from `seen`, or another claim has not expired yet."""
    claimed = connection.execute(
        update(export_cursor)
        .where(export_cursor.c.name == name, export_cursor.c.batch == seen, export_cursor.c.claimed_until <= now)
        .values(claimed_by=claim, claimed_until=until)
    )
    return claimed.rowcount == 1


def release_cursor(connection: Connection, name: str, claim: str, batch: int) -> None:
    """End the claim after all rows up to this batch have arrived. Change nothing if another claim has replaced it."""
    connection.execute(
        update(export_cursor)
        .where(export_cursor.c.name == name, export_cursor.c.claimed_by == claim)
        .values(batch=batch, claimed_by="", claimed_until=0)
    )
