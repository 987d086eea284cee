"""Questions of sign-ins under way."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import dialogue


def insert_dialogue(connection: Connection, values: Mapping[str, Any]) -> None:
    connection.execute(insert(dialogue).values(**values))


def find_dialogue(connection: Connection, dialogue_id: str) -> AnyRow | None:
    return connection.execute(select(dialogue).where(dialogue.c.id == dialogue_id)).one_or_none()


def take_dialogue(connection: Connection, dialogue_id: str) -> bool:
    """Whether it was still there: one answer, once."""
    return connection.execute(delete(dialogue).where(dialogue.c.id == dialogue_id)).rowcount == 1


def delete_expired(connection: Connection, account_id: str, now: int) -> None:
    """Of this account alone, whose lock the caller has: nobody waits for another account's rows."""
    connection.execute(delete(dialogue).where(dialogue.c.account_id == account_id, dialogue.c.expires_at <= now))


def delete_of_token(connection: Connection, token_id: str) -> None:
    """What changes the token ends what was asked about it."""
    connection.execute(delete(dialogue).where(dialogue.c.token_id == token_id))
