"""Chain the events of the audit log in batches and sign the head of the chain, about once a second.

Rules:
- A sign-in never waits for it: hashing and signing happen outside the write, which is one insert and one small update.
- Any number of processes may run it, because one conditional write takes the number of a batch.
- Without new events nothing is signed. So the newest checkpoint is as old as the newest event.
- An event that no server of ours has logged is never signed: it is kept as evidence, and raises an alarm (S47).
- Each time, the checkpoint kept outside the database is looked up in the database. If it is missing, that is an alarm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sparekey.app.audit import SYSTEM
from sparekey.app.notices import raise_alarm
from sparekey.app.ports import CheckpointStore, KeyPurpose, Keystore
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.chain import Batch, next_batch
from sparekey.core.audit_log.checkpoint import Checkpoint, CheckpointError
from sparekey.storage.audit_log import chain as audit_chain
from sparekey.storage.unit_of_work import Database

BATCH_ROWS: Final = 500  # one write holds SQLite for a few milliseconds
_MOST_BATCHES: Final = 40  # in one call: 20,000 rows


def chain(database: Database, keystore: Keystore, store: CheckpointStore, now: int) -> Checkpoint | None:
    """Chain new events and return the head, even if another process signed it; None: there is no event yet.

    `now` in unix seconds. Keeps the head in `store`.
    """
    # Read the store before the database: another process with the same store keeps only committed checkpoints.
    kept = _find_kept(store)
    if kept.is_damaged or (kept.checkpoint and not _contains(database, kept.checkpoint)):
        _raise_alarm(database, kept, now)
        store.set_aside()
        kept = _Kept(None)
    for _ in range(_MOST_BATCHES):
        if _chain_one(database, keystore, now) < BATCH_ROWS:
            break
    head = find_newest(database)
    if head and (kept.checkpoint is None or head.number > kept.checkpoint.number):
        store.keep(head)
    return head


def find_newest(database: Database) -> Checkpoint | None:
    """Return the newest checkpoint in the database; None: there is none yet."""
    with database.read() as connection:
        head = audit_chain.find_head(connection)
    return head.checkpoint if head else None


def _chain_one(database: Database, keystore: Keystore, now: int) -> int:
    """Chain one batch. Return the number of its events; 0 if there is none or another process was first."""
    with database.read() as connection:
        head = audit_chain.find_head(connection)
        found = audit_chain.list_unchained(connection, BATCH_ROWS)
    if found.forged:
        _refuse(database, found.forged, now)
    rows = found.rows
    if not rows:
        return len(found.forged)
    batch = _signed(next_batch(head, rows, now), keystore)
    with database.write() as connection:
        is_first = audit_chain.insert_batch(connection, batch, [row.id for row in rows])
    return len(rows) + len(found.forged) if is_first else 0


def _refuse(database: Database, row_ids: Sequence[int], now: int) -> None:
    """Keep rows that no server of ours has logged out of the chain, and raise an alarm."""
    with database.write() as connection:
        number = audit_chain.refuse(connection, row_ids)
        if number:
            first = str(row_ids[0])
            raise_alarm(connection, now, SYSTEM, Action.ALARM_ROW_ALTERED, table="audit", row=first, rows=number)


def _signed(batch: Batch, keystore: Keystore) -> Batch:
    signature = keystore.sign(KeyPurpose.CHECKPOINT, batch.signed_message)
    return Batch(**vars(batch) | {"signature": signature})


@dataclass(frozen=True)
class _Kept:
    checkpoint: Checkpoint | None
    is_damaged: bool = False


def _find_kept(store: CheckpointStore) -> _Kept:
    try:
        return _Kept(store.newest())
    except CheckpointError:
        return _Kept(None, is_damaged=True)


def _contains(database: Database, checkpoint: Checkpoint) -> bool:
    with database.read() as connection:
        return audit_chain.contains(connection, checkpoint)


def _raise_alarm(database: Database, kept: _Kept, now: int) -> None:
    lost = kept.checkpoint
    reason = "checkpoint file damaged" if kept.is_damaged else "batch missing"
    with database.write() as connection:
        raise_alarm(
            connection,
            now,
            SYSTEM,
            Action.ALARM_AUDIT_ROLLED_BACK,
            result=reason,
            witness="instance",
            batch=lost.number if lost else None,
            rows=lost.total if lost else None,
        )
