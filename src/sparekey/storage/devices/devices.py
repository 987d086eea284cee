"""Devices, and each user's offline data on each device."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, union, update

from sparekey.core.offline.self_report import SelfReport
from sparekey.core.search_words import fold_name
from sparekey.storage.rows import AnyRow
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


def insert_device(connection: Connection, values: Mapping[str, Any]) -> None:
    key = fold_name(values["name"])
    connection.execute(insert(device).values(event_number=0, event_hash=bytes(32), name_key=key, **values))


def find_device(connection: Connection, device_id: str) -> AnyRow | None:
    return connection.execute(select(device).where(device.c.id == device_id)).one_or_none()


def devices_with_ids(connection: Connection, device_ids: Collection[str]) -> Sequence[AnyRow]:
    """Those of these ids, with their domain's name."""
    query = select(device, security_domain.c.name.label("domain")).join(security_domain)
    return connection.execute(query.where(device.c.id.in_(device_ids))).all()


def devices_named(connection: Connection, name: str) -> Sequence[AnyRow]:
    """Devices by name or id, with their domain's name; several may have one name."""
    query = select(device, security_domain.c.name.label("domain")).join(security_domain)
    return connection.execute(query.where((device.c.name == name) | (device.c.id == name))).all()


def list_devices(
    connection: Connection, limit: int, after: str = "", within: frozenset[str] | None = None
) -> Sequence[AnyRow]:
    """By name, after the device with the id `after` ("": from the first), of these domains (None: of all)."""
    query = (
        select(device, security_domain.c.name.label("domain"))
        .join(security_domain, device.c.domain_id == security_domain.c.id)
        .order_by(device.c.name, device.c.id)
        .limit(limit)
    )
    if after:
        last = select(device.c.name).where(device.c.id == after).scalar_subquery()
        query = query.where((device.c.name > last) | ((device.c.name == last) & (device.c.id > after)))
    if within is not None:
        query = query.where(device.c.domain_id.in_(within))
    return connection.execute(query).all()


def lock_device(connection: Connection, device_id: str) -> None:
    """Other uploads of this device wait until the transaction ends. Taken before any account's lock."""
    query = select(device.c.id).where(device.c.id == device_id).with_for_update(key_share=True)
    connection.execute(query).all()


def update_device(connection: Connection, device_id: str, **values: Any) -> None:
    connection.execute(update(device).where(device.c.id == device_id).values(**values))


def self_report(row: AnyRow) -> SelfReport:
    """What the device of this row said of itself last."""
    return SelfReport(row.hardware_bound, row.protection, _exempt_lists(row)[0])


def exempt_on_record(row: AnyRow) -> tuple[str, ...]:
    """The exempt accounts that the record says last of the device of this row."""
    return _exempt_lists(row)[1]


def _exempt_lists(row: AnyRow) -> tuple[tuple[str, ...], tuple[str, ...]]:
    stored = json.loads(row.exempt_accounts)
    said, recorded = (stored["said"], stored["recorded"]) if isinstance(stored, dict) else (stored, stored)
    return tuple(said), tuple(recorded)


def self_report_values(said: SelfReport, recorded: tuple[str, ...]) -> dict[str, Any]:
    """The columns that hold it, and the exempt accounts on record, where those are others."""
    stored = said.exempt if said.exempt == recorded else {"said": said.exempt, "recorded": recorded}
    exempt = json.dumps(stored, separators=(",", ":"))
    return {"hardware_bound": said.hardware_bound, "protection": said.protection, "exempt_accounts": exempt}


def revoke_device(connection: Connection, device_id: str, now: int) -> bool:
    """Whether it was in use until now: of two who revoke it at once, one does."""
    change = update(device).where(device.c.id == device_id, device.c.revoked_at.is_(None))
    return connection.execute(change.values(revoked_at=now)).rowcount == 1


def find_device_account(connection: Connection, device_id: str, account_id: str) -> AnyRow | None:
    query = select(device_account).where(
        device_account.c.device_id == device_id, device_account.c.account_id == account_id
    )
    return connection.execute(query).one_or_none()


