"""Online emergency access that users give themselves at self-service, for a token that is lost or not at hand.

Rules:
- It is off until a policy sets a number of days (`own_emergency_days`). An edit back to 0 ends the codes that users
  made (app/policies/changes.py).
- Users must have shown two factors other than this token within ten minutes: a passkey, or another token with its PIN.
  An emergency code does not count, so that one emergency code never leads to another.
- Users who hold a role cannot give it to themselves; another administrator helps them.
- The codes are a set of one-time tokencodes, typed after the PIN and shown once. They end at the first sign-in with the
  token itself.
- As with codes from the help desk, each use case is logged, sent to the user as a notice and counted. A disabled or
  expired token gets no codes (app/emergency/online.py).
- They end when the session or passkey that may have made them is revoked (`end_own_access` in app/sessions/ends.py).
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import grants_of
from sparekey.app.emergency.online import AccessView, GivenAccess, Terms, access_to, end_for_token, give_to
from sparekey.app.emergency.rate_limit import Stopped, begin_showing
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import Instance
from sparekey.app.policies_in_force import policy_in
from sparekey.app.self_service.own import own_token
from sparekey.app.sessions.administrators import Session
from sparekey.app.sessions.users import verify_fresh, verify_open, verify_two_factors
from sparekey.core.audit_log.notices import Notice
from sparekey.core.emergency.online import EmergencyKind, IfAvailable
from sparekey.core.errors import NotAllowed, NotFound
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.token import TokenPolicy
from sparekey.storage.emergency import online as online_emergency
from sparekey.storage.people import accounts
from sparekey.storage.policies import policies
from sparekey.storage.tokens.tokens import AssignedToken

_ONESELF: Final = Showing("the user themself, at self-service")
CODES: Final = 10  # in a set: enough for some days, and they fit on a sheet of paper
_DESK: Final = "call the help desk"


@dataclass(frozen=True)
class OwnAccess:
    """The state of a user's own emergency access for one token.

    `own`: True if the user gave the present access and can end it. `days`: lifetime of new codes. `refused`: the reason
    why the user cannot make codes; None: they can. `needs_pin`: the codes are typed after the PIN.
    """

    access: AccessView | None
    own: bool
    days: int
    refused: NotAllowed | None
    needs_pin: bool


def look(instance: Instance, session: Session, serial: str, *, now: int) -> OwnAccess:
    """Return the state for a token of the user. Raises NotFound if the user has no such token."""
    with instance.database.read() as connection:
        token = own_token(connection, session.actor, serial)
        access = access_to(connection, session.actor, token.id, now)
        own = access is not None and access.given_by == session.actor.name
        try:
            return OwnAccess(access, own, _days_allowed(connection, session, token, now), None, token.with_pin)
        except NotAllowed as refused:
            return OwnAccess(access, own, 0, refused, token.with_pin)


def give(instance: Instance, session: Session, serial: str, *, now: int) -> GivenAccess:
    """Make new codes and return them. They are never shown again.

    Raises NotFound if the user has no such token, and NotAllowed if policy, the session or the token forbids it.
    """
    with instance.database.write() as connection:
        result = _give_in(connection, instance, session, serial, now)
    if isinstance(result, Stopped):
        raise result.error  # after the commit, so that its event stays
    return result


def end(instance: Instance, session: Session, serial: str, *, now: int) -> None:
    """End the codes that the user made for this token. Raises NotFound if there are none."""
    with instance.database.write() as connection:
        token = _locked(connection, session, serial)
        access = online_emergency.find_access(connection, token.id)
        if access is None or access.created_by != session.actor.name:
            raise NotFound("you have no emergency codes for this token", "nothing was changed")
        end_for_token(connection, session.actor, token, "the user ended it", now=now)


def _give_in(
    connection: Connection, instance: Instance, session: Session, serial: str, now: int
) -> GivenAccess | Stopped:
    own_token(connection, session.actor, serial)
    verify_fresh(connection, session, now)
    # Safe because an edit to 0 days waits for this lock and then ends these codes, or was committed before it.
    policies.hold_policies(connection, PolicyKind.TOKEN)
    turn = begin_showing(connection, session.actor)
    token = _locked(connection, session, serial)
    terms = Terms(_days_allowed(connection, session, token, now), IfAvailable.END)
    return give_to(
        connection,
        instance,
        session.actor,
        turn,
        token,
        EmergencyKind.ONE_TIME,
        CODES,
        terms,
        _ONESELF,
        now,
        Notice.TEMPORARY_OWN,
    )


def _locked(connection: Connection, session: Session, serial: str) -> AssignedToken:
    """Lock the user, verify that the session has not ended, and return the token as it is then."""
    accounts.lock_accounts(connection, [own_token(connection, session.actor, serial).account_id])
    verify_open(connection, session)
    return own_token(connection, session.actor, serial)


def _days_allowed(connection: Connection, session: Session, token: AssignedToken, now: int) -> int:
    """Return the lifetime of new codes in days. Raises NotAllowed if the user cannot make codes for this token."""
    days = policy_in(connection, token.user_domain_id, TokenPolicy).own_emergency_days
    if not days:
        raise NotAllowed("your organisation does not allow this in self-service", _DESK)
    if grants_of(connection, token.account_id):
        raise NotAllowed("administrators cannot give themselves emergency access", "ask another administrator")
    if not token.enabled or (token.expires_at is not None and now >= token.expires_at):
        raise NotAllowed("this token is disabled or has expired", "ask the help desk for another one")
    if token.with_pin and token.pin_sealed is None:
        raise NotAllowed("this token has no PIN yet, and the codes need one", "set a PIN on the home page")
    verify_two_factors(connection, session, but=token.id)
    return days
