"""What every token type can do, in five members.

A *step* is the token's own counter: for a time-based token the number of its interval, for an event-based one the
number of the press. The last accepted step only rises, whatever the type (S02).
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol


class OtpToken(Protocol):
    """A token's secret and parameters. Pure: the state (drift, last step) is passed in."""

    kind: ClassVar[str]

    @property
    def digits(self) -> int:
        """Length of the tokencode."""
        ...

    def code(self, step: int) -> str:
        """The tokencode of `step`: ASCII digits."""
        ...

    def candidates(self, now: int, drift: int, window: int) -> Sequence[int]:
        """The steps that may be shown at `now` (unix seconds), `window` steps to each side of the expected one."""
        ...

    def drift_after(self, now: int, step: int) -> int:
        """The drift, in steps, to keep after `step` was accepted at `now`."""
        ...


class TokenError(ValueError):
    """Parameters that no token of this type has; the message says which are allowed."""
