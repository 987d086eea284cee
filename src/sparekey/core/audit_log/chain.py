"""The chain over the audit record: each batch covers its rows and the batch before it.

Rules: everything that is hashed stands with its length, so that no two records read alike; a batch says how many rows
came before; beside the hash it lists each row's id with the start of its hash, so that a verifier can name the row.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sparekey.core.audit_log import checkpoint
from sparekey.core.audit_log.checkpoint import Checkpoint

START: Final = bytes(32)  # what the first batch has for its previous hash

_MARK_BYTES: Final = 8
_ENTRY_BYTES: Final = 8 + _MARK_BYTES


@dataclass(frozen=True)
class AuditRow:
    """One row of the record, as stored."""

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
        """All but the id: per value 0, or 1 || u32 length || its text in UTF-8.

        Numbers as decimal text: SQLite lets an intruder store any type in any column, and even that must hash.
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
    """One batch of rows, in the order of their ids, and its place in the chain."""

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
        """The signed head that this batch is."""
        return Checkpoint(self.number, self.total, self.signed_at, self.hash, self.signature)

    @property
    def signed_message(self) -> bytes:
        """What the checkpoint key signs."""
        return checkpoint.signed_message(self.number, self.total, self.signed_at, self.hash)

    @property
    def marks(self) -> dict[int, bytes]:
        """From `row_list`: the mark of each row by its id."""
        entries = (self.row_list[at : at + _ENTRY_BYTES] for at in range(0, len(self.row_list), _ENTRY_BYTES))
        return {int.from_bytes(entry[:8], "big", signed=True): entry[8:] for entry in entries}

    def computed_hash(self) -> bytes:
        """What `hash` must be for the other values."""
        return hash_of_batch(
            self.number, self.previous, self.rows_hash, self.row_list, self.rows, self.total, self.signed_at
        )


def next_batch(head: Batch | None, rows: Sequence[AuditRow], signed_at: int) -> Batch:
    """The batch that follows `head` and covers `rows`, not signed yet."""
    number, previous, total = (head.number + 1, head.hash, head.total) if head else (1, START, 0)
    rows_hash, row_list, total = hash_of_rows(rows), list_of_rows(rows), total + len(rows)
    digest = hash_of_batch(number, previous, rows_hash, row_list, len(rows), total, signed_at)
    return Batch(number, previous, rows_hash, row_list, len(rows), total, signed_at, digest)


def hash_of_batch(
    number: int, previous: bytes, rows_hash: bytes, row_list: bytes, rows: int, total: int, signed_at: int
) -> bytes:
    """SHA-256 over label, i64 number, previous, rows_hash, SHA-256 of row_list, i64 rows, total and signed_at.

    The hashes are counted like texts, for in a database that was tampered with they may have any length.
    """
    state = hashlib.sha256(b"sparekey/1/audit-batch")
    for value in (previous, rows_hash, hashlib.sha256(row_list).digest()):
        state.update(len(value).to_bytes(4, "big") + value)
    for figure in (number, rows, total, signed_at):
        state.update(figure.to_bytes(8, "big", signed=True))
    return state.digest()


def hash_of_rows(rows: Sequence[AuditRow]) -> bytes:
    """SHA-256 over label and per row: i64 id || u32 length || content."""
    state = hashlib.sha256(b"sparekey/1/audit-rows")
    for row in rows:
        content = row.content
        state.update(row.id.to_bytes(8, "big", signed=True) + len(content).to_bytes(4, "big") + content)
    return state.digest()


def list_of_rows(rows: Sequence[AuditRow]) -> bytes:
    """The list of ids and marks that a batch carries."""
    return b"".join(row.id.to_bytes(8, "big", signed=True) + mark_of(row) for row in rows)


def mark_of(row: AuditRow) -> bytes:
    """8 bytes that tell one content from another by chance; against a forger `rows_hash` stands."""
    return hashlib.sha256(b"sparekey/1/audit-row" + row.content).digest()[:_MARK_BYTES]


def _counted(value: str | int | None) -> bytes:
    if value is None:
        return b"\x00"
    text = str(value).encode("utf-8", "surrogatepass")
    return b"\x01" + len(text).to_bytes(4, "big") + text
