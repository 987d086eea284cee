"""An attempt that the device judges alone: count, hash, erase, and only then answer.

- The failure is on disk before the first hash, and before the PIN lock is tried (S25); success takes it back in the
  commit that erases.
- Success must open to the key that the last contact named, for the login that was asked for.
- Whatever goes wrong on the way is a refusal.
"""

from dataclasses import dataclass, replace
from typing import Final

from sparekey.agent.contact.events import alarmed, appended
from sparekey.agent.ground.device_time import Judged
from sparekey.agent.ground.outcome import LoginAnswer, Mode, Reason, Refusal, Result, granted_offline, refused
from sparekey.agent.ground.ports import Distance, StoreUnreadable
from sparekey.agent.ground.state import State, UserState
from sparekey.agent.sign_in.attempt import Plan, after_success, counted, decide_attempt, taken_back
from sparekey.agent.sign_in.lock_changes import Change, ShownPin, settle, unchanged
from sparekey.agent.sign_in.search import Found, Untested, read_units, search
from sparekey.agent.store.device import Device
from sparekey.agent.store.erasing import days_left, emergency_ends
from sparekey.agent.store.wrapped_secrets import Session, rewrapped
from sparekey.secret import Secret
from sparekey.wire.events import EventKind

_ALARMS: Final = {Reason.CLOCK: EventKind.CLOCK_SUSPECT, Reason.DAMAGED: EventKind.STORE_DAMAGED}


@dataclass(frozen=True)
class Login:
    """The answer and, where it is granted, what it gives."""

    answer: LoginAnswer
    session: Session | None = None
    judged_alone_since: float = 0.0  # of the monotonic clock; 0 where the device did not


def login_offline(
    device: Device, login: str, typed: Secret[str], distance: Distance, *, from_afar: bool = False
) -> Login:
    """Judges what was typed by what the device holds. The caller has the attempt lock."""
    user = device.state.find_user(login)
    if user is None:
        return Login(refused(Refusal(Reason.NO_DATA), Mode.OFFLINE))
    judged = device.store.judged()
    found = _tried(device, user, typed, judged, distance, from_afar=from_afar)
    if isinstance(found, Refusal):
        _put_alarm_on_record(device, user, found.reason, judged)
        if found.reason is Reason.PIN_LOCKOUT:
            found = replace(found, wait=_forgives_after(device))
        return Login(refused(found, Mode.OFFLINE, device_sentence(device.state, user)))
    return _granted(device, found, judged)


def _tried(
    device: Device,
    user: UserState,
    typed: Secret[str],
    judged: Judged,
    distance: Distance,
    *,
    emergency: bool = False,
    from_afar: bool = False,
) -> Found | Refusal:
    """The unit that opened; the failure is on disk before the first hash."""
    reading, asked_for = device.clock.reading(), user.login
    with device.store.steady():
        user = device.state.get_user(user.user)
        plan = decide_attempt(user, typed, judged, reading, distance, emergency_only=emergency, from_afar=from_afar)
        units = plan if isinstance(plan, Refusal) else read_units(device, plan)
    if isinstance(plan, Refusal) or isinstance(units, Refusal):
        return plan if isinstance(plan, Refusal) else Refusal(Reason.DAMAGED)
    device.store.change(lambda state: state.with_user(counted(state.get_user(plan.user), plan, reading)))
    found = search(device, plan, units)
    if isinstance(found, Untested):
        device.store.change(lambda state: state.with_user(taken_back(state.get_user(plan.user), plan)))
        return Refusal(found.reason)
    if isinstance(found, Reason):
        return _denied(device, plan, judged, found)
    header = found.opened.unit.header
    if header.login != asked_for or header.check.hex() != device.state.get_user(plan.user).check:
        return _denied(device, plan, judged, Reason.DAMAGED)
    return found


def _put_alarm_on_record(device: Device, user: UserState, reason: Reason, judged: Judged) -> None:
    """What the server should hear of: a clock that cannot be right, a store that was altered."""
    kind = _ALARMS.get(reason)
    if kind is not None:
        sign = device.store.keys.sign
        device.store.change(lambda state: alarmed(state, sign, kind, judged.time, reason.value, user.user, user.login))


