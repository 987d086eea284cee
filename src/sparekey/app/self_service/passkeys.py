"""Passkeys at self-service: users sign in with them, add and remove them.

Rules: a passkey is two factors, so that only who shows two adds one: another passkey, or a token with its PIN. An
emergency code adds none: it is for some days, and a passkey is for good. One that is removed takes along the sessions
and the online emergency access that it may have made (`session_ends`). Whoever holds a role comes from where
administrators may come, as with a passcode.
"""

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.sessions import passkey_sign_ins, passkeys
from sparekey.app.sessions.administrators import Session
from sparekey.app.sessions.passkey_sign_ins import Entrance
from sparekey.app.sessions.passkeys import ChallengePurpose, PasskeyView
from sparekey.app.sessions.users import begin_session, interface_name, new_token, refresh_session, verify_two_factors
from sparekey.app.sign_in.verification import SignInResult
from sparekey.core.sign_in.outcome import Granted
from sparekey.core.sign_in.passkeys import RelyingParty
from sparekey.secret import Secret


def entrance(*, administrators_too: bool = True) -> Entrance:
    """`administrators_too`: whether who holds a role may come from this address."""

    def admits(holds_a_role: bool) -> bool:
        return administrators_too or not holds_a_role

    return Entrance(ChallengePurpose.USER_SIGN_IN, interface_name, admits, new_token, _begin, _refresh)


def refresh_with_passkey(
    instance: Instance, address: str, place: RelyingParty, session: Session, answer: str, now: int
) -> SignInResult:
    """A fresh second factor within a session at self-service."""
    return passkey_sign_ins.refresh_with_passkey(instance, address, place, session, answer, now, entrance())


def verify_may_add(instance: Instance, session: Session) -> None:
    """Raises NotAllowed where one factor was shown, or an emergency code."""
    passkeys.verify_may_begin(instance, session, verify_two_factors)


def ask_for_registration(instance: Instance, place: RelyingParty, session: Session, now: int) -> str:
    """JSON for the browser of whoever has the session. Raises NotAllowed."""
    return passkeys.ask_for_registration(instance, place, session, now, verify_two_factors)


def add_passkey(
    instance: Instance, place: RelyingParty, session: Session, name: str, answer: str, now: int
) -> PasskeyView:
    """One more passkey of whoever has the session. Raises NotAllowed, BadInput, Conflict."""
    return passkeys.add_passkey(instance, place, session, name, answer, now, verify_two_factors)


def _begin(connection: Connection, token: Secret[str], granted: Granted, _: str, now: int) -> None:
    begin_session(connection, token, granted, now)


def _refresh(connection: Connection, session: Session, granted: Granted, _: str, now: int) -> None:
    refresh_session(connection, session, granted, now)
