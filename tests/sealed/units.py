"""Builders of units for tests: a day of Alice's around noon, sealed with a real key, cheap where asked.

`CHEAP` and `CHEAP_LIMITS` go through the hidden seam: no caller outside of tests can seal or open so.
"""

import dataclasses
import secrets
from collections.abc import Sequence
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sparekey.sealed import (
    LIGHT,
    Level,
    PinHash,
    SealedUnit,
    SealPlan,
    day_not_after,
    pin_part,
    verify_stored,
    verify_unit,
)
from sparekey.sealed.levels import LIMITS, LevelLimits
from sparekey.sealed.seal import _seal_from_parts
from sparekey.secret import Secret
from sparekey.unit_kind import UnitKind

CHEAP = Level("cheap", 8, 1, 2)
CHEAP_LIMITS = LevelLimits(
    argon_m=(8, 262144), argon_t=(1, 16), pepper_bits=(0, 14), least_cost=1, pin_m=(8, 262144), pin_t=(1, 16)
)

DAY = 20454  # 2026-01-01
NOON = DAY * 86400 + 43200
DEVICE = "device-1"
SIGNING = Ed25519PrivateKey.generate()
PINNED = SIGNING.public_key().public_bytes_raw()
OFFLINE_KEY = Secret(secrets.token_bytes(32))
PIN = "1234"

TODAY = [(NOON // 60 + offset, f"{(offset * 314_159 + 200_003) % 10**6:06}") for offset in range(-1, 60)]
"""(i, code) from the minute before noon on."""


@cache
def a_pin_hash(pin: str = PIN, memory_kib: int = 19456, passes: int = 2) -> PinHash:
    salt = secrets.token_bytes(16)
    return PinHash(salt, memory_kib, passes, Secret(pin_part(pin.encode(), salt, memory_kib, passes)))


def a_plan(**members: Any) -> SealPlan:
    """A day at light; members as in `SealPlan`."""
    plan = SealPlan(
        kind=UnitKind.DAY,
        device=DEVICE,
        user="user-1",
        login="alice",
        token="token-1",
        generation=1,
        level=LIGHT,
        pin=a_pin_hash(),
        offline_key=OFFLINE_KEY,
        not_after=day_not_after(DAY),
        sealed_at=NOON - 3600,
        interval=60,
        window=1,
        digits=6,
    )
    return dataclasses.replace(plan, **members)


def a_cheap_plan(**members: Any) -> SealPlan:
    return a_plan(**{"level": CHEAP, "pin": a_pin_hash(PIN, 8, 1)} | members)


def an_emergency_plan(*, with_pin: bool = True, **members: Any) -> SealPlan:
    """An emergency tokencode, cheap."""
    emergency = {"kind": UnitKind.EMERGENCY_TOKENCODE, "version": 1, "interval": 0, "window": 0, "digits": 0}
    pin = {} if with_pin else {"pin": None}
    return a_cheap_plan(**emergency | pin | members)


def a_unit(plan: SealPlan, codes: Sequence[tuple[int, str]] = TODAY, count: int | None = None) -> bytes:
    """Return a unit sealed with random salt and peppers, at the plan's level."""
    codes = codes[:count]
    peppers = [secrets.randbits(plan.level.pepper_bits) for _ in codes]
    limits = CHEAP_LIMITS if plan.level == CHEAP else LIMITS
    return _seal_from_parts(plan, codes, SIGNING.sign, secrets.token_bytes(32), peppers, limits=limits)


def received(unit: bytes, generation: int = 1) -> SealedUnit:
    """Return the unit, verified as at receipt; cheap units pass."""
    return verify_unit(unit, [PINNED], DEVICE, generation, _limits=CHEAP_LIMITS)


def stored(unit: bytes, generation: int = 1) -> SealedUnit:
    """Return the unit, verified as at opening; cheap units pass."""
    return verify_stored(unit, [PINNED], DEVICE, generation, _limits=CHEAP_LIMITS)
