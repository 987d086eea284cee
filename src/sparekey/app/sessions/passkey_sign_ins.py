"""Sign in with a passkey: to a session of one of the consoles, or again within one, for a fresh second factor.

Rules:
- The rules of every interface apply: a user who is disabled or expired is refused, and so is a user without a role at
  the administrators' console. The audit log has the reason; the answer is the same for every refusal.
- Wrong answers are not counted, and no lock refuses a passkey. Safe because a signature cannot be guessed, and so an
  attacker who guesses passcodes never keeps the owner of a passkey out. A success does not reset the count of wrong
  passcodes.
- Each answer, right or wrong, uses up its challenge.
- An authenticator whose counter does not rise is refused, and raises an alarm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import grants_of
from sparekey.app.instance import Instance
from sparekey.app.notices import raise_alarm
from sparekey.app.policies_in_force import account_state_of
from sparekey.app.sessions.administrators import (
    LONGEST_SECONDS,
    OpenedSession,
    Session,
    begin_session,
    interface_name,
    new_token,
    refresh_session,
)
from sparekey.app.sessions.passkeys import ChallengePurpose, new_challenge, take_challenge
from sparekey.app.sign_in.verification import SignInInterface, SignInResult, save_effects
from sparekey.core.audit_log.actions import Action
from sparekey.core.reasons import Method, Reason
from sparekey.core.sign_in import passkeys as core
from sparekey.core.sign_in.outcome import Denied, Granted, Outcome
from sparekey.core.sign_in.passkeys import Answer, BadPasskey, RelyingParty
from sparekey.secret import Secret
from sparekey.storage.people import accounts
from sparekey.storage.people.accounts import Account
from sparekey.storage.sessions import passkeys
from sparekey.storage.sessions.passkeys import Passkey


@dataclass(frozen=True)
class Entrance:
    """A console with the functions that open its sessions, in the transaction of the sign-in.

    `purpose`: a signature for one console is not valid at another. `admits`: takes True if the user holds a role, and
    returns True if they may sign in here.
    """

    purpose: ChallengePurpose
    interface_name: Callable[[str], str]
    admits: Callable[[bool], bool]
    new_token: Callable[[], Secret[str]]
    begin: Callable[[Connection, Secret[str], Granted, str, int], None]
    refresh: Callable[[Connection, Session, Granted, str, int], None]


ADMINISTRATORS: Final = Entrance(
    ChallengePurpose.SIGN_IN, interface_name, bool, new_token, begin=begin_session, refresh=refresh_session
)


def ask_to_sign_in(
    instance: Instance, place: RelyingParty, browser: Secret[str], now: int, at: Entrance = ADMINISTRATORS
) -> str:
    """Return the options as JSON for the browser with this cookie: any passkey for this host."""
    challenge = new_challenge(instance, at.purpose, browser, now)
    return core.sign_in_options(place, challenge)


def ask_for_second_factor(instance: Instance, place: RelyingParty, session: Session, now: int) -> str:
    """Return the options as JSON for the browser of this session: one of the user's own passkeys."""
    with instance.database.glance() as connection:
        found = passkeys.list_of_account(connection, session.actor.account_id or "")
    challenge = new_challenge(instance, ChallengePurpose.SECOND_FACTOR, Secret(session.id), now)
    usable = [passkey.credential_id for passkey in found if passkey.host == place.host]
    return core.sign_in_options(place, challenge, usable)


def has_passkey(instance: Instance, place: RelyingParty, session: Session) -> bool:
    """Return True if the user of the session has a passkey for this host."""
    with instance.database.glance() as connection:
        found = passkeys.list_of_account(connection, session.actor.account_id or "")
    return any(passkey.host == place.host for passkey in found)


def open_session_with_passkey(
    instance: Instance,
    address: str,
    place: RelyingParty,
    browser: Secret[str],
    answer: str,
    now: int,
    at: Entrance = ADMINISTRATORS,
) -> OpenedSession:
    """Sign in with the signed answer of the browser with this cookie."""
    token, signed = at.new_token(), _read(instance, place, answer)

    def begin(connection: Connection, granted: Granted) -> None:
        at.begin(connection, token, granted, address, now)

    interface = SignInInterface(at.interface_name(address))
    result = _settled(instance, interface, signed, _Wanted(at.purpose, browser, at.admits), now, begin)
    if isinstance(result.outcome, Granted):
        return OpenedSession(result.outcome, result.reply_to, token, now + LONGEST_SECONDS)
    return OpenedSession(result.outcome, result.reply_to)


