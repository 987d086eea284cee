"""What users see and do about what is their own: devices, tokens, PIN, reports of loss, and their own record.

Rules: the actor is a user as themself (`user_sessions.oneself`), who holds no permission at all; what is the user's own
is found by the account of the session and by nothing that was sent, and what is somebody else's does not exist (S63);
what changes anything is done only while the session has not ended, as it is in the transaction that does it (S28);
a code that is tried out counts like any sign-in, so that nobody guesses here (S06); whoever reports a loss shuts only
themself out: a device that others use, too, or ever signed in on, is reported by the help desk.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.devices.stolen import end_stolen, users_of
from sparekey.app.instance import MICROSECONDS, Instance
from sparekey.app.policies_in_force import effective_on
from sparekey.app.reports.why import devices_of, person_of
from sparekey.app.sessions.administrators import Session
from sparekey.app.sessions.users import has_two_factors, interface_name, verify_fresh, verify_open
from sparekey.app.sign_in.pin_changes import ONE_FACTOR_SECONDS
from sparekey.app.sign_in.verification import SignInInterface, sign_in
from sparekey.app.tokens.resync import Resync, resync_of
from sparekey.app.tokens.tokens import mark_lost, set_pin_of
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.errors import Conflict, NotAllowed, NotFound
from sparekey.core.explain.offline import OnDevice
from sparekey.core.explain.online import NamedToken, Person
from sparekey.core.explain.readiness import Assessment, Held, assess
from sparekey.core.permissions import Actor
from sparekey.core.policy.token import TokenPolicy
from sparekey.core.sign_in.authenticate import TokenState
from sparekey.core.sign_in.outcome import Asked, Granted, Outcome
from sparekey.core.sign_in.pins import rule_of
from sparekey.core.tokens.base import TimeBased
from sparekey.json_value import Json
from sparekey.secret import Secret
from sparekey.storage import names
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.audit_log.events import AuditFilter
from sparekey.storage.devices import devices
from sparekey.storage.devices.devices import Device
from sparekey.storage.people import accounts
from sparekey.storage.people.accounts import Account
from sparekey.storage.tokens import tokens
from sparekey.storage.tokens.tokens import AssignedToken

# What is told to its user; the rest is about how the server works.
_TOLD: Final = (
    Action.SIGN_IN_GRANTED,
    Action.SIGN_IN_DENIED,
    Action.SIGN_IN_OFFLINE,
    Action.DEVICE_EVENT,
    Action.ACCOUNT_LOCKED,
    Action.ACCOUNT_UNLOCKED,
    Action.USER_ENABLED,
    Action.USER_DISABLED,
    Action.USER_CHANGED,
    Action.TOKEN_ADDED,
    Action.TOKEN_ASSIGNED,
    Action.TOKEN_UNASSIGNED,
    Action.TOKEN_REPLACED,
    Action.TOKEN_ENABLED,
    Action.TOKEN_DISABLED,
    Action.TOKEN_LOST,
    Action.TOKEN_FOUND,
    Action.TOKEN_PIN_SET,
    Action.TOKEN_PIN_CLEARED,
    Action.TOKEN_PIN_FORCED,
    Action.TOKEN_RESYNCED,
    Action.EMERGENCY_SHOWN,
    Action.EMERGENCY_RESET,
    Action.EMERGENCY_ONLINE,
    Action.EMERGENCY_USED,
    Action.EMERGENCY_REPLACED,
    Action.EMERGENCY_TEMPORARY,
    Action.EMERGENCY_ENDED,
    Action.EMERGENCY_VOIDED,
    Action.PASSKEY_ADDED,
    Action.PASSKEY_REMOVED,
    Action.ALARM_PASSKEY_COPIED,
    Action.DEVICE_REVOKED,
    Action.DEVICE_STOLEN,
)
_THEMSELF: Final = "the user themself, at self-service"  # who reports a theft, as the audit log has it
# Only to read what the user's own devices are called, in whatever domain they are.
_NAMES_EVERYTHING: Final = Actor.of_system("system")


@dataclass(frozen=True)
class OwnDevice:
    """One of the user's devices: what it holds for them. `version`: of the emergency tokencode that it holds, or of the
    passcode; None: neither."""

    device_id: str
    name: str
    assessment: Assessment
    version: int | None
    help_text: str
    last_contact: int | None


@dataclass(frozen=True)
class OwnToken:
    """One of the user's tokens. `drift`: seconds that its clock is ahead; None: it has none. `pin`: whether one is set;
    `pin_due`: it is to be changed at the next sign-in."""

    serial: str
    digits: int
    with_pin: bool
    pin: bool
    pin_due: bool
    pin_set_at: int | None
    enabled: bool
    lost: bool
    expires_at: int | None
    drift: int | None

    def works(self, now: int) -> bool:
        """Whether the server accepts its codes."""
        return self.enabled and not self.lost and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True)
class Own:
    """Everything at one moment. `help_text`: how to reach the help desk, as policy says; "": it does not.
    `emergency_days`: for how long one-time tokencodes work that users make themselves; 0: policy does not let them."""

    login: str
    name: str
    mail: str
    devices: tuple[OwnDevice, ...]
    tokens: tuple[OwnToken, ...]
    pin_rule: str
    pins_remembered: int
    help_text: str
    emergency_days: int

    def token(self, serial: str) -> OwnToken:
        """Raises NotFound."""
        for each in self.tokens:
            if each.serial == serial:
                return each
        raise _no_token()

    def device(self, device_id: str) -> OwnDevice:
        """Raises NotFound."""
        for each in self.devices:
            if each.device_id == device_id:
                return each
        raise _no_device()


@dataclass(frozen=True)
class Tried:
    """What came of a passcode that was tried out. `challenge`: what a sign-in would ask next. `drift`: seconds that the
    token's clock is ahead; None: it has none, or another code was typed."""

    outcome: Outcome
    serial: str = ""
    challenge: str = ""
    drift: int | None = None

    @property
    def right(self) -> bool:
        return isinstance(self.outcome, Granted | Asked)


