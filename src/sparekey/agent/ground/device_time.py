"""What time it is for a device that may be offline, and how far that can be trusted (spec/offline-day.md, Time).

- In the boot of the last contact time is the server's, carried on by the monotonic clock that counts suspend.
- In other boots it is the wall clock, put right by the offset seen at the last contact.
- `mark` is time that something vouches for: it falls at a contact only, so that a clock that was set back is noticed.
- A clock past everything that the device holds is suspect: nothing is erased by it, and the mark rises only by the
  monotonic clock, so that an emergency code's life goes on to its end for as long as the device runs.
"""

from dataclasses import dataclass, replace
from typing import Final

TOLERANCE: Final = 120  # seconds that time may lie behind the mark


@dataclass(frozen=True)
class ClockReading:
    """One look at the system's clocks."""

    wall: int  # unix seconds
    monotonic: int  # seconds, counts suspend, begins anew at each boot
    boot: str  # names this boot
    synchronised: bool  # the system says that the wall clock follows a time server


@dataclass(frozen=True)
class TimeState:
    """What the device remembers about time. Members are 0 or "" before the first contact."""

    mark: int = 0
    mark_boot: str = ""  # when the mark was set, so that the monotonic clock can carry it on
    mark_monotonic: int = 0
    contact: int = 0  # server time at the last contact
    contact_boot: str = ""
    contact_monotonic: int = 0
    offset: int = 0  # server time less wall clock, then
    days_end: int = 0  # latest not_after of the day and events units last held
    emergency_end: int = 0  # the same of the emergency units


@dataclass(frozen=True)
class TrustedTime:
    """Time as the device may use it, unix seconds by the server."""

    time: int
    mark: int
    suspect: bool

    @property
    def set_back(self) -> bool:
        """The clock lies behind what was vouched for."""
        return self.time < self.mark - TOLERANCE

    @property
    def clock_wrong(self) -> bool:
        """Tokencodes cannot be trusted by this clock."""
        return self.suspect or self.set_back

    @property
    def for_emergency(self) -> int:
        """By which the end of emergency and events units is trusted."""
        return self.mark if self.suspect else max(self.mark, self.time)

    @property
    def for_erasing(self) -> int:
        """Up to which things may be erased for age: nothing at all while the clock is suspect."""
        return 0 if self.suspect else self.mark


def trusted_time(state: TimeState, reading: ClockReading) -> TrustedTime:
    """Time now, the mark now, and whether the clock is suspect."""
    in_contact_boot = _same_boot(reading, state.contact_boot, state.contact_monotonic)
    if in_contact_boot:
        time = state.contact + reading.monotonic - state.contact_monotonic
    else:
        # A dead battery begins at 1970, and an offset may lie before that: events have no time below 0.
        time = max(reading.wall + (0 if reading.synchronised else state.offset), 0)
    mark = state.mark
    if _same_boot(reading, state.mark_boot, state.mark_monotonic):
        mark += reading.monotonic - state.mark_monotonic
    horizon = state.days_end or state.emergency_end
    # Time that the monotonic clock vouches for may well pass the horizon: the data has simply run out.
    suspect = 0 < horizon < time and not in_contact_boot and time > mark + TOLERANCE
    return TrustedTime(time, mark, suspect)


def started(state: TimeState, reading: ClockReading) -> TimeState:
    """At agent start the mark is raised to time, unless the clock is suspect: then it stands, and rises from here."""
    trusted = trusted_time(state, reading)
    return _marked(state, reading, trusted.mark if trusted.suspect else max(trusted.mark, trusted.time))


def kept_up(state: TimeState, reading: ClockReading) -> TimeState:
    """While the agent runs: what the monotonic clock has added is written down; the next boot knows no more."""
    if not _same_boot(reading, state.mark_boot, state.mark_monotonic):
        return started(state, reading)
    return _marked(state, reading, trusted_time(state, reading).mark)


def at_contact(state: TimeState, reading: ClockReading, server_time: int) -> TimeState:
    """The server has said what time it is: only here may the mark fall."""
    return replace(
        _marked(state, reading, server_time),
        contact=server_time,
        contact_boot=reading.boot,
        contact_monotonic=reading.monotonic,
        offset=server_time - reading.wall,
    )


def at_hit(state: TimeState, reading: ClockReading, interval_start: int) -> TimeState:
    """A tokencode was right: its interval has begun.

    Never past time itself: a token that runs ahead must not make this device's clock look set back.
    """
    trusted = trusted_time(state, reading)
    return _marked(state, reading, max(trusted.mark, min(interval_start, trusted.time)))


def holding(state: TimeState, day_ends: list[int], emergency_ends: list[int]) -> TimeState:
    """Remembers until when units were last held; what is no longer held leaves the last value standing."""
    return replace(
        state,
        days_end=max(day_ends, default=state.days_end),
        emergency_end=max(emergency_ends, default=state.emergency_end),
    )


def _marked(state: TimeState, reading: ClockReading, mark: int) -> TimeState:
    return replace(state, mark=mark, mark_boot=reading.boot, mark_monotonic=reading.monotonic)


def _same_boot(reading: ClockReading, boot: str, monotonic: int) -> bool:
    # The monotonic clock of one boot never falls: a lower one is another boot, whatever its name.
    return reading.boot == boot and reading.monotonic >= monotonic
