"""Bring the database of a server that exists to the tables of this version, and log it.

Rules: one transaction, so that a failure changes nothing; a database of a newer version is refused; a database without
our tables is none, and gets none here.
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
    """From which revision to which."""

    before: str
    after: str


def upgrade_database(database: Database, actor: Actor, now: int) -> Upgrade:
    """Nothing is changed where the tables are current. Raises SchemaError; `now` in unix seconds."""
    with database.write() as connection:
        before, after = schema.upgrade_in(connection), schema.head()
        if before is None:
            raise SchemaError(schema.nothing_there(database.engine))  # takes back what was made
        if before != after:
            log(connection, now, actor, Action.SERVER_UPGRADED, before=before, after=after)
    return Upgrade(before, after)
