"""The row seals of a server: opened with its keys, made once by an upgrade, and told when one does not hold (S47).

Rules:
- An altered row is refused where it would decide, and raises an alarm after that transaction: at most one a minute for
  each row and process, so that the intruder who asks for it again and again fills no log.
- All rows are sealed as they are found only by `seal_once`, and only while the mark beside the keys says that this was
  not done before. The mark is not in the database, so that an intruder there cannot ask for it again. Root on the
  server can accept one row (app/audit_log/altered_rows.py).
"""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit import SYSTEM
from sparekey.app.notices import raise_alarm
from sparekey.app.ports import SealMark
from sparekey.app.vault import Vault
from sparekey.core.audit_log.actions import Action
from sparekey.storage.audit_log.events import seal_unchained
from sparekey.storage.seal_sides import SEALED_SINCE, SIDES, changed_since
from sparekey.storage.sealed_rows import count_rows, key_ids, seal_all, unsealed
from sparekey.storage.seals_in_use import SEALS, AlteredRow, SealsInUse
from sparekey.storage.tables import metadata
from sparekey.storage.unit_of_work import Database

TOLD_AGAIN_AFTER: Final = 60  # seconds
_MOST_KEPT: Final = 1_000  # rows; then all may be told again
_SUBJECTS: Final = {"account": "account", "token": "token", "device": "device"}  # argument of `raise_alarm`, by table

Key = tuple[object, ...]


def protect(database: Database, vault: Vault, now: Callable[[], int]) -> None:
    """Open the row seals of the database, and raise alarms for altered rows. `now` returns the unix second."""
    database.use_seals(vault.row_seals(), _Alarms(database, now))


def with_seals(connection: Connection, vault: Vault) -> None:
    """Open the row seals for this transaction, in which the keys were made or read."""
    connection.execution_options(**{SEALS: SealsInUse(vault.row_seals())})


class _Alarms:
    def __init__(self, database: Database, now: Callable[[], int]) -> None:
        self._database, self._now = database, now
        self._told: dict[AlteredRow, int] = {}
        self._lock = threading.Lock()

    def __call__(self, altered: Sequence[AlteredRow]) -> None:
        now = self._now()
        with self._lock:
            if len(self._told) > _MOST_KEPT:
                self._told.clear()
            new = [row for row in altered if now - self._told.get(row, 0) >= TOLD_AGAIN_AFTER]
        if not new:
            return
        with self._database.write() as connection:
            for row in new:
                subject = {_SUBJECTS[row.table]: row.key} if row.table in _SUBJECTS else {}
                raise_alarm(
                    connection,
                    now,
                    SYSTEM,
                    Action.ALARM_ROW_ALTERED,
                    **subject,
                    table=row.table,
                    row=row.key[:_LONGEST_KEY],
                )
        with self._lock:
            self._told.update(dict.fromkeys(new, now))


_LONGEST_KEY: Final = 200  # characters: an intruder may choose a key


def altered_before(connection: Connection, mark: SealMark) -> dict[str, list[Key]]:
    """Return the keys of the rows that do not get a new seal, by table, before an upgrade changes the tables."""
    at = mark.sealed_at()
    if at is None:
        return {}
    return {name: unsealed(connection, metadata.tables[name], at) for name in changed_since(at)}


def seal_once(connection: Connection, mark: SealMark, altered: dict[str, list[Key]]) -> int | None:
    """Seal the rows whose sealed columns are new since the mark; None: there are none. Return the number of rows.

    The caller keeps the mark (`SEALED_SINCE`) after the commit.
    """
    at = mark.sealed_at()
    if at == SEALED_SINCE or (at is None and _is_sealed(connection)):
        return None
    if at is None:
        key_ids(connection)
    names = [name for name, sides in SIDES.items() if sides.sealed] if at is None else changed_since(at)
    sealed = sum(seal_all(connection, metadata.tables[name], altered.get(name, ())) for name in names)
    return sealed + (seal_unchained(connection) if at is None else 0)


def _is_sealed(connection: Connection) -> bool:
    """Return True if an upgrade with the same keys has sealed this database before: an intruder cannot make a seal."""
    sealed = metadata.tables["security_domain"]
    return len(unsealed(connection, sealed)) < count_rows(connection, sealed)
