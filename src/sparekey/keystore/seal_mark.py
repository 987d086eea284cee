"""Keeps beside the keys that the rows of the database are sealed, where the owner of the database cannot reach it.

Rules: the file is replaced as a whole (written aside, fsynced, renamed) and has mode 0600.
"""

import re
from pathlib import Path
from typing import Final

from sparekey.app.ports import KeystoreError
from sparekey.keystore.durable_file import replace_file

_NAME: Final = "rows-sealed"
_LONGEST: Final = 16  # bytes


class SealMarkFile:
    """A `SealMark` in the directory of the keys."""

    def __init__(self, keys: Path) -> None:
        """Set the directory of the keys, which must exist. Nothing is read or written yet."""
        self._path = keys / _NAME

    def sealed_at(self) -> str | None:
        """Return the revision whose columns are sealed; None: the rows were never sealed. Raises KeystoreError."""
        try:
            with self._path.open("rb") as file:
                text = file.read(_LONGEST).decode("ascii", errors="replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeystoreError(f"cannot read {self._path}: {error.strerror}; restore it from its backup") from error
        if not re.fullmatch(r"\d{4}", text):
            raise KeystoreError(f"{self._path} is damaged; restore it from the backup of the keys")
        return text

    def keep(self, revision: str) -> None:
        """Replace the mark. It is on disk when this returns. Raises KeystoreError."""
        try:
            replace_file(self._path, f"{revision}\n".encode("ascii"))
        except OSError as error:
            raise KeystoreError(f"cannot write {self._path}: {error.strerror}") from error
