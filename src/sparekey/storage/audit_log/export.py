"""The record as it is handed outside: whole batches in their order, and a cursor that says how far.

Rules: only chained rows, for batches are committed one after the other and row ids are not; one process at a time moves
a cursor, and only the one that holds the claim.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, func, select, text, update

from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.audit_log.export import ExportedEvent
from sparekey.storage.audit_log.events import ROW
from sparekey.storage.tables import account, audit, audit_batch, device, export_cursor, token

# The same words on SQLite and PostgreSQL
_MAKE_CURSOR: Final = text(
    "INSERT INTO export_cursor (name, batch, claimed_by, claimed_until) VALUES (:name, 0, '', 0) "
    "ON CONFLICT (name) DO NOTHING"
)


def next_batch(connection: Connection, after: int) -> int | None:
    """The number of the batch that follows; None: there is none yet."""
    return connection.execute(select(func.min(audit_batch.c.number)).where(audit_batch.c.number > after)).scalar()


def list_events(connection: Connection, batch: int) -> Sequence[ExportedEvent]:
    """The rows of a batch in order of id, with the names of whom they are about."""
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
    """At the beginning of the record; nothing where it is there already."""
    connection.execute(_MAKE_CURSOR, {"name": name})


def find_cursor(connection: Connection, name: str) -> int | None:
    """The last batch of which all rows arrived; None: there is no cursor of that name yet."""
    return connection.execute(select(export_cursor.c.batch).where(export_cursor.c.name == name)).scalar()


def claim_cursor(connection: Connection, name: str, seen: int, claim: str, now: int, until: int) -> bool:
    """Takes it; False: it moved since it was seen there, or another claim has not lapsed yet."""
    claimed = connection.execute(
        update(export_cursor)
        .where(export_cursor.c.name == name, export_cursor.c.batch == seen, export_cursor.c.claimed_until <= now)
        .values(claimed_by=claim, claimed_until=until)
    )
    return claimed.rowcount == 1


def release_cursor(connection: Connection, name: str, claim: str, batch: int) -> None:
    """Ends the claim, with all rows up to this batch arrived; nothing where another claim has taken its place."""
    connection.execute(
        update(export_cursor)
        .where(export_cursor.c.name == name, export_cursor.c.claimed_by == claim)
        .values(batch=batch, claimed_by="", claimed_until=0)
    )
