"""Offline data of a device: the effects of a sign-in on it, the answer to a sync, and the confirmation of units.

No record is hashed here; app.offline.sealing does that. Every contact settles in one transaction: the generation, the
version of each emergency code, the units to erase, and the units that are still wanted.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.emergency.versions import choose_versions
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
    DeviceState,
    Obstacle,
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
from sparekey.unit_kind import EMERGENCY_KINDS, UnitKind
from sparekey.wire.agent_api import DevicePolicy, HeldUnit, KeptKind, UnitName, UsedStep, UserSync

_BETWEEN_LISTS: Final = 3600  # seconds between two lists of exempt os_accounts in the audit log


@dataclass(frozen=True)
class DeviceKey:
    """The key that a successful online sign-in opens on the device; empty if it may hold no offline data."""

    check: bytes = b""
    offline_key: Secret[bytes] | None = None


@dataclass(frozen=True)
class Holder:
    """One user on one device, with everything that decides which units the device gets."""

    account: AccountState
    tokens: tuple[TokenState, ...]  # used on this device, the one used last first
    device: DeviceState
    policy: EffectivePolicy
    data: OfflineData
    codes: Mapping[str, EmergencyCode]  # the version to seal for this device, by owner id

    def wanted_at(self, now: int) -> list[WantedUnit]:
        """Return every unit that the device should hold, in the order of sealing."""
        wanted = wanted_units(self.account, self.tokens, self.device, self.policy, now)
        return [unit for unit in wanted if not unit.kind.is_emergency or self.code_of(unit) is not None]

    def code_of(self, unit: WantedUnit) -> EmergencyCode | None:
        """Return the version of the code in an emergency unit."""
        return self.codes.get(unit.token_id or self.account.account_id)


def after_sign_in(
    connection: Connection, instance: Instance, device: Device, granted: Granted, check: bytes, now: int
) -> DeviceKey:
    """Settle the effects of a success on this device, inside its transaction.

    `check` names the key under which the device's secrets are wrapped; b"" if there is none yet. Raises LookupError if
    the account or the device is gone.
    """
    account_row = accounts.find_account_by_id(connection, granted.account_id)
    # Read the device again: it may have been reported stolen while its user was typing.
    current = devices.find_device(connection, device.id)
    if account_row is None or current is None:
        raise LookupError("the account or the device of a success is gone")
    state = device_state(current)
    policy = effective_in(connection, account_row.domain_id, current.domain_id)
    account = account_state_of(connection, account_row)
    if account_obstacle(account, state, policy, now) is not None:
        return DeviceKey()
    data = devices.find_device_account(connection, device.id, account.account_id)
    if data is None:
        if granted.method is not Method.TOKENCODE:
            return DeviceKey()  # days are sealed for the token that was just used
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
    choose_versions(connection, instance, account, on_device, state, policy, contact, now, used_token=granted.token_id)
    return DeviceKey(used, key)


def sync_users(
    connection: Connection, instance: Instance, device: Device, held: Sequence[HeldUnit], now: int
) -> list[UserSync]:
    """Return the server's answer for each user of the device. `held`: the units that the device reports."""
    everyone = devices.accounts_on_device(connection, device.id)
    accounts.lock_accounts(connection, [data.account_id for data in everyone])
    _reconcile(connection, device.id, held, now)
    by_user = defaultdict[str, list[HeldUnit]](list)
    for unit in held:
        by_user[unit.user].append(unit)
    return [_sync_user(connection, instance, device, data, by_user[data.account_id], now) for data in everyone]


def holder_of(connection: Connection, instance: Instance, device: Device, data: OfflineData, now: int) -> Holder:
    """Return everything that decides which units this user gets on this device, settled as in a background contact.

    The generation is settled before PINs and seeds are read, because a later change raises it once more. Raises
    LookupError if the account is gone.
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
        codes = choose_versions(connection, instance, account, on_device, state, policy, Contact.WITHOUT_SIGN_IN, now)
    return Holder(account, on_device, state, policy, data, codes)


def acknowledge(connection: Connection, device: Device, unit_hashes: Sequence[bytes], now: int) -> int:
    """Note that these units are on the device's disk, as its signed request says. Return the number of known units."""
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
    """Return the days before the end at which the device warns. A user who has all days is never warned."""
    return min(values.warn_days, values.days - 1)


def _kept(holder: Holder, now: int) -> list[KeptKind]:
    """Return the kinds of units that may stay on the device. It erases all others; an empty list erases all."""
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
    """Return the wanted units that the device does not hold in this generation and, for a code, in its version and
    expiry.
    """
    known = {
        receipt.unit_hash.hex(): receipt
        for receipt in receipts.list_receipts(connection, holder.device.device_id, holder.account.account_id)
    }
    current = {(unit.kind, unit.token, unit.day): unit for unit in held if unit.generation == holder.data.generation}
    missing = []
    for unit in holder.wanted_at(now):
        have = current.get((unit.kind, unit.token_id, unit.day))
        if have is None or not _is_good(holder, unit, have.version, known.get(have.unit_hash), now):
            missing.append(unit)
    return missing


