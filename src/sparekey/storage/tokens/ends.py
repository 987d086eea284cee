"""The rows that belong to a token and end when its user no longer has it, or when it is deleted."""

from sqlalchemy import Connection, delete, select

from sparekey.storage.sealed_rows import update_rows
from sparekey.storage.tables import (
    device_code,
    device_token,
    emergency_code,
    emergency_showing,
    online_emergency,
    online_emergency_code,
    sign_in_challenge,
    token,
    unit_receipt,
)


def end_for_user(connection: Connection, token_id: str, now: int) -> None:
    """Delete the token's challenges, days and codes on devices, because the user no longer has the token.

    Versions of its emergency code are kept as expired. A use that a device reports later can then be matched to the
    code that was shown.
    """
    for table in (sign_in_challenge, device_token):
        connection.execute(delete(table).where(table.c.token_id == token_id))
    connection.execute(delete(device_code).where(device_code.c.owner_id == token_id))
    valid = (emergency_code.c.token_id == token_id, emergency_code.c.not_after > now)
    update_rows(connection, emergency_code, valid, {"not_after": now})


def delete_token(connection: Connection, token_id: str) -> bool:
    """Delete an unassigned token with all rows that name it, except audit rows. Return False if it is assigned."""
    versions = select(emergency_code.c.id).where(emergency_code.c.token_id == token_id)
    connection.execute(delete(device_code).where(device_code.c.code_id.in_(versions)))
    connection.execute(delete(emergency_showing).where(emergency_showing.c.code_id.in_(versions)))
    for table in (
        sign_in_challenge,
        device_token,
        unit_receipt,
        online_emergency_code,
        online_emergency,
        emergency_code,
    ):
        connection.execute(delete(table).where(table.c.token_id == token_id))
    return connection.execute(delete(token).where(token.c.id == token_id, token.c.account_id.is_(None))).rowcount == 1
