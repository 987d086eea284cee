"""Opening: the records tried and their order, several units at once, facts known before hashing."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.passcode import PasscodeKind, new_code
from sparekey.sealed import (
    Attempt,
    Misread,
    Moment,
    NotValidNow,
    WrongPasscode,
    candidates,
    day_not_after,
    open_unit,
    open_units,
    split_for,
    split_unit,
)
from sparekey.unit_kind import UnitKind
from tests.sealed.units import (
    DAY,
    NOON,
    OFFLINE_KEY,
    PIN,
    TODAY,
    a_cheap_plan,
    a_pin_hash,
    a_unit,
    an_emergency_plan,
    received,
    stored,
)

T = TypeVar("T")
R = TypeVar("R")

UNIT = received(a_unit(a_cheap_plan()))
HEADER = UNIT.header
NUMBER, CODE = TODAY[1]
TWO = new_code(2)
AT_NOON = Moment(NOON)


class CountedRun:
    """A map that counts its items."""

    def __init__(self) -> None:
        self.items = 0

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        listed = list(items)
        self.items += len(listed)
        return map(function, listed)


def test_candidates_go_outwards_from_now() -> None:
    wide = dataclasses.replace(HEADER, window=3, first=NUMBER - 10, count=20)
    assert candidates(wide, NOON) == [NUMBER, NUMBER - 1, NUMBER + 1, NUMBER - 2, NUMBER + 2, NUMBER - 3, NUMBER + 3]


def test_candidates_follow_drift_and_learnt_shift() -> None:
    ahead = dataclasses.replace(HEADER, drift=2, first=NUMBER, count=20)
    assert candidates(ahead, NOON) == [NUMBER + 2, NUMBER + 1, NUMBER + 3]
    assert candidates(ahead, NOON, learnt_shift=-1) == [NUMBER + 1, NUMBER, NUMBER + 2]


def test_candidates_are_in_the_unit_and_unused() -> None:
    assert candidates(HEADER, NOON - 60) == [NUMBER - 1, NUMBER]
    assert candidates(HEADER, NOON, last_used=NUMBER) == [NUMBER + 1]
    assert candidates(HEADER, NOON, last_used=NUMBER + 1) == []


def test_candidates_of_counters_and_of_emergency_codes() -> None:
    events = dataclasses.replace(HEADER, kind=UnitKind.EVENTS, interval=0, window=5, first=100, count=50)
    assert candidates(events, NOON, next_counter=103) == [103, 104, 105, 106, 107, 108]
    assert candidates(events, NOON, next_counter=147) == [147, 148, 149]
    emergency = dataclasses.replace(HEADER, kind=UnitKind.EMERGENCY_PASSCODE, interval=0, first=0, count=1)
    assert candidates(emergency, NOON) == [0]


def test_candidates_are_known_before_hashing() -> None:
    emergency = received(a_unit(an_emergency_plan(), [(0, TWO)]))
    headers = [emergency.header, HEADER]
    assert split_for(headers, PIN + CODE).kinds == {PasscodeKind.TOKENCODE}
    assert split_for(headers, f"{PIN} {TWO}").kinds == {PasscodeKind.EMERGENCY_TOKENCODE}
    assert split_for(headers, "?").kinds == set()


def test_the_emergency_unit_given_first_is_tried_first() -> None:
    """Digits that are both a passcode and an emergency code open the unit that comes first."""
    code = "0000100002"
    emergency = received(a_unit(an_emergency_plan(), [(0, code)]))
    typed = PIN + code
    day = received(a_unit(a_cheap_plan(digits=8, pin=a_pin_hash(typed[:6], 8, 1)), [(NUMBER, typed[6:])]))
    reading = split_for([emergency.header, day.header], typed)
    assert len(reading.candidates) == 2
    for units in ((emergency, day), (day, emergency)):
        opened = open_units([Attempt(unit, AT_NOON) for unit in units], reading)
        assert opened.unit is units[0]


def test_around_midnight_both_days_are_tried() -> None:
    midnight = (DAY + 1) * 86400
    last = midnight // 60 - 1
    today = received(a_unit(a_cheap_plan(), [(last, "111111")]))
    tomorrow = received(a_unit(a_cheap_plan(not_after=day_not_after(DAY + 1)), [(last + 1, "222222")]))
    attempts = [Attempt(unit, Moment(midnight + 5)) for unit in (today, tomorrow)]
    for code, unit in (("111111", today), ("222222", tomorrow)):
        reading = split_for([HEADER], PIN + code)
        assert open_units(attempts, reading).unit is unit


def test_units_that_are_not_valid_now_are_passed_over() -> None:
    past = Attempt(UNIT, Moment(HEADER.not_after + 1))
    reading = split_for([HEADER], PIN + CODE)
    assert open_units([past, Attempt(UNIT, AT_NOON)], reading).i == NUMBER
    for attempts in ([past], []):
        with pytest.raises(NotValidNow, match=r"^no unit is valid now$"):
            open_units(attempts, reading)


def test_one_unit_opens_only_at_a_moment_of_its_records() -> None:
    assert open_unit(UNIT, PIN + CODE, AT_NOON).i == NUMBER
    last = HEADER.first + HEADER.count - 1
    for time, why in (
        (HEADER.not_after + 1, "past its end"),
        ((HEADER.first - 2) * 60, "no record for this moment"),
        ((last + 2) * 60, "no record for this moment"),
    ):
        with pytest.raises(NotValidNow, match=f"^{why}$"):
            open_unit(UNIT, PIN + CODE, Moment(time))


def test_one_unit_is_opened_with_the_given_run() -> None:
    run = CountedRun()
    open_unit(UNIT, PIN + CODE, AT_NOON, run=run)
    assert run.items > 0


def test_counters_are_tried_from_zero_on() -> None:
    events = dataclasses.replace(HEADER, kind=UnitKind.EVENTS, interval=0, first=0, window=2)
    assert candidates(events, NOON) == [0, 1, 2]


def test_a_unit_is_valid_up_to_its_last_second() -> None:
    emergency = received(a_unit(an_emergency_plan(), [(0, TWO)]))
    end = emergency.header.not_after
    assert open_unit(emergency, PIN + TWO, Moment(end)).i == 0
    with pytest.raises(NotValidNow):
        open_unit(emergency, PIN + TWO, Moment(end + 1))


def test_an_emergency_passcode_opens_its_unit_and_no_unit_of_another_shape() -> None:
    three = new_code(3)
    plan = an_emergency_plan(with_pin=False, kind=UnitKind.EMERGENCY_PASSCODE, token="")
    emergency = received(a_unit(plan, [(0, three)]))
    reading = split_for([HEADER, emergency.header], three)
    assert reading.kinds == {PasscodeKind.EMERGENCY_PASSCODE}
    run = CountedRun()
    assert open_units([Attempt(UNIT, AT_NOON), Attempt(emergency, AT_NOON)], reading, run=run).unit is emergency
    assert run.items == 1


def test_a_misread_code_is_named_and_not_hashed() -> None:
    emergency = received(a_unit(an_emergency_plan(), [(0, "7K3X1Q8M24")]))
    run = CountedRun()
    with pytest.raises(Misread) as misread:
        open_units([Attempt(emergency, AT_NOON)], split_for([emergency.header], PIN + " 7K3X1-Q8N24"), run=run)
    assert (misread.value.groups, run.items) == ((2,), 0)


def test_a_text_that_fits_nothing_is_not_hashed() -> None:
    run = CountedRun()
    with pytest.raises(WrongPasscode, match=r"^the text has no form that is accepted here$"):
        open_units([Attempt(UNIT, AT_NOON)], split_for([HEADER], "no passcode"), run=run)
    assert run.items == 0


@given(st.sampled_from(["1234", "4321", "abcd"]), st.sampled_from([CODE, "000000", TODAY[5][1]]))
def test_a_wrong_pin_and_a_wrong_code_cost_the_same_search(pin: str, code: str) -> None:
    """The right passcode stops early; until then the same blocks are handed out for every text of that form."""
    run = CountedRun()
    try:
        open_units([Attempt(UNIT, AT_NOON)], split_for([HEADER], pin + code), run=run)
    except WrongPasscode:
        assert (pin, code) != (PIN, CODE)
    assert run.items == 3


def test_after_a_hit_nothing_more_is_hashed() -> None:
    hashed = []

    def run(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        for item in items:
            found = function(item)
            hashed.append(found)
            yield found

    many = [Attempt(UNIT, AT_NOON) for _ in range(10)]
    assert open_units(many, split_for([HEADER], PIN + CODE), run=run).offline_key == OFFLINE_KEY
    assert len(hashed) == 1


def test_after_a_hit_other_threads_stop() -> None:
    hits: list[object] = []

    def run(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        found = [function(item) for item in items]  # threads have taken all blocks before the first one has a result
        hits.extend(each for each in found if each is not None)
        yield from found

    assert open_units([Attempt(UNIT, AT_NOON)] * 3, split_for([HEADER], PIN + CODE), run=run).i == NUMBER
    assert len(hits) == 1


def test_nothing_left_to_try_is_a_wrong_passcode() -> None:
    header_part, records = split_unit(a_unit(a_cheap_plan()))
    erased = stored(header_part + bytes(len(records)))
    used = Moment(NOON, last_used=NUMBER + 1)
    for unit, moment in ((erased, AT_NOON), (UNIT, used)):
        run = CountedRun()
        with pytest.raises(WrongPasscode, match=r"^no record opens with this$"):
            open_units([Attempt(unit, moment)], split_for([HEADER], PIN + CODE), run=run)
        assert run.items == 0