def accounts_on_device(connection: Connection, device_id: str) -> Sequence[AnyRow]:
    """Everyone with offline data on this device, who signed in last first."""
    query = (
        select(device_account)
        .where(device_account.c.device_id == device_id)
        .order_by(device_account.c.last_sign_in.desc(), device_account.c.account_id)
    )
    return connection.execute(query).all()


def people_on_device(connection: Connection, device_id: str) -> Sequence[AnyRow]:
    """As `accounts_on_device`, with account and tokens: a row for each user with offline data on this device and each
    token that they used there, the one used last first; `token_id` None: none."""
    query = (
        select(
            account.c.id,
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
    return connection.execute(query).all()


def count_accounts(connection: Connection, device_ids: Collection[str]) -> dict[str, int]:
    """How many users have offline data on each of these devices; one that is not there has none."""
    query = (
        select(device_account.c.device_id, func.count().label("users"))
        .where(device_account.c.device_id.in_(device_ids))
        .group_by(device_account.c.device_id)
    )
    return {row.device_id: row.users for row in connection.execute(query)}


def devices_of_account(connection: Connection, account_id: str) -> Sequence[AnyRow]:
    """Every device on which this user has offline data."""
    query = (
        select(device_account, device.c.name.label("device_name"), device.c.revoked_at, device.c.last_contact)
        .join(device, device_account.c.device_id == device.c.id)
        .where(device_account.c.account_id == account_id)
        .order_by(device.c.name, device.c.id)
    )
    return connection.execute(query).all()


def insert_device_account(connection: Connection, values: Mapping[str, Any]) -> None:
    connection.execute(insert(device_account).values(**values))


def update_device_account(connection: Connection, device_id: str, account_id: str, **values: Any) -> None:
    connection.execute(
        update(device_account)
        .where(device_account.c.device_id == device_id, device_account.c.account_id == account_id)
        .values(**values)
    )


def raise_generation(connection: Connection, account_id: str) -> int:
    """The user's generation rises on every device (offline-day.md, server rule 3); on how many."""
    return _raise_generation(connection, device_account.c.account_id == account_id)


def raise_generation_in_domains(connection: Connection, domain_ids: frozenset[str]) -> int:
    """The same for every user of these domains and everyone on their devices."""
    users = select(account.c.id).where(account.c.domain_id.in_(domain_ids))
    devices = select(device.c.id).where(device.c.domain_id.in_(domain_ids))
    touched = device_account.c.account_id.in_(users) | device_account.c.device_id.in_(devices)
    return _raise_generation(connection, touched)


def _raise_generation(connection: Connection, which: ColumnElement[bool]) -> int:
    raised = update(device_account).where(which).values(generation=device_account.c.generation + 1, stale=True)
    return connection.execute(raised).rowcount


def has_token(connection: Connection, device_id: str, token_id: str) -> bool:
    """Whether days of this token are kept on this device."""
    query = select(device_token.c.token_id).where(
        device_token.c.device_id == device_id, device_token.c.token_id == token_id
    )
    return connection.execute(query).one_or_none() is not None


def devices_with_token(connection: Connection, token_id: str) -> Sequence[AnyRow]:
    """Name and domain of the devices on which days of this token are kept."""
    query = select(device.c.name, device.c.domain_id).join(device_token, device_token.c.device_id == device.c.id)
    return connection.execute(query.where(device_token.c.token_id == token_id).order_by(device.c.name)).all()


def use_token_on_device(connection: Connection, device_id: str, token_id: str, account_id: str, now: int) -> None:
    """The user signed in with this token on this device."""
    where = (device_token.c.device_id == device_id, device_token.c.token_id == token_id)
    if connection.execute(update(device_token).where(*where).values(last_used=now)).rowcount == 0:
        connection.execute(
            insert(device_token).values(device_id=device_id, token_id=token_id, account_id=account_id, last_used=now)
        )


def delete_device_data(connection: Connection, device_id: str, account_id: str) -> None:
    """The user has nothing on this device any more."""
    for table in (device_token, unit_receipt, device_account):
        connection.execute(delete(table).where(table.c.device_id == device_id, table.c.account_id == account_id))


def withdraw_data(connection: Connection, device_id: str) -> None:
    """Nobody is given anything on this device any more. Whose tokens were used there stays known: until it has been in
    contact the device may hold what it was given."""
    for table in (unit_receipt, device_account):
        connection.execute(delete(table).where(table.c.device_id == device_id))


def users_of_device(connection: Connection, device_id: str) -> frozenset[str]:
    """Everyone of whom the device may hold something: ids of accounts."""
    columns = [table.c.account_id for table in (device_account, device_token, device_code)]
    queries = (select(column).where(column.table.c.device_id == device_id) for column in columns)
    return frozenset(connection.execute(union(*queries)).scalars())


def tokens_of_device(connection: Connection, device_id: str) -> Sequence[AnyRow]:
    """Every token that was used on this device and that somebody has, with the login of who has it now."""
    query = (
        select(token, account.c.login)
        .join(device_token, device_token.c.token_id == token.c.id)
        .join(account, token.c.account_id == account.c.id)
        .where(device_token.c.device_id == device_id)
        .order_by(account.c.login, token.c.serial)
    )
    return connection.execute(query).all()


def tokens_with_pin(connection: Connection, account_ids: Collection[str]) -> Sequence[AnyRow]:
    """Every token of these users that has a PIN, with the user's login."""
    query = (
        select(token, account.c.login)
        .join(account, token.c.account_id == account.c.id)
        .where(token.c.account_id.in_(account_ids), token.c.pin_sealed.is_not(None))
        .order_by(account.c.login, token.c.serial)
    )
    return connection.execute(query).all()


def forget_device(connection: Connection, device_id: str) -> None:
    """Nothing of anybody is on this device any more."""
    for table in (device_token, device_code, unit_receipt, device_account):
        connection.execute(delete(table).where(table.c.device_id == device_id))


def insert_receipt(connection: Connection, values: Mapping[str, Any]) -> None:
    connection.execute(insert(unit_receipt).values(**values))


def receipts(connection: Connection, device_id: str, account_id: str | None = None) -> Sequence[AnyRow]:
    """Units that the device was given, with the token's serial; of one user if given."""
    query = (
        select(unit_receipt, token.c.serial)
        .outerjoin(token, unit_receipt.c.token_id == token.c.id)
        .where(unit_receipt.c.device_id == device_id)
        .order_by(unit_receipt.c.day, unit_receipt.c.sealed_at)
    )
    if account_id is not None:
        query = query.where(unit_receipt.c.account_id == account_id)
    return connection.execute(query).all()


def find_receipts(connection: Connection, device_id: str, unit_hashes: Sequence[bytes]) -> Sequence[AnyRow]:
    """The receipts with these hashes."""
    query = select(unit_receipt).where(unit_receipt.c.device_id == device_id, unit_receipt.c.unit_hash.in_(unit_hashes))
    return connection.execute(query).all()


def acknowledge_receipt(connection: Connection, receipt_id: str, now: int) -> None:
    connection.execute(
        update(unit_receipt)
        .where(unit_receipt.c.id == receipt_id, unit_receipt.c.acknowledged_at.is_(None))
        .values(acknowledged_at=now)
    )


def delete_receipts(connection: Connection, receipt_ids: Sequence[str]) -> None:
    if receipt_ids:
        connection.execute(delete(unit_receipt).where(unit_receipt.c.id.in_(receipt_ids)))


def find_event_hash(connection: Connection, device_id: str, number: int) -> bytes | None:
    """The hash of an uploaded offline event."""
    query = select(offline_event.c.event_hash).where(
        offline_event.c.device_id == device_id, offline_event.c.number == number
    )
    return connection.execute(query).scalar_one_or_none()


def insert_event(connection: Connection, device_id: str, number: int, event_hash: bytes, now: int) -> None:
    """The device's chain of events goes on after this one, unless later ones are there already."""
    connection.execute(
        insert(offline_event).values(device_id=device_id, number=number, event_hash=event_hash, uploaded_at=now)
    )
    connection.execute(
        update(device)
        .where(device.c.id == device_id, device.c.event_number < number)
        .values(event_number=number, event_hash=event_hash)
    )
