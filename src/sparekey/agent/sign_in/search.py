"""Tries the units of a plan, through the PIN locks that stand before them.

- What no lock stands before comes first; each lock is tried once in an attempt, and only where nothing has opened yet.
- Behind a lock that the typed PIN does not open the search is the same, over random bytes: a wrong PIN and a wrong code
  take the same time and get the same words (S32).
- A lock that takes no PIN for a while, or that is damaged, shuts off its own units: emergency units go on (S34).
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sparekey.agent.ground.outcome import Reason, Refusal
from sparekey.agent.ground.ports import LockedOut, StoreUnreadable, WrongPin
from sparekey.agent.ground.state import PinLock
from sparekey.agent.sign_in.attempt import Plan, shape_of
from sparekey.agent.sign_in.lock_changes import DAMAGED, open_lock
from sparekey.agent.store.device import Device
from sparekey.agent.store.pin_lock import OpenedLock, find_lock, is_locked
from sparekey.agent.store.unit_files import StoredUnit, UnitDamaged
from sparekey.passcode import Shape
from sparekey.sealed import (
    Attempt,
    Moment,
    NotValidNow,
    Opened,
    SealedUnit,
    Unopened,
    WrongPasscode,
    open_units,
    verify_stored,
)
from sparekey.sealed import shape_of as shape_of_header
from sparekey.secret import Secret

_REASONS: Final[Mapping[type[Exception], Reason]] = {WrongPasscode: Reason.WRONG_PASSCODE, NotValidNow: Reason.RUN_OUT}
_MOST_TO_SAY: Final = (Reason.PIN_LOCKOUT, Reason.DAMAGED, Reason.WRONG_PASSCODE, Reason.RUN_OUT)


@dataclass(frozen=True)
class ReadUnit:
    """One unit of the plan as it stood on disk when the attempt was decided."""

    stored: StoredUnit
    moment: Moment
    keys: tuple[bytes, ...]
    device: str
    generation: int
    lock: PinLock | None

    def verified(self, opened: OpenedLock | None) -> SealedUnit:
        """Raises `UnitDamaged`, `Unopened`."""
        return verify_stored(self.stored.join(opened), self.keys, self.device, self.generation)


@dataclass(frozen=True)
class Found:
    """The unit that opened, and the lock that was in its way."""

    opened: Opened
    lock: OpenedLock | None
    pin: Secret[str] = field(repr=False)  # as typed; empty where the unit has none


@dataclass(frozen=True)
class Untested:
    """Nothing was compared with what was typed."""

    reason: Reason


def read_units(device: Device, plan: Plan) -> list[ReadUnit] | Refusal:
    """The units of the plan, each verified anew; damaged ones do not keep others from opening."""
    enrolment, user = device.state.enrolment, device.state.get_user(plan.user)
    keys = tuple(bytes.fromhex(key) for key in enrolment.signing_keys)
    units = []
    for each in plan.tries:
        try:
            stored = device.store.read_unit(each.entry, each.numbers)
            lock = find_lock(user, each.entry) if is_locked(each.entry) else None
            unit = ReadUnit(stored, each.moment, keys, enrolment.device, user.generation, lock)
            unit.verified(None)
        except (UnitDamaged, Unopened):
            continue
        units.append(unit)
    return units or Refusal(Reason.DAMAGED)


def search(device: Device, plan: Plan, units: list[ReadUnit]) -> Found | Reason | Untested:
    """The first unit that opens, or why none does; the attempt is counted on disk. Raises `StoreUnreadable`."""
    reasons, tested = [], False
    for lock, behind in _by_lock(units):
        try:
            opened = None if lock is None else _open(device, plan, lock, behind[0])
        except LockedOut:
            reasons.append(Reason.PIN_LOCKOUT)
            continue
        except StoreUnreadable as error:
            if error.word != DAMAGED:
                raise  # the TPM does not answer: that is no word about these units
            reasons.append(Reason.DAMAGED)
            continue
        tested = True
        try:
            return _search_behind(device, plan, behind, opened)
        except (Unopened, UnitDamaged) as error:
            reasons.append(_REASONS.get(type(error), Reason.DAMAGED))
    reason = min(reasons, key=_MOST_TO_SAY.index)
    return reason if tested else Untested(reason)


def _by_lock(units: list[ReadUnit]) -> list[tuple[PinLock | None, list[ReadUnit]]]:
    """In the plan's order, but what stands open first: a lock that need not be tried is not tried."""
    locks = dict.fromkeys([None, *(each.lock for each in units)])
    groups = [(lock, [each for each in units if each.lock == lock]) for lock in locks]
    return [(lock, group) for lock, group in groups if group]


def _open(device: Device, plan: Plan, lock: PinLock, unit: ReadUnit) -> OpenedLock | None:
    """The lock, opened with the PIN that was typed; None: this is not its PIN."""
    try:
        return open_lock(device, plan.user, lock, _pin_in(plan, shape_of(unit.stored.entry)))
    except WrongPin:
        return None


def _search_behind(device: Device, plan: Plan, units: list[ReadUnit], lock: OpenedLock | None) -> Found:
    attempts = []
    for unit in units:
        # What is behind a lock can be seen to be damaged only now.
        with contextlib.suppress(UnitDamaged):
            attempts.append(Attempt(unit.verified(lock), unit.moment))
    if not attempts:
        raise UnitDamaged("no unit behind this lock can be read")
    opened = open_units(attempts, plan.reading, run=device.run)
    return Found(opened, lock, _pin_in(plan, shape_of_header(opened.unit.header)))


def _pin_in(plan: Plan, shape: Shape) -> Secret[str]:
    candidate = plan.reading.of(shape)
    return candidate.pin if candidate is not None else Secret("")
