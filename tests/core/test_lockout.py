"""Lockout: failures in a row, within a time, and then no more."""

from sparekey.core.lockout import FailureCount, LockoutPolicy

POLICY = LockoutPolicy(limit=3, within=100)


def after(*moments: int, policy: LockoutPolicy = POLICY) -> FailureCount:
    count = FailureCount()
    for now in moments:
        count = count.after_failure(now, policy)
    return count


def test_the_failure_that_reaches_the_limit_locks() -> None:
    assert not after(1000, 1001).locked
    assert after(1000, 1001, 1002) == FailureCount(3, 1000, 1002)


def test_a_locked_account_counts_no_further() -> None:
    assert after(1000, 1001, 1002, 1003, 5000) == FailureCount(3, 1000, 1002)


def test_failures_that_are_too_old_do_not_count() -> None:
    assert after(1000, 1001, 1099) == FailureCount(3, 1000, 1099)
    assert after(1000, 1001, 1100) == FailureCount(1, 1100, None)


def test_a_limit_of_one_locks_at_once() -> None:
    assert after(1000, policy=LockoutPolicy(limit=1, within=100)).locked


def test_the_default_is_five_within_a_day() -> None:
    assert LockoutPolicy() == LockoutPolicy(5, 86_400)
