"""Verifies the audit log: takes batches, rows and witnesses, and reports what was tampered with.

Rules: a finding names the fault and its place. One fault does not hide the next. Faults that only a witness can reveal
(a cut tail, a rolled-back database) name that witness.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sparekey.core.audit_log import chain as audit_chain
from sparekey.core.audit_log.chain import AuditRow, Batch
from sparekey.core.audit_log.checkpoint import Checkpoint, CheckpointError
from sparekey.core.plurals import counted


class LogFault(StrEnum):
    """A fault of the audit log."""

    CHANGED = "row changed"
    MISSING = "row missing"
    INSERTED = "row inserted"
    REORDERED = "row reordered"
    HEAD_CUT = "head cut off"
    BATCHES_MISSING = "batches missing"
    TAIL_CUT = "tail cut off"
    ROLLED_BACK = "rolled back"
    CHAIN_BROKEN = "chain broken"
    BAD_SIGNATURE = "bad signature"
    BAD_WITNESS = "bad witness"


@dataclass(frozen=True)
class LogFinding:
    """One fault with its text; a fault of rows has the ids `first` to `last`."""

    fault: LogFault
    words: str
    batch: int | None = None
    first: int | None = None
    last: int | None = None


class Verifier:
    """Reads the audit log from its beginning, batch by batch, in order; `finish` returns the findings."""

    def __init__(self, public_key: bytes, witnesses: Sequence[Checkpoint] = ()) -> None:
        """Start a verification. `public_key`: of the checkpoint key, raw Ed25519, 32 bytes."""
        self._public_key: Final = public_key
        self._witnesses: Final = witnesses
        self._newest: Batch | None = None
        self._findings: list[LogFinding] = []
        self._missing: dict[int, int] = {}  # row id -> its batch
        self._inserted: dict[int, int] = {}
        self._seen: dict[int, bytes] = {}  # hashes of the batches that witnesses name
        self._wanted: Final = {witness.number for witness in witnesses}

    def take(self, batch: Batch, rows: Sequence[AuditRow]) -> None:
        """Read the next existing batch, with all rows that carry its number, in the order of their ids."""
        self._check_place(batch)
        self._check_seal(batch)
        if len(rows) != batch.rows or audit_chain.hash_of_rows(rows) != batch.rows_hash:
            self._check_rows(batch, rows)
        if batch.number in self._wanted:
            self._seen[batch.number] = batch.hash
        self._newest = batch

    def take_stray(self, number: int, rows: Sequence[AuditRow]) -> None:
        """Read the rows that carry the number of a batch that does not exist. Call it after the last `take`."""
        newest = self._newest.number if self._newest else 0
        span = _span(row.id for row in rows)
        if number > newest:
            words = f"{span} belong to batch {number}, but the record ends at batch {newest}"
            self._add(LogFault.TAIL_CUT, words, number, rows[0].id, rows[-1].id)
        elif number < 1:
            self._add(LogFault.INSERTED, f"{span} carry {number}, no batch number", None, rows[0].id, rows[-1].id)
        # otherwise the batch is missing from the middle, and `take` has reported it already

    def finish(self) -> list[LogFinding]:
        """Return all findings. An empty list means that the log is complete as far as the witnesses can tell."""
        for row_id in self._missing.keys() & self._inserted.keys():
            source, target = self._missing.pop(row_id), self._inserted.pop(row_id)
            words = f"row {row_id} was moved from batch {source} to batch {target}"
            self._add(LogFault.REORDERED, words, target, row_id, row_id)
        self._add_runs(LogFault.MISSING, self._missing, "{span} of batch {batch} missing: deleted")
        self._add_runs(LogFault.INSERTED, self._inserted, "{span} inserted into batch {batch}")
        for witness in self._witnesses:
            self._check_witness(witness)
        return self._findings

    def _check_place(self, batch: Batch) -> None:
        before = self._newest
        expected = before.number + 1 if before else 1
        previous, total = (before.hash, before.total) if before else (audit_chain.START, 0)
        if batch.number > expected:
            rows = counted(batch.total - batch.rows - total, "row")
            lost = f"batches {expected} to {batch.number - 1} missing, {rows}"
            if before:
                self._add(LogFault.BATCHES_MISSING, f"{lost}: cut out of the middle", batch.number)
            else:
                self._add(LogFault.HEAD_CUT, f"{lost}: the beginning was cut off", batch.number)
        elif batch.number < 1:
            self._add(LogFault.INSERTED, f"batch {batch.number} was inserted: numbers begin at 1", batch.number)
        elif batch.previous != previous or batch.total != total + batch.rows:
            words = f"batch {batch.number} does not follow batch {batch.number - 1}"
            self._add(LogFault.CHAIN_BROKEN, words, batch.number)

    def _check_seal(self, batch: Batch) -> None:
        if batch.hash != batch.computed_hash():
            words = f"the entry of batch {batch.number} was changed: its values do not give its hash"
            self._add(LogFault.BAD_SIGNATURE, words, batch.number)
            return
        try:
            batch.checkpoint.verify(self._public_key)
        except CheckpointError:
            words = f"batch {batch.number} is not signed by this server's checkpoint key"
            self._add(LogFault.BAD_SIGNATURE, words, batch.number)

    def _check_rows(self, batch: Batch, rows: Sequence[AuditRow]) -> None:
        expected, found = batch.marks, {row.id: audit_chain.mark_of(row) for row in rows}
        missing, inserted = expected.keys() - found.keys(), found.keys() - expected.keys()
        changed = {row_id for row_id in expected.keys() & found.keys() if expected[row_id] != found[row_id]}
        # Content of this batch under another id was moved, not invented.
        places = {expected[row_id]: row_id for row_id in changed | missing}
        moved = {row_id: places[found[row_id]] for row_id in changed | inserted if found[row_id] in places}
        for row_id, source in sorted(moved.items()):
            words = f"row {row_id} of batch {batch.number} holds what was recorded as row {source}"
            self._add(LogFault.REORDERED, words, batch.number, row_id, row_id)
        explained = moved.keys() | set(moved.values())
        for row_id in sorted(changed - explained):
            words = f"row {row_id} of batch {batch.number} was changed"
            self._add(LogFault.CHANGED, words, batch.number, row_id, row_id)
        self._missing.update(dict.fromkeys(missing - explained, batch.number))
        self._inserted.update(dict.fromkeys(inserted - explained, batch.number))
        if not (missing or inserted or changed):
            words = f"rows of batch {batch.number} were changed; its list does not tell which"
            self._add(LogFault.CHANGED, words, batch.number)

    def _check_witness(self, witness: Checkpoint) -> None:
        name = f"the checkpoint of batch {witness.number}"
        try:
            witness.verify(self._public_key)
        except CheckpointError:
            self._add(LogFault.BAD_WITNESS, f"{name} is not signed by this server and proves nothing", witness.number)
            return
        newest = self._newest.number if self._newest else 0
        if witness.number > newest:
            words = (
                f"the record ends at batch {newest}, but {name} vouches for {counted(witness.total, 'row')}: "
                "the end was cut off, or the database rolled back"
            )
            self._add(LogFault.TAIL_CUT, words, witness.number)
        elif self._seen.get(witness.number, witness.hash) != witness.hash:
            words = f"batch {witness.number} is another than {name} vouches for: rolled back, then continued"
            self._add(LogFault.ROLLED_BACK, words, witness.number)

    def _add_runs(self, fault: LogFault, rows: Mapping[int, int], words: str) -> None:
        """Add one finding for each run of successive rows of one batch."""
        run: list[int] = []
        for row_id in sorted(rows):
            if run and (row_id != run[-1] + 1 or rows[row_id] != rows[run[-1]]):
                self._add_run(fault, run, rows[run[0]], words)
                run = []
            run.append(row_id)
        if run:
            self._add_run(fault, run, rows[run[0]], words)

    def _add_run(self, fault: LogFault, run: Sequence[int], batch: int, words: str) -> None:
        self._add(fault, words.format(span=_span(run), batch=batch), batch, run[0], run[-1])

    def _add(
        self, fault: LogFault, words: str, batch: int | None, first: int | None = None, last: int | None = None
    ) -> None:
        self._findings.append(LogFinding(fault, words, batch, first, last))


def _span(ids: Iterable[int]) -> str:
    known = list(ids)
    return f"row {known[0]}" if len(known) == 1 else f"rows {known[0]} to {known[-1]} ({len(known)})"
