"""Questions that a sign-in waits for an answer to: kept as a hash of their name, answered once, by the same door."""

import hashlib
import secrets
from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.snapshots import pin_bytes, pin_from_bytes, token_owner
from sparekey.core.outcome import Ask, Asked
from sparekey.core.pins import PinVerifier
from sparekey.secret import Secret
from sparekey.storage import dialogues
from sparekey.storage.rows import AnyRow

LIFETIME: Final = 120  # seconds (contract.md)
_NAME_BYTES: Final = 16  # 128 random bits


def open_question(connection: Connection, instance: Instance, door: str, asked: Asked, now: int) -> Secret[str]:
    """Keep the question in the caller's transaction; its name, 32 hex digits, by which it is answered."""
    name = secrets.token_hex(_NAME_BYTES)
    question_id = _id_of(name)
    sealed = None
    if asked.pin is not None:
        owner = token_owner(asked.account_id, asked.token_id)
        sealed = instance.vault.seal("dialogue.pin_sealed", question_id, owner, pin_bytes(asked.pin))
    dialogues.insert_dialogue(
        connection,
        {
            "id": question_id,
            "account_id": asked.account_id,
            "token_id": asked.token_id,
            "ask": asked.ask,
            "actor": door,
            "login": asked.login,
            "step": asked.step,
            "tries": asked.tries,
            "pin_sealed": sealed,
            "expires_at": now + LIFETIME,
        },
    )
    dialogues.delete_expired(connection, asked.account_id, now)
    return Secret(name)


def find_question(connection: Connection, door: str, login: str, reply_to: Secret[str], now: int) -> AnyRow | None:
    """The question of that name, if this door asked it about this user not long ago."""
    row = dialogues.find_dialogue(connection, _id_of(reply_to.reveal()))
    if row is None or row.actor != door or row.login != login or now >= row.expires_at:
        return None
    return row


def as_asked(instance: Instance, row: AnyRow) -> Asked:
    """What was asked."""
    pin: PinVerifier | None = None
    if row.pin_sealed is not None:
        owner = token_owner(row.account_id, row.token_id)
        pin = pin_from_bytes(instance.vault.open("dialogue.pin_sealed", row.id, owner, row.pin_sealed).reveal())
    return Asked(
        Ask(row.ask), row.account_id, row.login, row.token_id, row.step, tries=row.tries, pin=pin, uses_step=False
    )


def _id_of(name: str) -> str:
    # 128 random bits: a plain hash is enough, and what is in the database answers nothing
    return hashlib.sha256(b"sparekey/1/question" + name.encode(errors="surrogatepass")).hexdigest()
