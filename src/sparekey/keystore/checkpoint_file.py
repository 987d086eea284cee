"""Keeps the newest audit checkpoint in a file beside the keys, where the database's owner cannot reach it.

Rules: replaced as a whole (written aside, fsynced, renamed); one that the database no longer answers for is kept as
evidence, never overwritten.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sparekey.core.audit_log.checkpoint import Checkpoint, CheckpointError


class CheckpointFile:
    """A `CheckpointStore` over one file of one line."""

    def __init__(self, path: Path) -> None:
        """Nothing is read or made yet; the directory must exist."""
        self._path = path

    def newest(self) -> Checkpoint | None:
        """The checkpoint kept last; None: none yet. Raises CheckpointError if the file is damaged."""
        try:
            return _read(self._path)
        except FileNotFoundError:
            return None

    def keep(self, checkpoint: Checkpoint) -> None:
        """Puts `checkpoint` in the place of the one before; on disk when it returns."""
        descriptor, aside = tempfile.mkstemp(prefix=f".{self._path.name}-", dir=self._path.parent)  # 0600
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(checkpoint.text + "\n")
                file.flush()
                os.fsync(file.fileno())
            Path(aside).rename(self._path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
        self._sync_directory()

    def set_aside(self) -> None:
        """Renames the file to the first free `checkpoint.lost-N`."""
        number = 1
        while (lost := self._path.with_name(f"{self._path.name}.lost-{number}")).exists():
            number += 1
        self._path.rename(lost)
        self._sync_directory()

    def witnesses(self) -> Sequence[Checkpoint]:
        """All that were kept, those set aside too. Damaged ones are left out: the alarm was raised when found."""
        found = []
        for path in sorted(self._path.parent.glob(f"{self._path.name}*")):
            try:
                found.append(_read(path))
            except CheckpointError:
                continue
        return found

    def _sync_directory(self) -> None:
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: Path) -> Checkpoint:
    try:
        return Checkpoint.parse(path.read_text("ascii"))
    except UnicodeDecodeError:
        raise CheckpointError(f"{path} is no checkpoint") from None
