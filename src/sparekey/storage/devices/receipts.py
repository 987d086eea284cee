"""Receipts of the units that the server sealed for devices. The units themselves are not stored (S33).

A slot is a user, kind, token and day on one device. It has at most three receipts: of the unit in use, of a staged one
of a later generation, and of one that was sealed and not acknowledged. So the number of receipts of a device is bounded
by what it may hold (S29).
"""

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
    fetches: int = 1  # within the hour that began at `fetches_since`
    fetches_since: int | None = None  # None: at `sealed_at`

    @property
    def counts_from(self) -> int:
        """Return the start of the hour in which the fetches are counted."""
        return self.sealed_at if self.fetches_since is None else self.fetches_since


def insert_receipt(connection: Connection, receipt: Receipt) -> None:
    """Insert the receipt of a unit that was just sealed, in place of those in its slot that it supersedes."""
    slot = list_slot(connection, receipt.device_id, receipt.account_id, receipt.kind, receipt.token_id, receipt.day)
    held = sorted((other for other in slot if other.acknowledged_at is not None), key=_age)
    # The device uses the oldest unit that it holds until the newest generation is complete.
    kept = {other.id for other in (*held[:1], *held[-1:])}
    delete_receipts(connection, [other.id for other in slot if other.id not in kept])
    connection.execute(insert(unit_receipt).values(asdict(receipt)))


def _age(receipt: Receipt) -> tuple[int, int, int]:
    return (receipt.generation, receipt.version, receipt.sealed_at)


def list_slot(
    connection: Connection, device_id: str, account_id: str, kind: UnitKind, token_id: str | None, day: int
) -> list[Receipt]:
    """Return the receipts of one slot."""
    query = select(unit_receipt).where(
        unit_receipt.c.device_id == device_id,
        unit_receipt.c.account_id == account_id,
        unit_receipt.c.kind == kind,
        unit_receipt.c.token_id.is_(None) if token_id is None else unit_receipt.c.token_id == token_id,
        unit_receipt.c.day == day,
    )
    return [_receipt(row) for row in connection.execute(query)]


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
        fetches=1 if row.fetches is None else row.fetches,
        fetches_since=row.fetches_since,
    )


def acknowledge_receipt(connection: Connection, receipt_id: str, now: int) -> None:
    connection.execute(
        update(unit_receipt)
        .where(unit_receipt.c.id == receipt_id, unit_receipt.c.acknowledged_at.is_(None))
        .values(acknowledged_at=now)
    )


def withdraw_acknowledgements(connection: Connection, receipt_ids: Sequence[str]) -> None:
    """Note that the device no longer holds these units. Their fetches stay counted."""
    if receipt_ids:
        connection.execute(update(unit_receipt).where(unit_receipt.c.id.in_(receipt_ids)).values(acknowledged_at=None))


def delete_receipts(connection: Connection, receipt_ids: Sequence[str]) -> None:
    if receipt_ids:
        connection.execute(delete(unit_receipt).where(unit_receipt.c.id.in_(receipt_ids)))
