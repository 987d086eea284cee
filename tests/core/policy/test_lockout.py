"""Lockout: failures in a row, within a time, and then no more."""

import pytest

from sparekey.core.policy.fields import PolicyError
from sparekey.core.policy.lockout import FailureCount, LockoutPolicy

POLICY = LockoutPolicy(most_failures=3, within_minutes=2)


def after(*moments: int, policy: LockoutPolicy = POLICY) -> FailureCount:
    count = FailureCount()
    for now in moments:
        count = count.after_failure(now, policy)
    return count


def test_the_failure_that_reaches_the_limit_locks() -> None:
    assert not after(1000, 1001).locked(1001, POLICY)
    assert after(1000, 1001, 1002) == FailureCount(3, 1000, 1002)


def test_a_locked_account_counts_no_further() -> None:
    assert after(1000, 1001, 1002, 1003, 5000) == FailureCount(3, 1000, 1002)


def test_failures_that_are_too_old_do_not_count() -> None:
    assert after(1000, 1001, 1119) == FailureCount(3, 1000, 1119)
    assert after(1000, 1001, 1120) == FailureCount(1, 1120, None)


def test_a_limit_of_one_locks_at_once() -> None:
    policy = LockoutPolicy(most_failures=1)
    assert after(1000, policy=policy).locked(1000, policy)


def test_the_default_is_five_within_a_day() -> None:
    assert LockoutPolicy() == LockoutPolicy(most_failures=5, within_minutes=24 * 60, unlock_after_minutes=0)


def test_a_lock_ends_automatically_if_policy_says_so_and_counting_restarts() -> None:
    policy = LockoutPolicy(most_failures=2, unlock_after_minutes=1)
    locked = after(1000, 1001, policy=policy)
    assert locked.locked(1060, policy)
    assert not locked.locked(1061, policy)
    assert locked.after_failure(1061, policy) == FailureCount(1, 1061, None)


def test_without_a_time_to_unlock_even_the_oldest_lock_holds() -> None:
    assert FailureCount(3, 0, locked_at=0).locked(2**40, POLICY)


def test_a_policy_is_made_of_plain_values_that_are_checked() -> None:
    assert LockoutPolicy.of({"most_failures": 3, "within_minutes": 2}) == POLICY
    with pytest.raises(PolicyError):
        LockoutPolicy.of({"most_failures": 0})