@dataclass(frozen=True)
class OwnEvent:
    """One thing that happened to the user; `at` in unix seconds.

    `by`: `you`, `help desk` (whoever administers), `device`, `program`, `console`, `self-service`, or `server`; `name`
    is what that device or program is called, or the address that a console was asked from. `serial`: of the token.
    """

    id: int
    at: int
    action: str
    result: str
    by: str
    name: str
    serial: str
    device: str


def look(instance: Instance, actor: Actor, *, now: int) -> Own:
    """The user's own things."""
    with instance.database.read() as connection:
        account = _account(connection, actor)
        person = person_of(connection, instance, account)
        found = devices_of(connection, _NAMES_EVERYTHING, person, account, now)
        owned = tuple(_device(person, each, now) for each in found if not each.state.revoked)
        policy = person.account.token_policy
        return Own(
            account.login,
            account.name,
            account.mail,
            owned,
            tuple(_token(each, policy, now) for each in person.tokens),
            rule_of(policy),
            policy.pin_history,
            next((each.help_text for each in owned if each.help_text), "") or _help_text(connection, account),
            policy.own_emergency_days,
        )


def help_text(instance: Instance, actor: Actor) -> str:
    """How to reach the help desk; "": policy does not say."""
    with instance.database.read() as connection:
        return _help_text(connection, _account(connection, actor))


def try_out(instance: Instance, actor: Actor, address: str, typed: Secret[str], *, now: int) -> Tried:
    """Try a passcode: a sign-in without a session. It is used up, or counted, as over any other interface."""
    with instance.database.read() as connection:
        login = _account(connection, actor).login
    outcome = sign_in(instance, SignInInterface(interface_name(address)), login, typed, now).outcome
    granted = outcome.granted if isinstance(outcome, Asked) else outcome
    if not isinstance(granted, Granted):
        return Tried(outcome)
    with instance.database.read() as connection:
        row = tokens.find_token_by_id(connection, granted.token_id or "")
    drift = granted.drift * row.interval if row is not None and row.interval and granted.step is not None else None
    challenge = outcome.text if isinstance(outcome, Asked) else ""
    return Tried(outcome, row.serial if row is not None else "", challenge, drift)


