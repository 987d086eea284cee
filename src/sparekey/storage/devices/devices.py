"""Devices, and each user's offline data on each device."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, union, update

from sparekey.core.offline.self_report import SelfReport
from sparekey.core.search_words import fold_name
from sparekey.storage.rows import AnyResult, AnyRow, AnySelect, all_as
from sparekey.storage.sealed_rows import all_intact, insert_row, intact_rows, one, one_intact, update_rows
from sparekey.storage.tables import (
    account,
    device,
    device_account,
    device_code,
    device_token,
    offline_event,
    security_domain,
    token,
    unit_receipt,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """An enrolled device. `domain`: the name of its security domain. `report`: what it last said about itself.

    `logged_exempt`: its exempt accounts as the audit log has them, which may be older than those of `report`.
    """

    id: str
    name: str
    domain_id: str
    domain: str
    public_key: bytes  # P-256, SubjectPublicKeyInfo, DER
    supports_offline: bool
    report: SelfReport
    logged_exempt: tuple[str, ...]
    enrolled_at: int
    revoked_at: int | None
    last_contact: int | None
    event_number: int  # of the last offline event uploaded; 0: none
    event_hash: bytes

    @property
    def hardware_bound(self) -> bool:
        return self.report.hardware_bound


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineData:
    """The offline data of one user on one device: their generation and key (offline-day.md, server rule 3)."""

    device_id: str
    account_id: str
    login: str  # as typed at the device
    generation: int
    offline_key_sealed: bytes
    check: bytes  # names the key of this generation
    confirmed_key_sealed: bytes | None  # the last key that a sign-in event confirmed
    confirmed_check: bytes | None
    stale: bool  # the generation has risen; its key is chosen at the next planning
    last_sign_in: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAndToken:
    """A user with offline data on a device, and one token that they used there; without one, `token_id` is None."""

    account_id: str
    login: str
    name: str
    domain_id: str
    expires_at: int | None
    last_sign_in: int | None
    stale: bool
    token_id: str | None
    serial: str | None
    token_end: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserToken:
    """The columns of a token that matter after a theft, with the login of its user."""

    id: str
    serial: str
    type: str
    account_id: str
    login: str
    enabled: bool
    with_pin: bool


_USER_TOKEN: Final = (
    token.c.id,
    token.c.serial,
    token.c.type,
    token.c.account_id,
    account.c.login,
    token.c.enabled,
    token.c.with_pin,
)


def insert_device(
    connection: Connection,
    *,
    device_id: str,
    name: str,
    domain_id: str,
    public_key: bytes,
    supports_offline: bool,
    hardware_bound: bool,
    now: int,
) -> None:
    """Add a device that enrols now."""
    values = {
        "id": device_id,
        "name": name,
        "name_key": fold_name(name),
        "domain_id": domain_id,
        "public_key": public_key,
        "supports_offline": supports_offline,
        "hardware_bound": hardware_bound,
        "enrolled_at": now,
        "last_contact": now,
        "event_number": 0,
        "event_hash": bytes(32),
    }
    insert_row(connection, device, values)


def device_of(row: AnyRow) -> Device:
    """Read a device from a row that may have further columns, such as one of a search."""
    stored = json.loads(row.exempt_accounts)
    # one list if both are equal: see `save_report`
    reported, logged = (stored["said"], stored["recorded"]) if isinstance(stored, dict) else (stored, stored)
    return Device(
        id=row.id,
        name=row.name,
        domain_id=row.domain_id,
        domain=row.domain,
        public_key=row.public_key,
        supports_offline=row.supports_offline,
        report=SelfReport(row.hardware_bound, row.protection, tuple(reported)),
        logged_exempt=tuple(logged),
        enrolled_at=row.enrolled_at,
        revoked_at=row.revoked_at,
        last_contact=row.last_contact,
        event_number=row.event_number,
        event_hash=row.event_hash,
    )


def _devices() -> AnySelect:
    return select(device, security_domain.c.name.label("domain")).join(
        security_domain, device.c.domain_id == security_domain.c.id
    )


def find_device(connection: Connection, device_id: str) -> Device | None:
    row = one(intact_rows(connection, _devices().where(device.c.id == device_id), device))
    return None if row is None else device_of(row)


def devices_with_ids(connection: Connection, device_ids: Collection[str]) -> list[Device]:
    """Return the devices with these ids. Ids without a device are left out."""
    return _intact(connection, _devices().where(device.c.id.in_(device_ids)))


def devices_named(connection: Connection, name: str) -> list[Device]:
    """Return the devices with this name or id. Several may have one name."""
    return _intact(connection, _devices().where((device.c.name == name) | (device.c.id == name)))


def list_devices(
    connection: Connection, limit: int, after: str = "", within: frozenset[str] | None = None
) -> list[Device]:
    """Return devices in order of name, after the device with the id `after` ("": from the first).

    `within`: ids of domains; None: all of them.
    """
    query = _devices().order_by(device.c.name, device.c.id).limit(limit)
    if after:
        last = select(device.c.name).where(device.c.id == after).scalar_subquery()
        query = query.where((device.c.name > last) | ((device.c.name == last) & (device.c.id > after)))
    if within is not None:
        query = query.where(device.c.domain_id.in_(within))
    return _all(connection.execute(query))


def _all(result: AnyResult) -> list[Device]:
    return [device_of(row) for row in result]


def _intact(connection: Connection, query: AnySelect) -> list[Device]:
    return [device_of(row) for row in intact_rows(connection, query, device)]


def lock_device(connection: Connection, device_id: str) -> None:
    """Make other uploads of this device wait until the transaction ends. Take this lock before any account's."""
    query = select(device.c.id).where(device.c.id == device_id).with_for_update(key_share=True)
    connection.execute(query).all()


