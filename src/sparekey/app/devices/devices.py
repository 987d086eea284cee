"""Devices: enrol, authenticate a request, list, revoke. Invitations are in `invitations`."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from sparekey.app.authorisation import verify_may, verify_somewhere
from sparekey.app.devices.held import everyone_on, log_last_held
from sparekey.app.devices.invitations import stored_hash
from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_device, get_scope
from sparekey.app.notices import notify_user
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice
from sparekey.core.errors import BadInput, NotAllowed, NotFound
from sparekey.core.list_order import read_order
from sparekey.core.names import verify_name
from sparekey.core.offline.units import DAY
from sparekey.core.permissions import Actor, Permission
from sparekey.core.search_words import fold_name, verify_length
from sparekey.secret import Secret
from sparekey.storage.devices import devices, invitations, receipts
from sparekey.storage.devices.devices import Device
from sparekey.storage.search.devices import DEVICE_ORDERS, devices_found
from sparekey.storage.search.plan import run
from sparekey.storage.search.queries import ListPage, Search
from sparekey.wire.enrolment import proof_message
from sparekey.wire.signing import BadSignature, load_public_key, verify_signature

MOST_AT_ONCE: Final = 200
SILENT_AFTER: Final = 7 * DAY  # seconds without a contact
_STATES: Final = ("", "active", "revoked", "silent")


@dataclass(frozen=True)
class EnrolmentRequest:
    """The request of a device to enrol: the one-time secret, its public key, and the proof of its private key."""

    secret: Secret[bytes]
    public_key: bytes
    proof: bytes
    name: str
    supports_offline: bool
    hardware_bound: bool


@dataclass(frozen=True)
class EnrolledDevice:
    device_id: str
    name: str


@dataclass(frozen=True)
class HeldUnitView:
    login: str
    kind: str
    serial: str | None
    day: int
    version: int
    not_after: int
    acknowledged_at: int | None


@dataclass(frozen=True)
class DeviceView:
    device_id: str
    name: str
    domain: str
    enrolled_at: int
    revoked_at: int | None
    last_contact: int | None
    supports_offline: bool
    hardware_bound: bool
    protection: str = ""  # a word of core.offline.units.Protection that the device reported; "": none yet
    exempt: tuple[str, ...] = ()  # os_accounts that sign in there without a passcode, as the device reported


@dataclass(frozen=True)
class DeviceSearch:
    """Filters of a device search, combined with AND. An empty value matches everything.

    `text`: the beginning of the name, without case and accents. `domain`: this one and all below it. `state`: active,
    revoked or silent (active, and without a contact for a week). `order`: name or contact (the last one); a leading -
    reverses it.
    """

    text: str = ""
    domain: str = ""
    state: str = ""
    order: str = ""


def enrol(instance: Instance, enrolment: EnrolmentRequest, *, now: int) -> EnrolledDevice:
    """Enrol a device.

    Raises NotAllowed if the secret is unknown, used or expired, without saying which, and BadInput if the name or the
    proof is wrong.
    """
    message = proof_message(enrolment.secret.reveal(), enrolment.public_key)
    try:
        load_public_key(enrolment.public_key)
        verify_signature(enrolment.public_key, enrolment.proof, message)
    except BadSignature as error:
        raise BadInput("the device did not prove that it has the private key", "enrol it again") from error
    if enrolment.name:
        verify_name(enrolment.name, "device", 128)
    invalid = NotAllowed(
        "this enrolment code is not valid, was already used, or has expired", "ask the administrator for a new one"
    )
    with instance.database.read() as connection:
        # Read first, so that guessed secrets never take the one writer of an SQLite database.
        if not invitations.is_invited(connection, stored_hash(connection, enrolment.secret), now):
            raise invalid
    with instance.database.write() as connection:
        invitation = invitations.use_invitation(connection, stored_hash(connection, enrolment.secret), now)
        if invitation is None:
            raise invalid
        device_id, name = new_id(), enrolment.name or invitation.device_name
        devices.insert_device(
            connection,
            device_id=device_id,
            name=name,
            domain_id=invitation.domain_id,
            public_key=enrolment.public_key,
            supports_offline=enrolment.supports_offline,
            hardware_bound=enrolment.hardware_bound,
            now=now,
        )
        log(
            connection,
            now,
            f"device:{device_id}",
            Action.DEVICE_ENROLLED,
            device=device_id,
            name=name,
            invitation=invitation.id,
        )
    return EnrolledDevice(device_id, name)


def find_device(instance: Instance, device_id: str) -> Device | None:
    """Return the device with this id, also a revoked one."""
    with instance.database.read() as connection:
        return devices.find_device(connection, device_id)


def list_devices(instance: Instance, actor: Actor, limit: int = 100, after: str = "") -> list[DeviceView]:
    """Return the devices by name, from the one after the device with the id `after`."""
    within = verify_somewhere(actor, Permission.DEVICE_VIEW)
    with instance.database.read() as connection:
        return [view_of(device) for device in devices.list_devices(connection, limit, after, within)]


def search_devices(
    instance: Instance, actor: Actor, wanted: DeviceSearch, limit: int = 50, after: str = "", *, now: int
) -> list[DeviceView]:
    """Return the devices in the order of the search, from the one after the device with the id `after`.

    Raises BadInput for an unknown state or order.
    """
    with instance.database.read() as connection:
        (rows,) = run(connection, searched(connection, actor, wanted, limit, after, now))
        return [view_of(devices.device_of(row)) for row in rows]


def searched(connection: Connection, actor: Actor, wanted: DeviceSearch, limit: int, after: str, now: int) -> Search:
    """Return the search in the database. Raises BadInput as `search_devices` does."""
    verify_length(wanted.text)
    if wanted.state not in _STATES:
        raise BadInput(f"{wanted.state!r} is not a state of a device", f"give one of: {', '.join(_STATES[1:])}")
    within = get_scope(connection, actor, wanted.domain, Permission.DEVICE_VIEW)
    beginning, since = fold_name(wanted.text.strip()), now - SILENT_AFTER
    page = ListPage(read_order(wanted.order, DEVICE_ORDERS, "devices"), limit, after)
    return devices_found(connection, beginning, wanted.state, within, page, since)


def show_device(instance: Instance, actor: Actor, name: str) -> DeviceView:
    """Return a device, by name or id."""
    with instance.database.read() as connection:
        return view_of(get_device(connection, actor, name, Permission.DEVICE_VIEW))


def held_units(instance: Instance, actor: Actor, name: str) -> list[HeldUnitView]:
    """Return the units that the device received, with the time at which it confirmed each one."""
    with instance.database.read() as connection:
        device = get_device(connection, actor, name, Permission.DEVICE_VIEW)
        logins = {data.account_id: data.login for data in devices.accounts_on_device(connection, device.id)}
        return [
            HeldUnitView(
                logins.get(receipt.account_id, receipt.account_id),
                receipt.kind,
                serial,
                receipt.day,
                receipt.version,
                receipt.not_after,
                receipt.acknowledged_at,
            )
            for receipt, serial in receipts.list_with_serials(connection, device.id)
        ]


def tell_revoked(instance: Instance, device: Device, *, now: int) -> None:
    """Save the contact at which a revoked device learns of it and erases itself.

    A database error is ignored, because the device must get the answer even if nothing can be saved.
    """
    if device.last_contact is None or (device.revoked_at is not None and device.last_contact <= device.revoked_at):
        with suppress(SQLAlchemyError), instance.database.write() as connection:
            devices.set_last_contact(connection, device.id, now)


def choose_devices(instance: Instance, actor: Actor, device_ids: Collection[str]) -> list[DeviceView]:
    """Return devices that the actor may revoke, by name.

    Raises NotFound or NotAllowed for the first one that is refused.
    """
    with instance.database.read() as connection:
        chosen = _get_several(connection, actor, device_ids, Permission.DEVICE_REVOKE)
        return sorted((view_of(device) for device in chosen), key=lambda view: (fold_name(view.name), view.device_id))


def revoke(instance: Instance, actor: Actor, name: str, *, now: int) -> None:
    """Revoke a device: its key is refused, and it erases everything at its next contact.

    A device that was revoked before is not changed.
    """
    with instance.database.write() as connection:
        _revoke(connection, actor, get_device(connection, actor, name, Permission.DEVICE_REVOKE), now)


def revoke_at_once(instance: Instance, actor: Actor, device_ids: Collection[str], *, now: int) -> list[str]:
    """Revoke several devices: all of them, or none if one is refused. Return the ids of those that were in use."""
    with instance.database.write() as connection:
        chosen = _get_several(connection, actor, device_ids, Permission.DEVICE_REVOKE)
        return [device.id for device in chosen if _revoke(connection, actor, device, now)]


def _revoke(connection: Connection, actor: Actor, device: Device, now: int) -> bool:
    """Revoke a device; return False if it was revoked before."""
    if not devices.revoke_device(connection, device.id, now):
        return False
    _tell_users(connection, device, Notice.DEVICE_REVOKED, now)
    held = everyone_on(connection, device.id, now)
    devices.withdraw_data(connection, device.id)
    log(connection, now, actor, Action.DEVICE_REVOKED, device=device.id, name=device.name)
    for account_id in sorted(held):
        log_last_held(connection, actor, Action.DEVICE_REVOKED, device.id, account_id, held[account_id], now)
    return True


def _get_several(
    connection: Connection, actor: Actor, device_ids: Collection[str], needed: Permission
) -> Sequence[Device]:
    """Return the devices sorted by id, so that two requests at the same time do not wait for each other."""
    if len(device_ids) > MOST_AT_ONCE:
        raise BadInput(f"more than {MOST_AT_ONCE} devices are selected", "select fewer")
    existing = devices.devices_with_ids(connection, device_ids)
    found = {device.id: device for device in existing if actor.sees(device.domain_id)}
    for device_id in sorted(device_ids):
        if device_id not in found:
            raise NotFound(f"there is no device {device_id!r}", "reload the list")
    for device in found.values():
        try:
            verify_may(actor, needed, device.domain_id)
        except NotAllowed as error:
            # Name the id that was sent: the actor sees the device through another role, which may not reveal its name.
            raise NotAllowed(f"device {device.id!r}: {error.message}", error.do) from None
    return [found[device_id] for device_id in sorted(found)]


def _tell_users(connection: Connection, device: Device, notice: Notice, now: int) -> None:
    """Send a notice to the users with offline data on the device, before these data are deleted."""
    for data in devices.accounts_on_device(connection, device.id):
        notify_user(connection, now, data.account_id, notice, device=device.name)


def view_of(device: Device) -> DeviceView:
    return DeviceView(
        device.id,
        device.name,
        device.domain,
        device.enrolled_at,
        device.revoked_at,
        device.last_contact,
        device.supports_offline,
        device.report.hardware_bound,
        device.report.protection,
        device.report.exempt,
    )
