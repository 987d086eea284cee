"""Read the audit record: the newest rows, of everyone or about somebody."""

from collections.abc import Sequence

from sparekey.app.instance import Instance
from sparekey.app.lookup import get_account, get_device, get_token
from sparekey.core.audit_chain import AuditRow
from sparekey.storage import audit


def list_record(
    instance: Instance,
    *,
    limit: int,
    before: int | None = None,
    user: str | None = None,
    serial: str | None = None,
    device: str | None = None,
    actions: Sequence[str] = (),
) -> Sequence[AuditRow]:
    """At most `limit` rows, newest first, with ids less than `before`, about all who are named."""
    with instance.database.read() as connection:
        return audit.list_rows(
            connection,
            limit=limit,
            before=before,
            account_id=get_account(connection, user).id if user else None,
            token_id=get_token(connection, serial).id if serial else None,
            device_id=get_device(connection, device).id if device else None,
            actions=actions,
        )
