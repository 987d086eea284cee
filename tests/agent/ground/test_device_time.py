"""Time on a device: the server's time carried on, the wall clock with its offset, the mark."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sparekey.agent.ground.device_time import (
    ClockReading,
    TimeState,
    at_contact,
    at_hit,
    holding,
    kept_up,
    started,
    trusted_time,
)
from tests.agent.clocks import NOON

DAY = 86400
BEFORE = ClockReading(wall=NOON - 50, monotonic=100, boot="a", synchronised=False)
CONTACT = replace(at_contact(TimeState(), BEFORE, NOON), days_end=NOON + 2 * DAY)


def reading(wall: int = 0, monotonic: int = 0, boot: str = "a", *, synchronised: bool = False) -> ClockReading:
    return ClockReading(NOON - 50 + wall, 100 + monotonic, boot, synchronised)


def test_a_contact_sets_the_time_the_offset_and_the_mark_which_may_fall() -> None:
    expected = TimeState(NOON, "a", 100, contact=NOON, contact_boot="a", contact_monotonic=100, offset=50, days_end=9)
    assert at_contact(TimeState(mark=NOON + 999, mark_boot="b", days_end=9), BEFORE, NOON) == expected


def test_the_ends_of_the_units_held_stay_when_none_is_left() -> None:
    state = holding(TimeState(mark=5), [3, 9, 4], [8, 7])
    assert state == TimeState(mark=5, days_end=9, emergency_end=8)
    assert holding(state, [], [6]) == TimeState(mark=5, days_end=9, emergency_end=6)
    assert holding(state, [6], []) == TimeState(mark=5, days_end=6, emergency_end=8)


def test_in_the_boot_of_the_contact_the_monotonic_clock_carries_on() -> None:
    assert trusted_time(CONTACT, reading(wall=-9999)).time == NOON  # in the second of the contact, too
    trusted = trusted_time(CONTACT, reading(wall=-9999, monotonic=3600))
    assert (trusted.time, trusted.mark, trusted.clock_wrong) == (NOON + 3600, NOON + 3600, False)


def test_in_another_boot_the_wall_clock_counts_with_the_offset_unless_it_is_synchronised() -> None:
    assert trusted_time(CONTACT, reading(wall=60, boot="b")).time == NOON + 60
    assert trusted_time(CONTACT, reading(wall=60, boot="b", synchronised=True)).time == NOON + 10
    # The same name with a clock that fell is another boot.
    assert trusted_time(CONTACT, reading(wall=60, monotonic=-50)).time == NOON + 60


def test_a_dead_battery_is_not_before_1970() -> None:
    state = replace(CONTACT, offset=-3600)
    trusted = trusted_time(state, ClockReading(wall=60, monotonic=60, boot="b", synchronised=False))
    assert (trusted.time, trusted.clock_wrong, trusted.for_emergency) == (0, True, NOON)


def test_a_clock_set_back_is_noticed_beyond_two_minutes() -> None:
    assert not trusted_time(CONTACT, reading(wall=-120, boot="b")).set_back
    assert trusted_time(CONTACT, reading(wall=-121, boot="b")).set_back


def test_the_mark_rises_at_a_start_and_with_the_running_clock() -> None:
    later = started(CONTACT, reading(wall=3600, boot="b"))
    assert later.mark == NOON + 3600
    assert trusted_time(later, reading(wall=0, monotonic=600, boot="b")).mark == NOON + 4200
    assert trusted_time(later, reading(wall=0, monotonic=600, boot="b")).set_back


def test_in_another_boot_keeping_up_is_a_start() -> None:
    later = reading(wall=3600, boot="b")
    assert kept_up(CONTACT, later) == started(CONTACT, later)
    assert kept_up(CONTACT, later).mark == NOON + 3600
    # In the same boot only the monotonic clock counts.
    assert kept_up(started(CONTACT, later), reading(wall=7200, monotonic=10, boot="b")).mark == NOON + 3610


def test_past_everything_that_was_held_the_clock_is_suspect_and_does_not_raise_the_mark() -> None:
    ahead = reading(wall=2 * DAY + 200, boot="b")
    assert trusted_time(CONTACT, ahead).suspect
    assert started(CONTACT, ahead).mark == NOON
    assert trusted_time(CONTACT, ahead).for_erasing == 0
    assert trusted_time(CONTACT, ahead).for_emergency == NOON
    assert not trusted_time(replace(CONTACT, days_end=0, emergency_end=0), ahead).suspect
    # Data that expired while this boot was running have really expired.
    assert not trusted_time(CONTACT, reading(monotonic=3 * DAY)).suspect


def test_the_clock_is_suspect_only_past_the_end_and_two_minutes_past_the_mark() -> None:
    assert not trusted_time(CONTACT, reading(wall=2 * DAY, boot="b")).suspect
    assert trusted_time(CONTACT, reading(wall=2 * DAY + 1, boot="b")).suspect
    soon = replace(CONTACT, days_end=NOON + 100)
    assert not trusted_time(soon, reading(wall=120, boot="b")).suspect
    assert trusted_time(soon, reading(wall=121, boot="b")).suspect
    assert trusted_time(replace(CONTACT, days_end=1), reading(wall=121, boot="b")).suspect
    # Without days, the emergency units set the end.
    codes = replace(CONTACT, days_end=0, emergency_end=NOON + 100)
    assert trusted_time(codes, reading(wall=121, boot="b")).suspect


def test_a_suspect_clock_still_lets_running_time_pass_over_reboots() -> None:
    state, wall = CONTACT, 40 * DAY
    for boot in ("b", "c", "d"):
        state = started(state, reading(wall=wall, boot=boot))
        state = kept_up(state, reading(wall=wall + 8 * 3600, monotonic=8 * 3600, boot=boot))
        wall += DAY
    assert state.mark == NOON + 24 * 3600
    assert trusted_time(state, reading(wall=wall, boot="e")).for_emergency == NOON + 24 * 3600


def test_a_hit_raises_the_mark_and_never_past_time() -> None:
    now = reading(wall=3600, boot="b")
    assert at_hit(CONTACT, now, NOON + 3540).mark == NOON + 3540
    assert at_hit(CONTACT, now, NOON + 9999).mark == NOON + 3600
    assert at_hit(CONTACT, now, NOON - 9999).mark == NOON


moves = st.lists(
    st.tuples(
        st.sampled_from(["start", "hit"]), st.integers(-5 * DAY, 5 * DAY), st.integers(0, DAY), st.sampled_from("abc")
    ),
    max_size=8,
)


@given(moves)
def test_without_contact_the_mark_never_falls(steps: list[tuple[str, int, int, str]]) -> None:
    state = CONTACT
    for what, wall, monotonic, boot in steps:
        now = reading(wall, monotonic, boot)
        before = state.mark
        state = started(state, now) if what == "start" else at_hit(state, now, NOON + wall)
        assert state.mark >= before
