"""How many codes an operator may be shown within an hour, and who are two people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.core.permissions import Actor
from sparekey.core.showing_pace import HOUR, LOOK_BACK, Pace, judge_pace
from sparekey.core.two_people import is_second_person

NOW = 1_800_000_000


def pace(*ago: int, warn: int = 2, limit: int = 4, lifted: bool = False) -> Pace:
    return judge_pace([NOW - each for each in ago], NOW, warn, limit, lifted=lifted)


def test_calm_then_warned_once_then_stopped() -> None:
    assert pace() is Pace.CALM
    assert pace(10) is Pace.CALM
    assert pace(20, 10) is Pace.WARNED_NOW
    assert pace(30, 20, 10) is Pace.WARNED
    assert pace(40, 30, 20, 10) is Pace.STOPPED


def test_an_hour_is_what_counts() -> None:
    assert pace(HOUR, HOUR, 10) is Pace.CALM
    assert pace(HOUR - 1, HOUR - 1, 10) is not Pace.CALM
    assert pace(*[HOUR] * 9) is Pace.CALM


def test_who_goes_on_at_the_same_pace_is_not_warned_anew_each_time() -> None:
    # One each half hour and 2 allowed: never more than 2 within an hour.
    assert pace(*range(HOUR // 2, LOOK_BACK, HOUR // 2)) is Pace.CALM
    # One each 20 minutes is 3 within an hour, each time.
    assert pace(*range(HOUR // 3, LOOK_BACK, HOUR // 3)) is Pace.WARNED
    # After a pause of more than an hour it is said again.
    assert pace(HOUR + 900, HOUR + 800, HOUR + 700, 20, 10) is Pace.WARNED_NOW


def test_whom_somebody_else_lets_go_on_is_warned_and_not_stopped() -> None:
    assert pace(40, 30, 20, 10, lifted=True) is Pace.WARNED
    assert pace(*range(100), lifted=True) is Pace.WARNED


def test_a_clock_that_was_set_back_forgets_nothing() -> None:
    assert pace(-10, -20, -30, -40) is Pace.STOPPED


@given(
    st.lists(st.integers(-100, LOOK_BACK), max_size=40),
    st.integers(1, 12),
    st.integers(1, 12),
    st.booleans(),
)
def test_never_more_than_the_limit_within_an_hour(ago: list[int], warn: int, limit: int, lifted: bool) -> None:
    within = sum(each < HOUR for each in ago)
    judged = pace(*ago, warn=warn, limit=limit, lifted=lifted)
    assert (judged is Pace.STOPPED) == (within >= limit and not lifted)
    if judged is not Pace.STOPPED:
        assert (judged is Pace.CALM) == (within < warn)


PEOPLE = {
    # who decides, who asked: whether these are two people
    ("user:a", "user:b"): True,
    ("user:a", "user:a"): False,
    ("user:a", "os:root"): True,
    ("os:root", "user:a"): True,
    ("os:root", "os:root"): False,
    ("os:alice", "os:bob"): False,  # whoever is root takes any name
    ("user:a", "client:c"): True,
    ("client:c", "user:a"): False,  # a program is nobody
    ("client:c", "client:d"): False,
    ("client:c", "os:root"): False,
    ("system", "user:a"): False,
    ("device:d", "user:a"): False,
    ("", ""): False,
}


@pytest.mark.parametrize(("decides", "asked"), PEOPLE)
def test_s43_who_are_two_people(decides: str, asked: str) -> None:
    assert is_second_person(Actor(decides), asked) is PEOPLE[decides, asked]
