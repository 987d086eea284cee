"""Upgrade the database of an existing server to the tables of this version, and log the upgrade.

Rules: one transaction, so that a failure changes nothing; a database of a newer version is refused, and so is one
without tables of Sparekey.
"""

from dataclasses import dataclass

from sparekey.app.instance import log
from sparekey.core.audit_log.actions import Action
from sparekey.core.permissions import Actor
from sparekey.storage import schema
from sparekey.storage.schema import SchemaError
from sparekey.storage.unit_of_work import Database


@dataclass(frozen=True)
class Upgrade:
    """The revisions before and after the upgrade."""

    before: str
    after: str


def upgrade_database(database: Database, actor: Actor, now: int) -> Upgrade:
    """Upgrade the database; change nothing if its tables are current. `now` in unix seconds.

    Raises SchemaError if the database is newer than this version or has no tables of Sparekey.
    """
    with database.write() as connection:
        before, after = schema.upgrade_in(connection), schema.HEAD
        if before is None:
            raise SchemaError(schema.nothing_there(database.engine))  # rolls back the new tables
        if before != after:
            log(connection, now, actor, Action.SERVER_UPGRADED, before=before, after=after)
    return Upgrade(before, after)