def change_pin(instance: Instance, session: Session, serial: str, pin: Secret[str], *, now: int) -> None:
    """Sets or changes the PIN of a token of the user's, with a second factor not older than ten minutes. Their other
    sessions end. Where this one shows one factor only, the PIN is no second one for a day (`pin_changes`).

    Raises BadInput for what policy does not allow, and NotAllowed.
    """

    def find(connection: Connection) -> AssignedToken:
        verify_fresh(connection, session, now)
        token = own_token(connection, session.actor, serial)
        if not token.with_pin:
            raise Conflict("this token is used without a PIN", "type only its code when you sign in")
        return token

    def counts_from(connection: Connection) -> int | None:
        return None if has_two_factors(connection, session) else now + ONE_FACTOR_SECONDS

    set_pin_of(instance, session.actor, find, pin, session=session.id, counts_from=counts_from, now=now)


def resynchronise(
    instance: Instance, session: Session, serial: str, first: Secret[str], second: Secret[str], *, now: int
) -> Resync:
    """By two codes of a token of the user's that follow one another; a pair that is not found counts as a failure."""

    def find(connection: Connection) -> AssignedToken:
        verify_open(connection, session)
        return own_token(connection, session.actor, serial)

    return resync_of(instance, session.actor, find, first, second, now=now)


def report_lost(instance: Instance, session: Session, serial: str, *, now: int) -> None:
    """A token of the user's is refused from now on; all sessions of the user end. Only the help desk can undo it."""
    actor = session.actor
    with instance.database.write() as connection:
        accounts.lock_accounts(connection, [_account_id(actor)])
        verify_open(connection, session)
        mark_lost(connection, actor, own_token(connection, actor, serial), lost=True, now=now)


def report_stolen(instance: Instance, session: Session, device_id: str, *, now: int) -> None:
    """A device of the user's, and of nobody else, is shut out, and what it holds ends (`devices_stolen`). With a second
    factor not older than ten minutes.

    Raises Conflict where others use it, and NotAllowed.
    """
    actor = session.actor
    with instance.database.write() as connection:
        device = _own_device(connection, actor, device_id)
        devices.lock_device(connection, device.id)
        accounts.lock_accounts(connection, [_account_id(actor)])
        verify_fresh(connection, session, now)
        others = users_of(connection, device.id) - {actor.account_id}
        # of those who never sign in offline the device holds nothing: only the audit log knows them
        if others or audit_events.has_signed_in_there(connection, device.id, _account_id(actor)):
            raise Conflict(
                "other people also use this device and would be blocked, too",
                "call the help desk, who can report it stolen for all users",
            )
        end_stolen(connection, actor, device, {"reported_by": _THEMSELF}, now=now)


def activity(instance: Instance, actor: Actor, limit: int = 50, before: int | None = None) -> list[OwnEvent]:
    """What happened to the user, the newest first, from the one before the row `before`."""
    with instance.database.read() as connection:
        wanted = AuditFilter(account_id=_account_id(actor), actions=_TOLD)
        rows = audit_events.list_rows(connection, wanted, limit=limit, before=before)
        return _events(connection, actor, rows)


def _account_id(actor: Actor) -> str:
    if actor.account_id is None:
        raise NotAllowed("this is only for users who have signed in", "sign in")
    return actor.account_id


def _account(connection: Connection, actor: Actor) -> Account:
    account = accounts.find_account_by_id(connection, _account_id(actor))
    if account is None:
        raise NotAllowed("this is only for users who have signed in", "sign in")
    return account


