"""What a device is given: what follows from a sign-in on it, what a contact tells it, and what it has confirmed.

Nothing here hashes a record; that is app.offline.sealing. Every contact settles, in one transaction: the generation,
the version of each emergency code, the units to erase, and the units that are still wanted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.emergency.versions import supply
from sparekey.app.instance import Instance, log
from sparekey.app.notices import notify_user
from sparekey.app.obstacles import device_state
from sparekey.app.offline import keys as offline_keys
from sparekey.app.policies_in_force import account_state_of, effective_in
from sparekey.app.snapshots import token_state
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.audit_log.notices import Notice
from sparekey.core.emergency.offline import Contact, contact_of
from sparekey.core.offline.event_packs import EventPack, find_pack, is_worn
from sparekey.core.offline.self_report import SelfReport
from sparekey.core.offline.units import (
    EMERGENCY_KINDS,
    DeviceState,
    Obstacle,
    UnitKind,
    WantedUnit,
    account_obstacle,
    days_obstacle,
    wanted_units,
)
from sparekey.core.policy.offline import EffectivePolicy, OfflinePolicy
from sparekey.core.reasons import Method
from sparekey.core.sign_in.authenticate import AccountState, TokenState
from sparekey.core.sign_in.outcome import Granted
from sparekey.core.tokens import Hotp
from sparekey.durations import DAY_SECONDS
from sparekey.secret import Secret
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.audit_log.events import AuditFilter
from sparekey.storage.devices import devices, receipts
from sparekey.storage.devices.devices import Device, OfflineData
from sparekey.storage.devices.receipts import Receipt
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.storage.emergency.offline import EmergencyCode
from sparekey.storage.people import accounts
from sparekey.storage.tokens import tokens
from sparekey.wire.agent_api import DevicePolicy, HeldUnit, KeptKind, UnitName, UsedStep, UserSync

_BETWEEN_LISTS: Final = 3600  # seconds: lists of exempt accounts on record


@dataclass(frozen=True)
class DeviceKey:
    """The key that a successful online sign-in opens on the device; none where it may hold no offline data."""

    check: bytes = b""
    offline_key: Secret[bytes] | None = None


@dataclass(frozen=True)
class Holder:
    """One user on one device, with everything that decides what is given."""

    account: AccountState
    tokens: tuple[TokenState, ...]  # used on this device, the one used last first
    device: DeviceState
    policy: EffectivePolicy
    data: OfflineData
    codes: Mapping[str, EmergencyCode]  # the version to be sealed for this device, by owner id

    def wanted_at(self, now: int) -> list[WantedUnit]:
        """Every unit that the device should hold, in the order of making."""
        wanted = wanted_units(self.account, self.tokens, self.device, self.policy, now)
        return [unit for unit in wanted if not unit.kind.is_emergency or self.code_of(unit) is not None]

    def code_of(self, unit: WantedUnit) -> EmergencyCode | None:
        """The version that an emergency unit holds."""
        return self.codes.get(unit.token_id or self.account.account_id)


def after_sign_in(
    connection: Connection, instance: Instance, device: Device, granted: Granted, check: bytes, now: int
) -> DeviceKey:
    """What a success on this device settles, inside its transaction.

    `check` names the key under which the device's secrets are wrapped; b"": none yet.
    """
    account_row = accounts.find_account_by_id(connection, granted.account_id)
    # As it is now: the device may have been reported stolen while its user was typing.
    here = devices.find_device(connection, device.id)
    if account_row is None or here is None:
        raise LookupError("the account or the device of a success is gone")
    state = device_state(here)
    policy = effective_in(connection, account_row.domain_id, here.domain_id)
    account = account_state_of(connection, account_row)
    if account_obstacle(account, state, policy, now) is not None:
        return DeviceKey()
    data = devices.find_device_account(connection, device.id, account.account_id)
    if data is None:
        if granted.method is not Method.TOKENCODE:
            return DeviceKey()  # days are made for the token that was just used
        data = offline_keys.begin(connection, instance, device.id, account.account_id, account.login, now)
        notify_user(connection, now, account.account_id, Notice.DEVICE_ADDED, device=device.name)
    else:
        devices.update_device_account(connection, device.id, account.account_id, last_sign_in=now)
    _drop_least_recent(connection, device.id, account.account_id, policy.values.users_per_device)
    if granted.method is Method.TOKENCODE and granted.token_id is not None:
        devices.use_token_on_device(connection, device.id, granted.token_id, account.account_id, now)
    data = offline_keys.settle_generation(connection, instance, data)
    used, key = offline_keys.key_for(instance, data, check)
    offline_keys.confirm(connection, instance, data, used)
    on_device = _tokens_on(connection, instance, device.id, account.account_id, policy)
    contact = contact_of(granted.method)
    supply(connection, instance, account, on_device, state, policy, contact, now, used_token=granted.token_id)
    return DeviceKey(used, key)


def sync_users(
    connection: Connection, instance: Instance, device: Device, held: Sequence[HeldUnit], now: int
) -> list[UserSync]:
    """What this contact tells the device about each of its users; `held` is what it says it has."""
    everyone = devices.accounts_on_device(connection, device.id)
    accounts.lock_accounts(connection, [data.account_id for data in everyone])
    _reconcile(connection, device.id, held, now)
    users = []
    for data in everyone:
        mine = [unit for unit in held if unit.user == data.account_id]
        users.append(_sync_user(connection, instance, device, data, mine, now))
    return users


def holder_of(connection: Connection, instance: Instance, device: Device, data: OfflineData, now: int) -> Holder:
    """Everything that decides what this user gets on this device, settled as at a background refill.

    The generation is settled before PINs and seeds are read: what changes after that raises it once more.
    """
    accounts.lock_accounts(connection, [data.account_id])
    account_row = accounts.find_account_by_id(connection, data.account_id)
    if account_row is None:
        raise LookupError("a user with offline data has no account")
    policy = effective_in(connection, account_row.domain_id, device.domain_id)
    account = account_state_of(connection, account_row)
    state = device_state(device)
    is_open = account_obstacle(account, state, policy, now) is None
    data = offline_keys.settle_generation(connection, instance, data) if is_open else data
    on_device = _tokens_on(connection, instance, device.id, account.account_id, policy)
    codes: Mapping[str, EmergencyCode] = {}
    if is_open:
        codes = supply(connection, instance, account, on_device, state, policy, Contact.REFILL, now)
    return Holder(account, on_device, state, policy, data, codes)


def acknowledge(connection: Connection, device: Device, unit_hashes: Sequence[bytes], now: int) -> int:
    """The device says, in a signed request, that these units are on its disk. How many are known."""
    known = receipts.find_receipts(connection, device.id, unit_hashes)
    accounts.lock_accounts(connection, [receipt.account_id for receipt in known])
    for receipt in known:
        receipts.acknowledge_receipt(connection, receipt.id, now)
        if receipt.kind.is_emergency:
            _confirm_code(connection, device.id, receipt, now)
    return len(known)


def _tokens_on(
    connection: Connection, instance: Instance, device_id: str, account_id: str, policy: EffectivePolicy
) -> tuple[TokenState, ...]:
    rows = tokens.tokens_on_device(connection, device_id, account_id)[: policy.values.tokens_per_user]
    return tuple(token_state(instance.vault, row) for row in rows)


def _drop_least_recent(connection: Connection, device_id: str, signed_in: str, most: int) -> None:
    others = [data for data in devices.accounts_on_device(connection, device_id) if data.account_id != signed_in]
    for data in others[most - 1 :]:
        devices.delete_device_data(connection, device_id, data.account_id)


def _sync_user(
    connection: Connection, instance: Instance, device: Device, data: OfflineData, held: Sequence[HeldUnit], now: int
) -> UserSync:
    holder = holder_of(connection, instance, device, data, now)
    values = holder.policy.values
    return UserSync(
        user=data.account_id,
        login=holder.account.login,
        generation=holder.data.generation,
        check=holder.data.check.hex(),
        keep=_kept(holder, now),
        last_day=now // DAY_SECONDS + values.days,
        tokencodes_blocked=holder.account.locked(now),
        used=[UsedStep(token=token.token_id, step=token.last_step) for token in holder.tokens],
        policy=DevicePolicy(
            offline_failures=values.offline_failures,
            warn_days=_warn_days(values),
            server_down=values.server_down,
            help_text=values.help_text,
            os_password=values.os_password,
            pin_lock=values.pin_lock,
        ),
        wanted=[
            UnitName(kind=unit.kind, token=unit.token_id, day=unit.day)
            for unit in _missing(connection, holder, held, now)
        ],
        obstacles=_obstacles(holder, now),
    )


def _warn_days(values: OfflinePolicy) -> int:
    """Whoever has all days is not warned, however few policy gives."""
    return min(values.warn_days, values.days - 1)


def _kept(holder: Holder, now: int) -> list[KeptKind]:
    """What may stay on the device. Everything that is not named is erased: an empty list erases all."""
    if account_obstacle(holder.account, holder.device, holder.policy, now) is not None:
        return []
    kept = []
    for token in holder.tokens:
        if days_obstacle(token, holder.device, holder.policy, now) is None:
            kept.append(KeptKind(kind=_kind_of(token), token=token.token_id))
        if holder.code_of(WantedUnit(UnitKind.EMERGENCY_TOKENCODE, token.token_id)) is not None:
            kept.append(KeptKind(kind=UnitKind.EMERGENCY_TOKENCODE, token=token.token_id))
    if holder.code_of(WantedUnit(UnitKind.EMERGENCY_PASSCODE, "")) is not None:
        kept.append(KeptKind(kind=UnitKind.EMERGENCY_PASSCODE, token=""))
    return kept


def _kind_of(token: TokenState) -> UnitKind:
    return UnitKind.EVENTS if isinstance(token.otp, Hotp) else UnitKind.DAY


def _missing(connection: Connection, holder: Holder, held: Sequence[HeldUnit], now: int) -> list[WantedUnit]:
    """What is wanted and not held in this generation and, for a code, in its version and with its expiry."""
    known = {
        receipt.unit_hash.hex(): receipt
        for receipt in receipts.list_receipts(connection, holder.device.device_id, holder.account.account_id)
    }
    current = {(unit.kind, unit.token, unit.day): unit for unit in held if unit.generation == holder.data.generation}
    missing = []
    for unit in holder.wanted_at(now):
        have = current.get((unit.kind, unit.token_id, unit.day))
        if have is None or not _is_good(holder, unit, have, known.get(have.unit_hash), now):
            missing.append(unit)
    return missing


def _is_good(holder: Holder, unit: WantedUnit, have: HeldUnit, receipt: Receipt | None, now: int) -> bool:
    """Whether what the device holds is what it would be given now, or near enough."""
    if unit.kind is UnitKind.DAY:
        return True
    if receipt is None:
        return False
    if unit.kind is UnitKind.EVENTS:
        token = next(token for token in holder.tokens if token.token_id == unit.token_id)
        fresh = find_pack(token, holder.account, holder.policy.values.days, now)
        counters = range(receipt.first, receipt.first + receipt.count)
        return fresh is not None and not is_worn(EventPack(counters, receipt.not_after), fresh, now)
    code = holder.code_of(unit)
    return code is not None and have.version == code.version and bool(receipt.not_after == code.not_after)


def _obstacles(holder: Holder, now: int) -> list[str]:
    obstacle = account_obstacle(holder.account, holder.device, holder.policy, now)
    if obstacle is None and holder.account.locked(now):
        obstacle = Obstacle.ACCOUNT_LOCKED
    if obstacle is None and holder.account.in_next_tokencode_mode:
        obstacle = Obstacle.NEXT_TOKENCODE
    if obstacle is not None:
        return [obstacle]
    per_token = (days_obstacle(token, holder.device, holder.policy, now) for token in holder.tokens)
    return list(dict.fromkeys(obstacle.value for obstacle in per_token if obstacle is not None))


def _reconcile(connection: Connection, device_id: str, held: Sequence[HeldUnit], now: int) -> None:
    """The device's word on what it holds is better than the receipts: confirm what is there, forget what is gone.

    Of a code that it holds in two generations, the older one is what it accepts until the new one is complete.
    """
    hashes = {unit.unit_hash for unit in held}
    gone, codes = [], dict[str, Receipt]()
    for receipt in receipts.list_receipts(connection, device_id):
        owner = receipt.token_id or receipt.account_id
        if receipt.unit_hash.hex() in hashes:
            receipts.acknowledge_receipt(connection, receipt.id, now)
            if receipt.kind.is_emergency and (owner not in codes or receipt.generation <= codes[owner].generation):
                codes[owner] = receipt
        elif receipt.acknowledged_at is not None or receipt.sealed_at < now - DAY_SECONDS:
            gone.append(receipt.id)
    receipts.delete_receipts(connection, gone)
    for receipt in codes.values():
        _confirm_code(connection, device_id, receipt, now)
    owners = frozenset(unit.token or unit.user for unit in held if unit.kind in EMERGENCY_KINDS)
    emergency_codes.forget_held(connection, device_id, owners)


def _confirm_code(connection: Connection, device_id: str, receipt: Receipt, now: int) -> None:
    code = emergency_codes.find_version(connection, receipt.account_id, receipt.token_id, receipt.version)
    if code is not None:
        owner = receipt.token_id or receipt.account_id
        emergency_codes.confirm_held(connection, device_id, owner, code.id, now)


def record_contact(connection: Connection, device: Device, said: SelfReport, *, now: int) -> Device:
    """The device was here, and said this of itself; a change goes to the audit log. Return the device as it is now:
    what a device is given depends on what it says."""
    was, recorded = device.report, device.recorded_exempt
    exempt = recorded if _is_too_soon(connection, device.id, recorded, said.exempt, now) else said.exempt
    devices.save_report(connection, device.id, said, exempt, now)
    actor = f"device:{device.id}"
    if _is_changed(connection, device.id, was, said):
        log(
            connection,
            now,
            actor,
            Action.DEVICE_PROTECTION,
            device=device.id,
            before=was.protection,
            after=said.protection,
            hardware_bound=said.hardware_bound,
        )
    if exempt != recorded:
        log(connection, now, actor, Action.DEVICE_EXEMPT, device=device.id, accounts=exempt)
    here = devices.find_device(connection, device.id)
    if here is None:
        raise LookupError("the device of a contact is gone")
    return here


def _is_changed(connection: Connection, device_id: str, was: SelfReport, said: SelfReport) -> bool:
    """Whether its keys stand under something else. The first word of all changes nothing; one after a silence may."""
    if said.hardware_bound == was.hardware_bound and was.protection == "":
        return said.protection != "" and _last_said(connection, device_id, Action.DEVICE_PROTECTION) is not None
    return (said.hardware_bound, said.protection) != (was.hardware_bound, was.protection)


def _is_too_soon(
    connection: Connection, device_id: str, recorded: Sequence[str], said: Sequence[str], now: int
) -> bool:
    """Whether others of its exempt accounts went on record within the hour: a list is long, and it may change at each
    contact. What it says then goes on record at the first contact after that."""
    if said == recorded:
        return False
    last = _last_said(connection, device_id, Action.DEVICE_EXEMPT)
    return last is not None and now < last.at // 1_000_000 + _BETWEEN_LISTS


def _last_said(connection: Connection, device_id: str, action: Action) -> AuditRow | None:
    wanted = AuditFilter(device_id=device_id, actions=(action,))
    return next(iter(audit_events.list_rows(connection, wanted, limit=1)), None)
