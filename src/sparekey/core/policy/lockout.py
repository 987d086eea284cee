"""Lockout after too many wrong passcodes in a row, over all tokens and methods of an account together (S06)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparekey.core.policy.fields import PolicyField, checked_values, fields_of, number


@dataclass(frozen=True)
class LockoutPolicy:
    """The lockout policy, which is assigned to the user's security domain."""

    most_failures: int = number(5, 1, 25, "failures", "", "The number of wrong passcodes in a row that lock the user.")
    within_minutes: int = number(
        1440, 1, 43_200, "minutes", "", "Failures count together within this time after the first one."
    )
    unlock_after_minutes: int = number(
        0, 0, 43_200, "minutes", "", "The time after which a lock ends; 0: only an administrator can unlock."
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
    """The number of consecutive failures of one account, and the lock that they caused."""

    failures: int = 0
    first_failure_at: int | None = None
    locked_at: int | None = None

    def locked(self, now: int, policy: LockoutPolicy) -> bool:
        """Return True if the account is locked now."""
        return self.locked_at is not None and self.locked_at > policy.lock_ended(now)

    def after_failure(self, now: int, policy: LockoutPolicy) -> FailureCount:
        """Return the count with one more failure.

        storage.sign_in.statements does the same in one conditional UPDATE; a test compares the two.
        """
        if self.locked(now, policy):
            return self
        over = self.locked_at is not None  # the lock has ended: counting restarts
        fresh = over or self.first_failure_at is None or self.first_failure_at <= policy.first_counted(now)
        first = now if fresh or self.first_failure_at is None else self.first_failure_at
        failures = 1 if fresh else self.failures + 1
        return FailureCount(failures, first, now if failures >= policy.most_failures else None)
