"""Receipts of the units that the server sealed for devices. The units themselves are not stored (S33)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select, update

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import token, unit_receipt
from sparekey.unit_kind import UnitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A unit that the server sealed for a device. The unit itself is not stored (S33)."""

    id: str
    device_id: str
    account_id: str
    token_id: str | None
    kind: UnitKind
    day: int  # days since 1970-01-01 UTC; 0 for emergency units
    first: int
    count: int
    generation: int
    version: int
    policy_revision: int
    unit_hash: bytes
    sealed_at: int
    not_after: int
    acknowledged_at: int | None = None


def insert_receipt(connection: Connection, receipt: Receipt) -> None:
    connection.execute(insert(unit_receipt).values(asdict(receipt)))


def list_receipts(connection: Connection, device_id: str, account_id: str | None = None) -> list[Receipt]:
    """Return the units that the device was given, the oldest first. `account_id`: of this user alone."""
    query = (
        select(unit_receipt)
        .where(unit_receipt.c.device_id == device_id)
        .order_by(unit_receipt.c.day, unit_receipt.c.sealed_at)
    )
    if account_id is not None:
        query = query.where(unit_receipt.c.account_id == account_id)
    return [_receipt(row) for row in connection.execute(query)]


def list_with_serials(connection: Connection, device_id: str) -> list[tuple[Receipt, str | None]]:
    """Return the units that the device was given, the oldest first, each with the serial of its token, if any."""
    query = (
        select(unit_receipt, token.c.serial)
        .outerjoin(token, unit_receipt.c.token_id == token.c.id)
        .where(unit_receipt.c.device_id == device_id)
        .order_by(unit_receipt.c.day, unit_receipt.c.sealed_at)
    )
    return [(_receipt(row), row.serial) for row in connection.execute(query)]


def find_receipts(connection: Connection, device_id: str, unit_hashes: Sequence[bytes]) -> list[Receipt]:
    """Return the receipts with these hashes."""
    query = select(unit_receipt).where(unit_receipt.c.device_id == device_id, unit_receipt.c.unit_hash.in_(unit_hashes))
    return [_receipt(row) for row in connection.execute(query)]


def _receipt(row: AnyRow) -> Receipt:
    return Receipt(
        id=row.id,
        device_id=row.device_id,
        account_id=row.account_id,
        token_id=row.token_id,
        kind=UnitKind(row.kind),
        day=row.day,
        first=row.first,
        count=row._asdict()["count"],  # `row.count` has the type of the method of a tuple
        generation=row.generation,
        version=row.version,
        policy_revision=row.policy_revision,
        unit_hash=row.unit_hash,
        sealed_at=row.sealed_at,
        not_after=row.not_after,
        acknowledged_at=row.acknowledged_at,
    )


def acknowledge_receipt(connection: Connection, receipt_id: str, now: int) -> None:
    connection.execute(
        update(unit_receipt)
        .where(unit_receipt.c.id == receipt_id, unit_receipt.c.acknowledged_at.is_(None))
        .values(acknowledged_at=now)
    )


def delete_receipts(connection: Connection, receipt_ids: Sequence[str]) -> None:
    if receipt_ids:
        connection.execute(delete(unit_receipt).where(unit_receipt.c.id.in_(receipt_ids)))
