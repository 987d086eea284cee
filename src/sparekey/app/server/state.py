"""How this server is, as far as its database tells: for whoever looks after it, from a page.

`sparekey doctor` on the server itself looks at more: certificate, keys and files.
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
    """`database`: its kind. `batch`: the newest of the audit chain, signed at `signed_at`; `unchained`: rows that
    wait, counted up to MOST_WAITING; `forwarded`: the last batch that a collector has taken, None: none ever did.
    `notices`: mails that wait, since `notices_since`; `given_up`: those that were not sent at all."""

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
    """Raises NotAllowed unless the actor looks after the instance."""
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