def set_last_contact(connection: Connection, device_id: str, now: int) -> None:
    connection.execute(update(device).where(device.c.id == device_id).values(last_contact=now))


def save_report(
    connection: Connection, device_id: str, report: SelfReport, logged_exempt: tuple[str, ...], now: int
) -> None:
    """Save the report of a device about itself, and its exempt accounts as the audit log has them."""
    same = report.exempt == logged_exempt
    stored = report.exempt if same else {"said": report.exempt, "recorded": logged_exempt}
    values = {
        "hardware_bound": report.hardware_bound,
        "protection": report.protection,
        "exempt_accounts": json.dumps(stored, separators=(",", ":")),
        "last_contact": now,
    }
    update_rows(connection, device, [device.c.id == device_id], values)


def revoke_device(connection: Connection, device_id: str, now: int) -> bool:
    """Revoke the device. Return False if it is revoked already: of two calls at once, one returns True."""
    where = (device.c.id == device_id, device.c.revoked_at.is_(None))
    return update_rows(connection, device, where, {"revoked_at": now}) == 1


def find_device_account(connection: Connection, device_id: str, account_id: str) -> OfflineData | None:
    query = select(device_account).where(
        device_account.c.device_id == device_id, device_account.c.account_id == account_id
    )
    return one_intact(OfflineData, connection, query, device_account)


def accounts_on_device(connection: Connection, device_id: str) -> list[OfflineData]:
    """Return the offline data of each user on this device, the user who signed in last first."""
    query = (
        select(device_account)
        .where(device_account.c.device_id == device_id)
        .order_by(device_account.c.last_sign_in.desc(), device_account.c.account_id)
    )
    return all_intact(OfflineData, connection, query, device_account)


def users_and_tokens_on(connection: Connection, device_id: str) -> list[UserAndToken]:
    """Return the users with offline data on this device in order of login, once for each token that they used there.

    The token that was used last comes first.
    """
    query = (
        select(
            account.c.id.label("account_id"),
            account.c.login,
            account.c.name,
            account.c.domain_id,
            account.c.expires_at,
            device_account.c.last_sign_in,
            device_account.c.stale,
            token.c.id.label("token_id"),
            token.c.serial,
            token.c.expires_at.label("token_end"),
        )
        .join(account, account.c.id == device_account.c.account_id)
        .outerjoin(
            device_token,
            (device_token.c.device_id == device_account.c.device_id) & (device_token.c.account_id == account.c.id),
        )
        .outerjoin(token, (token.c.id == device_token.c.token_id) & (token.c.account_id == account.c.id))
        .where(device_account.c.device_id == device_id)
        .order_by(account.c.login, device_token.c.last_used.desc(), token.c.id)
    )
    return all_as(UserAndToken, connection.execute(query))


def count_accounts(connection: Connection, device_ids: Collection[str]) -> dict[str, int]:
    """Count the users with offline data on each of these devices. A device without any is left out."""
    query = (
        select(device_account.c.device_id, func.count().label("users"))
        .where(device_account.c.device_id.in_(device_ids))
        .group_by(device_account.c.device_id)
    )
    return {row.device_id: row.users for row in connection.execute(query)}


def devices_of_account(connection: Connection, account_id: str) -> list[str]:
    """Return the ids of the devices on which this user has offline data, in order of the devices' names."""
    query = (
        select(device_account.c.device_id)
        .join(device, device_account.c.device_id == device.c.id)
        .where(device_account.c.account_id == account_id)
        .order_by(device.c.name, device.c.id)
    )
    return list(connection.execute(query).scalars())


def insert_device_account(connection: Connection, values: OfflineData) -> None:
    insert_row(connection, device_account, asdict(values))


def update_device_account(
    connection: Connection, device_id: str, account_id: str, **values: bytes | int | bool
) -> None:
    """Change these columns."""
    connection.execute(
        update(device_account)
        .where(device_account.c.device_id == device_id, device_account.c.account_id == account_id)
        .values(**values)
    )


def raise_generation(connection: Connection, account_id: str) -> int:
    """Raise the user's generation on every device (offline-day.md, server rule 3). Return the number of devices."""
    return _raise_generation(connection, device_account.c.account_id == account_id)


