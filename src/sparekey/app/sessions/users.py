"""Sessions of users at the self-service console: begun by a sign-in of any user with a token.

Rules:
- They give access only to the user's own data. The actor of such a session holds no role, even if its user does, and
  the interface of administrators does not accept the session.
- Every change that ends the sessions of administrators, except the loss of a role, ends these, too
  (`sessions.administrators`).
- Users with a role can sign in only from the addresses of administrators, so that an attacker elsewhere cannot lock
  them out. They need two factors, because this console can set the PIN of each of their tokens (ADR 17).
- A user who gets a role must sign in again.
- A session stores its last second factor. Rights that are worth as much as a token need two factors, and never an
  emergency code, which an operator read out (`verify_two_factors`).
- Each change checks in its own transaction that the session has not ended, so that the report of a stolen device always
  comes first (S28).
- The audit log has the sign-in itself, with its interface.
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
    OpenedSession,
    Session,
    find_in_force,
    id_of,
    second_factor_but_emergency,
    second_factor_of,
)
from sparekey.app.sign_in.challenge_answers import answer_challenge
from sparekey.app.sign_in.verification import SignInInterface, SignInResult, sign_in
from sparekey.core.errors import Conflict, NotAllowed
from sparekey.core.names import is_login
from sparekey.core.permissions import Actor
from sparekey.core.reasons import Method
from sparekey.core.sign_in.outcome import Granted
from sparekey.secret import Secret
from sparekey.storage.people import accounts
from sparekey.storage.sealed_rows import seals_of
from sparekey.storage.sessions import sessions as admin_sessions
from sparekey.storage.tables import user_session
from sparekey.storage.tokens import tokens

TOKEN_PREFIX: Final = "spu_"
_NOTED_EVERY: Final = 30  # seconds between writes of the last use, so that not every request writes
_SIGN_IN_AGAIN: Final = "sign in again with a passkey, or with another token that has a PIN"
_ANOTHER_OR_DESK: Final = f"{_SIGN_IN_AGAIN}, or call the help desk"


def open_session(
    instance: Instance,
    address: str,
    login: str,
    typed: Secret[str],
    reply_to: Secret[str],
    now: int,
    *,
    administrators_too: bool = True,
) -> OpenedSession:
    """Sign in. With `reply_to`, `typed` is the answer to the challenge of that name.

    `administrators_too`: users with a role may sign in from this address. Raises Conflict if the user gets a role
    meanwhile.
    """
    token = new_token()
    interface = _interface_for(instance, address, login, administrators_too=administrators_too)

    def begin(connection: Connection, granted: Granted) -> None:
        if not interface.two_factors and grants_of(connection, granted.account_id):
            raise Conflict("a role was granted to you during this sign-in", "sign in again")
        begin_session(connection, token, granted, now)

    result = _signed_in(instance, interface, login, typed, reply_to, now, begin)
    if isinstance(result.outcome, Granted):
        return OpenedSession(result.outcome, result.reply_to, token, now + LONGEST_SECONDS)
    return OpenedSession(result.outcome, result.reply_to)


def refresh_second_factor(
    instance: Instance, address: str, session: Session, typed: Secret[str], reply_to: Secret[str], now: int
) -> SignInResult:
    """Sign in again within a session, before an operation that needs a fresh second factor."""

    def refresh(connection: Connection, granted: Granted) -> None:
        refresh_session(connection, session, granted, now)

    interface = _interface_for(instance, address, session.login)
    return _signed_in(instance, interface, session.login, typed, reply_to, now, refresh)


def new_token() -> Secret[str]:
    """Return a random token for a new session."""
    return Secret(TOKEN_PREFIX + secrets.token_urlsafe(32))


def begin_session(connection: Connection, token: Secret[str], granted: Granted, now: int) -> None:
    """Begin a session in the transaction of the sign-in that was granted."""
    admin_sessions.delete_over(connection, now, now - IDLE_SECONDS, user_session)
    admin_sessions.insert_session(
        connection,
        id_of(seals_of(connection).seals, token),
        granted.account_id,
        now,
        now + LONGEST_SECONDS,
        user_session,
        method=granted.method,
        token_id=granted.token_id,
    )


def refresh_session(connection: Connection, session: Session, granted: Granted, now: int) -> None:
    """Save the new second factor of the session, in the transaction of the sign-in that showed it."""
    admin_sessions.refresh_second_factor(
        connection, session.id, now, user_session, method=granted.method, token_id=granted.token_id
    )


def verify_open(connection: Connection, session: Session) -> None:
    """Raise NotAllowed if the session has ended meanwhile. Needs the account's lock."""
    second_factor_of(connection, session, user_session)


