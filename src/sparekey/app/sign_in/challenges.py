"""Questions that a sign-in waits for an answer to: kept as a hash of their name, answered once, by the same door."""

import hashlib
import secrets
from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.snapshots import pin_bytes, pin_from_bytes, token_owner
from sparekey.core.reasons import Ask, Method
from sparekey.core.sign_in.outcome import Asked, Granted
from sparekey.core.sign_in.pins import PinVerifier
from sparekey.secret import Secret
from sparekey.storage.rows import AnyRow
from sparekey.storage.sign_in import challenges

LIFETIME: Final = 120  # seconds (contract.md)
_NAME_BYTES: Final = 16  # 128 random bits


def open_question(connection: Connection, instance: Instance, door: str, asked: Asked, now: int) -> Secret[str]:
    """Keep the question in the caller's transaction; its name, 32 hex digits, by which it is answered."""
    granted = asked.granted
    if granted.token_id is None:
        raise LookupError("a question is about a token, and there is none")
    name = secrets.token_hex(_NAME_BYTES)
    question_id = _id_of(name)
    sealed = None
    if asked.pin is not None:
        owner = token_owner(granted.account_id, granted.token_id)
        sealed = instance.vault.seal("dialogue.pin_sealed", question_id, owner, pin_bytes(asked.pin))
    challenges.insert_dialogue(
        connection,
        {
            "id": question_id,
            "account_id": granted.account_id,
            "token_id": granted.token_id,
            "ask": asked.ask,
            "actor": door,
            "login": granted.login,
            "method": granted.method,
            "step": granted.step,
            "tries": asked.tries,
            "pin_sealed": sealed,
            "expires_at": now + LIFETIME,
        },
    )
    challenges.delete_expired(connection, granted.account_id, now)
    return Secret(name)


def find_question(connection: Connection, door: str, login: str, reply_to: Secret[str], now: int) -> AnyRow | None:
    """The question of that name, if this door asked it about this user not long ago."""
    row = challenges.find_dialogue(connection, _id_of(reply_to.reveal()))
    if row is None or row.actor != door or row.login != login or now >= row.expires_at:
        return None
    return row


def as_asked(instance: Instance, row: AnyRow) -> Asked:
    """What was asked. What was used up when it was asked is not used, nor put on record, another time."""
    pin: PinVerifier | None = None
    if row.pin_sealed is not None:
        owner = token_owner(row.account_id, row.token_id)
        pin = pin_from_bytes(instance.vault.open("dialogue.pin_sealed", row.id, owner, row.pin_sealed).reveal())
    granted = Granted(row.account_id, row.login, Method(row.method), row.token_id, row.step)
    return Asked(Ask(row.ask), granted, tries=row.tries, pin=pin, uses_code=False)


def _id_of(name: str) -> str:
    # 128 random bits: a plain hash is enough, and what is in the database answers nothing
    return hashlib.sha256(b"sparekey/1/question" + name.encode(errors="surrogatepass")).hexdigest()
