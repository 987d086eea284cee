"""Files that are complete and on disk before the caller goes on: written aside, fsynced, then put in place."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Replace or make a file of mode 0600. It is on disk when this returns. Raises OSError."""
    with _written_aside(path, content) as aside:
        aside.rename(path)
    sync_directory(path.parent)


def create_file(path: Path, content: bytes) -> None:
    """Make a file of mode 0600. It is on disk when this returns. Raises FileExistsError and other OSErrors."""
    with _written_aside(path, content) as aside:
        path.hardlink_to(aside)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Save the names of a directory. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _written_aside(path: Path, content: bytes) -> Iterator[Path]:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # 0600
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        aside.unlink(missing_ok=True)
