"""Seal one unit for a device that requests it (spec/offline-day.md, "On the server").

One snapshot decides what is sealed. The slow part runs outside any transaction, and the generation is compared again
before the unit leaves. The server keeps only a receipt; the bytes go to the device and nowhere else (S33).

A unit is sealed at most three times an hour for a device, because downloads break off. It is not sealed again once the
device has acknowledged it, unless the device's next report lacks it (S29).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import Instance, new_id
from sparekey.app.offline import keys as offline_keys
from sparekey.app.offline.sync import Holder, holder_of, is_confirmed
from sparekey.app.ports import KeyPurpose
from sparekey.app.snapshots import open_code
from sparekey.core.errors import Conflict, NotAllowed, SparekeyError
from sparekey.core.offline.event_packs import LOOK_AHEAD, find_pack
from sparekey.core.offline.units import WantedUnit, usable_steps
from sparekey.core.sign_in.authenticate import WINDOW, TokenState
from sparekey.core.tokens import TimeBased
from sparekey.sealed import EMERGENCY, LEVELS, PinHash, SealPlan, day_not_after, seal_unit
from sparekey.storage.devices import devices, receipts
from sparekey.storage.devices.devices import Device
from sparekey.storage.devices.receipts import Receipt
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.unit_kind import UnitKind
from sparekey.wire.agent_api import UnitRequest

MOST_FETCHES: Final = 3  # of the same unit within an hour
HOUR: Final = 3_600


class FetchedTooOften(SparekeyError):
    """The device has fetched this unit several times within the hour. `seconds`: the time until it may do so again."""

    error = "busy"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"this device has fetched this unit {MOST_FETCHES} times within an hour",
            f"wait for {seconds} seconds; the agent does so itself",
        )
        self.seconds: Final = seconds


@dataclass(frozen=True)
class _Work:
    plan: SealPlan
    codes: list[tuple[int, str]]


def seal_for_device(instance: Instance, device: Device, request: UnitRequest, *, now: int) -> bytes:
    """Return the bytes of the unit.

    Raises NotAllowed if the device should not hold it, Conflict if it must sync first, and FetchedTooOften.
    """
    with instance.database.write() as connection:
        data = devices.find_device_account(connection, device.id, request.user)
        if data is None:
            raise NotAllowed("this user has no offline data on this device", "sign in online first")
        holder = holder_of(connection, instance, device, data, now)
        wanted = next((unit for unit in holder.wanted_at(now) if _is(unit, request)), None)
        slot = _slot(connection, device.id, request.user, wanted) if wanted else []
    _verify_generation(holder.data.generation, request)
    if wanted is None:
        raise NotAllowed("this unit does not belong to this device", "sync again")
    if any(is_confirmed(holder, wanted, receipt, now) for receipt in slot):
        raise Conflict("this device has confirmed that it holds this unit", "sync again, without it if it is damaged")
    work = _WORK_OF[wanted.kind](instance, holder, wanted, now)
    _verify_fetches(slot, work, now)
    unit = seal_unit(
        work.plan, work.codes, lambda part: instance.keystore.sign(KeyPurpose.OFFLINE, part), run=instance.run
    )
    _hand_over(instance, work, wanted, unit, request)
    return unit


def _slot(connection: Connection, device_id: str, account_id: str, wanted: WantedUnit) -> list[Receipt]:
    token_id = wanted.token_id or None
    return receipts.list_slot(connection, device_id, account_id, wanted.kind, token_id, wanted.day)


def _same(slot: Sequence[Receipt], work: _Work, now: int) -> Receipt | None:
    """Return the receipt of the same unit with the most fetches in the hour that still runs, or None.

    Packs with different counters are different units. A day is the same unit although its first records pass.
    """
    plan, first = work.plan, work.codes[0][0]
    same = [
        receipt
        for receipt in slot
        if (receipt.generation, receipt.version) == (plan.generation, plan.version)
        and (receipt.kind is not UnitKind.EVENTS or receipt.first == first)
        and now < receipt.counts_from + HOUR
    ]
    return max(same, key=lambda receipt: receipt.fetches, default=None)


def _verify_fetches(slot: Sequence[Receipt], work: _Work, now: int) -> None:
    same = _same(slot, work, now)
    if same is not None and same.fetches >= MOST_FETCHES:
        raise FetchedTooOften(same.counts_from + HOUR - now)


def _is(unit: WantedUnit, request: UnitRequest) -> bool:
    return (unit.kind, unit.token_id, unit.day) == (request.kind, request.token, request.day)


def _day(instance: Instance, holder: Holder, wanted: WantedUnit, now: int) -> _Work:
    token = next(token for token in holder.tokens if token.token_id == wanted.token_id)
    otp = token.otp
    if not isinstance(otp, TimeBased):
        raise NotAllowed("this token has no days", "sync again")
    steps = usable_steps(token, holder.account, wanted.day, now)
    if not steps:
        raise NotAllowed("nothing of this day is left", "sync again")
    plan = replace(
        _plan(instance, holder, now),
        kind=UnitKind.DAY,
        token=token.token_id,
        level=LEVELS[holder.policy.values.protection_level],
        pin=_pin_hash(token),
        not_after=day_not_after(wanted.day),
        interval=otp.interval,
        drift=token.drift,
        window=WINDOW,
        digits=otp.digits,
    )
    return _Work(plan, [(step, otp.code(step)) for step in steps])


def _events(instance: Instance, holder: Holder, wanted: WantedUnit, now: int) -> _Work:
    token = next(token for token in holder.tokens if token.token_id == wanted.token_id)
    pack = find_pack(token, holder.account, holder.policy.values.days, now)
    if pack is None:
        raise NotAllowed("this token is not event-based", "sync again")
    plan = replace(
        _plan(instance, holder, now),
        kind=UnitKind.EVENTS,
        token=token.token_id,
        level=LEVELS[holder.policy.values.protection_level],
        pin=_pin_hash(token),
        not_after=pack.not_after,
        window=LOOK_AHEAD,
        digits=token.otp.digits,
    )
    return _Work(plan, [(counter, token.otp.code(counter)) for counter in pack.counters])


def _code(instance: Instance, holder: Holder, wanted: WantedUnit, now: int) -> _Work:
    code = holder.code_of(wanted)
    if code is None:
        raise NotAllowed("this code does not belong to this device", "sync again")
    token = next((token for token in holder.tokens if token.token_id == wanted.token_id), None)
    plan = replace(
        _plan(instance, holder, now),
        kind=wanted.kind,
        token=wanted.token_id,
        pin=_pin_hash(token) if token else None,
        not_after=code.not_after,
        version=code.version,
    )
    return _Work(plan, [(0, open_code(instance.vault, code).reveal())])


_WORK_OF: Final[Mapping[UnitKind, Callable[[Instance, Holder, WantedUnit, int], _Work]]] = {
    UnitKind.DAY: _day,
    UnitKind.EVENTS: _events,
    UnitKind.EMERGENCY_TOKENCODE: _code,
    UnitKind.EMERGENCY_PASSCODE: _code,
}


def _plan(instance: Instance, holder: Holder, now: int) -> SealPlan:
    """Return the values that all units of this user on this device share, as a plan for the emergency passcode."""
    key = offline_keys.current_key(instance, holder.data)
    return SealPlan(
        kind=UnitKind.EMERGENCY_PASSCODE,
        device=holder.device.device_id,
        user=holder.account.account_id,
        login=holder.data.login,
        token="",
        generation=holder.data.generation,
        level=EMERGENCY,
        pin=None,
        offline_key=key,
        not_after=0,
        sealed_at=now,
        policy=holder.policy.revision,
        previous=offline_keys.previous_for(instance, holder.data),
    )


def _pin_hash(token: TokenState) -> PinHash | None:
    if token.pin is None:
        return None
    return PinHash(token.pin.salt, token.pin.memory_kib, token.pin.passes, token.pin.verifier)


def _verify_generation(generation: int, request: UnitRequest) -> None:
    if generation != request.generation:
        raise Conflict("the offline data of this user is being regenerated", "sync again")


def _verify_version(connection: Connection, plan: SealPlan, wanted: WantedUnit) -> None:
    """Raise Conflict if another version is due: the code may have been shown or reset while it was being sealed."""
    if not wanted.kind.is_emergency:
        return
    meant = emergency_codes.find_device_code(connection, plan.device, plan.token or plan.user)
    code = emergency_codes.find_code(connection, meant.code_id) if meant else None
    if code is None or code.version != plan.version:
        raise Conflict("a newer version of this emergency code is due for the device", "sync again")


def _hand_over(instance: Instance, work: _Work, wanted: WantedUnit, unit: bytes, request: UnitRequest) -> None:
    """Compare the generation again in the transaction of the receipt, so that an outdated unit is discarded."""
    plan = work.plan
    with instance.database.write() as connection:
        data = devices.find_device_account(connection, plan.device, plan.user)
        if data is None:
            raise NotAllowed("this user no longer has offline data on this device", "sync again")
        _verify_generation(data.generation, request)
        _verify_version(connection, plan, wanted)
        before = _same(_slot(connection, plan.device, plan.user, wanted), work, plan.sealed_at)
        receipts.insert_receipt(
            connection,
            Receipt(
                id=new_id(),
                device_id=plan.device,
                account_id=plan.user,
                token_id=plan.token or None,
                kind=wanted.kind,
                day=wanted.day,
                first=work.codes[0][0],
                count=len(work.codes),
                generation=plan.generation,
                version=plan.version,
                policy_revision=plan.policy,
                unit_hash=hashlib.sha256(unit).digest(),
                sealed_at=plan.sealed_at,
                not_after=plan.not_after,
                fetches=before.fetches + 1 if before else 1,
                fetches_since=before.counts_from if before else plan.sealed_at,
            ),
        )
