"""Lockout: how many wrong passcodes in a row lock an account, over all its tokens and all methods together (S06)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LockoutPolicy:
    """Default: 5 consecutive failures within one day; an administrator unlocks."""

    limit: int = 5
    within: int = 86_400  # seconds


@dataclass(frozen=True)
class FailureCount:
    """Consecutive failures of one account."""

    failures: int = 0
    first_failure_at: int | None = None
    locked_at: int | None = None

    @property
    def locked(self) -> bool:
        return self.locked_at is not None

    def after_failure(self, now: int, policy: LockoutPolicy) -> "FailureCount":
        """The count with one more failure. storage.sign_in does the same in one conditional UPDATE; a test compares."""
        if self.locked:
            return self
        fresh = self.first_failure_at is None or self.first_failure_at <= now - policy.within
        first = now if fresh or self.first_failure_at is None else self.first_failure_at
        failures = 1 if fresh else self.failures + 1
        return FailureCount(failures, first, now if failures >= policy.limit else None)
