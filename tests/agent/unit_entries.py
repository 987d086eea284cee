"""Builders of users and units as the state of a device names them, without files and without hashes."""

from dataclasses import replace
from typing import Any, Final

from sparekey.agent.ground.state import UnitEntry, UserState
from sparekey.wire.agent_api import DevicePolicy
from tests.agent.clocks import NOON

FIRST: Final = NOON // 86400 * 1440  # the first minute of the day
POLICY: Final = DevicePolicy(offline_failures=3, warn_days=7, server_down="on", help_text="", os_password=False)


def a_day(**members: Any) -> UnitEntry:
    """A day of a token with six digits and no PIN, generation 1: one record a minute."""
    entry = UnitEntry(
        kind="day",
        token="token-1",
        day=FIRST // 1440,
        generation=1,
        version=0,
        sealed_at=NOON - 3600,
        not_after=(FIRST + 1440) * 60 + 120,
        interval=60,
        drift=0,
        window=2,
        first=FIRST,
        count=1440,
        digits=6,
        pin_salt="",
        unit_hash="",
        file="a-file",
        header_size=0,
        pieces=[],
        erased_through=-1,
    )
    return replace(entry, **members)


def an_events_unit(**members: Any) -> UnitEntry:
    """The counters 100 to 149 of a token with six digits and no PIN."""
    events = {"kind": "events", "day": 0, "interval": 0, "window": 10, "first": 100, "count": 50}
    return a_day(**{"not_after": NOON + 86400} | events | members)


def an_emergency_unit(**members: Any) -> UnitEntry:
    """An emergency passcode. `kind="emergency-tokencode"` makes it a tokencode."""
    emergency = {
        "kind": "emergency-passcode",
        "day": 0,
        "interval": 0,
        "window": 0,
        "digits": 0,
        "first": 0,
        "count": 1,
    }
    return a_day(**{"token": "", "version": 1, "not_after": NOON + 86400, **emergency, **members})


def a_user(*units: UnitEntry, **members: Any) -> UserState:
    """Return Alice, generation 1, with these units."""
    user = UserState("user-1", "alice", generation=1, policy=POLICY, units=list(units))
    return replace(user, **members)
