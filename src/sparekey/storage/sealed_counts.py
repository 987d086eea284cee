"""The counts of failures of an account under a seal of their own: read, locked and changed only here (S06, S47).

Rules:
- A change locks the row, verifies the seal and writes the counts with the next version and a new seal. So failures and
  successes of one account are settled one after the other, and none gets past a lock that was committed before.
- The event of a change names the version. The watch compares it with the row, so that it finds old counts put back.
- Counts that were altered are a lock that only a person ends. The row itself stays intact: passkeys work, and an
  operator sees the user as locked and can unlock.
- Unlocking seals cleared counts whatever they were before. It draws a new version at random. So no older row fits it.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from sparekey.core.policy.lockout import ONLY_A_PERSON, FailureCount, InterfaceGroup
from sparekey.storage.failure_counts import CLEARED, COUNT_COLUMNS, COUNT_NAMES, CountColumns, columns_of
from sparekey.storage.rows import AnyRow, AnyValues
from sparekey.storage.seal_sides import COUNTS_SEAL, kinds_of
from sparekey.storage.sealed_rows import as_stored, seals_of
from sparekey.storage.tables import account

COUNTS_KIND: Final = kinds_of("account")[COUNTS_SEAL]
_VERSION_BITS: Final = 48  # of a version drawn at random: it stays exact as a number of JSON

_ALTERED: Final[AnyValues] = {
    name: value
    for group in InterfaceGroup
    for name, value in columns_of(group, FailureCount(locked_at=0, locked_until=ONLY_A_PERSON)).items()
} | {"counts_version": 0}

STORED_SEAL: Final = as_stored(account.c.counts_seal)  # with the type that an intruder gave it
_LOCK: Final = (
    select(account.c.id, account.c.enabled, *COUNT_COLUMNS, STORED_SEAL)
    .where(account.c.id == bindparam("account_id"))
    .with_for_update(key_share=True)
)
_SAVE: Final = (
    update(account)
    .where(account.c.id == bindparam("account_id"))
    .values({name: bindparam(name) for name in (*COUNT_NAMES, COUNTS_SEAL)})
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCounts(CountColumns):
    """The counts of an account whose row is locked until the transaction ends."""

    account_id: str
    enabled: bool

    def save(self, connection: Connection, group: InterfaceGroup, count: FailureCount) -> int:
        """Replace the count at these interfaces. Return the new version."""
        return self._save(connection, columns_of(group, count), self.counts_version + 1)

    def clear(self, connection: Connection) -> int | None:
        """Clear both counts. Return the new version; None: there was nothing to clear."""
        if all(getattr(self, name) == value for name, value in CLEARED.items()):
            return None
        return self._save(connection, CLEARED, secrets.randbits(_VERSION_BITS))

    def _save(self, connection: Connection, changes: Mapping[str, int | None], version: int) -> int:
        values = {name: getattr(self, name) for name in COUNT_NAMES} | {**changes, "counts_version": version}
        row = [self.account_id, *(values[name] for name in COUNT_NAMES)]
        seal = seals_of(connection).seals.seal(COUNTS_KIND, row)
        connection.execute(_SAVE, {**values, COUNTS_SEAL: seal, "account_id": self.account_id})
        return version


def lock_counts(connection: Connection, account_id: str) -> HeldCounts | None:
    """Lock the account and return its counts; None: it does not exist."""
    row = connection.execute(_LOCK, {"account_id": account_id}).one_or_none()
    if row is None:
        return None
    return HeldCounts(account_id=row.id, enabled=bool(row.enabled), **counts_in(connection, row, row.id))


def counts_in(connection: Connection, row: AnyRow, account_id: str) -> AnyValues:
    """Return the counts of a row that has their columns and seal."""
    return believed(connection, [account_id, *(getattr(row, name) for name in COUNT_NAMES)], row.counts_seal)


def believed(connection: Connection, values: Sequence[object], seal: object) -> AnyValues:
    """Return the counts of these values, in the order of COUNTS_KIND, if their seal holds; else a lock."""
    seals = seals_of(connection)
    if seals.seals.holds(COUNTS_KIND, values, seal):
        return dict(zip(COUNT_NAMES, values[1:], strict=True))
    seals.note(COUNTS_KIND.table, str(values[0]))
    return _ALTERED
