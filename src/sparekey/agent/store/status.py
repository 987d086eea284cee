"""The report of the device for `sparekey-agent status` and the help desk. It contains no secret."""

from collections.abc import Callable
from functools import cache
from itertools import islice
from typing import Any

from sparekey.agent.ground.exempt_accounts import as_reported
from sparekey.agent.ground.outcome import as_rfc3339, in_words
from sparekey.agent.ground.ports import PinCount
from sparekey.agent.ground.state import State, UserState
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.store.erasing import days_end, days_left, emergency_ends
from sparekey.agent.store.notices import notice_for
from sparekey.agent.store.pin_lock import any_locked, lock_state
from sparekey.agent.tpm.protection import describe_protection
from sparekey.core.plurals import counted
from sparekey.unit_kind import UnitKind

SCHEMA = 1
OTHERS_COUNT_AGE = 60  # seconds
MOST_NAMES = 100  # that are listed, so that a report fits its frame


def status_of(device: ThisDevice, only_login: str | None = None, trouble: str = "") -> dict[str, Any]:
    """Return the complete report, or only the device and one user. `trouble` is the reason why the last contact
    failed."""
    state, trusted = device.state, device.store.trusted_time()
    # The TPM is asked once, and only if needed. For users other than root it is asked once a minute, because sign-ins
    # need it.
    count = cache(lambda: device.pin_count(0 if only_login is None else OTHERS_COUNT_AGE))
    report = {
        "schema": SCHEMA,
        "enrolled": True,
        "device": state.enrolment.device,
        "name": state.enrolment.name,
        "servers": state.enrolment.servers,
        "hardware_bound": device.store.keys.hardware_bound,
        "time": as_rfc3339(trusted.time),
        "clock_wrong": trusted.clock_wrong,
        "last_contact": as_rfc3339(device.last_contact),
        "contact_trouble": trouble,
        "revoked": state.revoked,
        "users": [_user(user, device, trusted.time, count) for user in state.users if only_login in (None, user.login)],
    }
    return report if only_login is not None else report | _of_the_computer(device)


def summary_of(device: ThisDevice) -> str:
    """Return one line: how many users can sign in without the network, and until when."""
    state, time = device.state, device.store.trusted_time().time
    ends = [end for user in state.users if (end := max(days_end(user), emergency_ends(user))) > time]
    if not ends:
        return f"{state.enrolment.name}: no user can sign in without the network"
    who = counted(len(ends), "user")
    return f"{state.enrolment.name}: {who} can sign in without the network, the last until {in_words(max(ends))}"


def _of_the_computer(device: ThisDevice) -> dict[str, Any]:
    """Return the part for root only: it names other accounts, shows their attempts, and asks the
    TPM."""
    protection = describe_protection(device.store.keys, days_locked=any_locked(device.state))
    return {
        "events_waiting": len(device.state.events),
        "protection": {
            "word": protection.word,
            "words": protection.words,
            "advice": protection.advice,
            "trouble": protection.trouble,
        },
        "names": {
            "mapped": dict(islice(device.names.mapped.items(), MOST_NAMES)),
            "number": len(device.names.mapped),
            "unmapped": "same" if device.names.same else "refused",
        },
        "exempt": as_reported(device.exempt.look()),
    }


def _user(user: UserState, device: ThisDevice, time: int, find_count: Callable[[], PinCount | None]) -> dict[str, Any]:
    state: State = device.state
    lock = lock_state(user, find_count)
    return {
        "login": user.login,
        "accounts": device.names.accounts_of(user.login),
        "days_left": days_left(user, time),
        "days_until": as_rfc3339(end) if (end := days_end(user)) > time else "",
        "days": sorted({unit.day for unit in user.current_units if unit.kind == UnitKind.DAY}),
        "event_packs": [
            {"codes_left": unit.last - unit.erased_through, "expires": as_rfc3339(unit.not_after)}
            for unit in user.current_units
            if unit.kind == UnitKind.EVENTS
        ],
        "emergency_codes": [
            {"kind": unit.kind, "version": unit.version, "expires": as_rfc3339(unit.not_after)}
            for unit in user.current_units
            if unit.is_emergency
        ],
        "pin_lock": {"state": lock.value, "words": lock.sentence},
        "failures": user.failures,
        "failures_allowed": user.policy.offline_failures,
        "emergency_code_needed": bool(user.current_units) and user.failures >= user.policy.offline_failures,
        "locked_at_server": user.tokencodes_blocked,
        "being_renewed": user.staged_generation > 0,
        "secrets": sorted(secret.purpose for secret in user.secrets),
        "obstacles": user.obstacles,
        "notice": notice_for(user, state, time) if device.desktop_notices else "",
        "help": user.policy.help_text,
        "device": state.enrolment.name,
    }
