"""Sealing: sealed units open, units that no device would accept are not sealed, and chance is fresh each time."""

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.passcode import NotCanonical, new_code
from sparekey.sealed import (
    BALANCED,
    EMERGENCY,
    LIGHT,
    STRONG,
    Level,
    Malformed,
    Moment,
    SealingStopped,
    Weak,
    open_unit,
    seal_unit,
    verify_unit,
)
from sparekey.sealed.primitives import find_in_record, record_key, record_salt
from sparekey.unit_kind import UnitKind
from tests.sealed.units import (
    CHEAP,
    DAY,
    DEVICE,
    NOON,
    OFFLINE_KEY,
    PIN,
    PINNED,
    SIGNING,
    TODAY,
    a_cheap_plan,
    a_plan,
    a_unit,
    an_emergency_plan,
    received,
)


@given(
    st.sampled_from([15, 20, 30, 60, 90, 120]),
    st.integers(-2000, 2000),
    st.integers(0, 3),
    st.integers(6, 8),
    st.data(),
)
def test_a_day_opens_in_its_window_and_nowhere_else(
    interval: int, drift: int, window: int, digits: int, data: st.DataObject
) -> None:
    begin = DAY * 86400 // interval + drift
    plan = a_cheap_plan(interval=interval, drift=drift, window=window, digits=digits)
    count = 8
    first = begin + data.draw(st.integers(0, 86400 // interval - count))
    codes = [(i, f"{i % 10**digits:0{digits}}") for i in range(first, first + count)]
    unit = received(a_unit(plan, codes))
    i, code = data.draw(st.sampled_from(codes))
    off = data.draw(st.integers(-window, window))
    time = (i + off - drift) * interval + data.draw(st.integers(0, interval - 1))

    opened = open_unit(unit, PIN + code, Moment(time))

    assert (opened.i, opened.offline_key) == (i, OFFLINE_KEY)


@given(st.integers(0, 2**40), st.integers(1, 6))
def test_events_open_from_next_to_window(next_counter: int, count: int) -> None:
    plan = a_cheap_plan(kind=UnitKind.EVENTS, interval=0, window=5)
    codes = [(i, f"{i % 10**6:06}") for i in range(next_counter, next_counter + count)]
    unit = received(a_unit(plan, codes))
    for i, code in codes:
        assert open_unit(unit, PIN + code, Moment(NOON, next_counter=next_counter)).i == i


@pytest.mark.parametrize(("with_pin", "groups"), [(True, 2), (False, 3)])
def test_an_emergency_tokencode_opens(with_pin: bool, groups: int) -> None:
    code = new_code(groups)
    unit = received(a_unit(an_emergency_plan(with_pin=with_pin), [(0, code)]))
    typed = PIN + code.lower() if with_pin else code
    assert open_unit(unit, typed, Moment(NOON)).offline_key == OFFLINE_KEY


def test_the_public_functions_seal_units_that_they_open() -> None:
    with ThreadPoolExecutor(2) as pool:
        unit = seal_unit(a_plan(), TODAY, SIGNING.sign, run=pool.map)
        sealed = verify_unit(unit, [PINNED], DEVICE, 1)
        assert open_unit(sealed, PIN + TODAY[1][1], Moment(NOON), run=pool.map).offline_key == OFFLINE_KEY


def test_on_threads_and_alone_the_records_are_in_order() -> None:
    with ThreadPoolExecutor(4) as pool:
        unit = verify_unit(seal_unit(a_plan(), TODAY[:40], SIGNING.sign, run=pool.map), [PINNED], DEVICE, 1)
    assert open_unit(unit, PIN + TODAY[38][1], Moment(NOON + 37 * 60)).i == TODAY[38][0]


def test_salt_and_peppers_are_fresh() -> None:
    one, other = (verify_unit(seal_unit(a_plan(), TODAY[:1], SIGNING.sign), [PINNED], DEVICE, 1) for _ in range(2))
    assert one.header.salt != other.header.salt
    assert dataclasses.replace(one.header, salt=b"") == dataclasses.replace(other.header, salt=b"")
    assert one.records != other.records


def test_every_pepper_occurs() -> None:
    """Peppers of two bits over 60 records: that one of four is missing has a chance of 1e-7."""
    plan = a_cheap_plan()
    unit = received(a_unit(plan))
    assert plan.pin is not None
    pin_hash = plan.pin.hashed.reveal()
    seen = set()
    for i, code in TODAY:
        for pepper in range(4):
            key = record_key(pin_hash, code.encode(), i, pepper, record_salt(unit.hh, i), CHEAP.argon_m, CHEAP.argon_t)
            if find_in_record(key, unit.record(i), unit.hh, i) is not None:
                seen.add(pepper)
    assert seen == {0, 1, 2, 3}


def test_a_stopped_sealing_leaves_nothing() -> None:
    asked = iter([False, False, True])
    with pytest.raises(SealingStopped):
        seal_unit(a_plan(), TODAY, SIGNING.sign, stop=lambda: next(asked))


def test_stop_is_asked_on_every_thread() -> None:
    stop = threading.Event()
    stop.set()
    with ThreadPoolExecutor(2) as pool, pytest.raises(SealingStopped):
        seal_unit(a_plan(), TODAY, SIGNING.sign, run=pool.map, stop=stop.is_set)


@pytest.mark.parametrize(
    "members",
    [
        {"level": Level("own", 8192, 2, 9)},
        {"level": EMERGENCY},
        {"level": LIGHT, "pin": None},
        {"level": CHEAP},
    ],
)
def test_a_day_is_sealed_at_a_level_of_the_table(members: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must not be sealed"):
        seal_unit(a_plan(**members), TODAY[:1], SIGNING.sign)


@pytest.mark.parametrize("level", [LIGHT, BALANCED, STRONG])
def test_emergency_codes_are_sealed_at_the_emergency_level(level: Level) -> None:
    with pytest.raises(ValueError, match="must not be sealed"):
        seal_unit(an_emergency_plan(level=level), [(0, new_code(2))], SIGNING.sign)


@pytest.mark.parametrize(
    ("members", "codes"),
    [
        ({}, [(TODAY[0][0], "12345")]),
        ({}, [(TODAY[0][0], "1234567")]),
        ({}, [(TODAY[0][0], "12345\u0666")]),
        ({}, [TODAY[0], TODAY[2]]),
        ({}, [TODAY[1], TODAY[0]]),
        ({}, []),
        ({"not_after": NOON}, TODAY[:1]),
        ({"login": ""}, TODAY[:1]),
        ({"login": "\ud800"}, TODAY[:1]),
        ({"previous": b"short"}, TODAY[:1]),
    ],
)
def test_units_that_devices_refuse_are_not_sealed(members: dict[str, Any], codes: list[tuple[int, str]]) -> None:
    with pytest.raises((ValueError, Malformed)):
        seal_unit(a_plan(**members), codes, SIGNING.sign)


def test_a_weak_plan_is_not_sealed_by_the_seam_either() -> None:
    with pytest.raises(Weak):
        a_unit(a_plan(level=Level("own", 1024, 1, 8)), count=1)


def test_an_emergency_code_must_be_canonical() -> None:
    for code in ("7K3X2Q8M24", "7K3X1", "7k3x1q8m24", "7K3X1Q8M240ZZ91"):
        with pytest.raises(NotCanonical):
            a_unit(an_emergency_plan(), [(0, code)])