def verify_fresh(connection: Connection, session: Session, now: int) -> None:
    """Raise NotAllowed if the last second factor is older than ten minutes, or the session has ended meanwhile."""
    shown = second_factor_of(connection, session, user_session)
    if now - shown.second_factor_at >= FRESH_SECONDS:
        raise NotAllowed("the last second factor is older than ten minutes", "confirm again that it is you")


def verify_two_factors(connection: Connection, session: Session, *, but: str | None = None) -> None:
    """Raise NotAllowed unless the last sign-in of the session showed two factors.

    Two factors are a passkey, or a passcode with a PIN that counted when it was typed (`sign_in.pin_changes`). The
    token with the id `but` is not accepted.
    """
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
        raise NotAllowed("you are signed in with the token itself", _SIGN_IN_AGAIN)


def has_two_factors(connection: Connection, session: Session) -> bool:
    """Return True if `verify_two_factors` accepts the session. A session that has ended has no factor."""
    try:
        verify_two_factors(connection, session)
    except NotAllowed:
        return False
    return True


def find_session(
    instance: Instance, token: Secret[str], now: int, *, administrators_too: bool = True
) -> Session | None:
    """Return the valid session of this token, and save that it was used; None: refuse, without a reason.

    `administrators_too`: users with a role may come from this address. From elsewhere even an existing session of
    theirs is refused, so that an attacker who has found one cannot guess in it (S06).
    """
    if not token.reveal().startswith(TOKEN_PREFIX):
        return None
    session_id = id_of(instance.database.seals, token)
    with instance.database.read() as connection:
        session = find_in_force(connection, session_id, now, user_session)
        if session is None or (not administrators_too and grants_of(connection, session.account_id)):
            return None
    if now - session.last_used_at >= _NOTED_EVERY:
        with instance.database.write() as connection:
            admin_sessions.mark_used(connection, session_id, now, user_session)
    return Session(session_id, session.login, oneself(session.account_id), session.second_factor_at)


def end_session(instance: Instance, session_id: str) -> None:
    """Sign out. An invalid session is deleted, too, because it could become valid again."""
    with instance.database.read() as connection:
        if admin_sessions.find_session(connection, session_id, user_session) is None:
            return  # a caller without a session cannot make the server write
    with instance.database.write() as connection:
        admin_sessions.delete_session(connection, session_id, user_session)


def oneself(account_id: str) -> Actor:
    """Return a user as an actor on their own data (`self_service`): without any permission."""
    return Actor(f"user:{account_id}", (), account_id)


def interface_name(address: str) -> str:
    """Return the interface as the audit log names it. A challenge must be answered from the address that got it."""
    return f"self:{address}"


def _signed_in(
    instance: Instance,
    interface: SignInInterface,
    login: str,
    typed: Secret[str],
    reply_to: Secret[str],
    now: int,
    after_grant: Callable[[Connection, Granted], None],
) -> SignInResult:
    if reply_to:
        return answer_challenge(instance, interface, login, reply_to, typed, now, after_grant=after_grant)
    return sign_in(instance, interface, login, typed, now, after_grant=after_grant)


def _interface_for(instance: Instance, address: str, login: str, *, administrators_too: bool = True) -> SignInInterface:
    """Return the interface for this login. It does the same work for every login, so that timing reveals no role."""
    with instance.database.read() as connection:
        account = accounts.find_account(connection, login) if is_login(login) else None
        holds_a_role = account is not None and bool(grants_of(connection, account.id))
    scope = frozenset[str]() if holds_a_role and not administrators_too else None
    return SignInInterface(interface_name(address), scope=scope, two_factors=holds_a_role)
