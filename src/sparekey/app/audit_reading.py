"""Read the audit record: the newest rows, of everyone or about somebody.

A token or device may have been used by people in several domains: a reader sees the rows about those in their own.
"""

from collections.abc import Sequence

from sparekey.app.authorisation import verify_may
from sparekey.app.instance import Instance
from sparekey.app.lookup import get_account, get_device, get_token
from sparekey.app.record_rows import RecordRow, with_names
from sparekey.core.permissions import Actor, Permission
from sparekey.storage import audit


def list_record(
    instance: Instance,
    actor: Actor,
    *,
    limit: int = 100,
    before: int | None = None,
    user: str | None = None,
    serial: str | None = None,
    device: str | None = None,
    actions: Sequence[str] = (),
) -> list[RecordRow]:
    """At most `limit` rows, newest first, with ids less than `before`, about all who are named."""
    if not (user or serial or device):
        verify_may(actor, Permission.AUDIT_VIEW, None)
    with instance.database.read() as connection:
        rows = audit.list_rows(
            connection,
            limit=limit,
            before=before,
            account_id=get_account(connection, actor, user, Permission.AUDIT_VIEW).id if user else None,
            token_id=get_token(connection, actor, serial, Permission.AUDIT_VIEW).id if serial else None,
            device_id=get_device(connection, actor, device, Permission.AUDIT_VIEW).id if device else None,
            actions=actions,
            within=actor.domains_with(Permission.AUDIT_VIEW),
        )
        return with_names(connection, actor, rows)
