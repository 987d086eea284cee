"""The number of codes that an operator may show within an hour, and when two actors count as two people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.core.emergency.rate_limit import HOUR, Pace, decide_pace
from sparekey.core.emergency.two_people import is_person, is_same_person, is_second_person
from sparekey.core.permissions import Actor

NOW = 1_800_000_000


def pace(*ago: int, warn: int = 2, limit: int = 4, lifted: bool = False, warned: int | None = None) -> Pace:
    """Decide on the rate. All times are in seconds before now."""
    warned_at = None if warned is None else NOW - warned
    return decide_pace([NOW - each for each in ago], NOW, warn, limit, lifted=lifted, warned_at=warned_at)


def test_calm_then_warned_once_then_stopped() -> None:
    assert pace() is Pace.CALM
    assert pace(10) is Pace.CALM
    assert pace(20, 10) is Pace.WARNED_NOW
    assert pace(30, 20, 10, warned=10) is Pace.WARNED
    assert pace(40, 30, 20, 10, warned=10) is Pace.STOPPED


def test_codes_of_the_last_hour_count() -> None:
    assert pace(HOUR, HOUR, 10) is Pace.CALM
    assert pace(HOUR - 1, HOUR - 1, 10) is not Pace.CALM
    assert pace(*[HOUR] * 9) is Pace.CALM


def test_a_steady_rate_is_warned_of_once() -> None:
    # One each half hour and 2 allowed: never more than 2 within an hour.
    assert pace(*range(HOUR // 2, 2 * HOUR, HOUR // 2)) is Pace.CALM
    # One each 20 minutes is 3 within an hour, each time.
    assert pace(*range(HOUR // 3, 2 * HOUR, HOUR // 3), warned=HOUR // 3) is Pace.WARNED
    # After a pause of more than an hour the warning is repeated.
    assert pace(HOUR + 900, HOUR + 800, HOUR + 700, 20, 10, warned=HOUR + 700) is Pace.WARNED_NOW


def test_s42_a_lowered_limit_is_reported() -> None:
    assert pace(50, 40, 30, 20, 10, warn=6, limit=9) is Pace.CALM
    assert pace(50, 40, 30, 20, 10, warn=2, limit=9) is Pace.WARNED_NOW


def test_an_operator_with_a_raised_limit_is_warned_and_not_stopped() -> None:
    assert pace(40, 30, 20, 10, lifted=True, warned=10) is Pace.WARNED
    assert pace(*range(100), lifted=True, warned=0) is Pace.WARNED


def test_a_clock_that_was_set_back_forgets_nothing() -> None:
    assert pace(-10, -20, -30, -40) is Pace.STOPPED
    assert pace(-10, -20, warned=-20) is Pace.WARNED


@given(
    st.lists(st.integers(-100, 2 * HOUR), max_size=40),
    st.integers(1, 12),
    st.integers(1, 12),
    st.booleans(),
)
def test_never_more_than_the_limit_within_an_hour(ago: list[int], warn: int, limit: int, lifted: bool) -> None:
    within = sum(each < HOUR for each in ago)
    decided = pace(*ago, warn=warn, limit=limit, lifted=lifted)
    assert (decided is Pace.STOPPED) == (within >= limit and not lifted)
    if decided is not Pace.STOPPED:
        assert (decided is Pace.CALM) == (within < warn)


@given(st.lists(st.tuples(st.integers(0, HOUR + 60), st.integers(1, 6)), max_size=40))
def test_s42_each_stretch_above_the_limit_is_reported_once_at_its_start(acts: list[tuple[int, int]]) -> None:
    """At any limit at each shown code. An hour without one above it ends a stretch."""
    now, shown, above, told = NOW, list[int](), list[int](), list[int]()
    for pause, warn in acts:
        now += pause
        decided = decide_pace(shown, now, warn, 1_000, lifted=False, warned_at=above[-1] if above else None)
        if decided is Pace.WARNED_NOW:
            told.append(now)
        if decided is not Pace.CALM:
            above.append(now)
        shown.append(now)
        assert (decided is not Pace.CALM) == (sum(at > now - HOUR for at in shown) > warn)
    starts = [at for before, at in zip([0, *above], above, strict=False) if at - before >= HOUR]
    assert told == starts


PEOPLE = {
    # decider, requester: True if these are two people
    ("user:a", "user:b"): True,
    ("user:a", "user:a"): False,
    ("user:a", "os:root"): True,
    ("os:root", "user:a"): True,
    ("os:root", "os:root"): False,
    ("os:alice", "os:bob"): False,  # root can take any name
    ("user:a", "client:c"): True,
    ("client:c", "user:a"): False,  # a program is not a person
    ("client:c", "client:d"): False,
    ("client:c", "os:root"): False,
    ("system", "user:a"): False,
    ("device:d", "user:a"): False,
    ("", ""): False,
}


@pytest.mark.parametrize(("decides", "asked"), PEOPLE)
def test_s43_two_actors_count_as_two_people(decides: str, asked: str) -> None:
    assert is_second_person(Actor(decides), asked) is PEOPLE[decides, asked]
    # every person either made the request, or may decide on it
    assert is_same_person(Actor(decides), asked) is not PEOPLE[decides, asked] or not is_person(Actor(decides))
