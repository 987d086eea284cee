"""Passkeys at self-service: users sign in with them, add and remove them.

Rules:
- A passkey counts as two factors, so a user must show two factors to add one: another passkey, or a token with its PIN.
- An emergency code does not suffice, because it is valid for some days and a passkey has no end.
- Removing a passkey also ends the sessions and the online emergency access that it may have made
  (app/sessions/ends.py).
- As with a passcode, users who hold a role can sign in only from the addresses allowed for administrators.
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
    """Return the passkey sign-in of self-service. `administrators_too`: True if the address is allowed for users who
    hold a role."""

    def admits(holds_a_role: bool) -> bool:
        return administrators_too or not holds_a_role

    return Entrance(ChallengePurpose.USER_SIGN_IN, interface_name, admits, new_token, _begin, _refresh)


def refresh_with_passkey(
    instance: Instance, address: str, place: RelyingParty, session: Session, answer: str, now: int
) -> SignInResult:
    """Refresh the second factor of a session at self-service."""
    return passkey_sign_ins.refresh_with_passkey(instance, address, place, session, answer, now, entrance())


def verify_may_add(instance: Instance, session: Session) -> None:
    """Raise NotAllowed if the session has shown only one factor, or an emergency code."""
    passkeys.verify_may_begin(instance, session, verify_two_factors)


def ask_for_registration(instance: Instance, place: RelyingParty, session: Session, now: int) -> str:
    """Return the options for a new passkey, as JSON for the user's browser.

    Raises NotAllowed as `verify_may_add` does.
    """
    return passkeys.ask_for_registration(instance, place, session, now, verify_two_factors)


def add_passkey(
    instance: Instance, place: RelyingParty, session: Session, name: str, answer: str, now: int
) -> PasskeyView:
    """Add a passkey of the user.

    Raises NotAllowed as `verify_may_add` does, BadInput if the name or the answer is not valid, and Conflict if the
    passkey exists already or the user has too many.
    """
    return passkeys.add_passkey(instance, place, session, name, answer, now, verify_two_factors)


def _begin(connection: Connection, token: Secret[str], granted: Granted, _: str, now: int) -> None:
    begin_session(connection, token, granted, now)


def _refresh(connection: Connection, session: Session, granted: Granted, _: str, now: int) -> None:
    refresh_session(connection, session, granted, now)
