"""Open challenges of sign-ins."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from sparekey.core.reasons import ChallengeKind, Method
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
    connection.execute(insert(sign_in_challenge).values(**values))


def find_challenge(connection: Connection, challenge_id: str) -> StoredChallenge | None:
    row = connection.execute(select(sign_in_challenge).where(sign_in_challenge.c.id == challenge_id)).one_or_none()
    if row is None:
        return None
    columns = dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy documents it as public
    return StoredChallenge(**columns | {"ask": ChallengeKind(row.ask), "method": Method(row.method)})


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
