"""Online emergency access that users give themselves at self-service, for a token that is lost or not at hand.

Rules: it is off until policy says for how many days (`own_emergency_days`); back at 0, the codes that users made end
(`policy_changes`). It is given for two factors that are not
the token itself, a passkey or another token with its PIN, shown within ten minutes; never for an emergency code, so
that one leads to no other; never to who holds a role, whom another administrator helps. The codes are a set of one-time
tokencodes, typed after the PIN, shown once; the token's own codes end them, if it turns up. As with the help desk's:
on record, told to the user, counted, and a token that is disabled or expired gets none (`online_emergency`). They end
with what may have made them (`session_ends`).
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
CODES: Final = 10  # in a set: enough for some days, and a sheet of paper
_DESK: Final = "call the help desk"


@dataclass(frozen=True)
class OwnAccess:
    """How it stands. `days`: for which codes are made now; `refused`: why none can be. `own`: whether the access that
    there is was given by the user themself, who may end it. `needs_pin`: the codes are typed after the PIN."""

    access: AccessView | None
    own: bool
    days: int
    refused: NotAllowed | None
    needs_pin: bool


def look(instance: Instance, session: Session, serial: str, *, now: int) -> OwnAccess:
    """Raises NotFound for what is not the user's."""
    with instance.database.read() as connection:
        token = own_token(connection, session.actor, serial)
        access = access_to(connection, session.actor, token.id, now)
        own = access is not None and access.given_by == session.actor.name
        try:
            return OwnAccess(access, own, _days_allowed(connection, session, token, now), None, token.with_pin)
        except NotAllowed as refused:
            return OwnAccess(access, own, 0, refused, token.with_pin)


def give(instance: Instance, session: Session, serial: str, *, now: int) -> GivenAccess:
    """The codes, which nobody sees again. Raises NotFound, NotAllowed."""
    with instance.database.write() as connection:
        given = _give_in(connection, instance, session, serial, now)
    if isinstance(given, Stopped):
        raise given.error  # after the commit, so that its event stays
    return given


def end(instance: Instance, session: Session, serial: str, *, now: int) -> None:
    """The codes that the user made work no longer. Raises NotFound where there are none."""
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
    policies.hold_policies(connection, PolicyKind.TOKEN)  # safe: an edit to 0 days ends these codes, or comes before
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
    """The token as it stands under the lock of its user, in a session that has not ended."""
    accounts.lock_accounts(connection, [own_token(connection, session.actor, serial).account_id])
    verify_open(connection, session)
    return own_token(connection, session.actor, serial)


def _days_allowed(connection: Connection, session: Session, token: AssignedToken, now: int) -> int:
    """Raises NotAllowed."""
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
