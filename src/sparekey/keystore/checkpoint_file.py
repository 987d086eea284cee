"""Keeps the newest audit checkpoint in a file beside the keys, where the owner of the database cannot reach it.

Rules: the file is replaced as a whole (written aside, fsynced, renamed); a checkpoint whose events are missing in the
database is kept as evidence, never overwritten.
"""

from collections.abc import Sequence
from pathlib import Path

from sparekey.core.audit_log.checkpoint import Checkpoint, CheckpointError
from sparekey.keystore.durable_file import replace_file, sync_directory


class CheckpointFile:
    """A `CheckpointStore` over one file of one line."""

    def __init__(self, path: Path) -> None:
        """Set the path. Nothing is read or written yet; the directory must exist."""
        self._path = path

    def newest(self) -> Checkpoint | None:
        """Return the checkpoint kept last; None: none yet. Raises CheckpointError if the file is damaged."""
        try:
            return _read(self._path)
        except FileNotFoundError:
            return None

    def keep(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint kept before. The new one is on disk when this returns."""
        replace_file(self._path, f"{checkpoint.text}\n".encode("ascii"))

    def set_aside(self) -> None:
        """Rename the file to the first free `checkpoint.lost-N`."""
        number = 1
        while (lost := self._path.with_name(f"{self._path.name}.lost-{number}")).exists():
            number += 1
        self._path.rename(lost)
        sync_directory(self._path.parent)

    def witnesses(self) -> Sequence[Checkpoint]:
        """Return all kept checkpoints, including those set aside.

        Damaged ones are left out; they have raised an alarm.
        """
        found = []
        for path in sorted(self._path.parent.glob(f"{self._path.name}*")):
            try:
                found.append(_read(path))
            except CheckpointError:
                continue
        return found


def _read(path: Path) -> Checkpoint:
    try:
        return Checkpoint.parse(path.read_text("ascii"))
    except UnicodeDecodeError:
        raise CheckpointError(f"{path} is no checkpoint") from None
