"""The state of this server according to its database, for the page of an administrator of the instance.

`sparekey doctor` on the server itself also checks certificate, keys and files.
"""

from dataclasses import dataclass

from sparekey.app.audit_log.forwarding import CURSOR
from sparekey.app.authorisation import verify_may
from sparekey.app.instance import Instance
from sparekey.core.permissions import Actor, Permission
from sparekey.storage.audit_log import chain as audit_chain
from sparekey.storage.audit_log import export as audit_export
from sparekey.storage.audit_log import outbox

MOST_WAITING = 1_000  # rows that are counted


@dataclass(frozen=True)
class ServerState:
    """The state of the server; times in unix seconds.

    `database`: its kind. `batch`: the newest batch of the audit log, signed at `signed_at`. `unchained`: the number of
    rows that no batch covers yet, counted up to MOST_WAITING. `forwarded`: the last batch that a collector has
    confirmed; None: none yet. `notices`: the number of queued mails, the oldest from `notices_since`. `given_up`: the
    number of mails that were given up.
    """

    instance: str
    database: str
    batch: int
    signed_at: int | None
    unchained: int
    forwarded: int | None
    notices: int
    notices_since: int | None
    given_up: int
    last_mail_error: str


def look_at_server(instance: Instance, actor: Actor) -> ServerState:
    """Return the state of the server. Raises NotAllowed unless the actor may manage the instance."""
    verify_may(actor, Permission.INSTANCE_MANAGE, None)
    with instance.database.read() as connection:
        head = audit_chain.find_head(connection)
        unchained = audit_chain.count_unchained(connection, MOST_WAITING)
        forwarded = audit_export.find_cursor(connection, CURSOR)
        mail = outbox.count_waiting(connection)
    return ServerState(
        instance.name,
        instance.database.engine.dialect.name,
        head.number if head else 0,
        head.signed_at if head else None,
        unchained,
        forwarded,
        mail.messages,
        mail.since,
        mail.given_up,
        mail.last_error,
    )
