"""Lockout after too many wrong passcodes in a row, over all tokens and methods of an account together (S06).

Rules:
- An account has two counts: one at the administrators' interfaces, one everywhere else. So wrong passcodes at a login
  screen never lock an administrator out of the console. Users without a role cannot be tried at those interfaces.
- The limit of both is that of the lockout policy. The policy also ends the locks of users without a role.
- A lock of an administrator ends automatically: the first after a quarter of an hour, each following one after twice
  the time of the last, up to a day. After a hundred failures without a success, only a person ends it.
- A lock keeps the end that it got when it began. So a role that is granted or revoked meanwhile gives no attempt.
- A success resets the count of its own interfaces, and no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sparekey.core.policy.fields import PolicyField, checked_values, fields_of, number
from sparekey.durations import DAY_SECONDS

FIRST_LOCK_SECONDS: Final = 15 * 60  # of an administrator; each following lock lasts twice as long
LONGEST_LOCK_SECONDS: Final = DAY_SECONDS
MOST_WITHOUT_SUCCESS: Final = 100  # failures of an administrator, over all locks
ONLY_A_PERSON: Final = 2**62  # the end of a lock that does not end automatically; fits a BIGINT


class InterfaceGroup(StrEnum):
    """The interfaces that share a count of failures."""

    ADMINISTRATORS = "administrators"  # the Security Console, and sessions over REST
    ELSEWHERE = "elsewhere"  # devices, API clients, self-service, resync

    @property
    def words(self) -> str:
        """These interfaces as a person reads them, after "passcodes are refused"."""
        if self is InterfaceGroup.ADMINISTRATORS:
            return "at the Security Console and for sessions over REST"
        return "on devices, at self-service and by API clients"


def lock_seconds(locks_before: int) -> int:
    """Return the length of an administrator's lock after this number of locks without a success in between."""
    return min(FIRST_LOCK_SECONDS << min(locks_before, 7), LONGEST_LOCK_SECONDS)


@dataclass(frozen=True)
class LockoutPolicy:
    """The lockout policy, which is assigned to the user's security domain."""

    most_failures: int = number(5, 1, 25, "failures", "", "The number of wrong passcodes in a row that lock the user.")
    within_minutes: int = number(
        1440, 1, 43_200, "minutes", "", "Failures count together within this time after the first one."
    )
    unlock_after_minutes: int = number(
        0,
        0,
        43_200,
        "minutes",
        "",
        "The time after which a lock ends; 0: only an administrator can unlock. Locks of users with a role end "
        "automatically: after 15 minutes, each following one after twice as long, up to a day.",
    )

    @classmethod
    def of(cls, values: Mapping[str, object]) -> LockoutPolicy:
        """Make a policy from plain values by field name; a missing field gets its default. Raises PolicyError."""
        return cls(**checked_values(LOCKOUT_FIELDS, values))

    def __post_init__(self) -> None:
        for field in LOCKOUT_FIELDS.values():
            field.checked(getattr(self, field.name))

    def first_counted(self, now: int) -> int:
        """Return the unix second up to which a first failure is too old, so that counting restarts."""
        return now - self.within_minutes * 60

    def lock_ended(self, now: int) -> int:
        """Return the unix second up to which a lock is over now; -1: locks do not end automatically."""
        return now - self.unlock_after_minutes * 60 if self.unlock_after_minutes else -1


LOCKOUT_FIELDS: Final[Mapping[str, PolicyField]] = fields_of(LockoutPolicy)


@dataclass(frozen=True)
class FailureCount:
    """The number of consecutive failures of one account at one group of interfaces, and the lock that they caused.

    `locked_until`: the end of an administrator's lock; None: the policy ends the lock. `locks`: administrator's locks
    since the last success. `without_success`: all failures since the last success, over all locks.
    """

    failures: int = 0
    first_failure_at: int | None = None
    locked_at: int | None = None
    locked_until: int | None = None
    locks: int = 0
    without_success: int = 0

    @property
    def is_clear(self) -> bool:
        """True if no failure counts: a success has nothing to clear."""
        return self == _CLEAR

    def locked(self, now: int, policy: LockoutPolicy) -> bool:
        """Return True if the account is locked now."""
        if self.locked_at is None:
            return False
        if self.locked_until is not None:
            return now < self.locked_until
        return self.locked_at > policy.lock_ended(now)

    def ends_at(self, policy: LockoutPolicy) -> int | None:
        """Return the unix second at which the lock ends automatically; None: only a person ends it, or it is open."""
        if self.locked_at is None:
            return None
        if self.locked_until is not None:
            return self.locked_until if self.locked_until < ONLY_A_PERSON else None
        return self.locked_at + policy.unlock_after_minutes * 60 if policy.unlock_after_minutes else None

    def asks_next(self, after: int) -> bool:
        """Return True if a correct tokencode needs the next one, too. `after`: the limit of the policy; 0: never.

        After the lock of an administrator it does until a success: else each lock that ends gives new guesses.
        """
        return after > 0 and (self.failures >= after or self.locks > 0)

    def after_failure(self, now: int, policy: LockoutPolicy, *, holds_a_role: bool = False) -> FailureCount:
        """Return the count with one more failure."""
        if self.locked(now, policy):
            return self
        over = self.locked_at is not None  # the lock has ended: counting restarts
        fresh = over or self.first_failure_at is None or self.first_failure_at <= policy.first_counted(now)
        first = now if fresh or self.first_failure_at is None else self.first_failure_at
        failures, in_all = 1 if fresh else self.failures + 1, self.without_success + 1
        spent = holds_a_role and in_all >= MOST_WITHOUT_SUCCESS
        if not spent and failures < policy.most_failures:
            return FailureCount(failures, first, None, None, self.locks, in_all)
        if not holds_a_role:
            return FailureCount(failures, first, now, None, self.locks, in_all)
        until = ONLY_A_PERSON if spent else now + lock_seconds(self.locks)
        return FailureCount(failures, first, now, until, self.locks + 1, in_all)


_CLEAR: Final = FailureCount()
