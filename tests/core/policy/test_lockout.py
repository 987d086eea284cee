"""Lockout: failures in a row, within a time, and then no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.core.policy.fields import PolicyError
from sparekey.core.policy.lockout import (
    MOST_WITHOUT_SUCCESS,
    ONLY_A_PERSON,
    FailureCount,
    InterfaceGroup,
    LockoutPolicy,
    lock_seconds,
)
from sparekey.durations import DAY_SECONDS

POLICY = LockoutPolicy(most_failures=3, within_minutes=2)
MINUTE = 60


def after(*moments: int, policy: LockoutPolicy = POLICY) -> FailureCount:
    count = FailureCount()
    for now in moments:
        count = count.after_failure(now, policy)
    return count


def test_the_failure_that_reaches_the_limit_locks() -> None:
    assert not after(1000, 1001).locked(1001, POLICY)
    assert after(1000, 1001, 1002) == FailureCount(3, 1000, 1002, without_success=3)


def test_a_locked_account_counts_no_further() -> None:
    assert after(1000, 1001, 1002, 1003, 5000) == FailureCount(3, 1000, 1002, without_success=3)


def test_failures_that_are_too_old_do_not_count() -> None:
    assert after(1000, 1001, 1119) == FailureCount(3, 1000, 1119, without_success=3)
    assert after(1000, 1001, 1120) == FailureCount(1, 1120, None, without_success=3)


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
    assert locked.after_failure(1061, policy) == FailureCount(1, 1061, None, without_success=3)
    assert (locked.ends_at(policy), locked.ends_at(POLICY), FailureCount().ends_at(policy)) == (1061, None, None)


def test_without_a_time_to_unlock_even_the_oldest_lock_holds() -> None:
    assert FailureCount(3, 0, locked_at=0).locked(2**40, POLICY)


def test_a_policy_is_made_of_plain_values_that_are_checked() -> None:
    assert LockoutPolicy.of({"most_failures": 3, "within_minutes": 2}) == POLICY
    with pytest.raises(PolicyError):
        LockoutPolicy.of({"most_failures": 0})


# Locks of administrators


def guesses_of(policy: LockoutPolicy, seconds: int, count: FailureCount = FailureCount()) -> tuple[int, FailureCount]:
    """Return the number of guesses that are tested in this time if an attacker guesses whenever a lock has ended."""
    now, tested = 0, 0
    while now < seconds:
        if not count.locked(now, policy):
            count = count.after_failure(now, policy, holds_a_role=True)
            tested += 1
            continue
        assert count.locked_until is not None
        now = count.locked_until
    return tested, count


def test_s06_each_lock_of_an_administrator_lasts_twice_as_long_up_to_a_day() -> None:
    assert [lock_seconds(before) // MINUTE for before in range(9)] == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]
    assert lock_seconds(10**6) == DAY_SECONDS
    count, now, lengths = FailureCount(), 1000, []
    for _ in range(9):
        while not count.locked(now, POLICY):
            count = count.after_failure(now, POLICY, holds_a_role=True)
        end = count.ends_at(POLICY)
        assert end is not None
        assert count.locked(end - 1, POLICY)
        assert not count.locked(end, POLICY)
        lengths.append((end - now) // MINUTE)
        now = end
    assert lengths == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]
    assert (count.locks, count.without_success) == (9, 27)


def test_s06_after_a_hundred_failures_only_a_person_ends_the_lock_of_an_administrator() -> None:
    tested, count = guesses_of(LockoutPolicy(), 3650 * DAY_SECONDS)
    assert tested == count.without_success == MOST_WITHOUT_SUCCESS == 100
    assert (count.locked_until, count.ends_at(LockoutPolicy())) == (ONLY_A_PERSON, None)
    assert count.locked(2**40, LockoutPolicy(unlock_after_minutes=1))


@given(limit=st.integers(1, 25), within=st.integers(1, 43_200), unlock_after=st.integers(0, 43_200))
def test_s06_the_guesses_of_a_day_and_of_a_year_are_bounded(limit: int, within: int, unlock_after: int) -> None:
    policy = LockoutPolicy(limit, within, unlock_after)
    first_day, _ = guesses_of(policy, DAY_SECONDS)
    # In a day, locks of 15, 30, 60, 120, 240 and 480 minutes end: seven times the limit.
    assert first_day == min(7 * limit, 100)
    year, count = guesses_of(policy, 365 * DAY_SECONDS)
    assert year == 100
    assert count.locked_until == ONLY_A_PERSON


@given(pauses=st.lists(st.integers(0, 3 * DAY_SECONDS), max_size=150), within=st.integers(1, 60))
def test_s06_no_rhythm_of_guesses_passes_the_hundred(pauses: list[int], within: int) -> None:
    """Few guesses at a time, so that the policy's time runs out before its limit, count without a success, too."""
    policy, count, now, tested = LockoutPolicy(25, within), FailureCount(), 0, 0
    for pause in pauses:
        now += pause
        tested += not count.locked(now, policy)
        count = count.after_failure(now, policy, holds_a_role=True)
    assert tested == count.without_success <= 100
    assert count.locked(2**40, policy) is (count.locked_until == ONLY_A_PERSON)
    assert (count.locked_until == ONLY_A_PERSON) is (tested == 100)


@given(
    steps=st.lists(st.tuples(st.integers(0, 2 * DAY_SECONDS), st.booleans()), min_size=1, max_size=40),
    unlock_after=st.sampled_from([0, 1, 30, 1440]),
)
def test_s06_a_role_that_comes_or_goes_never_shortens_a_lock(steps: list[tuple[int, bool]], unlock_after: int) -> None:
    policy, count, now = LockoutPolicy(2, 1440, unlock_after), FailureCount(), 0
    for pause, holds_a_role in steps:
        now += pause
        before = count
        count = count.after_failure(now, policy, holds_a_role=holds_a_role)
        if before.locked(now, policy):
            assert count == before  # the lock keeps its end, with and without the role
        assert count.without_success >= before.without_success
        assert count.locks >= before.locks
    for at in (now, now + 10**9):
        assert count.locked(at, policy) is (count.locked_at is not None and at < (count.ends_at(policy) or 2**62))


@pytest.mark.parametrize(("after_lock", "asks"), [(False, False), (True, True)])
def test_s06_after_an_administrators_lock_a_code_needs_the_next_one(after_lock: bool, asks: bool) -> None:
    count = FailureCount(1, 1000, None, None, 1 if after_lock else 0, 4)
    assert count.asks_next(3) is asks
    assert not count.asks_next(0)
    assert FailureCount(3).asks_next(3)
    assert not FailureCount(2).asks_next(3)


def test_a_user_without_a_role_is_locked_as_the_policy_says_however_often() -> None:
    policy = LockoutPolicy(2, 1440, 1)
    count, now = FailureCount(), 0
    for _ in range(100):
        count = count.after_failure(now, policy).after_failure(now, policy)
        assert (count.locked_until, count.locks, count.ends_at(policy)) == (None, 0, now + MINUTE)
        now += MINUTE
    assert count.without_success == 200
    assert not count.locked(now, policy)


def test_the_words_of_the_groups_differ() -> None:
    assert "Console" in InterfaceGroup.ADMINISTRATORS.words
    assert "Console" not in InterfaceGroup.ELSEWHERE.words
