"""An offline sign-in, decided by the device alone: count, hash, erase, and only then answer.

- The failure is on disk before the first hash, and before the PIN lock is tried (S25). A success takes it back in the
  commit that erases.
- The unit that opens must carry the key that the last contact named, and the login of this sign-in.
- Any error on the way is a refusal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from sparekey.agent.contact.events import alarmed, appended
from sparekey.agent.ground.device_time import TrustedTime
from sparekey.agent.ground.outcome import LoginAnswer, Mode, Refusal, RefusalReason, Result, granted_offline, refused
from sparekey.agent.ground.ports import Distance, StoreUnreadable
from sparekey.agent.ground.state import State, UserState
from sparekey.agent.sign_in.attempt import (
    Conditions,
    Plan,
    after_success,
    decide_attempt,
    with_failure,
    without_failure,
)
from sparekey.agent.sign_in.lock_changes import Change, ShownPin, lock_change_for, unchanged
from sparekey.agent.sign_in.search import OpenedUnit, read_units, search
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.store.erasing import days_left, emergency_ends
from sparekey.agent.store.wrapped_secrets import UnlockedSecrets, rewrapped
from sparekey.secret import Secret
from sparekey.unit_kind import UnitKind
from sparekey.wire.events import EventKind

_ALARMS: Final = {RefusalReason.CLOCK: EventKind.CLOCK_SUSPECT, RefusalReason.DAMAGED: EventKind.STORE_DAMAGED}
_CODE_NAMES: Final[Mapping[str, str]] = {
    UnitKind.EMERGENCY_TOKENCODE: "emergency tokencode",
    UnitKind.EMERGENCY_PASSCODE: "emergency passcode",
}


@dataclass(frozen=True)
class LoginOutcome:
    """The answer to a sign-in and, if it is granted, the session that it opens."""

    answer: LoginAnswer
    session: UnlockedSecrets | None = None
    decided_offline_since: float = 0.0  # monotonic seconds; 0 if the server decided


def login_offline(
    device: ThisDevice, login: str, passcode: Secret[str], distance: Distance, *, remote: bool = False
) -> LoginOutcome:
    """Decide a sign-in by the data on this device. The caller holds the attempt lock.

    Raises StoreUnreadable if the store or its keys fail.
    """
    user = device.state.find_user(login)
    if user is None:
        return LoginOutcome(refused(Refusal(RefusalReason.NO_DATA), Mode.OFFLINE))
    trusted = device.store.trusted_time()
    conditions = Conditions(trusted=trusted, reading=device.clock.reading(), distance=distance, remote=remote)
    found = _try_units(device, user, passcode, conditions)
    if isinstance(found, Refusal):
        _log_alarm(device, user, found.reason, trusted)
        if found.reason is RefusalReason.PIN_LOCKOUT:
            found = replace(found, wait=_lockout_seconds(device))
        return LoginOutcome(refused(found, Mode.OFFLINE, device_sentence(device.state, user)))
    return _grant(device, found, trusted)


def try_emergency(device: ThisDevice, account: str, passcode: Secret[str]) -> LoginAnswer:
    """Try the emergency code of an account of this computer without signing in.

    A failure counts like any other. A success erases nothing and logs no event. Raises StoreUnreadable if the store or
    its keys fail.
    """
    login = device.names.find_login(account)
    if login is None:
        return refused(Refusal(RefusalReason.NOT_MAPPED), Mode.NONE)
    user = device.state.find_user(login)
    if user is None:
        return refused(Refusal(RefusalReason.NO_DATA), Mode.OFFLINE)
    conditions = Conditions(
        trusted=device.store.trusted_time(),
        reading=device.clock.reading(),
        distance=Distance.OFFLINE,
        emergency_only=True,
    )
    found = _try_units(device, user, passcode, conditions)
    if isinstance(found, Refusal):
        return refused(found, Mode.OFFLINE, device_sentence(device.state, user))
    before = user.emergency_failures
    device.store.change(
        lambda state: state.with_user(replace(state.get_user(user.user), emergency_failures=before)),
    )
    header = found.opened.unit.header
    message = "The emergency code works: without the network it would sign this user in. No sign-in took place."
    return LoginAnswer(
        Result.GRANTED, Mode.OFFLINE, header.kind.value, emergency_expires=header.not_after, message=message
    )


def device_sentence(state: State, user: UserState) -> str:
    """Return the facts that a caller reads to the help desk: the device, the versions of its emergency codes, and the
    help text of the policy."""
    held = [f"{_CODE_NAMES[unit.kind]} version {unit.version}" for unit in user.current_units if unit.is_emergency]
    codes = f"Device {state.enrolment.name} holds {', '.join(held) if held else 'no emergency code'}."
    return f"{codes} {user.policy.help_text}".strip()


def _try_units(
    device: ThisDevice, user: UserState, passcode: Secret[str], conditions: Conditions
) -> OpenedUnit | Refusal:
    """Return the unit that opened, or the refusal, with its count and its event committed."""
    with device.store.steady():
        plan = decide_attempt(device.state.get_user(user.user), passcode, conditions)
        units = [] if isinstance(plan, Refusal) else read_units(device, plan)
    if isinstance(plan, Refusal):
        return plan
    if not units:
        return Refusal(RefusalReason.DAMAGED)
    # Safe because the failure is on disk before the first guess is tested: a power cut takes none back (S25).
    reading = conditions.reading
    device.store.change(lambda state: state.with_user(with_failure(state.get_user(plan.user), plan, reading)))
    found = search(device, plan, units)
    if isinstance(found, OpenedUnit) and not _is_expected(device, user, found):
        found = Refusal(RefusalReason.DAMAGED, counted=True)
    if isinstance(found, Refusal):
        _settle_failure(device, plan, found, conditions.trusted)
    return found


def _is_expected(device: ThisDevice, user: UserState, found: OpenedUnit) -> bool:
    """Return True if the unit is for this login and carries the key that the last contact named."""
    header = found.opened.unit.header
    return header.login == user.login and header.check.hex() == device.state.get_user(user.user).check


def _settle_failure(device: ThisDevice, plan: Plan, refusal: Refusal, trusted: TrustedTime) -> None:
    """Log a guess that was tested. Take the count back if none was."""
    if not refusal.counted:
        device.store.change(lambda state: state.with_user(without_failure(state.get_user(plan.user), plan)))
        return

    def log_denial(state: State) -> State:
        user = state.get_user(plan.user)
        sign, at, reason = device.store.keys.sign, trusted.time, refusal.reason.value
        state = appended(state, sign, EventKind.DENIED, at, user=user.user, login=user.login, reason=reason)
        if plan.counts_tokencode and user.failures == user.policy.offline_failures:
            state = appended(state, sign, EventKind.BLOCKED, at, user=user.user, login=user.login)
        return state

    device.store.change(log_denial)


def _log_alarm(device: ThisDevice, user: UserState, reason: RefusalReason, trusted: TrustedTime) -> None:
    """Log an event for the server if the clock cannot be right or the store was altered."""
    kind = _ALARMS.get(reason)
    if kind is not None:
        sign = device.store.keys.sign
        device.store.change(lambda state: alarmed(state, sign, kind, trusted.time, reason.value, user.user, user.login))


def _lockout_seconds(device: ThisDevice) -> int:
    """Return the longest time until the TPM in its lockout takes a PIN again, in seconds; 0 if unknown.

    Safe because this is a setting of the TPM. It is the same for every user and every passcode, and tells nothing about
    PINs or the times of attempts.
    """
    try:
        facts = device.store.keys.facts()
    except StoreUnreadable:
        return 0
    return facts.forgives_after if facts is not None else 0


def _grant(device: ThisDevice, found: OpenedUnit, trusted: TrustedTime) -> LoginOutcome:
    """Commit the success, with all that it erases, and return the answer."""
    opened, header = found.opened, found.opened.unit.header
    reading = device.clock.reading()
    keys = device.store.keys
    method = header.kind.value if header.kind.is_emergency else "tokencode"
    change_lock = _lock_change(device, found)

    def change(state: State) -> State:
        state = after_success(state, header, opened.i, trusted, reading)
        user = rewrapped(state.get_user(header.user), opened.offline_key, header.previous, keys.device_secret())
        return appended(
            state.with_user(change_lock(user)),
            keys.sign,
            EventKind.GRANTED,
            trusted.time,
            user=header.user,
            login=header.login,
            method=method,
            token=header.token,
            step=0 if header.kind.is_emergency else opened.i,
            version=header.version,
            check=header.check.hex(),
        )

    user = device.store.change(change, found.lock).get_user(header.user)
    days = days_left(user, trusted.time)
    until = header.not_after if header.kind.is_emergency else 0
    answer = LoginAnswer(
        Result.GRANTED,
        Mode.OFFLINE,
        method=method,
        days_left=days,
        emergency_expires=until or emergency_ends(user),
        message=granted_offline(days, user.policy.warn_days, until),
    )
    return LoginOutcome(answer, UnlockedSecrets(device.store, header.user, opened.offline_key))


def _lock_change(device: ThisDevice, found: OpenedUnit) -> Change:
    """Return the change that this PIN brings to its lock."""
    header = found.opened.unit.header
    if not header.pin_salt:
        return unchanged
    shown = ShownPin(header.token, header.pin_salt.hex(), found.pin)
    return lock_change_for(device, device.state.get_user(header.user), shown, found.lock)
