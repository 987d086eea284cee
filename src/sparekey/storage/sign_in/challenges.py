"""Open challenges of sign-ins."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection, delete, select

from sparekey.core.reasons import ChallengeKind, Method
from sparekey.storage.sealed_rows import insert_row, one_intact
from sparekey.storage.tables import sign_in_challenge


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChallenge:
    """A challenge that the user must answer to complete a sign-in."""

    id: str  # SHA-256 of its name, in hex
    account_id: str
    token_id: str
    ask: ChallengeKind
    actor: str  # the interface that asked
    login: str
    method: Method  # of the factor that was right
    step: int | None  # of a tokencode
    tries: int
    pin_sealed: bytes | None  # the PIN that must be confirmed
    expires_at: int


def insert_challenge(connection: Connection, values: Mapping[str, object]) -> None:
    insert_row(connection, sign_in_challenge, values)


def find_challenge(connection: Connection, challenge_id: str) -> StoredChallenge | None:
    query = select(sign_in_challenge).where(sign_in_challenge.c.id == challenge_id)
    found = one_intact(StoredChallenge, connection, query, sign_in_challenge)
    return None if found is None else replace(found, ask=ChallengeKind(found.ask), method=Method(found.method))


def consume_challenge(connection: Connection, challenge_id: str) -> bool:
    """Delete the challenge. Return True if it still existed, so that it is answered only once."""
    return connection.execute(delete(sign_in_challenge).where(sign_in_challenge.c.id == challenge_id)).rowcount == 1


def delete_expired(connection: Connection, account_id: str, now: int) -> None:
    """Delete the expired challenges of this account. It never waits, because the caller has locked the account."""
    connection.execute(
        delete(sign_in_challenge).where(
            sign_in_challenge.c.account_id == account_id, sign_in_challenge.c.expires_at <= now
        )
    )


def delete_of_token(connection: Connection, token_id: str) -> None:
    """Delete the token's open challenges, because a change to the token ends them."""
    connection.execute(delete(sign_in_challenge).where(sign_in_challenge.c.token_id == token_id))
