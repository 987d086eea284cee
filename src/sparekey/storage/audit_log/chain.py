"""Batches of the audit log: found, added by one conditional write, and read back in order."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select, text, update

from sparekey.core.audit_log.chain import AuditRow, Batch
from sparekey.core.audit_log.checkpoint import Checkpoint
from sparekey.storage.audit_log.events import REFUSED, ROW, is_ours
from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import audit, audit_batch

_BATCH: Final = (
    audit_batch.c.number,
    audit_batch.c.previous,
    audit_batch.c.rows_hash,
    audit_batch.c.row_list,
    audit_batch.c.rows,
    audit_batch.c.total,
    audit_batch.c.signed_at,
    audit_batch.c.hash,
    audit_batch.c.signature,
)
_CHUNK: Final = 20  # batches read at once by a verifier
# Runs on both SQLite and PostgreSQL
_INSERT: Final = text(
    "INSERT INTO audit_batch (number, previous, rows_hash, row_list, rows, total, signed_at, hash, signature) "
    "VALUES (:number, :previous, :rows_hash, :row_list, :rows, :total, :signed_at, :hash, :signature) "
    "ON CONFLICT (number) DO NOTHING"
)


class RowsVanished(RuntimeError):
    """Rows vanished before they could be chained."""


def find_head(connection: Connection) -> Batch | None:
    """Return the newest batch; None: nothing is chained yet."""
    row = connection.execute(select(*_BATCH).order_by(audit_batch.c.number.desc()).limit(1)).first()
    return _batch(row) if row else None


@dataclass(frozen=True)
class Unchained:
    """Rows that no batch covers yet: those that this server has logged, and the ids of those that it has not."""

    rows: Sequence[AuditRow]
    forged: Sequence[int]


def list_unchained(connection: Connection, limit: int | None) -> Unchained:
    """Return the oldest rows that no batch covers yet; `limit` None: all of them.

    The copy of an event is as forged as a row without a seal.
    """
    query = select(*ROW, audit.c.seal).where(audit.c.batch.is_(None)).order_by(audit.c.batch, audit.c.id).limit(limit)
    found = [(AuditRow(*values), seal) for *values, seal in connection.execute(query)]
    seen = _seals_at(connection, {row.at for row, _ in found})
    rows, forged = [], []
    for row, seal in found:
        if seal in seen or not is_ours(connection, row, seal):
            forged.append(row.id)
        else:
            rows.append(row)
            seen.add(seal)
    return Unchained(rows, forged)


def _seals_at(connection: Connection, times: Collection[int]) -> set[object]:
    """Return the seals of the chained events of these moments: a copy has the moment of its original."""
    if not times:
        return set()
    query = select(audit.c.seal).where(audit.c.at.in_(times), audit.c.batch.is_not(None), audit.c.batch != REFUSED)
    return {seal for seal in connection.execute(query).scalars() if seal is not None}


def refuse(connection: Connection, row_ids: Sequence[int]) -> int:
    """Keep these rows out of the chain, as evidence. Return the number of those that were waiting."""
    waiting = update(audit).where(audit.c.id.in_(row_ids), audit.c.batch.is_(None))
    return connection.execute(waiting.values(batch=REFUSED)).rowcount


def count_unchained(connection: Connection, most: int) -> int:
    """Count the rows that no batch covers yet, up to `most`."""
    waiting = select(audit.c.id).where(audit.c.batch.is_(None)).limit(most).subquery()
    return connection.execute(select(func.count()).select_from(waiting)).scalar_one()


def insert_batch(connection: Connection, batch: Batch, row_ids: Sequence[int]) -> bool:
    """Add a signed batch and mark its rows. Return False if another process made a batch of that number first.

    Raises RowsVanished if a row is gone or chained already: the caller must then roll the transaction back.
    """
    if connection.execute(_INSERT, vars(batch)).rowcount != 1:
        return False
    rows = update(audit).where(audit.c.id.in_(row_ids), audit.c.batch.is_(None)).values(batch=batch.number)
    if connection.execute(rows).rowcount != len(row_ids):
        raise RowsVanished(f"rows vanished while batch {batch.number} was signed; someone else writes to this database")
    return True


def contains(connection: Connection, checkpoint: Checkpoint) -> bool:
    """Return True if the audit log still has the batch of this checkpoint. The signature is not verified here."""
    return contains_batch(connection, checkpoint.number, checkpoint.hash)


def contains_batch(connection: Connection, number: int, batch_hash: bytes) -> bool:
    """Return True if the audit log has the batch with this number and hash."""
    query = select(audit_batch.c.hash).where(audit_batch.c.number == number)
    return connection.execute(query).scalar() == batch_hash


def each_batch(connection: Connection, after: int | None = None) -> Iterator[tuple[Batch, Sequence[AuditRow]]]:
    """Yield every batch in order with the rows that carry its number, a few batches in memory at a time.

    `after`: the number of a batch, to begin with the one that follows it.
    """
    while batches := _list_batches(connection, after):
        rows: dict[int, list[AuditRow]] = {batch.number: [] for batch in batches}
        query = (
            select(audit.c.batch, *ROW)
            .where(audit.c.batch.between(batches[0].number, batches[-1].number))
            .order_by(audit.c.batch, audit.c.id)
        )
        for number, *values in connection.execute(query):
            if number in rows:
                rows[number].append(AuditRow(*values))
        for batch in batches:
            yield batch, rows[batch.number]
        after = batches[-1].number


def each_stray(connection: Connection) -> Iterator[tuple[int, Sequence[AuditRow]]]:
    """Yield the rows that carry the number of a batch that does not exist, by that number."""
    known = select(audit_batch.c.number).where(audit_batch.c.number == audit.c.batch).exists()
    numbers = select(audit.c.batch).where(audit.c.batch.is_not(None), ~known).distinct()
    for number in connection.execute(numbers.order_by(audit.c.batch)).scalars().all():
        query = select(*ROW).where(audit.c.batch == number).order_by(audit.c.id)
        yield number, [AuditRow(*row) for row in connection.execute(query)]


def _list_batches(connection: Connection, after: int | None) -> Sequence[Batch]:
    query = select(*_BATCH).order_by(audit_batch.c.number).limit(_CHUNK)
    if after is not None:
        query = query.where(audit_batch.c.number > after)
    return [_batch(row) for row in connection.execute(query)]


def _batch(row: AnyRow) -> Batch:
    # An intruder can store any type in any column of SQLite. A wrong type becomes a value that matches no hash.
    return Batch(
        _whole(row.number),
        _octets(row.previous),
        _octets(row.rows_hash),
        _octets(row.row_list),
        _whole(row.rows),
        _whole(row.total),
        _whole(row.signed_at),
        _octets(row.hash),
        _octets(row.signature),
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) else -1


def _octets(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