def raise_generation_in_domains(connection: Connection, domain_ids: frozenset[str]) -> int:
    """Raise the generation of every user of these domains, and of every user on the domains' devices."""
    users = select(account.c.id).where(account.c.domain_id.in_(domain_ids))
    devices = select(device.c.id).where(device.c.domain_id.in_(domain_ids))
    touched = device_account.c.account_id.in_(users) | device_account.c.device_id.in_(devices)
    return _raise_generation(connection, touched)


def _raise_generation(connection: Connection, which: ColumnElement[bool]) -> int:
    raised = update(device_account).where(which).values(generation=device_account.c.generation + 1, stale=True)
    return connection.execute(raised).rowcount


def has_token(connection: Connection, device_id: str, token_id: str) -> bool:
    """Return True if days of this token are kept on this device."""
    query = select(device_token.c.token_id).where(
        device_token.c.device_id == device_id, device_token.c.token_id == token_id
    )
    return bool(intact_rows(connection, query, device_token))


def devices_with_token(connection: Connection, token_id: str) -> list[Device]:
    """Return the devices on which days of this token are kept, in order of name."""
    query = _devices().join(device_token, device_token.c.device_id == device.c.id)
    return _intact(connection, query.where(device_token.c.token_id == token_id).order_by(device.c.name))


def use_token_on_device(connection: Connection, device_id: str, token_id: str, account_id: str, now: int) -> None:
    """Save that the user signed in with this token on this device."""
    where = (device_token.c.device_id == device_id, device_token.c.token_id == token_id)
    if connection.execute(update(device_token).where(*where).values(last_used=now)).rowcount == 0:
        values = {"device_id": device_id, "token_id": token_id, "account_id": account_id, "last_used": now}
        insert_row(connection, device_token, values)


def delete_device_data(connection: Connection, device_id: str, account_id: str) -> None:
    """Delete what is stored about this user on this device."""
    for table in (device_token, unit_receipt, device_account):
        connection.execute(delete(table).where(table.c.device_id == device_id, table.c.account_id == account_id))


def withdraw_data(connection: Connection, device_id: str) -> None:
    """Stop giving data to this device. The tokens that were used there stay stored, because the device may hold data
    until its next contact."""
    for table in (unit_receipt, device_account):
        connection.execute(delete(table).where(table.c.device_id == device_id))


def users_of_device(connection: Connection, device_id: str) -> frozenset[str]:
    """Return the ids of the accounts whose data the device may hold."""
    columns = [table.c.account_id for table in (device_account, device_token, device_code)]
    queries = (select(column).where(column.table.c.device_id == device_id) for column in columns)
    return frozenset(connection.execute(union(*queries)).scalars())


def tokens_of_device(connection: Connection, device_id: str) -> list[UserToken]:
    """Return every assigned token that was used on this device, with its present user."""
    query = (
        select(*_USER_TOKEN)
        .join(device_token, device_token.c.token_id == token.c.id)
        .join(account, token.c.account_id == account.c.id)
        .where(device_token.c.device_id == device_id)
        .order_by(account.c.login, token.c.serial)
    )
    return all_as(UserToken, connection.execute(query))


def tokens_with_pin(connection: Connection, account_ids: Collection[str]) -> list[UserToken]:
    """Return every token of these users that has a PIN."""
    query = (
        select(*_USER_TOKEN)
        .join(account, token.c.account_id == account.c.id)
        .where(token.c.account_id.in_(account_ids), token.c.pin_sealed.is_not(None))
        .order_by(account.c.login, token.c.serial)
    )
    return all_as(UserToken, connection.execute(query))


def forget_device(connection: Connection, device_id: str) -> None:
    """Delete what is stored about every user on this device."""
    for table in (device_token, device_code, unit_receipt, device_account):
        connection.execute(delete(table).where(table.c.device_id == device_id))


def find_event_hash(connection: Connection, device_id: str, number: int) -> bytes | None:
    """Return the hash of an uploaded offline event."""
    query = select(offline_event.c.event_hash).where(
        offline_event.c.device_id == device_id, offline_event.c.number == number
    )
    return connection.execute(query).scalar_one_or_none()


def find_uploaded_at(connection: Connection, device_id: str, number: int) -> int | None:
    """Return the time at which an offline event was uploaded."""
    query = select(offline_event.c.uploaded_at).where(
        offline_event.c.device_id == device_id, offline_event.c.number == number
    )
    return connection.execute(query).scalar_one_or_none()


def insert_event(connection: Connection, device_id: str, number: int, event_hash: bytes, now: int) -> None:
    """Add an uploaded event. It becomes the end of the device's chain, unless a later event is there already."""
    connection.execute(
        insert(offline_event).values(device_id=device_id, number=number, event_hash=event_hash, uploaded_at=now)
    )
    connection.execute(
        update(device)
        .where(device.c.id == device_id, device.c.event_number < number)
        .values(event_number=number, event_hash=event_hash)
    )