def refresh_with_passkey(
    instance: Instance,
    address: str,
    place: RelyingParty,
    session: Session,
    answer: str,
    now: int,
    at: Entrance = ADMINISTRATORS,
) -> SignInResult:
    """Refresh the second factor of a session with a passkey of its user."""

    def refresh(connection: Connection, granted: Granted) -> None:
        at.refresh(connection, session, granted, address, now)

    wanted = _Wanted(ChallengePurpose.SECOND_FACTOR, Secret(session.id), at.admits, session.actor.account_id)
    return _settled(
        instance, SignInInterface(at.interface_name(address)), _read(instance, place, answer), wanted, now, refresh
    )


@dataclass(frozen=True)
class _Wanted:
    """The challenge that must be signed; `account_id`: the user who must sign, None: any user."""

    purpose: ChallengePurpose
    bound: Secret[str]
    admits: Callable[[bool], bool]
    account_id: str | None = None


@dataclass(frozen=True)
class _Signed:
    """The answer of a browser, verified as far as possible without a write. `refused`: the reason why it is wrong."""

    answer: Answer | None = None
    passkey: Passkey | None = None
    count: int = 0
    refused: Reason | None = None


def _read(instance: Instance, place: RelyingParty, text: str) -> _Signed:
    """Verify the answer before the transaction, so that no request waits for the only writer of an SQLite database."""
    try:
        answer = core.read_answer(text)
    except BadPasskey:
        return _Signed(refused=Reason.WRONG_PASSKEY)
    with instance.database.glance() as connection:
        passkey = passkeys.find_by_credential(connection, answer.credential_id)
    if passkey is None:
        return _Signed(answer, refused=Reason.UNKNOWN_PASSKEY)
    try:
        count = core.verify_sign_in(place, answer, passkey.public_key)
    except BadPasskey:
        return _Signed(answer, passkey, refused=Reason.WRONG_PASSKEY)
    wrong = passkey.host != place.host or answer.owner not in (None, passkey.account_id)
    return _Signed(answer, passkey, count, Reason.WRONG_PASSKEY if wrong else None)


def _settled(
    instance: Instance,
    interface: SignInInterface,
    signed: _Signed,
    wanted: _Wanted,
    now: int,
    after_grant: Callable[[Connection, Granted], None],
) -> SignInResult:
    with instance.database.write() as connection:
        outcome = _decide(connection, instance, signed, wanted, now)
        if isinstance(outcome, Denied) and outcome.reason is Reason.PASSKEY_COPIED and signed.passkey is not None:
            raise_alarm(
                connection,
                now,
                interface.actor,
                Action.ALARM_PASSKEY_COPIED,
                account=outcome.account_id,
                passkey=signed.passkey.id,
                name=signed.passkey.name,
            )
        return save_effects(connection, instance, interface, outcome, now, after_grant)


def _decide(connection: Connection, instance: Instance, signed: _Signed, wanted: _Wanted, now: int) -> Outcome:
    if signed.answer is None or signed.passkey is None:
        return Denied(signed.refused or Reason.UNKNOWN_PASSKEY)
    account_id = signed.passkey.account_id
    accounts.lock_accounts(connection, [account_id])
    challenge = signed.answer.challenge
    was_asked = take_challenge(connection, instance, wanted.purpose, wanted.bound, challenge, now)
    passkey = passkeys.find_by_credential(connection, signed.answer.credential_id)  # read again under the lock
    account = accounts.find_account_by_id(connection, account_id)
    if passkey is None or account is None:
        return Denied(Reason.UNKNOWN_PASSKEY, account_id)
    refused = signed.refused or (None if was_asked else Reason.NO_SUCH_CHALLENGE)
    refused = refused or _closed(connection, account, wanted, now)
    if refused is None and core.is_copied(passkey.sign_count, signed.count):
        refused = Reason.PASSKEY_COPIED
    if refused is not None:
        return Denied(refused, account_id)
    passkeys.mark_used(connection, passkey.id, signed.count, now)
    return Granted(account_id, account.login, Method.PASSKEY)


def _closed(connection: Connection, account: Account, wanted: _Wanted, now: int) -> Reason | None:
    """Return the reason why this user may not sign in here now; None: they may."""
    if wanted.account_id not in (None, account.id):
        return Reason.WRONG_PASSKEY  # it belongs to another user
    ended = account_state_of(connection, account).ended(now)
    return ended or (None if wanted.admits(bool(grants_of(connection, account.id))) else Reason.OUT_OF_SCOPE)
