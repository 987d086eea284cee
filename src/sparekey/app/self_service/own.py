"""Self-service of users: their own devices, tokens, PIN, reports of loss, and recent activity.

Rules:
- The actor is a user without any permission (`oneself` in app/sessions/users.py). The account of the session alone
  decides which objects are the user's own; all others are reported as not found (S63).
- Every change verifies in its own transaction that the session has not ended (S28).
- A passcode that is tried out counts like a sign-in, so that this page allows no extra guesses (S06).
- A report of loss blocks only the user who makes it. The help desk reports a device that other users use, or on which
  they have ever signed in.
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

# The events that users see. All others are about the operation of the server.
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
_THEMSELF: Final = "the user themself, at self-service"  # the reporter of a theft, as the audit log names the user
# Only to read the names of the user's own devices, in any domain.
_NAMES_EVERYTHING: Final = Actor.of_system("system")


@dataclass(frozen=True)
class OwnDevice:
    """One of the user's devices, with the data that it holds for them. `version`: of the emergency tokencode that it
    holds, else of the emergency passcode; None: it holds neither."""

    device_id: str
    name: str
    assessment: Assessment
    version: int | None
    help_text: str
    last_contact: int | None


@dataclass(frozen=True)
class OwnToken:
    """One of the user's tokens. `pin`: True if a PIN is set. `pin_due`: True if it must be changed at the next sign-in.
    `drift`: seconds by which its clock is ahead; None: it has no clock."""

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
        """Return True if the server accepts its codes."""
        return self.enabled and not self.lost and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True)
class Own:
    """A snapshot of everything that belongs to a user. `help_text`: how to reach the help desk; "": policy has no text.
    `emergency_days`: lifetime of one-time tokencodes that users make themselves; 0: policy does not allow them."""

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
        """Return the token with this serial number. Raises NotFound."""
        for token in self.tokens:
            if token.serial == serial:
                return token
        raise _no_token()

    def device(self, device_id: str) -> OwnDevice:
        """Return the device with this id. Raises NotFound."""
        for device in self.devices:
            if device.device_id == device_id:
                return device
        raise _no_device()


@dataclass(frozen=True)
class Tried:
    """The result of trying out a passcode. `challenge`: the next challenge of a sign-in. `drift`: seconds by which the
    token's clock is ahead; None: it has no clock, or the code was not a tokencode."""

    outcome: Outcome
    serial: str = ""
    challenge: str = ""
    drift: int | None = None

    @property
    def right(self) -> bool:
        return isinstance(self.outcome, Granted | Asked)


@dataclass(frozen=True)
class OwnEvent:
    """One event about the user; `at` in unix seconds.

    `by`: `you`, `help desk` (any administrator), `device`, `program`, `console`, `self-service`, or `server`. `name`:
    the name of that device or program, or the address of the client of a console. `serial`: of the token.
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
    """Return everything that belongs to the user."""
    with instance.database.read() as connection:
        account = _account(connection, actor)
        person = person_of(connection, instance, account)
        found = devices_of(connection, _NAMES_EVERYTHING, person, account, now)
        owned = tuple(_device(person, device, now) for device in found if not device.state.revoked)
        policy = person.account.token_policy
        return Own(
            account.login,
            account.name,
            account.mail,
            owned,
            tuple(_token(token, policy, now) for token in person.tokens),
            rule_of(policy),
            policy.pin_history,
            next((device.help_text for device in owned if device.help_text), "") or _help_text(connection, account),
            policy.own_emergency_days,
        )


def help_text(instance: Instance, actor: Actor) -> str:
    """Return how to reach the help desk; "": policy has no text."""
    with instance.database.read() as connection:
        return _help_text(connection, _account(connection, actor))


def try_out(instance: Instance, actor: Actor, address: str, typed: Secret[str], *, now: int) -> Tried:
    """Try a passcode by a sign-in without a session. As at any interface, it is used up or counted as a failure."""
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
    """Set or change the PIN of a token of the user, and end the user's other sessions.

    It needs a second factor not older than ten minutes. If the session has shown only one factor, the new PIN does not
    count as a second factor for a day (app/sign_in/pin_changes.py).

    Raises BadInput if policy does not allow the PIN, Conflict if the token is used without a PIN, and NotAllowed if the
    second factor is too old.
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
    """Resynchronise a token of the user by two successive codes. A pair that is not found counts as a failure."""

    def find(connection: Connection) -> AssignedToken:
        verify_open(connection, session)
        return own_token(connection, session.actor, serial)

    return resync_of(instance, session.actor, find, first, second, now=now)


def report_lost(instance: Instance, session: Session, serial: str, *, now: int) -> None:
    """Mark a token of the user as lost and end all sessions of the user. Only the help desk can undo it."""
    actor = session.actor
    with instance.database.write() as connection:
        accounts.lock_accounts(connection, [_account_id(actor)])
        verify_open(connection, session)
        mark_lost(connection, actor, own_token(connection, actor, serial), lost=True, now=now)


def report_stolen(instance: Instance, session: Session, device_id: str, *, now: int) -> None:
    """Block a device that only this user uses, and end the data that it holds (app/devices/stolen.py).

    It needs a second factor not older than ten minutes. Raises NotFound if the user has no such device, Conflict if
    other users use it, and NotAllowed if the second factor is too old.
    """
    actor = session.actor
    with instance.database.write() as connection:
        device = _own_device(connection, actor, device_id)
        devices.lock_device(connection, device.id)
        accounts.lock_accounts(connection, [_account_id(actor)])
        verify_fresh(connection, session, now)
        others = users_of(connection, device.id) - {actor.account_id}
        # The device holds no data of users who never sign in offline. Only the audit log knows them.
        if others or audit_events.has_signed_in_there(connection, device.id, _account_id(actor)):
            raise Conflict(
                "other people also use this device and would be blocked, too",
                "call the help desk, who can report it stolen for all users",
            )
        end_stolen(connection, actor, device, {"reported_by": _THEMSELF}, now=now)


def activity(instance: Instance, actor: Actor, limit: int = 50, before: int | None = None) -> list[OwnEvent]:
    """Return the events about the user, newest first. `before`: only rows with an id less than this."""
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
    """Return the token with this serial number. Raises NotFound if it is not the user's own."""
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
    states = {token.serial: token.state for token in person.tokens}
    data = {states[held.serial].token_id: held.ends_at for held in device.data if held.ends_at > now}
    codes = {states[code.serial].token_id if code.serial else "": code.not_after for code in device.codes}
    used = [states[serial] for serial in device.serials]
    everything = Held(data, codes, device.last_contact)
    assessment = assess(person.account, device.state, device.policy, used, everything, now)
    # a tokencode before the passcode, because the help desk reads out the tokencode first
    versions = [code.version for code in sorted(device.codes, key=lambda code: not code.serial)]
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
    actors = {row.actor for row in rows}
    wanted = {
        kind: {name.partition(":")[2] for name in actors if name.startswith(f"{kind}:")}
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
    at = device_time if offline and isinstance(device_time := detail.get("at"), int) else row.at // MICROSECONDS
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
