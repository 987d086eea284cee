"""Make a new database: tables, first data key, top domain, default policies, and the first row of the audit log.

Rules: one transaction, so that a failure leaves nothing behind; a database that already belongs to a server is refused.
"""

from sparekey.app.instance import DEFAULT_POLICY, TOP_DOMAIN, log, new_id
from sparekey.app.ports import Keystore
from sparekey.app.row_seals import protect, with_seals
from sparekey.app.vault import Vault
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import Conflict
from sparekey.core.permissions import Actor
from sparekey.core.policy.kinds import PolicyKind
from sparekey.storage import data_keys, schema
from sparekey.storage.people import domains
from sparekey.storage.policies import policies
from sparekey.storage.unit_of_work import Database


def initialise(database: Database, keystore: Keystore, actor: Actor, now: int) -> Vault:
    """Make the database and return its vault; `now` in unix seconds. Raises Conflict if it belongs to a server."""
    with database.write() as connection:
        schema.upgrade_in(connection)
        if data_keys.list_wrapped(connection):
            raise Conflict("this database already holds a Sparekey server", "choose an empty database")
        vault = Vault.create(connection, keystore, now)
        with_seals(connection, vault)
        domains.insert_domain(connection, new_id(), TOP_DOMAIN, None)
        for kind in PolicyKind:
            policies.insert_policy(connection, kind, new_id(), DEFAULT_POLICY, kind.type(), is_default=True)
        log(connection, now, actor, Action.SERVER_INITIALISED)
    protect(database, vault, lambda: now)
    return vault
