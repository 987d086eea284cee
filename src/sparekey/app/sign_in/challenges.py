"""Challenges of sign-ins. Each is stored under a hash of its name, and answered once, over the same interface."""

import hashlib
import secrets
from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.snapshots import pin_bytes, pin_from_bytes, token_owner
from sparekey.core.sign_in.outcome import Asked, Granted
from sparekey.core.sign_in.pins import PinVerifier
from sparekey.secret import Secret
from sparekey.storage.sealed_rows import seals_of
from sparekey.storage.sign_in import challenges
from sparekey.storage.sign_in.challenges import StoredChallenge

LIFETIME: Final = 120  # seconds (contract.md)
_NAME_BYTES: Final = 16  # 128 random bits


def open_challenge(connection: Connection, instance: Instance, interface: str, asked: Asked, now: int) -> Secret[str]:
    """Store the challenge in the caller's transaction. Return its name, 32 hex digits, which the answer must give.

    Raises LookupError if it is about no token.
    """
    granted = asked.granted
    if granted.token_id is None:
        raise LookupError("a challenge is about a token, and there is none")
    name = secrets.token_hex(_NAME_BYTES)
    challenge_id = _id_of(connection, name)
    sealed = None
    if asked.pin is not None:
        owner = token_owner(granted.account_id, granted.token_id)
        sealed = instance.vault.seal("dialogue.pin_sealed", challenge_id, owner, pin_bytes(asked.pin))
    challenges.insert_challenge(
        connection,
        {
            "id": challenge_id,
            "account_id": granted.account_id,
            "token_id": granted.token_id,
            "ask": asked.ask,
            "actor": interface,
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


def find_challenge(
    connection: Connection, interface: str, login: str, reply_to: Secret[str], now: int
) -> StoredChallenge | None:
    """Return the challenge of that name, if this interface asked it about this user within its lifetime."""
    challenge = challenges.find_challenge(connection, _id_of(connection, reply_to.reveal()))
    if challenge is None or challenge.actor != interface or challenge.login != login or now >= challenge.expires_at:
        return None
    return challenge


def as_asked(instance: Instance, challenge: StoredChallenge) -> Asked:
    """Return the challenge as the outcome that asked it. A code that was used up then is not used up again."""
    pin: PinVerifier | None = None
    if challenge.pin_sealed is not None:
        owner = token_owner(challenge.account_id, challenge.token_id)
        opened = instance.vault.open("dialogue.pin_sealed", challenge.id, owner, challenge.pin_sealed)
        pin = pin_from_bytes(opened.reveal())
    granted = Granted(challenge.account_id, challenge.login, challenge.method, challenge.token_id, challenge.step)
    return Asked(challenge.ask, granted, tries=challenge.tries, pin=pin, uses_code=False)


def _id_of(connection: Connection, name: str) -> str:
    # Safe because the name has 128 random bits. An intruder in the database has no key of the server for an id (S47).
    digest = hashlib.sha256(b"sparekey/1/question" + name.encode(errors="surrogatepass")).digest()
    return seals_of(connection).seals.id_of(digest).hex()
