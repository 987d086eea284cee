"""The daemon's one background thread: refills by schedule and on demand, and erases by time every hour.

At rest it sleeps until the next thing is due, so that the daemon wakes at most once a minute. Refills of many devices
are spread by jitter.
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sparekey import clock
from sparekey.agent.device import Device
from sparekey.agent.device_time import kept_up
from sparekey.agent.journal import log_unforeseen
from sparekey.agent.ports import NotReached, Refused
from sparekey.agent.refill import Progress, Refilled, refill
from sparekey.agent.state import State

HOUR: Final = 3600
FIRST_AFTER: Final = 5  # seconds after the start
RETRY_AFTER: Final = 300  # seconds, doubled at each failure up to the server's interval
LEAST_INTERVAL: Final = 60
LONGEST_INTERVAL: Final = 86400  # however long the server says: what it withholds is to be heard


@dataclass(frozen=True)
class Finished:
    """How a refill ended: what was fetched, or why nothing was."""

    refilled: Refilled | None
    why: str = ""


class Refiller:
    """Ask with `request`, follow with `follow`, run `run` on a thread."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._changed = threading.Condition()
        self._asked = 0
        self._started = 0
        self._ended = 0
        self._progress: Progress | None = None
        self._finished = Finished(None)
        self._stopping = False
        self._failures = 0
        self._sync_due = clock.monotonic() + FIRST_AFTER
        self._erase_due = clock.monotonic() + HOUR

    def request(self) -> int:
        """A refill that begins from now on; its number is for `follow`."""
        with self._changed:
            self._asked += 1
            if self._ended == self._started:
                self._progress = None  # nothing is running: that was the last one's
            self._changed.notify_all()
            return self._asked

    def follow(self, number: int, report: Callable[[Progress], None]) -> Finished:
        """Waits for the end of that refill; `report` hears of progress on the way."""
        seen: Progress | None = None
        while (seen := self._next_progress(number, seen)) is not None:
            report(seen)
        return self._finished

    def _next_progress(self, number: int, seen: Progress | None) -> Progress | None:
        """Progress other than what was seen, the last before the end too; None at the end of that refill."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended >= number or self._stopping or self._progress not in (None, seen)
            )  # fmt: skip
            return None if self._stopping or self._progress == seen else self._progress

    def stop(self) -> None:
        """Ends `run` after what it is doing."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def run(self) -> None:
        """Until `stop`."""
        while self._wait():
            if clock.monotonic() >= self._erase_due:
                self._erase()
            if self._asked > self._started or clock.monotonic() >= self._sync_due:
                self._refill()

    def _wait(self) -> bool:
        with self._changed:
            left = min(self._sync_due, self._erase_due) - clock.monotonic()
            self._changed.wait_for(lambda: self._stopping or self._asked > self._started, max(left, 0))
            return not self._stopping

    def _refill(self) -> None:
        with self._changed:
            number = self._asked
            self._started = number
            self._progress = None
        finished = self._refilled()
        with self._changed:
            self._ended = max(self._ended, number)
            self._finished = finished
            self._changed.notify_all()
        self._plan()

    def _refilled(self) -> Finished:
        try:
            refilled = refill(self._device, self._report)
        except (NotReached, Refused) as error:
            self._failures += 1
            return Finished(None, str(error))
        except Exception as error:  # noqa: BLE001 -- the daemon goes on: a refill refuses nobody and lets nobody in
            log_unforeseen("a refill failed", error)
            self._failures += 1
            return Finished(None, "the refill failed; the reason is in the agent's log")
        self._failures = 0
        return Finished(refilled)

    def _report(self, progress: Progress) -> None:
        with self._changed:
            self._progress = progress
            self._changed.notify_all()

    def _plan(self) -> None:
        interval = min(max(self._device.state.next_sync, LEAST_INTERVAL), LONGEST_INTERVAL)
        if self._failures:
            interval = min(interval, RETRY_AFTER * 2 ** min(self._failures - 1, 8))
        # Within a quarter around it, so that a thousand devices do not come in the same second.
        self._sync_due = clock.monotonic() + interval * (875 + secrets.randbelow(250)) / 1000

    def _erase(self) -> None:
        self._erase_due = clock.monotonic() + HOUR
        try:
            self._device.store.change(self._with_mark)
        except Exception as error:  # noqa: BLE001 -- the next hour tries again
            log_unforeseen("erasing by time failed", error)

    def _with_mark(self, state: State) -> State:
        """What the monotonic clock has added to the mark is written down."""
        reading = self._device.clock.reading()
        return replace(state, time=kept_up(state.time, reading))
