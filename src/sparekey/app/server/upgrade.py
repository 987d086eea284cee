"""Upgrade the database of an existing server to the tables of this version, and log the upgrade.

Rules: one transaction, so that a failure changes nothing; a database of a newer version is refused, and so is one
without tables of Sparekey; rows are sealed as they are found only once (`app.row_seals`).
"""

from dataclasses import dataclass

from sparekey.app.instance import log
from sparekey.app.ports import Keystore, SealMark
from sparekey.app.row_seals import altered_before, protect, seal_once, with_seals
from sparekey.app.vault import Vault
from sparekey.core.audit_log.actions import Action
from sparekey.core.permissions import Actor
from sparekey.storage import schema
from sparekey.storage.seal_sides import SEALED_SINCE
from sparekey.storage.unit_of_work import Database


@dataclass(frozen=True)
class Upgrade:
    """The revisions before and after the upgrade, and the number of rows sealed; None: they were sealed before."""

    before: str
    after: str
    sealed: int | None = None


def upgrade_database(database: Database, keystore: Keystore, mark: SealMark, actor: Actor, now: int) -> Upgrade:
    """Upgrade the database; change nothing if its tables are current. `now` in unix seconds.

    Raises SchemaError if the database is newer than this version or has no tables of Sparekey, and KeystoreError or
    VaultError if the keys do not belong to it.
    """
    with database.write() as connection:
        schema.verify_known(connection)  # before the keys: those of a newer version may be wrapped in another way
        vault = Vault.load(connection, keystore)
        with_seals(connection, vault)
        altered = altered_before(connection, mark)
        before, after = schema.upgrade_in(connection), schema.HEAD
        sealed = seal_once(connection, mark, altered)
        if before != after:
            log(connection, now, actor, Action.SERVER_UPGRADED, before=before, after=after)
        if sealed is not None:
            log(connection, now, actor, Action.ROWS_SEALED, rows=sealed)
    if mark.sealed_at() != SEALED_SINCE:
        mark.keep(SEALED_SINCE)
    protect(database, vault, lambda: now)
    return Upgrade(before or "", after, sealed)
