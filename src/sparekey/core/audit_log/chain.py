"""The chain over the audit log: each batch covers its rows and the batch before it.

Rules: each hashed value has its length before it, so that two different rows never give the same bytes. A batch counts
the rows up to its end. Besides the hash, it lists each row's id with the start of its hash, so that a verifier can name
the row.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sparekey.core.audit_log import checkpoint
from sparekey.core.audit_log.checkpoint import Checkpoint

START: Final = bytes(32)  # the previous hash of the first batch

_MARK_BYTES: Final = 8
_ENTRY_BYTES: Final = 8 + _MARK_BYTES


@dataclass(frozen=True)
class AuditRow:
    """One row of the audit log, as stored."""

    id: int
    at: int
    actor: str
    action: str
    account_id: str | None
    token_id: str | None
    device_id: str | None
    result: str
    detail: str

    @property
    def content(self) -> bytes:
        """Return everything but the id, as bytes: for each value 0, or 1 || u32 length || text in UTF-8.

        Numbers are decimal text, because an intruder can store any type in any column of SQLite: even that must hash.
        """
        values = (
            self.at,
            self.actor,
            self.action,
            self.account_id,
            self.token_id,
            self.device_id,
            self.result,
            self.detail,
        )
        return b"".join(_counted(value) for value in values)


@dataclass(frozen=True)
class Batch:
    """One batch of rows, in the order of their ids, and its position in the chain."""

    number: int  # from 1, without gaps
    previous: bytes  # hash of the batch before
    rows_hash: bytes
    row_list: bytes  # per row: id, 8 B, and the first 8 B of the hash of its content
    rows: int
    total: int  # rows in this batch and all before
    signed_at: int  # unix seconds
    hash: bytes
    signature: bytes = b""

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint of this batch."""
        return Checkpoint(self.number, self.total, self.signed_at, self.hash, self.signature)

    @property
    def signed_message(self) -> bytes:
        """The bytes that the checkpoint key signs."""
        return checkpoint.signed_message(self.number, self.total, self.signed_at, self.hash)

    @property
    def marks(self) -> dict[int, bytes]:
        """The mark of each row by its id, read from `row_list`."""
        entries = (self.row_list[at : at + _ENTRY_BYTES] for at in range(0, len(self.row_list), _ENTRY_BYTES))
        return {int.from_bytes(entry[:8], "big", signed=True): entry[8:] for entry in entries}

    def computed_hash(self) -> bytes:
        """Return the hash that belongs to the other values."""
        return hash_of_batch(
            self.number, self.previous, self.rows_hash, self.row_list, self.rows, self.total, self.signed_at
        )


def next_batch(head: Batch | None, rows: Sequence[AuditRow], signed_at: int) -> Batch:
    """Return the unsigned batch that follows `head` and covers `rows`."""
    number, previous, total = (head.number + 1, head.hash, head.total) if head else (1, START, 0)
    rows_hash, row_list, total = hash_of_rows(rows), list_of_rows(rows), total + len(rows)
    digest = hash_of_batch(number, previous, rows_hash, row_list, len(rows), total, signed_at)
    return Batch(number, previous, rows_hash, row_list, len(rows), total, signed_at, digest)


def hash_of_batch(
    number: int, previous: bytes, rows_hash: bytes, row_list: bytes, rows: int, total: int, signed_at: int
) -> bytes:
    """Return SHA-256 over label, i64 number, previous, rows_hash, SHA-256 of row_list, i64 rows, total and signed_at.

    The hashes have their lengths before them, like texts: in a database that was tampered with, any length is possible.
    """
    state = hashlib.sha256(b"sparekey/1/audit-batch")
    for value in (previous, rows_hash, hashlib.sha256(row_list).digest()):
        state.update(len(value).to_bytes(4, "big") + value)
    for figure in (number, rows, total, signed_at):
        state.update(figure.to_bytes(8, "big", signed=True))
    return state.digest()


def hash_of_rows(rows: Sequence[AuditRow]) -> bytes:
    """Return SHA-256 over the label and, for each row, i64 id || u32 length || content."""
    state = hashlib.sha256(b"sparekey/1/audit-rows")
    for row in rows:
        content = row.content
        state.update(row.id.to_bytes(8, "big", signed=True) + len(content).to_bytes(4, "big") + content)
    return state.digest()


def list_of_rows(rows: Sequence[AuditRow]) -> bytes:
    """Return the list of ids and marks for a batch."""
    return b"".join(row.id.to_bytes(8, "big", signed=True) + mark_of(row) for row in rows)


def mark_of(row: AuditRow) -> bytes:
    """Return 8 bytes that distinguish contents, but do not stop a forger; `rows_hash` does."""
    return hashlib.sha256(b"sparekey/1/audit-row" + row.content).digest()[:_MARK_BYTES]


def _counted(value: str | int | None) -> bytes:
    if value is None:
        return b"\x00"
    text = str(value).encode("utf-8", "surrogatepass")
    return b"\x01" + len(text).to_bytes(4, "big") + text
