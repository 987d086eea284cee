"""Sessions of users at the self-service console: begun by the one sign-in, for anybody with a token.

Rules: they open nothing but what is the user's own: the actor of such a session holds no role, whatever its user may do
elsewhere, and the session is not even looked for at the door of administrators; what ends a session of administrators,
the loss of a role aside, ends these too (`admin_sessions`); whoever holds a role is tried only from where
administrators may come, so that nobody elsewhere locks them out, and shows two factors as at their own door, for here
the PIN of each token of theirs is set (ADR 17); who gets a role signs in anew. A session knows what its last second
factor was: what is worth as much as a token is given for two factors only, and never for an emergency code, which
somebody read out (`verify_two_factors`). What is done in a session is done only while it has not ended,
as it is in the transaction that does it, so that no report of a stolen device is overtaken (S28). On record is the
sign-in itself, with its door.
"""

import secrets
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import grants_of
from sparekey.app.instance import Instance
from sparekey.app.sessions.administrators import (
    FRESH_SECONDS,
    IDLE_SECONDS,
    LONGEST_SECONDS,
    Opened,
    Session,
    find_in_force,
    id_of,
    second_factor_but_emergency,
    second_factor_of,
)
from sparekey.app.sign_in.answers import answer_challenge
from sparekey.app.sign_in.verification import Door, Verdict, sign_in
from sparekey.core.errors import Conflict, NotAllowed
from sparekey.core.names import is_login
from sparekey.core.permissions import Actor
from sparekey.core.reasons import Method
from sparekey.core.sign_in.outcome import Granted
from sparekey.secret import Secret
from sparekey.storage.people import accounts
from sparekey.storage.sessions import sessions as admin_sessions
from sparekey.storage.tables import user_session
from sparekey.storage.tokens import tokens

TOKEN_PREFIX: Final = "spu_"
_NOTED_EVERY: Final = 30  # seconds: not every request writes
_SIGN_IN_ANEW: Final = "sign in again with a passkey, or with another token that has a PIN"
_ANOTHER_OR_DESK: Final = f"{_SIGN_IN_ANEW}, or call the help desk"


def open_session(
    instance: Instance,
    address: str,
    login: str,
    typed: Secret[str],
    reply_to: Secret[str],
    now: int,
    *,
    administrators_too: bool = True,
) -> Opened:
    """Sign in; with `reply_to`, `typed` is the answer to the question of that name.

    `administrators_too`: whether who holds a role may come from this address.
    """
    token = new_token()
    door = _door_for(instance, address, login, administrators_too=administrators_too)

    def begin(connection: Connection, granted: Granted) -> None:
        if not door.two_factors and grants_of(connection, granted.account_id):
            raise Conflict("a role was granted to you during this sign-in", "sign in again")
        begin_session(connection, token, granted, now)

    verdict = _judged(instance, door, login, typed, reply_to, now, begin)
    if isinstance(verdict.outcome, Granted):
        return Opened(verdict, token, now + LONGEST_SECONDS)
    return Opened(verdict)


def refresh_second_factor(
    instance: Instance, address: str, session: Session, typed: Secret[str], reply_to: Secret[str], now: int
) -> Verdict:
    """Sign in once more within a session, for what needs a fresh second factor."""

    def refresh(connection: Connection, granted: Granted) -> None:
        refresh_session(connection, session, granted, now)

    door = _door_for(instance, address, session.login)
    return _judged(instance, door, session.login, typed, reply_to, now, refresh)


def new_token() -> Secret[str]:
    """Of a session that is about to begin."""
    return Secret(TOKEN_PREFIX + secrets.token_urlsafe(32))


def begin_session(connection: Connection, token: Secret[str], granted: Granted, now: int) -> None:
    """In the transaction of the sign-in that was granted."""
    admin_sessions.delete_over(connection, now, now - IDLE_SECONDS, user_session)
    admin_sessions.insert_session(
        connection,
        id_of(token),
        granted.account_id,
        now,
        now + LONGEST_SECONDS,
        user_session,
        method=granted.method,
        token_id=granted.token_id,
    )


def refresh_session(connection: Connection, session: Session, granted: Granted, now: int) -> None:
    """In the transaction in which a second factor was shown once more: from now on it is the one that counts."""
    admin_sessions.refresh_second_factor(
        connection, session.id, now, user_session, method=granted.method, token_id=granted.token_id
    )


