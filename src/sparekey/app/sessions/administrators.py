"""Sessions of administrators: begun by a sign-in, proved by a token, ended by the loss of a factor or the last role.

Rules:
- Only users with a role can sign in here. For other users a guess is neither verified nor counted, so that an attacker
  cannot lock them out from here.
- A sign-in needs two factors: a PIN before the tokencode, or a passkey (`passkey_sign_ins`). A token without a PIN is
  refused with the same message as any other refusal (ADR 17).
- A session ends 15 minutes after its last use, and 12 hours after it began.
- A user who is disabled, expired or without a role is refused at the next request, and so is one whom failures at
  these interfaces have locked, unless the last second factor of the session was a passkey. Failures elsewhere count
  apart and end no session here (S06).
- A change that takes away a token or PIN ends all sessions of its user, because they may have begun with it (`tokens`,
  `devices.stolen`). So does the loss of the last role (`people.roles`).
- The session token is shown once, and only its hash under a key of the server is stored.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

from sqlalchemy import Connection, Table

from sparekey.app.authorisation import grants_of, visitor_of
from sparekey.app.instance import Instance, log
from sparekey.app.policies_in_force import policy_in
from sparekey.app.sign_in.challenge_answers import answer_challenge
from sparekey.app.sign_in.verification import SignInInterface, SignInResult, sign_in
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import NotAllowed
from sparekey.core.names import is_login
from sparekey.core.permissions import Actor
from sparekey.core.policy.lockout import InterfaceGroup, LockoutPolicy
from sparekey.core.reasons import Method
from sparekey.core.row_seals import RowSeals
from sparekey.core.sign_in.outcome import Granted
from sparekey.secret import Secret
from sparekey.storage.people import accounts
from sparekey.storage.sealed_rows import seals_of
from sparekey.storage.sessions import sessions as admin_sessions
from sparekey.storage.sessions.sessions import SecondFactor, StoredSession
from sparekey.storage.tables import admin_session

TOKEN_PREFIX: Final = "sps_"
IDLE_SECONDS: Final = 15 * 60
LONGEST_SECONDS: Final = 12 * 3_600
FRESH_SECONDS: Final = 10 * 60  # a second factor is fresh for this time (S62)
LONGEST_ADDRESS: Final = 64
_NOTED_EVERY: Final = 30  # seconds between writes of the last use, so that not every request writes


@dataclass(frozen=True)
class OpenedSession(SignInResult):
    """The result of a sign-in to a console; with `token` and `expires_at` if it was granted."""

    token: Secret[str] = Secret("")
    expires_at: int = 0


@dataclass(frozen=True)
class Session:
    """A valid session. `domain_ids`: ids by name of the domains that limit its roles, and of all domains below."""

    id: str
    login: str
    actor: Actor
    second_factor_at: int
    domain_ids: Mapping[str, str] = field(default_factory=dict)

    def is_fresh(self, now: int) -> bool:
        """Return True if the second factor is not older than ten minutes."""
        return now - self.second_factor_at < FRESH_SECONDS

    def refreshed(self, now: int) -> Self:
        """Return the session after another second factor."""
        return replace(self, second_factor_at=now, actor=replace(self.actor, fresh_until=now + FRESH_SECONDS))


def open_session(
    instance: Instance, address: str, login: str, typed: Secret[str], reply_to: Secret[str], now: int
) -> OpenedSession:
    """Sign in. With `reply_to`, `typed` is the answer to the challenge of that name."""
    token = new_token()

    def begin(connection: Connection, granted: Granted) -> None:
        begin_session(connection, token, granted, address, now)

    result = _signed_in(instance, address, login, typed, reply_to, now, begin)
    if isinstance(result.outcome, Granted):
        return OpenedSession(result.outcome, result.reply_to, token, now + LONGEST_SECONDS)
    return OpenedSession(result.outcome, result.reply_to)


def refresh_second_factor(
    instance: Instance, address: str, session: Session, typed: Secret[str], reply_to: Secret[str], now: int
) -> SignInResult:
    """Sign in again within a session, before an operation that needs a fresh second factor."""

    def refresh(connection: Connection, granted: Granted) -> None:
        refresh_session(connection, session, granted, address, now)

    return _signed_in(instance, address, session.login, typed, reply_to, now, refresh)


def new_token() -> Secret[str]:
    """Return a random token for a new session."""
    return Secret(TOKEN_PREFIX + secrets.token_urlsafe(32))


def begin_session(connection: Connection, token: Secret[str], granted: Granted, address: str, now: int) -> None:
    """Begin a session in the transaction of the sign-in that was granted."""
    session_id = id_of(seals_of(connection).seals, token)
    admin_sessions.delete_over(connection, now, now - IDLE_SECONDS)
    admin_sessions.insert_session(
        connection,
        session_id,
        granted.account_id,
        now,
        now + LONGEST_SECONDS,
        method=granted.method,
        address=address[:LONGEST_ADDRESS],
    )
    log(
        connection,
        now,
        f"user:{granted.account_id}",
        Action.SESSION_BEGUN,
        account=granted.account_id,
        session=name_of(session_id),
        address=address,
    )


def refresh_session(connection: Connection, session: Session, granted: Granted, address: str, now: int) -> None:
    """Save the new second factor of the session, in the transaction of the sign-in that showed it."""
    admin_sessions.refresh_second_factor(connection, session.id, now, method=granted.method)
    log(
        connection,
        now,
        session.actor,
        Action.SESSION_REFRESHED,
        account=session.actor.account_id,
        session=name_of(session.id),
        address=address,
    )


def verify_may_add_passkey(connection: Connection, session: Session) -> None:
    """Raise NotAllowed if the last second factor was an emergency code: it is valid for days, a passkey for years."""
    second_factor_but_emergency(connection, session, "sign out, and in again with your token or with a passkey")


def second_factor_but_emergency(
    connection: Connection, session: Session, do: str, table: Table = admin_session
) -> SecondFactor:
    """Return the last second factor of this session. Raises NotAllowed if it was an emergency code."""
    shown = second_factor_of(connection, session, table)
    if shown.method not in (Method.TOKENCODE, Method.PASSKEY):
        raise NotAllowed("an emergency code is not accepted for this", do)
    return shown


def second_factor_of(connection: Connection, session: Session, table: Table = admin_session) -> SecondFactor:
    """Return the last second factor of this session. Raises NotAllowed if the session has ended meanwhile.

    Safe if the caller holds the account's lock: every change that ends sessions takes it (`sessions.ends`), so that an
    ended session changes nothing (S28).
    """
    shown = admin_sessions.find_second_factor(connection, session.id, table)
    if shown is None:
        raise NotAllowed("this session has ended", "sign in again")
    return shown


def find_session(instance: Instance, token: Secret[str], now: int) -> Session | None:
    """Return the valid session of this token, and save that it was used; None: refuse, without a reason."""
    if not token.reveal().startswith(TOKEN_PREFIX):
        return None
    session_id = id_of(instance.database.seals, token)
    with instance.database.read() as connection:
        found = admin_sessions.find_with_grants(connection, session_id)
        if found is None or not _holds(connection, found.session, now, InterfaceGroup.ADMINISTRATORS):
            return None
        session = found.session
        actor, domain_ids = visitor_of(connection, session.account_id, found.grants)
        if not actor.grants:
            return None
    if now - session.last_used_at >= _NOTED_EVERY:
        with instance.database.write() as connection:
            admin_sessions.mark_used(connection, session_id, now)
    actor = replace(actor, fresh_until=session.second_factor_at + FRESH_SECONDS)
    return Session(session_id, session.login, actor, session.second_factor_at, domain_ids)


def end_session(instance: Instance, session_id: str, now: int) -> None:
    """Sign out. An invalid session is deleted, too, because it could become valid again."""
    with instance.database.read() as connection:
        session = admin_sessions.find_session(connection, session_id)
    if session is None:
        return  # a caller without a session cannot make the server write
    with instance.database.write() as connection:
        if admin_sessions.delete_session(connection, session_id):
            log(
                connection,
                now,
                f"user:{session.account_id}",
                Action.SESSION_ENDED,
                account=session.account_id,
                session=name_of(session_id),
            )


def _signed_in(
    instance: Instance,
    address: str,
    login: str,
    typed: Secret[str],
    reply_to: Secret[str],
    now: int,
    after_grant: Callable[[Connection, Granted], None],
) -> SignInResult:
    interface = _interface_for(instance, address, login)
    if reply_to:
        return answer_challenge(instance, interface, login, reply_to, typed, now, after_grant=after_grant)
    return sign_in(instance, interface, login, typed, now, after_grant=after_grant)


def _interface_for(instance: Instance, address: str, login: str) -> SignInInterface:
    """Return the interface: users without a role are outside its scope, and it needs two factors."""
    with instance.database.read() as connection:
        account = accounts.find_account(connection, login) if is_login(login) else None
        may_try = account is not None and bool(grants_of(connection, account.id))
    scope = None if may_try else frozenset[str]()
    return SignInInterface(interface_name(address), scope=scope, two_factors=True, group=InterfaceGroup.ADMINISTRATORS)


def name_of(session_id: str) -> str:
    """Return the name of a session in lists and in the audit log. It proves nothing."""
    return session_id[:16]


def interface_name(address: str) -> str:
    """Return the interface as the audit log names it. A challenge must be answered from the address that got it."""
    return f"rest:{address}"


def find_in_force(
    connection: Connection, session_id: str, now: int, table: Table, group: InterfaceGroup = InterfaceGroup.ELSEWHERE
) -> StoredSession | None:
    """Return the session at these interfaces if it has not expired and its user may sign in."""
    session = admin_sessions.find_session(connection, session_id, table)
    return session if session is not None and _holds(connection, session, now, group) else None


def _holds(connection: Connection, session: StoredSession, now: int, group: InterfaceGroup) -> bool:
    if now >= session.expires_at or now - session.last_used_at >= IDLE_SECONDS:
        return False
    if not session.enabled or (session.account_expires_at is not None and now >= session.account_expires_at):
        return False
    count = session.count_at(group)
    if count.locked_at is None:
        return True  # the usual case, without reading the policy at every request
    if session.method == Method.PASSKEY:
        return True  # else a lock would shut out its owner after all
    return not count.locked(now, policy_in(connection, session.domain_id, LockoutPolicy))


def id_of(seals: RowSeals, token: Secret[str]) -> str:
    """Return the id by which the session of this token is found. The token itself is not stored.

    The id depends on a key of the server, so that an intruder in the database cannot compute one for a token of their
    own (S47).
    """
    digest = hashlib.sha256(b"sparekey/1/session" + token.reveal().encode(errors="surrogatepass")).digest()
    return seals.id_of(digest).hex()
