"""Read the whole audit log and report every place where it was tampered with (S80).

Rules: it reads one snapshot, with a few batches in memory at a time. Events that are not chained yet, those of the last
second, are not covered.
"""

from collections.abc import Sequence

from sparekey.core.audit_log.checkpoint import Checkpoint
from sparekey.core.audit_log.verifier import LogFinding, Verifier
from sparekey.storage.audit_log import chain as audit_chain
from sparekey.storage.unit_of_work import Database


def verify_record(database: Database, public_key: bytes, witnesses: Sequence[Checkpoint] = ()) -> list[LogFinding]:
    """Return all faults of the audit log; none if it is complete up to the newest witness.

    `public_key`: the public checkpoint key, raw Ed25519, 32 bytes. `witnesses`: checkpoints kept outside the database.
    Without one, deleted newest events or a rolled-back database cannot be detected.
    """
    verifier = Verifier(public_key, witnesses)
    with database.read() as connection:
        for batch, rows in audit_chain.each_batch(connection):
            verifier.take(batch, rows)
        for number, rows in audit_chain.each_stray(connection):
            verifier.take_stray(number, rows)
    return verifier.finish()
