"""Online emergency access to a token: give a fixed tokencode or a set of one-time tokencodes, view it, end it.

Rules (docs/emergency-access.md, "Online: temporary tokencodes"):
- The codes are shown once, when they are made, and are stored only encrypted (S41).
- They replace the tokencode, never the PIN. So a token without its PIN is refused, and so is a disabled or expired one
  (S05). The mark *lost* makes no difference.
- A token has one such access at a time: new access ends the former.
- Giving and ending access are logged in the transaction of the effect, with the identification of the caller (S42).
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit_log.named_rows import names_of_actors
from sparekey.app.emergency.rate_limit import Stopped, begin_showing, count_showing, limit_showing, stopped, warning_of
from sparekey.app.emergency.second_person import act_on, acting, facts_of, verify_second_person
from sparekey.app.emergency.showing import Showing, verify_showing
from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_assigned_token
from sparekey.app.notices import notify_user
from sparekey.app.policies_in_force import effective_in, policy_in
from sparekey.app.snapshots import seal_online_code
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice
from sparekey.core.emergency.acts import OperatorAct
from sparekey.core.emergency.online import EmergencyKind, IfAvailable, ends_at, new_online_codes
from sparekey.core.emergency.rate_limit import Pace
from sparekey.core.errors import BadInput, NotAllowed, NotFound
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy.token import TokenPolicy
from sparekey.durations import DAY_SECONDS
from sparekey.passcode import spelled
from sparekey.secret import Secret
from sparekey.storage.emergency import online as online_emergency
from sparekey.storage.emergency.online import OnlineAccess
from sparekey.storage.emergency.rate_limit import OperatorLift
from sparekey.storage.people import accounts
from sparekey.storage.people.accounts import Account
from sparekey.storage.sign_in import challenges
from sparekey.storage.sign_in.statements import end_emergency
from sparekey.storage.tokens.tokens import AssignedToken, Token

DEFAULT_DAYS: Final = 7
MOST_DAYS: Final = 365
MOST_CODES: Final = 50


@dataclass(frozen=True)
class Terms:
    """The lifetime in days (None: no expiry), and the rule for the token when it is available again.

    `until`: the unix second of the end, instead of the days.
    """

    days: int | None = DEFAULT_DAYS
    if_available: IfAvailable = IfAvailable.DENY
    until: int | None = None


@dataclass(frozen=True)
class GivenAccess:
    """The codes that the operator reads out or hands over. They cannot be seen again."""

    kind: EmergencyKind
    if_available: IfAvailable
    expires_at: int | None
    codes: tuple[Secret[str], ...]
    needs_pin: bool
    replaced: bool  # this access replaces an earlier one, which has ended
    warning: str = ""  # for an operator close to the rate limit

    def spelling(self) -> tuple[tuple[str, ...], ...]:
        """Return the codes one by one in the ICAO alphabet. They are as secret as the codes themselves."""
        return tuple(tuple(word for group in spelled(code.reveal()) for word in group) for code in self.codes)


@dataclass(frozen=True)
class AccessView:
    """The present state of the access, without its codes; times in unix seconds."""

    kind: EmergencyKind
    if_available: IfAvailable
    expires_at: int | None
    ended: bool  # it has expired
    codes: int
    left: int  # unused codes, whether or not the access has expired
    last_used_at: int | None
    given_at: int
    given_by: str  # the operator as the audit log names them
    giver: str  # their name


def give_fixed(
    instance: Instance, actor: Actor, serial: str, terms: Terms, showing: Showing, *, now: int
) -> GivenAccess:
    """Give one tokencode that works any number of times. Raises BadInput, NotFound or NotAllowed."""
    return _give(instance, actor, serial, EmergencyKind.FIXED, 1, terms, showing, now)


def give_one_time(
    instance: Instance, actor: Actor, serial: str, count: int, terms: Terms, showing: Showing, *, now: int
) -> GivenAccess:
    """Give `count` tokencodes that work once each. Raises BadInput, NotFound or NotAllowed."""
    if not 1 <= count <= MOST_CODES:
        raise BadInput(f"the number of tokencodes must be 1 to {MOST_CODES}, not {count}", "give another number")
    return _give(instance, actor, serial, EmergencyKind.ONE_TIME, count, terms, showing, now)


def end(instance: Instance, actor: Actor, serial: str, *, now: int) -> None:
    """End the access: its codes stop working, and the token works again. Raises NotAllowed, or NotFound if none."""
    with instance.database.write() as connection:
        row = _locked_token(connection, actor, serial, Permission.EMERGENCY_TEMPORARY)
        if not end_for_token(connection, actor, row, "an operator ended it", now=now):
            raise NotFound(f"token {serial!r} has no online emergency access", "nothing was changed")


def end_for_token(connection: Connection, actor: Actor | str, token: Token, why: str, *, now: int) -> bool:
    """End the access in the caller's transaction, for example because the token is removed. False: there was none.

    `token`: its state before the change.
    """
    if online_emergency.find_access(connection, token.id) is None:
        return False
    end_emergency(connection, token.id)
    challenges.delete_of_token(connection, token.id)  # an open challenge must not be answered with the next access
    log(
        connection,
        now,
        actor,
        Action.EMERGENCY_ENDED,
        account=token.account_id,
        token=token.id,
        serial=token.serial,
        why=why,
    )
    return True


def access_of(instance: Instance, actor: Actor, serial: str, *, now: int) -> AccessView | None:
    """Return the access; None: there is none. Raises NotFound or NotAllowed."""
    with instance.database.read() as connection:
        token = get_assigned_token(connection, actor, serial, Permission.EMERGENCY_VIEW)
        return access_to(connection, actor, token.id, now)


def access_to(connection: Connection, actor: Actor, token_id: str, now: int) -> AccessView | None:
    """Return the access to a token that the actor may see; None: there is none."""
    access = online_emergency.find_access(connection, token_id)
    if access is None:
        return None
    if access.giver is not None:
        return _view(access, access.giver if actor.sees(access.giver_domain_id) else access.created_by, now)
    called = names_of_actors(connection, actor, [access.created_by])
    return _view(access, called.get(access.created_by, access.created_by), now)


def _give(
    instance: Instance,
    actor: Actor,
    serial: str,
    kind: EmergencyKind,
    count: int,
    terms: Terms,
    showing: Showing,
    now: int,
) -> GivenAccess:
    _verify_terms(terms, now)
    verify_showing(showing)
    with acting(instance) as connection:
        given = _give_in(connection, instance, actor, serial, kind, count, terms, showing, now)
    if isinstance(given, Stopped):
        raise given.error  # after the commit, so that its event stays
    return given


def _give_in(
    connection: Connection,
    instance: Instance,
    actor: Actor,
    serial: str,
    kind: EmergencyKind,
    count: int,
    terms: Terms,
    showing: Showing,
    now: int,
) -> GivenAccess | Stopped:
    get_assigned_token(connection, actor, serial, Permission.EMERGENCY_TEMPORARY)
    turn = begin_showing(connection, actor)
    token = _locked_token(connection, actor, serial, Permission.EMERGENCY_TEMPORARY)
    account = _usable_account(connection, token, now)
    asked = act_on(connection, OperatorAct.TEMPORARY_ACCESS, account.id, facts_of(token))
    approved = verify_second_person(connection, actor, account, asked, now=now, subject=token, showing=showing)
    showing = approved.showing if approved is not None else showing
    return give_to(connection, instance, actor, turn, token, kind, count, terms, showing, now)


def give_to(
    connection: Connection,
    instance: Instance,
    actor: Actor,
    turn: OperatorLift,
    token: AssignedToken,
    kind: EmergencyKind,
    count: int,
    terms: Terms,
    showing: Showing,
    now: int,
    notice: Notice = Notice.TEMPORARY_ACCESS,
) -> GivenAccess | Stopped:
    """Give access to a token whose permission is checked, under its user's lock.

    If this returns a Stopped, raise its error after the commit. `turn`: from `begin_showing`, before the user's lock.
    `notice`: the notice to the user. Raises NotAllowed.
    """
    account = _usable_account(connection, token, now)
    policy = effective_in(connection, account.domain_id, account.domain_id).values
    pace = limit_showing(connection, actor, turn, policy, now)
    if pace is Pace.STOPPED:
        return stopped(connection, actor, policy, now)
    count_showing(connection, actor, now)
    replaced = end_for_token(connection, actor, token, "new access takes its place", now=now)
    codes = new_online_codes(policy_in(connection, account.domain_id, TokenPolicy).emergency_alphabet, count)
    days = terms.days if terms.until is None else None
    expires_at = ends_at(now, days, token.expires_at, account.expires_at, terms.until)
    _store(connection, instance, actor, token, kind, terms, codes, expires_at, now)
    log(
        connection,
        now,
        actor,
        Action.EMERGENCY_TEMPORARY,
        account=account.id,
        token=token.id,
        serial=token.serial,
        kind=kind,
        codes=count,
        if_available=terms.if_available,
        expires=expires_at,
        **vars(showing),
    )
    notify_user(connection, now, account.id, notice, serial=token.serial)
    return GivenAccess(kind, terms.if_available, expires_at, codes, token.with_pin, replaced, warning_of(pace, policy))


def _verify_terms(terms: Terms, now: int) -> None:
    if terms.until is not None:
        if not now < terms.until <= now + MOST_DAYS * DAY_SECONDS:
            raise BadInput(
                "the expiry date is in the past, or too far in the future",
                f"give a day within the next {MOST_DAYS} days",
            )
        return
    if terms.days is not None and not 1 <= terms.days <= MOST_DAYS:
        raise BadInput(
            f"the lifetime must be 1 to {MOST_DAYS} days, not {terms.days}", "give another lifetime, or no expiry"
        )
    if terms.days is None and terms.if_available is IfAvailable.AFTER_LIFETIME:
        raise BadInput(
            "without an expiry, the token would never be accepted again",
            "give a lifetime in days, or choose another rule for the token",
        )


def _locked_token(connection: Connection, actor: Actor, serial: str, needed: Permission) -> AssignedToken:
    """Lock the account of the token's user, then read the token: it cannot be taken away meanwhile."""
    accounts.lock_accounts(connection, [get_assigned_token(connection, actor, serial, needed).account_id])
    return get_assigned_token(connection, actor, serial, needed)


