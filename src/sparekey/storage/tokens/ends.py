"""What belongs to a token while somebody has it, and ends when nobody has it any more, or when it is gone."""

from sqlalchemy import Connection, delete, select, update

from sparekey.storage.tables import (
    device_code,
    device_token,
    dialogue,
    emergency_code,
    emergency_showing,
    online_emergency,
    online_emergency_code,
    token,
    unit_receipt,
)


def end_for_user(connection: Connection, token_id: str, now: int) -> None:
    """Questions, days and codes on devices: the user has this token no longer.

    Versions of its code are kept, expired: a use that some device reports later is matched to its showing.
    """
    for table in (dialogue, device_token):
        connection.execute(delete(table).where(table.c.token_id == token_id))
    connection.execute(delete(device_code).where(device_code.c.owner_id == token_id))
    still = (emergency_code.c.token_id == token_id, emergency_code.c.not_after > now)
    connection.execute(update(emergency_code).where(*still).values(not_after=now))


def delete_token(connection: Connection, token_id: str) -> bool:
    """The token that nobody has, with everything that names it; what is on record stays."""
    versions = select(emergency_code.c.id).where(emergency_code.c.token_id == token_id)
    connection.execute(delete(device_code).where(device_code.c.code_id.in_(versions)))
    connection.execute(delete(emergency_showing).where(emergency_showing.c.code_id.in_(versions)))
    for table in (dialogue, device_token, unit_receipt, online_emergency_code, online_emergency, emergency_code):
        connection.execute(delete(table).where(table.c.token_id == token_id))
    return connection.execute(delete(token).where(token.c.id == token_id, token.c.account_id.is_(None))).rowcount == 1
