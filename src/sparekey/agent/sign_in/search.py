"""The search for the unit that a passcode opens, through the PIN locks in front of the units.

- Units without a lock come first. Each lock is tried at most once in an attempt, and only if nothing has opened yet.
- A wrong PIN and a wrong code take the same time and get the same message. Behind a lock that does not open, the same
  search runs over random bytes (S32).
- A lock in lockout, or a damaged one, closes its own units only. Emergency units still open (S34).
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sparekey.agent.ground.outcome import Refusal, RefusalReason
from sparekey.agent.ground.ports import LockedOut, StoreUnreadable, WrongPin
from sparekey.agent.ground.state import PinLock
from sparekey.agent.sign_in.attempt import Plan, shape_of
from sparekey.agent.sign_in.lock_changes import DAMAGED, open_lock
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.store.pin_lock import OpenedLock, find_lock, is_locked
from sparekey.agent.store.unit_files import StoredUnit, UnitDamaged
from sparekey.passcode import Shape
from sparekey.sealed import (
    Attempt,
    Moment,
    NotValidNow,
    OpenedRecord,
    SealedUnit,
    Unopened,
    WrongPasscode,
    open_units,
    verify_stored,
)
from sparekey.sealed import shape_of as shape_of_header
from sparekey.secret import Secret

_REASONS: Final[Mapping[type[Exception], RefusalReason]] = {
    WrongPasscode: RefusalReason.WRONG_PASSCODE,
    NotValidNow: RefusalReason.RUN_OUT,
}
_MOST_USEFUL_FIRST: Final = (
    RefusalReason.PIN_LOCKOUT,
    RefusalReason.DAMAGED,
    RefusalReason.WRONG_PASSCODE,
    RefusalReason.RUN_OUT,
)


@dataclass(frozen=True)
class ReadUnit:
    """One unit of the plan, as it was on disk when the attempt was decided."""

    stored: StoredUnit
    moment: Moment
    keys: tuple[bytes, ...]
    device: str
    generation: int
    lock: PinLock | None

    def verified(self, opened: OpenedLock | None) -> SealedUnit:
        """Return the unit, verified. Raises UnitDamaged if its file is damaged, Unopened if its signature or header is
        not valid."""
        return verify_stored(self.stored.join(opened), self.keys, self.device, self.generation)


@dataclass(frozen=True)
class OpenedUnit:
    """The unit that opened, with the lock in front of it."""

    opened: OpenedRecord
    lock: OpenedLock | None
    pin: Secret[str] = field(repr=False)  # as typed; empty if the unit has none


def read_units(device: ThisDevice, plan: Plan) -> list[ReadUnit]:
    """Return the units of the plan that can be read, each verified again. Damaged units are left out, so that the
    others can still open."""
    enrolment, user = device.state.enrolment, device.state.get_user(plan.user)
    keys = tuple(bytes.fromhex(key) for key in enrolment.signing_keys)
    units = []
    for planned in plan.tries:
        entry = planned.entry
        try:
            stored = device.store.read_unit(entry, planned.numbers)
            lock = find_lock(user, entry) if is_locked(entry) else None
            unit = ReadUnit(stored, planned.moment, keys, enrolment.device, user.generation, lock)
            unit.verified(None)
        except (UnitDamaged, Unopened):
            continue
        units.append(unit)
    return units


def search(device: ThisDevice, plan: Plan, units: list[ReadUnit]) -> OpenedUnit | Refusal:
    """Return the first unit that opens, or the refusal.

    `counted` of the refusal is False if nothing was compared with the passcode. The caller has committed the count.
    Raises StoreUnreadable if the TPM does not answer.
    """
    reasons, is_tested = [], False
    for lock, behind in _by_lock(units):
        try:
            opened = None if lock is None else _open(device, plan, lock, behind[0])
        except LockedOut:
            reasons.append(RefusalReason.PIN_LOCKOUT)
            continue
        except StoreUnreadable as error:
            if error.word != DAMAGED:
                raise  # the TPM does not answer, which says nothing about the units
            reasons.append(RefusalReason.DAMAGED)
            continue
        is_tested = True
        try:
            return _search_behind(device, plan, behind, opened)
        except (Unopened, UnitDamaged) as error:
            reasons.append(_REASONS.get(type(error), RefusalReason.DAMAGED))
    return Refusal(min(reasons, key=_MOST_USEFUL_FIRST.index), counted=is_tested)


def _by_lock(units: list[ReadUnit]) -> list[tuple[PinLock | None, list[ReadUnit]]]:
    """Group the units by lock, in the plan's order, units without a lock first: a lock is tried only if it must be."""
    locks = dict.fromkeys([None, *(unit.lock for unit in units)])
    groups = [(lock, [unit for unit in units if unit.lock == lock]) for lock in locks]
    return [(lock, group) for lock, group in groups if group]


def _open(device: ThisDevice, plan: Plan, lock: PinLock, unit: ReadUnit) -> OpenedLock | None:
    """Open the lock with the typed PIN. Return None if the PIN is not its PIN."""
    try:
        return open_lock(device, plan.user, lock, _pin_in(plan, shape_of(unit.stored.entry)))
    except WrongPin:
        return None


def _search_behind(device: ThisDevice, plan: Plan, units: list[ReadUnit], lock: OpenedLock | None) -> OpenedUnit:
    attempts = []
    for unit in units:
        # Damage behind a lock is found only after the lock was opened.
        with contextlib.suppress(UnitDamaged):
            attempts.append(Attempt(unit.verified(lock), unit.moment))
    if not attempts:
        raise UnitDamaged("no unit behind this lock can be read")
    opened = open_units(attempts, plan.reading, run=device.run)
    return OpenedUnit(opened, lock, _pin_in(plan, shape_of_header(opened.unit.header)))


def _pin_in(plan: Plan, shape: Shape) -> Secret[str]:
    candidate = plan.reading.of(shape)
    return candidate.pin if candidate is not None else Secret("")