def own_token(connection: Connection, actor: Actor, serial: str) -> AssignedToken:
    """Raises NotFound for what is not the user's."""
    token = tokens.find_token(connection, serial)
    if not isinstance(token, AssignedToken) or token.account_id != _account_id(actor):
        raise _no_token()
    return token


def _own_device(connection: Connection, actor: Actor, device_id: str) -> Device:
    device = devices.find_device(connection, device_id)
    if device is None or devices.find_device_account(connection, device_id, _account_id(actor)) is None:
        raise _no_device()
    return device


def _no_token() -> NotFound:
    return NotFound("you have no token with this serial number", "see your tokens on the home page")


def _no_device() -> NotFound:
    return NotFound("you have no device with this ID", "see your devices on the home page")


def _help_text(connection: Connection, account: Account) -> str:
    return effective_on(connection, account.domain_id, ())[account.domain_id].values.help_text


def _device(person: Person, device: OnDevice, now: int) -> OwnDevice:
    states = {each.serial: each.state for each in person.tokens}
    data = {states[each.serial].token_id: each.ends_at for each in device.data if each.ends_at > now}
    codes = {states[each.serial].token_id if each.serial else "": each.not_after for each in device.codes}
    used = [states[serial] for serial in device.serials]
    held = Held(data, codes, device.last_contact)
    assessment = assess(person.account, device.state, device.policy, used, held, now)
    # a tokencode's, if there is one: that is what the help desk reads out first
    versions = [each.version for each in sorted(device.codes, key=lambda code: not code.serial)]
    return OwnDevice(
        device.state.device_id,
        device.name,
        assessment,
        next(iter(versions), None),
        device.policy.values.help_text,
        device.last_contact,
    )


def _token(token: NamedToken, policy: TokenPolicy, now: int) -> OwnToken:
    state = token.state
    return OwnToken(
        token.serial,
        state.digits,
        state.with_pin,
        state.pin is not None,
        state.needs_new_pin(now, policy),
        state.pin_set_at,
        state.enabled,
        state.lost,
        state.expires_at,
        _drift(state),
    )


def _drift(state: TokenState) -> int | None:
    return state.drift * state.otp.interval if isinstance(state.otp, TimeBased) else None


def _events(connection: Connection, actor: Actor, rows: Sequence[AuditRow]) -> list[OwnEvent]:
    doers = {row.actor for row in rows}
    wanted = {
        kind: {each.partition(":")[2] for each in doers if each.startswith(f"{kind}:")}
        for kind in (names.DEVICE, names.CLIENT)
    }
    wanted[names.DEVICE] |= {row.device_id for row in rows if row.device_id}
    wanted[names.TOKEN] = {row.token_id for row in rows if row.token_id}
    found = names.find_names(connection, wanted)
    called = {kind: {key: name for key, (name, _) in named.items()} for kind, named in found.items()}
    return [_event(actor, row, called) for row in rows]


def _event(actor: Actor, row: AuditRow, called: dict[str, dict[str, str]]) -> OwnEvent:
    kind, _, key = row.actor.partition(":")
    by, name = {
        "device": ("device", called[names.DEVICE].get(key, "")),
        "client": ("program", called[names.CLIENT].get(key, "")),
        "self": ("self-service", key),
        "rest": ("console", key),
        "user": ("you" if row.actor == actor.name else "help desk", ""),
        "os": ("help desk", ""),
    }.get(kind, ("server", ""))
    detail: dict[str, Json] = json.loads(row.detail)
    offline = row.action in (Action.SIGN_IN_OFFLINE, Action.DEVICE_EVENT)
    at = said if offline and isinstance(said := detail.get("at"), int) else row.at // MICROSECONDS
    return OwnEvent(
        row.id,
        at,
        row.action,
        row.result,
        by,
        name,
        called[names.TOKEN].get(row.token_id or "", ""),
        called[names.DEVICE].get(row.device_id or "", ""),
    )
