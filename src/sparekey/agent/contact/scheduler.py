"""The background thread of the daemon: contacts on a schedule and on request, and erasing by age every hour.

- It sleeps until the next task, at most ten minutes: time in suspend counts, and only a look at the clock notices it.
- Contacts are spread at random, also the first one after a start. After a power cut, all computers of a building start
  at the same time.
- After a failed contact, a change of the network brings the next contact forward.
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sparekey import clock
from sparekey.agent.contact.contact import ContactResult, Progress, make_contact
from sparekey.agent.ground.device_time import kept_up
from sparekey.agent.ground.journal import log_unforeseen
from sparekey.agent.ground.ports import NotReached, Refused
from sparekey.agent.ground.state import State
from sparekey.agent.store.device import ThisDevice
from sparekey.durations import DAY_SECONDS

HOUR: Final = 3600
FIRST_AFTER: Final = 5  # seconds after the start, at least
FIRST_SPREAD: Final = 60  # seconds in addition, at most
LONGEST_SLEEP: Final = 600
RETRY_AFTER: Final = 300  # seconds; doubled after each failure, up to the server's interval
LEAST_INTERVAL: Final = 60
LONGEST_INTERVAL: Final = DAY_SECONDS  # even if the server names a longer one: its revocations must arrive


@dataclass(frozen=True)
class AfterChange:
    """The delays, in seconds, between a change of the network and a contact."""

    settling: int = 2  # at least; a network needs this long to work
    spread: int = 18  # at most, in addition; devices must not come in the same second
    least_between: int = 30  # between two contacts


AFTER_CHANGE: Final = AfterChange()
WaitForNetwork = Callable[[float], bool]  # waits at most so many seconds; True if addresses or routes changed


@dataclass(frozen=True)
class Finished:
    """The end of a contact: its result, or the reason why it failed."""

    result: ContactResult | None
    why: str = ""


STOPPED: Final = Finished(None, "the agent was stopped; the rest is fetched at its next contact")


def nothing() -> None:
    """Do nothing, for contacts without an observer."""


class ContactScheduler:
    """The schedule of contacts. Ask with `request`, follow with `follow`, run `run` on a thread."""

    def __init__(
        self,
        device: ThisDevice,
        after: Callable[[], None] = nothing,
        wait_for_network: WaitForNetwork | None = None,
        after_change: AfterChange = AFTER_CHANGE,
    ) -> None:
        """Create the schedule. `after` is called at the start, after each contact and every hour, whenever something
        may have changed."""
        self._device = device
        self._after = after
        self._wait_for_network = wait_for_network
        self._after_change = after_change
        self._changed = threading.Condition()
        self._asked = 0
        self._started = 0
        self._ended = 0
        self._progress: Progress | None = None
        self._finished = Finished(None)
        self._stopping = False
        self._failures = 0
        self._not_reached = False
        self._began = clock.since_boot()
        self._sync_due: float = self._began + FIRST_AFTER + secrets.randbelow(FIRST_SPREAD)
        self._erase_due = self._began + HOUR

    def request(self) -> int:
        """Request a contact that begins from now on. Return its number for `follow`."""
        with self._changed:
            self._asked += 1
            if self._ended == self._started:
                self._progress = None  # no contact is in progress, so the stored progress is old
            self._changed.notify_all()
            return self._asked

    def follow(self, number: int, report: Callable[[Progress], None]) -> Finished:
        """Wait for the end of this contact, and call `report` with its progress."""
        seen: Progress | None = None
        while (seen := self._next_progress(number, seen)) is not None:
            report(seen)
        with self._changed:
            return self._finished if self._ended >= number else STOPPED

    def _next_progress(self, number: int, seen: Progress | None) -> Progress | None:
        """Return progress that differs from `seen`, including the last before the end; None at the end of that
        contact."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended >= number or self._stopping or self._progress not in (None, seen)
            )
            return None if self._stopping or self._progress == seen else self._progress

    @property
    def trouble(self) -> str:
        """Return the reason why the last contact failed; "" if it did not."""
        return self._finished.why

    def stop(self) -> None:
        """End `run` after its current task."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def run(self) -> None:
        """Run until `stop`."""
        self._tell()
        while self._wait():
            erased = clock.since_boot() >= self._erase_due
            if erased:
                self._erase()
            is_due = self._asked > self._started or clock.since_boot() >= self._sync_due
            if is_due:
                self._contact()
            if erased or is_due:
                self._tell()

    def network_changed(self) -> None:
        """Bring the next contact forward, spread at random so that not every device comes in the same second."""
        pause = self._after_change
        with self._changed:
            settled = clock.since_boot() + pause.settling + secrets.randbelow(pause.spread)
            self._sync_due = min(self._sync_due, max(settled, self._began + pause.least_between))
            self._changed.notify_all()

    def _wait(self) -> bool:
        with self._changed:
            due = min(self._sync_due, self._erase_due)
            self._changed.wait_for(
                lambda: self._stopping or self._asked > self._started or min(self._sync_due, self._erase_due) < due,
                min(max(due - clock.since_boot(), 0), LONGEST_SLEEP),
            )
            return not self._stopping

    def _contact(self) -> None:
        with self._changed:
            self._started = self._asked
            self._progress = None
            self._began = clock.since_boot()
        finished = self._contacted()
        with self._changed:
            self._ended = self._started
            self._finished = finished
            self._changed.notify_all()
        self._plan()

    def _is_asked_again(self) -> bool:
        """Return True if there is another request. The contact in progress starts again and answers it too."""
        with self._changed:
            is_asked, self._started = self._asked > self._started, self._asked
            return is_asked

    def _contacted(self) -> Finished:
        self._not_reached = False
        try:
            result = make_contact(self._device, self._report, self._is_asked_again, self._pause)
        except (NotReached, Refused) as error:
            self._failures += 1
            self._not_reached = isinstance(error, NotReached)
            return Finished(None, str(error))
        except Exception as error:  # noqa: BLE001 -- the daemon continues: a contact decides no sign-in
            log_unforeseen("a contact failed", error)
            self._failures += 1
            return Finished(None, "the update of offline data failed; see the log of the agent")
        self._failures = 0
        return Finished(result)

    def _pause(self, seconds: float) -> None:
        """Wait for a busy server, but not longer than until `stop`."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, seconds)

    def _report(self, progress: Progress) -> None:
        with self._changed:
            self._progress = progress
            self._changed.notify_all()

    def _plan(self) -> None:
        interval = min(max(self._device.state.next_sync, LEAST_INTERVAL), LONGEST_INTERVAL)
        if self._failures:
            interval = min(interval, RETRY_AFTER * 2 ** min(self._failures - 1, 8))
        # Vary the interval by 12.5 % up or down, so that a thousand devices do not come in the same second.
        pause = interval * (875 + secrets.randbelow(250)) / 1000
        self._sync_due = clock.since_boot() + pause
        if self._not_reached and self._wait_for_network is not None:
            arguments = (self._wait_for_network, pause)
            threading.Thread(target=self._await_network, args=arguments, name="network", daemon=True).start()

    def _await_network(self, wait: WaitForNetwork, seconds: float) -> None:
        """Wait for a change of the network, for at most the time until the next contact. The thread sleeps in the
        kernel."""
        try:
            if wait(seconds):
                self.network_changed()
        except OSError as error:
            log_unforeseen("changes of the network cannot be watched", error)

    def _tell(self) -> None:
        try:
            self._after()
        except Exception as error:  # noqa: BLE001 -- the daemon continues if an observer fails
            log_unforeseen("an observer of changes failed", error)

    def _erase(self) -> None:
        self._erase_due = clock.since_boot() + HOUR
        try:
            self._device.store.change(self._with_mark)
        except Exception as error:  # noqa: BLE001 -- the next hour tries again
            log_unforeseen("erasing by time failed", error)

    def _with_mark(self, state: State) -> State:
        """Return the state with the time that the monotonic clock has added to the mark."""
        reading = self._device.clock.reading()
        return replace(state, time=kept_up(state.time, reading))
