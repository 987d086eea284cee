"""What the device can say about itself: for `sparekey-agent status`, for a help desk, never a secret."""

from typing import Any

from sparekey.agent.device import Device
from sparekey.agent.erasing import days_left
from sparekey.agent.outcome import as_rfc3339
from sparekey.agent.state import State, UserState

SCHEMA = 1


def status_of(device: Device, only_login: str | None = None) -> dict[str, Any]:
    """The whole, or the device and one user."""
    state, judged = device.state, device.store.judged()
    return {
        "schema": SCHEMA,
        "enrolled": True,
        "device": state.enrolment.device,
        "name": state.enrolment.name,
        "servers": state.enrolment.servers,
        "hardware_bound": device.store.keys.hardware_bound,
        "time": as_rfc3339(judged.time),
        "clock_wrong": judged.clock_wrong,
        "last_contact": as_rfc3339(state.time.contact),
        "events_waiting": len(state.events),
        "users": [_user(user, state, judged.time) for user in state.users if only_login in (None, user.login)],
    }


def _user(user: UserState, state: State, time: int) -> dict[str, Any]:
    return {
        "login": user.login,
        "days_left": days_left(user, time),
        "days": sorted({unit.day for unit in user.current_units if unit.kind == "day"}),
        "event_packs": [
            {"codes_left": unit.last - unit.erased_through, "expires": as_rfc3339(unit.not_after)}
            for unit in user.current_units
            if unit.kind == "events"
        ],
        "emergency_codes": [
            {"kind": unit.kind, "version": unit.version, "expires": as_rfc3339(unit.not_after)}
            for unit in user.current_units
            if unit.is_emergency
        ],
        "failures": user.failures,
        "failures_allowed": user.policy.offline_failures,
        "emergency_code_needed": bool(user.current_units) and user.failures >= user.policy.offline_failures,
        "locked_at_server": user.tokencodes_blocked,
        "being_renewed": user.staged_generation > 0,
        "secrets": sorted(secret.purpose for secret in user.secrets),
        "obstacles": user.obstacles,
        "help": user.policy.help_text,
        "device": state.enrolment.name,
    }
