"""Reads the whole audit record and names what was tampered with (S80).

Rules: one snapshot, a few batches in memory at a time; rows that are not chained yet, those of the last second, are not
covered.
"""

from collections.abc import Sequence

from sparekey.core.audit_log.checkpoint import Checkpoint
from sparekey.core.audit_log.verifier import Finding, Verifier
from sparekey.storage.audit_log import chain as audit_chain
from sparekey.storage.unit_of_work import Database


def verify_record(database: Database, public_key: bytes, witnesses: Sequence[Checkpoint] = ()) -> list[Finding]:
    """Everything that is wrong with the record; empty: whole, as far as the witnesses reach.

    `public_key`: of the checkpoint key, raw Ed25519, 32 bytes. `witnesses`: checkpoints kept outside the database;
    without one a cut tail or a rolled-back database cannot be found.
    """
    verifier = Verifier(public_key, witnesses)
    with database.read() as connection:
        for batch, rows in audit_chain.each_batch(connection):
            verifier.take(batch, rows)
        for number, rows in audit_chain.each_stray(connection):
            verifier.take_stray(number, rows)
    return verifier.finish()
