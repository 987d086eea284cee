"""The time on a device that may be offline, and how far it can be trusted (spec/offline-day.md, Time).

- Until the first restart after a contact, time is the server's time, continued by the monotonic clock, which counts
  suspend.
- After a restart, time is the wall clock, corrected by the offset that the last contact measured.
- The `mark` is the latest time that is proven. It falls only at a contact, so that the device notices a clock that was
  set back.
- A clock beyond the end of all data on the device is suspect. Nothing is erased by it, and the mark rises only by the
  monotonic clock, so that an emergency code still expires while the device runs.
"""

from dataclasses import dataclass, replace
from typing import Final

TOLERANCE: Final = 120  # seconds that the time may be behind the mark


@dataclass(frozen=True)
class ClockReading:
    """One reading of the system clocks."""

    wall: int  # unix seconds
    monotonic: int  # seconds; counts suspend, restarts at each boot
    boot: str  # the name of this boot
    synchronised: bool  # True if the system follows a time server


@dataclass(frozen=True)
class TimeState:
    """The facts about time that the device stores. Each is 0 or "" before the first contact."""

    mark: int = 0
    mark_boot: str = ""  # the boot in which the mark was set, so that the monotonic clock can continue it
    mark_monotonic: int = 0
    contact: int = 0  # server time at the last contact
    contact_boot: str = ""
    contact_monotonic: int = 0
    offset: int = 0  # server time minus wall clock, at the last contact
    days_end: int = 0  # latest not_after of the day and events units last held
    emergency_end: int = 0  # the same for the emergency units


@dataclass(frozen=True)
class TrustedTime:
    """The time that the device may use, in unix seconds of the server."""

    time: int
    mark: int
    suspect: bool

    @property
    def set_back(self) -> bool:
        """Return True if the clock is behind the mark by more than `TOLERANCE`."""
        return self.time < self.mark - TOLERANCE

    @property
    def clock_wrong(self) -> bool:
        """Return True if this clock cannot be used to check tokencodes."""
        return self.suspect or self.set_back

    @property
    def for_emergency(self) -> int:
        """Return the time that decides whether emergency and events units have expired."""
        return self.mark if self.suspect else max(self.mark, self.time)

    @property
    def for_erasing(self) -> int:
        """Return the time that decides which records are erased for age: 0, so none, while the clock is suspect."""
        return 0 if self.suspect else self.mark


def trusted_time(state: TimeState, reading: ClockReading) -> TrustedTime:
    """Return the time and the mark now, and whether the clock is suspect."""
    in_contact_boot = _same_boot(reading, state.contact_boot, state.contact_monotonic)
    if in_contact_boot:
        time = state.contact + reading.monotonic - state.contact_monotonic
    else:
        # A computer with an empty clock battery starts in 1970. With an offset the time would be below 0, which events
        # cannot have.
        time = max(reading.wall + (0 if reading.synchronised else state.offset), 0)
    mark = state.mark
    if _same_boot(reading, state.mark_boot, state.mark_monotonic):
        mark += reading.monotonic - state.mark_monotonic
    horizon = state.days_end or state.emergency_end
    # Safe because the monotonic clock has proven this time: the data has expired, the clock is right.
    suspect = 0 < horizon < time and not in_contact_boot and time > mark + TOLERANCE
    return TrustedTime(time, mark, suspect)


def started(state: TimeState, reading: ClockReading) -> TimeState:
    """Return the state at the start of the agent: the mark rises to the time, unless the clock is suspect."""
    trusted = trusted_time(state, reading)
    return _marked(state, reading, trusted.mark if trusted.suspect else max(trusted.mark, trusted.time))


def kept_up(state: TimeState, reading: ClockReading) -> TimeState:
    """Return the state with the time that the monotonic clock has added to the mark. After a restart, only the
    stored mark is known."""
    if not _same_boot(reading, state.mark_boot, state.mark_monotonic):
        return started(state, reading)
    return _marked(state, reading, trusted_time(state, reading).mark)


def at_contact(state: TimeState, reading: ClockReading, server_time: int) -> TimeState:
    """Return the state after the server has sent its time. Only here can the mark fall."""
    return replace(
        _marked(state, reading, server_time),
        contact=server_time,
        contact_boot=reading.boot,
        contact_monotonic=reading.monotonic,
        offset=server_time - reading.wall,
    )


def at_hit(state: TimeState, reading: ClockReading, interval_start: int) -> TimeState:
    """Return the state after a tokencode was right, so that its interval has begun.

    The mark never rises beyond the time itself: a token that runs ahead must not make this clock look set back.
    """
    trusted = trusted_time(state, reading)
    return _marked(state, reading, max(trusted.mark, min(interval_start, trusted.time)))


def holding(state: TimeState, day_ends: list[int], emergency_ends: list[int]) -> TimeState:
    """Return the state with the ends of the units that are held now. If none is held, the last end stays."""
    return replace(
        state,
        days_end=max(day_ends, default=state.days_end),
        emergency_end=max(emergency_ends, default=state.emergency_end),
    )


def _marked(state: TimeState, reading: ClockReading, mark: int) -> TimeState:
    return replace(state, mark=mark, mark_boot=reading.boot, mark_monotonic=reading.monotonic)


def _same_boot(reading: ClockReading, boot: str, monotonic: int) -> bool:
    # The monotonic clock never falls within a boot: a lower value is another boot, even under the same name.
    return reading.boot == boot and reading.monotonic >= monotonic
