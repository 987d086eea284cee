"""Moves the clock of a process tree with Debian's libfaketime: how the demo and the tests let days pass.

    time = FakeTime(directory)
    server = subprocess.Popen([...], env=os.environ | time.env)
    time.advance(2 * 86400)                 # every process started with this env sees it at its next look

Rules: the whole tree is started with `env` from its beginning; the timestamp file is replaced by rename, so that no
process reads half of it; the product has no option of its own that shifts time.

What was found with libfaketime 0.9.10 (Debian 13), and what follows from it:

- Only libfaketimeMT is used. The plain library rereads the file without a lock: of 6.7 million reads from four native
  threads during five moves, 19 returned the real time. The MT library returned none and costs 2.6 us a read.
- FAKETIME_NO_CACHE=1: a move is seen at the next read of the clock, not up to ten seconds later.
- FAKETIME_DISABLE_SHM=1: with shared memory a killed process leaves a file in /dev/shm, and a later process that gets
  the same id refuses to start. Offsets come from one file here, so that processes share no memory.
- The monotonic clocks (MONOTONIC, BOOTTIME) move along: they show faked wall time. This is what elapsed time looks
  like to a running process. Moving *back* then stops asyncio, whose timers wait for the old time to return: `set` and
  `advance` refuse it unless `clock_only=True`.
- `clock_only=True` (FAKETIME_DONT_FAKE_MONOTONIC=1) leaves the monotonic clocks alone: a wall clock that was set
  wrong. It can move both ways; timers, threads and waits go on.
- A wait that has begun ends after the *real* time it was given. `Event.wait(3600)`, `sleep` and a quiet `epoll` do not
  wake because the clock moved a day: a daemon's hourly task comes at its next wake-up. Tell it to act, do not wait.
- Seen to work across moves: threads with timed waits, asyncio timers, TLS servers and clients of `ssl` (certificates
  are checked by the faked time), subprocesses, uvicorn, psycopg against a PostgreSQL that has the real time.
- A move ends the idle keep-alive connections of a server (to it they timed out): a client connects again.
- A process started with `clock_only` and one started without it show monotonic clocks years apart: to a program that
  keeps monotonic times in a file, changing from one to the other looks like a reboot.
- Times of files shown by stat are left real (NO_FAKE_STAT=1): build tools and SQLite compare them with nothing else.
"""

import math
from datetime import datetime
from pathlib import Path

from sparekey.clock import now_precise

LIBRARY = "faketime/libfaketimeMT.so.1"


def find_library() -> Path | None:
    """The MT library of Debian's package `libfaketime`, whatever the machine's architecture."""
    return next(iter(sorted(Path("/usr/lib").glob(f"*/{LIBRARY}"))), None)


class FakeTime:
    """One faked clock: the processes started with `env` read it, and `set` and `advance` move it."""

    def __init__(self, directory: Path, *, clock_only: bool = False) -> None:
        """`directory` takes the timestamp file; the clock starts at the real time.

        With `clock_only` the monotonic clocks stay real (see above). Raises FileNotFoundError without libfaketime.
        """
        library = find_library()
        if library is None:
            raise FileNotFoundError("libfaketime is missing: install the Debian package `faketime`")
        self._library = library
        self._file = directory / "faketime"
        self._clock_only = clock_only
        self._offset = 0
        self._write()

    @property
    def env(self) -> dict[str, str]:
        """The variables to add to the environment of the first process of the tree."""
        variables = {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "NO_FAKE_STAT": "1",
        }
        if self._clock_only:
            variables["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
        return variables

    @property
    def offset(self) -> int:
        """Seconds between the faked and the real clock."""
        return self._offset

    def now(self) -> float:
        """Return the time of the faked clock, unix seconds."""
        return now_precise() + self._offset

    def set(self, to: int | datetime) -> None:
        """Moves the clock to an offset from the real time (int, seconds) or to a moment (an aware datetime).

        Offsets are whole seconds: a moment is reached within the second that follows it, never before it.
        """
        if isinstance(to, datetime):
            if to.tzinfo is None:
                raise ValueError("FakeTime.set needs a datetime with a time zone")
            to = math.ceil(to.timestamp() - now_precise())
        if to < self._offset and not self._clock_only:
            raise ValueError("this clock carries the monotonic clocks along and cannot go back; use clock_only=True")
        self._offset = to
        self._write()

    def advance(self, seconds: int) -> None:
        """Lets `seconds` pass."""
        self.set(self._offset + seconds)

    def _write(self) -> None:
        aside = self._file.with_suffix(".new")
        aside.write_text(f"{self._offset:+d}\n", encoding="ascii")
        aside.replace(self._file)
