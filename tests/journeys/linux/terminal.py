"""A person at a terminal: reads what a program shows, and types when it asks.

Rules: nothing is typed before its prompt is there; what is expected is a regular expression, and a program that shows
something else fails with what it showed (no secret: what is asked for without echo is not shown).
"""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sparekey.clock import monotonic
from tests.journeys.site import poll

PATIENCE = 60.0  # seconds for one prompt, or for the end


@dataclass(frozen=True)
class Shown:
    """The end of a program, and all text that it showed."""

    code: int
    words: str


class Terminal:
    """One program on its own controlling terminal."""

    def __init__(self, command: Sequence[str]) -> None:
        self._screen, keyboard = pty.openpty()
        self._shown = ""
        self._read = 0  # up to here prompts were found
        with os.fdopen(keyboard, "rb") as end:
            self.process = subprocess.Popen(
                ["setsid", "--ctty", "--", *command],
                stdin=end,
                stdout=end,
                stderr=end,
                env={"PATH": os.environ["PATH"], "TERM": "dumb", "LANG": "C.UTF-8"},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._screen)  # hangs up
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=10)
        for left in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)  # vlock ignores the hang-up, and asks the closed terminal for ever

    @property
    def words(self) -> str:
        """Return all text shown so far."""
        return self._shown

    def shows(self, pattern: str, seconds: float = PATIENCE) -> re.Match[str] | None:
        """The first match that was not seen yet; None when the program ends without."""
        until = monotonic() + seconds
        while (found := re.compile(pattern).search(self._shown, self._read)) is None:
            if not self._more(until - monotonic()):
                assert monotonic() < until, f"waited {seconds} s for {pattern!r}; the terminal shows:\n{self._shown}"
                return None
        self._read = found.end()
        return found

    def expect(self, pattern: str) -> None:
        """Wait for a match. Fail with the shown text if the program ends without one."""
        assert self.shows(pattern), f"expected {pattern!r}; the terminal shows:\n{self._shown}"

    def answer(self, prompt: str, text: str, *, slowly: bool = False) -> None:
        """Type `text` at its prompt; with `slowly`, once the program waits, because it may drop earlier input."""
        self.expect(prompt)
        if slowly:
            poll(self._is_awaited, "a program that reads the terminal")
        self.type(text)

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode() + b"\n")

    def end(self, seconds: float = PATIENCE) -> Shown:
        """Waits for the program's end."""
        until = monotonic() + seconds
        while self._more(until - monotonic()):
            pass
        try:
            code = self.process.wait(timeout=max(until - monotonic(), 1))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end in {seconds} s; the terminal shows:\n{self._shown}") from None
        return Shown(code, self._shown)

    def _is_awaited(self) -> bool:
        """Return True if a program of this terminal waits in select or poll."""
        for process in self._processes():
            with contextlib.suppress(OSError):  # it may have ended
                if "poll" in Path(f"/proc/{process}/wchan").read_text():
                    return True
        return False

    def _processes(self) -> Iterator[int]:
        """Yield the ids of the processes of this terminal, which is a session of its own."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it may have ended
                session = (process / "stat").read_text().rpartition(")")[2].split()[3]
                if session == str(self.process.pid):
                    yield int(process.name)

    def _more(self, seconds: float) -> bool:
        """Reads on; False at the end, and when time is up."""
        if not select.select([self._screen], [], [], max(seconds, 0))[0]:
            return False
        try:
            chunk = os.read(self._screen, 65_536)
        except OSError:  # EIO: the other end is closed; `login` closes it for a moment, then reopens it
            return self._lives_on(seconds)
        self._shown += chunk.decode(errors="replace").replace("\r\n", "\n")
        return bool(chunk)

    def _lives_on(self, seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=0.01)
            return False
        return seconds > 0
