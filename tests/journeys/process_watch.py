"""The process data that other users of the machine can see: arguments, sampled all the time."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_PAUSE = 0.03  # seconds; the shortest command here lives several times as long


class ArgumentWatch:
    """A watch that notes every process's arguments while it is entered."""

    def __init__(self) -> None:
        self._end = threading.Event()
        self._seen: set[bytes] = set()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    @property
    def seen(self) -> bytes:
        """Return all argument lists, one a line."""
        return b"\n".join(line.replace(b"\0", b" ") for line in sorted(self._seen.copy()))

    def _watch(self) -> None:
        while not self._end.wait(_PAUSE):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self._seen.add(process.read_bytes())
                except OSError:  # it has ended
                    continue