def _denied(device: Device, plan: Plan, judged: Judged, reason: Reason) -> Refusal:
    """Puts on record a guess that was tested; its count is on disk already."""

    def change(state: State) -> State:
        user = state.get_user(plan.user)
        sign = device.store.keys.sign
        state = appended(
            state, sign, EventKind.DENIED, judged.time, user=user.user, login=user.login, reason=reason.value
        )
        if plan.counts_tokencode and user.failures == user.policy.offline_failures:
            state = appended(state, sign, EventKind.BLOCKED, judged.time, user=user.user, login=user.login)
        return state

    device.store.change(change)
    return Refusal(reason, counted=True)


def _granted(device: Device, found: Found, judged: Judged) -> Login:
    opened, header = found.opened, found.opened.unit.header
    reading = device.clock.reading()
    keys = device.store.keys
    method = header.kind.value if header.kind.is_emergency else "tokencode"
    settled = _settled(device, found)

    def change(state: State) -> State:
        state = after_success(state, header, opened.i, judged, reading)
        user = rewrapped(state.get_user(header.user), opened.offline_key, header.previous, keys.device_secret())
        return appended(
            state.with_user(settled(user)),
            keys.sign,
            EventKind.GRANTED,
            judged.time,
            user=header.user,
            login=header.login,
            method=method,
            token=header.token,
            step=0 if header.kind.is_emergency else opened.i,
            version=header.version,
            check=header.check.hex(),
        )

    user = device.store.change(change, found.lock).get_user(header.user)
    days = days_left(user, judged.time)
    until = header.not_after if header.kind.is_emergency else 0
    answer = LoginAnswer(
        Result.GRANTED,
        Mode.OFFLINE,
        method=method,
        days_left=days,
        emergency_expires=until or emergency_ends(user),
        message=granted_offline(days, user.policy.warn_days, until),
    )
    return Login(answer, Session(device.store, header.user, opened.offline_key))


def _settled(device: Device, found: Found) -> Change:
    """What the PIN that was shown means for its lock."""
    header = found.opened.unit.header
    if not header.pin_salt:
        return unchanged
    shown = ShownPin(header.token, header.pin_salt.hex(), found.pin)
    return settle(device, device.state.get_user(header.user), shown, found.lock)


def device_sentence(state: State, user: UserState) -> str:
    """What operator and caller must agree on: the device, the versions of the codes it holds, and whom to call."""
    names = {"emergency-tokencode": "emergency tokencode", "emergency-passcode": "emergency passcode"}
    held = [f"{names[unit.kind]} version {unit.version}" for unit in user.current_units if unit.is_emergency]
    words = f"Device {state.enrolment.name} holds {', '.join(held) if held else 'no emergency code'}."
    return f"{words} {user.policy.help_text}".strip()


def _forgives_after(device: Device) -> int:
    """Seconds after which the TPM in its lockout takes a PIN again, at the latest; 0 where that is not known. It is a
    setting of the TPM's, the same whoever asks and whatever was typed; of PINs and of when they were tried it tells
    nothing."""
    try:
        facts = device.store.keys.facts()
    except StoreUnreadable:
        return 0
    return facts.forgives_after if facts is not None else 0


def try_emergency(device: Device, account: str, typed: Secret[str]) -> LoginAnswer:
    """Tries the emergency path of an account of this computer without signing anybody in: counted like any attempt,
    nothing is erased or recorded as a success."""
    login = device.names.find_login(account)
    if login is None:
        return refused(Refusal(Reason.NOT_MAPPED), Mode.NONE)
    user = device.state.find_user(login)
    if user is None:
        return refused(Refusal(Reason.NO_DATA), Mode.OFFLINE)
    found = _tried(device, user, typed, device.store.judged(), Distance.OFFLINE, emergency=True)
    if isinstance(found, Refusal):
        return refused(found, Mode.OFFLINE, device_sentence(device.state, user))
    before = user.emergency_failures

    def change(state: State) -> State:
        return state.with_user(replace(state.get_user(user.user), emergency_failures=before))

    device.store.change(change)
    header = found.opened.unit.header
    until = header.not_after
    message = "The emergency path works: without the network this would sign the user in. Nobody was signed in."
    return LoginAnswer(Result.GRANTED, Mode.OFFLINE, header.kind.value, emergency_expires=until, message=message)
