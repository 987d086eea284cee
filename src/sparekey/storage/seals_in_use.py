"""The row seals of one database in one process, and the altered rows that its queries have met."""

import threading
from dataclasses import dataclass, field
from typing import Final

from sparekey.core.row_seals import RowSeals

SEALS: Final = "sparekey_seals"  # execution option: the SealsInUse of a connection
_MOST: Final = 100


@dataclass(frozen=True, order=True)
class AlteredRow:
    """A row whose seal does not hold. `key`: the values of its primary key, with slashes between them."""

    table: str
    key: str


@dataclass(frozen=True)
class SealsInUse:
    """The seals of a database, shared by its connections and by the threads of a process."""

    seals: RowSeals
    _noted: set[AlteredRow] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def has_noted(self) -> bool:
        """True if altered rows wait for their alarm."""
        return bool(self._noted)

    def note(self, table: str, key: str) -> None:
        """Note an altered row, until its alarm is raised. More than a hundred at once are one incident."""
        with self._lock:
            if len(self._noted) < _MOST:
                self._noted.add(AlteredRow(table, key))

    def take(self) -> list[AlteredRow]:
        """Return the noted rows and forget them."""
        with self._lock:
            taken = sorted(self._noted)
            self._noted.clear()
        return taken
