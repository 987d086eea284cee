"""A recorder under the store, and a disk rebuilt from any prefix of what it saw, with unsynced writes dropped (S25).

Two disks are rebuilt: one on which nothing unsynced survives, and one on which names survive without their data, as
file systems do that order nothing.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sparekey.agent.platform.posix import PosixFiles

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class _Inode:
    data: bytes
    durable: bytes = b""


@dataclass
class _Directory:
    names: dict[str, _Inode] = field(default_factory=dict)
    durable: dict[str, _Inode] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    what: str
    path: Path = Path()
    to: Path = Path()
    data: bytes = field(default=b"", repr=False)


class RecordingFiles(PosixFiles):
    """Files that do and log each operation. `mark` puts a marker between the operations."""

    def __init__(self) -> None:
        self.log: list[Operation] = []

    def mark(self, what: str) -> None:
        self.log.append(Operation(what))

    def write_new(self, path: Path, data: bytes) -> None:
        super().write_new(path, data)
        self.log.append(Operation("write", path, data=data))

    def sync(self, path: Path) -> None:
        super().sync(path)
        self.log.append(Operation("sync", path))

    def rename(self, path: Path, to: Path) -> None:
        super().rename(path, to)
        self.log.append(Operation("rename", path, to))

    def remove(self, path: Path) -> None:
        super().remove(path)
        self.log.append(Operation("remove", path))

    def hashing(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        """A `sealed.Run` that marks the first hash."""
        self.mark("hash")
        yield from map(function, items)


def rebuild(log: list[Operation], source: Path, target: Path, *, names_survive: bool) -> None:
    """Write to `target` what a power cut right after `log` leaves of `source`."""
    directories = {source: _Directory(), source / "units": _Directory()}
    for operation in log:
        _apply(operation, directories)
    for path, directory in directories.items():
        place = target / path.relative_to(source)
        place.mkdir(mode=0o700, parents=True)
        for name, inode in (directory.names if names_survive else directory.durable).items():
            (place / name).write_bytes(inode.durable)
            (place / name).chmod(0o600)


def _apply(operation: Operation, directories: dict[Path, _Directory]) -> None:
    path = operation.path
    parent = directories.get(path.parent)
    if operation.what == "write" and parent is not None:
        parent.names[path.name] = _Inode(operation.data)
    elif operation.what == "sync" and path in directories:
        directories[path].durable = dict(directories[path].names)
    elif operation.what == "sync" and parent is not None:
        inode = parent.names[path.name]
        inode.durable = inode.data
    elif operation.what == "rename" and parent is not None:
        directories[operation.to.parent].names[operation.to.name] = parent.names.pop(path.name)
    elif operation.what == "remove" and parent is not None:
        parent.names.pop(path.name, None)


def disks(files: RecordingFiles, since: int, source: Path, target: Path) -> Iterator[tuple[int, Path]]:
    """Every disk that a power cut can leave from operation `since` on, with the number of operations before it."""
    counter = itertools.count()
    for length in range(since, len(files.log) + 1):
        for names_survive in (False, True):
            place = target / str(next(counter))
            rebuild(files.log[:length], source, place, names_survive=names_survive)
            yield length, place