def verify_open(connection: Connection, session: Session) -> None:
    """That nothing has ended the session meanwhile: asked under the account's lock. Raises NotAllowed."""
    second_factor_of(connection, session, user_session)


def verify_fresh(connection: Connection, session: Session, now: int) -> None:
    """That the second factor was shown within ten minutes, as the session is now. Raises NotAllowed."""
    shown = second_factor_of(connection, session, user_session)
    if now - shown.second_factor_at >= FRESH_SECONDS:
        raise NotAllowed("the last second factor is older than ten minutes", "confirm again that it is you")


def verify_two_factors(connection: Connection, session: Session, *, but: str | None = None) -> None:
    """That the last second factor was a passkey, or a passcode with the PIN of a token other than the one with the id
    `but`, and a PIN that counted when it was typed (`pin_changes`). Raises NotAllowed."""
    shown = second_factor_but_emergency(connection, session, _ANOTHER_OR_DESK, user_session)
    if shown.method == Method.PASSKEY:
        return
    token = tokens.find_token_by_id(connection, shown.token_id or "")
    if token is None or token.account_id != shown.account_id or not token.with_pin:
        raise NotAllowed("a token without a PIN is not accepted for this", _ANOTHER_OR_DESK)
    if token.pin_counts_from is not None and shown.second_factor_at < token.pin_counts_from:
        raise NotAllowed(
            "the PIN of this token is too new: it was chosen after a sign-in with a code only",
            f"sign in again when it is a day old; or {_ANOTHER_OR_DESK}",
        )
    if token.id == but:
        raise NotAllowed("you are signed in with the token itself", _SIGN_IN_ANEW)


def has_two_factors(connection: Connection, session: Session) -> bool:
    """The same as an answer; a session that has ended has none."""
    try:
        verify_two_factors(connection, session)
    except NotAllowed:
        return False
    return True


def find_session(
    instance: Instance, token: Secret[str], now: int, *, administrators_too: bool = True
) -> Session | None:
    """The session of this token, if it holds now, and that it was used; None: refuse, without saying why.

    `administrators_too`: whether who holds a role may come from this address. They guess nothing from elsewhere, in
    whatever session of theirs somebody found there (S06).
    """
    if not token.reveal().startswith(TOKEN_PREFIX):
        return None
    session_id = id_of(token)
    with instance.database.read() as connection:
        session = find_in_force(connection, session_id, now, user_session)
        if session is None or (not administrators_too and grants_of(connection, session.account_id)):
            return None
    if now - session.last_used_at >= _NOTED_EVERY:
        with instance.database.write() as connection:
            admin_sessions.mark_used(connection, session_id, now, user_session)
    return Session(session_id, session.login, oneself(session.account_id), session.second_factor_at)


def end_session(instance: Instance, session_id: str) -> None:
    """Sign out, whether or not the session with this id holds now: one that does not might hold again."""
    with instance.database.read() as connection:
        if admin_sessions.find_session(connection, session_id, user_session) is None:
            return  # nobody who has no session makes the server write
    with instance.database.write() as connection:
        admin_sessions.delete_session(connection, session_id, user_session)


def oneself(account_id: str) -> Actor:
    """A user as an actor on what is their own (`self_service`): without any permission, anywhere."""
    return Actor(f"user:{account_id}", (), account_id)


def door_name(address: str) -> str:
    """How the record names it; a question is answered from the address that it was sent to."""
    return f"self:{address}"


def _judged(
    instance: Instance,
    door: Door,
    login: str,
    typed: Secret[str],
    reply_to: Secret[str],
    now: int,
    after_grant: Callable[[Connection, Granted], None],
) -> Verdict:
    if reply_to:
        return answer_challenge(instance, door, login, reply_to, typed, now, after_grant=after_grant)
    return sign_in(instance, door, login, typed, now, after_grant=after_grant)


def _door_for(instance: Instance, address: str, login: str, *, administrators_too: bool = True) -> Door:
    """Do the same work for every login, so that an attacker cannot learn which users hold a role."""
    with instance.database.read() as connection:
        account = accounts.find_account(connection, login) if is_login(login) else None
        holds_a_role = account is not None and bool(grants_of(connection, account.id))
    scope = frozenset[str]() if holds_a_role and not administrators_too else None
    return Door(door_name(address), scope=scope, two_factors=holds_a_role)
