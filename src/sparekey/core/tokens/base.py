"""The interface of every token type.

A *step* is the number of a time interval for a time-based token, and the counter for an event-based token. The last
accepted step only rises, whatever the type (S02).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Protocol, Self

from sparekey.core.tokens.parameters import Parameters
from sparekey.durations import DAY_SECONDS


class OtpToken(Protocol):
    """A token's secret and parameters. Pure: the state (drift, last step) is an argument."""

    kind: ClassVar[str]
    unused: ClassVar[int]  # the last step of an unused token

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """Make the token. Raises TokenError if this type does not allow the parameters."""
        ...

    @property
    def digits(self) -> int:
        """The length of the tokencode."""
        ...

    def code(self, step: int) -> str:
        """Return the tokencode of `step`: ASCII digits."""
        ...

    def candidates(self, now: int, drift: int, last_step: int, window: int) -> Sequence[int]:
        """Return the steps that the token may show at `now` (unix seconds), used ones too: each is compared (S04).

        Time-based: `window` steps before and after the expected one. Event-based: from the last one on.
        """
        ...

    def needs_next(self, step: int, last_step: int) -> bool:
        """Return True if `step` is so far ahead that the user must enter the following tokencode, too."""
        ...

    def drift_after(self, now: int, step: int) -> int:
        """Return the drift, in steps, to save after `step` was accepted at `now`."""
        ...

    def resync_range(self, now: int, last_step: int) -> range:
        """Return the steps that a resync searches for two successive tokencodes."""
        ...


class TimeBased(ABC):
    """The common part of time-based types. `interval`: the seconds of a step; a day is a whole number of steps."""

    unused: ClassVar[int] = 0
    _RESYNC: ClassVar[int] = 12 * 3_600  # docs/tokens.md: refused beyond 12 hours of drift

    interval: int

    @abstractmethod
    def code(self, step: int) -> str:
        """Return the tokencode of `step`."""

    def candidates(self, now: int, drift: int, last_step: int, window: int) -> Sequence[int]:  # noqa: ARG002 -- event-based types need it
        """Return the steps of the window, in order; RFC 6238 section 5.2 recommends a window of one."""
        expected = self.step_at(now, drift)
        return range(max(0, expected - window), expected + window + 1)

    def needs_next(self, step: int, last_step: int) -> bool:  # noqa: ARG002 -- see `candidates`
        """Return False: every step of the window is near enough."""
        return False

    def drift_after(self, now: int, step: int) -> int:
        """Return the number of steps that the token's clock is ahead (negative: behind)."""
        return step - now // self.interval

    def resync_range(self, now: int, last_step: int) -> range:
        """Return the unused steps within twelve hours before and after `now`."""
        ahead = self._RESYNC // self.interval
        middle = now // self.interval
        return range(max(last_step + 1, middle - ahead), middle + ahead + 1)

    def steps_of_day(self, day: int, drift: int) -> range:
        """Return all steps of the UTC day `day` (days since 1970-01-01) as the drifted token numbers them."""
        per_day = DAY_SECONDS // self.interval
        return range(day * per_day + drift, (day + 1) * per_day + drift)

    def step_at(self, second: int, drift: int) -> int:
        """Return the step that the drifted token shows at that unix second; all earlier steps are over."""
        return second // self.interval + drift


class TokenError(ValueError):
    """The token type does not allow the parameters; the message names the allowed ones."""
