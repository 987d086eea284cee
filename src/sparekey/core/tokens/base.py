"""What every token type can do.

A *step* is the token's own counter: for a time-based token the number of its interval, for an event-based one the
number of the press. The last accepted step only rises, whatever the type (S02).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Protocol, Self

from sparekey.core.tokens.parameters import Parameters
from sparekey.durations import DAY_SECONDS


class OtpToken(Protocol):
    """A token's secret and parameters. Pure: the state (drift, last step) is passed in."""

    kind: ClassVar[str]
    unused: ClassVar[int]  # the last step of a token that nobody has used

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """The token of these parameters. Raises TokenError where no token of this type has them."""
        ...

    @property
    def digits(self) -> int:
        """Length of the tokencode."""
        ...

    def code(self, step: int) -> str:
        """The tokencode of `step`: ASCII digits."""
        ...

    def candidates(self, now: int, drift: int, last_step: int, window: int) -> Sequence[int]:
        """The steps that may be shown at `now` (unix seconds), used ones among them: each is compared (S04).

        Time-based: `window` steps to each side of the expected one. Event-based: from the last one on.
        """
        ...

    def needs_next(self, step: int, last_step: int) -> bool:
        """Whether `step` lies so far ahead that the following tokencode has to prove the token."""
        ...

    def drift_after(self, now: int, step: int) -> int:
        """The drift, in steps, to keep after `step` was accepted at `now`."""
        ...

    def resync_range(self, now: int, last_step: int) -> range:
        """Where two successive tokencodes are looked for when the token is synchronised anew."""
        ...


class TimeBased(ABC):
    """What time-based types have in common; `interval` in seconds divides a day, so that a day has whole intervals."""

    unused: ClassVar[int] = 0
    _RESYNC: ClassVar[int] = 12 * 3_600  # product.md: refused beyond 12 hours of drift

    interval: int

    @abstractmethod
    def code(self, step: int) -> str:
        """The tokencode of interval `step`."""

    def candidates(self, now: int, drift: int, last_step: int, window: int) -> Sequence[int]:  # noqa: ARG002 -- event-based types need it
        """Intervals from the earliest to the latest; RFC 6238 section 5.2 recommends a window of one."""
        expected = self.step_at(now, drift)
        return range(max(0, expected - window), expected + window + 1)

    def needs_next(self, step: int, last_step: int) -> bool:  # noqa: ARG002 -- see `candidates`
        """Never: what the window holds is near enough."""
        return False

    def drift_after(self, now: int, step: int) -> int:
        """How many intervals the token's clock is ahead (behind: negative)."""
        return step - now // self.interval

    def resync_range(self, now: int, last_step: int) -> range:
        """Twelve hours to each side, and nothing that is used up."""
        ahead = self._RESYNC // self.interval
        middle = now // self.interval
        return range(max(last_step + 1, middle - ahead), middle + ahead + 1)

    def steps_of_day(self, day: int, drift: int) -> range:
        """All intervals of the UTC day `day` (days since 1970-01-01) as the drifted token numbers them."""
        per_day = DAY_SECONDS // self.interval
        return range(day * per_day + drift, (day + 1) * per_day + drift)

    def step_at(self, second: int, drift: int) -> int:
        """The interval that the drifted token is in at that unix second; all before it are over."""
        return second // self.interval + drift


class TokenError(ValueError):
    """Parameters that no token of this type has; the message says which are allowed."""