def _usable_account(connection: Connection, token: AssignedToken, now: int) -> Account:
    """Return the account of the token's user. Raises NotAllowed if the account or the token cannot be used (S05)."""
    refused = f"token {token.serial!r} cannot be given emergency access"
    account = accounts.find_account_by_id(connection, token.account_id)
    if account is None:
        raise LookupError("a token belongs to an account that is gone")
    if not account.enabled:
        raise NotAllowed(f"{refused}: its user is disabled", "enable the user first")
    if account.expires_at is not None and now >= account.expires_at:
        raise NotAllowed(f"{refused}: its user's account has expired", "give the account a later expiry first")
    if not token.enabled:
        raise NotAllowed(f"{refused}: it is disabled", "enable it first, or assign another token")
    if token.expires_at is not None and now >= token.expires_at:
        raise NotAllowed(f"{refused}: it has expired", "replace it, or assign another token")
    if token.with_pin and token.pin_sealed is None:
        raise NotAllowed(
            f"{refused}: it has no PIN yet, and the code is typed after the PIN",
            "set one with `sparekey token set-pin`",
        )
    return account


def _store(
    connection: Connection,
    instance: Instance,
    actor: Actor,
    token: AssignedToken,
    kind: EmergencyKind,
    terms: Terms,
    codes: tuple[Secret[str], ...],
    expires_at: int | None,
    now: int,
) -> None:
    values = {
        "token_id": token.id,
        "account_id": token.account_id,
        "kind": kind.value,
        "created_at": now,
        "if_available": terms.if_available.value,
        "expires_at": expires_at,
        "created_by": actor.name,
    }
    named = [(new_id(), code) for code in codes]
    sealed = [
        (code_id, seal_online_code(instance.vault, code_id, token.account_id, token.id, code))
        for code_id, code in named
    ]
    online_emergency.insert_access(connection, values, sealed)


def _view(access: OnlineAccess, giver: str, now: int) -> AccessView:
    return AccessView(
        kind=access.kind,
        if_available=access.if_available,
        expires_at=access.expires_at,
        ended=access.expires_at is not None and now >= access.expires_at,
        codes=access.codes,
        left=access.codes - access.used if access.kind is EmergencyKind.ONE_TIME else access.codes,
        last_used_at=access.last_used_at,
        given_at=access.created_at,
        given_by=access.created_by,
        giver=giver,
    )
