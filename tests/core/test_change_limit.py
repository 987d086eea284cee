"""The limits of one operator's changes within an hour: the numbers at which they bite."""

import pytest

from sparekey.core.change_limit import FREE_CHANGES, NAMES_OF_AN_ALARM, is_alarming, needs_second_factor


@pytest.mark.parametrize(
    ("before", "more", "needed"), [(0, 1, False), (0, 10, False), (9, 1, False), (10, 1, True), (0, 11, True)]
)
def test_s62_ten_users_are_free_and_more_need_a_fresh_second_factor(before: int, more: int, needed: bool) -> None:
    assert FREE_CHANGES == 10
    assert needs_second_factor(before, more, fresh=False) is needed
    assert not needs_second_factor(before, more, fresh=True)


def test_each_ten_names_raise_one_alarm() -> None:
    assert NAMES_OF_AN_ALARM == 10
    assert [number for number in range(40) if is_alarming(number, 1)] == [9, 19, 29, 39]
    assert is_alarming(0, 25)
    assert is_alarming(5, 5)
    assert not is_alarming(10, 9)