def is_confirmed(holder: Holder, unit: WantedUnit, receipt: Receipt, now: int) -> bool:
    """Return True if the device has acknowledged this unit in the present generation, and would get no better one."""
    is_present = receipt.acknowledged_at is not None and receipt.generation == holder.data.generation
    return is_present and _is_good(holder, unit, receipt.version, receipt, now)


def _is_good(holder: Holder, unit: WantedUnit, version: int, receipt: Receipt | None, now: int) -> bool:
    """Return True if the unit that the device holds, in this version, equals the one it would get now, or is near
    enough."""
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
    return code is not None and version == code.version and bool(receipt.not_after == code.not_after)


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
    """Confirm the receipts of units that the device holds. Withdraw those of units that are gone; delete old ones.

    The device's list is more reliable than the receipts. If it holds a code in two generations, it accepts the older
    one until the new one is complete.
    """
    hashes = {unit.unit_hash for unit in held}
    gone, damaged, codes = list[str](), list[str](), dict[str, Receipt]()
    for receipt in receipts.list_receipts(connection, device_id):
        owner = receipt.token_id or receipt.account_id
        if receipt.unit_hash.hex() in hashes:
            if receipt.acknowledged_at is None:
                receipts.acknowledge_receipt(connection, receipt.id, now)
            if receipt.kind.is_emergency and (owner not in codes or receipt.generation <= codes[owner].generation):
                codes[owner] = receipt
        elif receipt.sealed_at < now - DAY_SECONDS:
            gone.append(receipt.id)
        elif receipt.acknowledged_at is not None:
            damaged.append(receipt.id)  # kept for a day, because its fetches are counted
    receipts.delete_receipts(connection, gone)
    receipts.withdraw_acknowledgements(connection, damaged)
    for receipt in codes.values():
        _confirm_code(connection, device_id, receipt, now)
    owners = frozenset(unit.token or unit.user for unit in held if unit.kind in EMERGENCY_KINDS)
    emergency_codes.forget_held(connection, device_id, owners)


def _confirm_code(connection: Connection, device_id: str, receipt: Receipt, now: int) -> None:
    code = emergency_codes.find_version(connection, receipt.account_id, receipt.token_id, receipt.version)
    if code is not None:
        owner = receipt.token_id or receipt.account_id
        emergency_codes.confirm_held(connection, device_id, owner, code.id, now)


def save_contact(connection: Connection, device: Device, report: SelfReport, *, now: int) -> Device:
    """Save the contact and the device's own report, and log changes. Return the device after the change.

    The device is read again because its report decides which units it gets. Raises LookupError if the device is gone.
    """
    was, logged = device.report, device.logged_exempt
    exempt = logged if _is_too_soon(connection, device.id, logged, report.exempt, now) else report.exempt
    devices.save_report(connection, device.id, report, exempt, now)
    actor = f"device:{device.id}"
    if _is_changed(connection, device.id, was, report):
        log(
            connection,
            now,
            actor,
            Action.DEVICE_PROTECTION,
            device=device.id,
            before=was.protection,
            after=report.protection,
            hardware_bound=report.hardware_bound,
        )
    if exempt != logged:
        log(connection, now, actor, Action.DEVICE_EXEMPT, device=device.id, accounts=exempt)
    current = devices.find_device(connection, device.id)
    if current is None:
        raise LookupError("the device of a contact is gone")
    return current


def _is_changed(connection: Connection, device_id: str, was: SelfReport, report: SelfReport) -> bool:
    """Return True if the protection of the device's keys changed.

    The very first report is no change. A report after a time without any can be one.
    """
    if report.hardware_bound == was.hardware_bound and was.protection == "":
        return report.protection != "" and _last_event(connection, device_id, Action.DEVICE_PROTECTION) is not None
    return (report.hardware_bound, report.protection) != (was.hardware_bound, was.protection)


def _is_too_soon(
    connection: Connection, device_id: str, logged: Sequence[str], exempt: Sequence[str], now: int
) -> bool:
    """Return True if another list of exempt os_accounts was logged within the last hour.

    A list is long and may change at each contact. The next contact after the hour logs the list of that moment.
    """
    if exempt == logged:
        return False
    last = _last_event(connection, device_id, Action.DEVICE_EXEMPT)
    return last is not None and now < last.at // 1_000_000 + _BETWEEN_LISTS


def _last_event(connection: Connection, device_id: str, action: Action) -> AuditRow | None:
    wanted = AuditFilter(device_id=device_id, actions=(action,))
    return next(iter(audit_events.list_rows(connection, wanted, limit=1)), None)
