"""S23: after a success at t every record up to t is gone from every file, wherever the success was."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.device_time import TrustedTime
from sparekey.agent.ground.state import Enrolment, Piece, PinLock, State, TokenUse, UnitEntry, UserState, new_state
from sparekey.agent.store.erasing import after_cut_off, days_end, days_left, decide_erasing, emergency_ends
from sparekey.agent.store.pin_lock import OpenedLock
from sparekey.agent.store.store import Store
from sparekey.durations import DAY_SECONDS
from sparekey.sealed import split_unit
from sparekey.secret import Secret
from tests.agent.clocks import NOON
from tests.agent.devices import World, a_world, an_offline_world
from tests.agent.unit_entries import FIRST, a_day, a_user, an_emergency_unit, an_events_unit


def records_on_disk(store: Store, entry: UnitEntry) -> dict[int, bytes]:
    """Return the unit's records that the files and keys on disk still give, by number."""
    _, records = split_unit(store.read_unit(entry, range(entry.first, entry.last + 1)).join())
    found = {entry.first + n: records[48 * n : 48 * n + 48] for n in range(entry.count)}
    return {i: record for i, record in found.items() if record != bytes(48)}


def day_records(world: World) -> set[int]:
    return {i for unit in world.held.units if unit.kind == "day" for i in records_on_disk(world.device.store, unit)}


def files_of(world: World) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (world.directory / "units").iterdir()}


def test_s23_offline(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    before, step = files_of(world), world.alice.token.step(world.server.now)
    assert step in day_records(world)
    typed = world.passcode()
    assert world.login(typed).answer.result == "granted"
    assert min(day_records(world)) == step + 1
    # The old file, which held the record, is gone; the new one is not the old one with another key.
    named = {unit.file for user in world.device.state.users for unit in user.units}
    assert set(files_of(world)) == named
    gone = set(before) - named
    assert len(gone) == 1
    assert all(before[name] not in contents for name in gone for contents in files_of(world).values())
    assert world.login(typed).answer.result == "denied"


def test_s23_used_online_then_the_network_is_cut(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    typed, step = world.passcode(), world.alice.token.step(world.server.now)
    assert world.login(typed).answer.mode == "online"
    assert min(day_records(world)) > step
    world.go_offline()
    assert world.login(typed).answer.result == "denied"


def test_s23_cut_off_right_after_the_online_success(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    typed, step = world.passcode(), world.alice.token.step(world.server.now)
    world.server.cut_at = "sync"
    assert world.login(typed).answer.mode == "online"
    assert min(day_records(world)) > step
    assert world.login(typed).answer.result == "denied"


def test_s23_used_offline_then_the_network_is_back(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    typed = world.passcode()
    assert world.login(typed).answer.mode == "offline"
    world.go_online()
    answer = world.login(typed).answer
    assert (answer.result, answer.mode) == ("denied", "online")
    assert world.server.calls[-3:] == ["events", "sign_in", "sync"]


def test_s23_records_of_steps_used_elsewhere_are_erased(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    world.alice.token.last_step = world.alice.token.step(world.server.now) + 2
    make_contact(world.device)
    assert min(day_records(world)) == world.alice.token.last_step + 1


def test_s23_expired_days_go_within_the_hour(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    world.pass_time(86400)
    world.device.store.change(lambda state: state)  # the daemon's hourly work
    assert {unit.day for unit in world.held.units if unit.kind == "day"} <= {world.server.now // 86400}
    assert set(files_of(world)) == {unit.file for unit in world.held.units}


def test_s23_minutes_that_are_past_go_too(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    world.pass_time(300)
    world.device.store.change(lambda state: state)
    assert min(day_records(world)) >= world.alice.token.step(world.server.now) - 1


LAST = FIRST + 1439
AT_NOON = TrustedTime(NOON, NOON, suspect=False)
NOON_STEP = NOON // 60


def erased(entry: UnitEntry, trusted: TrustedTime = AT_NOON, opened: OpenedLock | None = None, **use: Any) -> int:
    """Return the number of the last record that must go. `use`: of the entry's token."""
    user = a_user(entry, tokens=[TokenUse("token-1", **use)])
    return decide_erasing(state_of(user), trusted, opened)[entry.file]


def state_of(*users: UserState) -> State:
    return replace(new_state(Enrolment("device-1", "laptop", [], "", [], "")), users=list(users))


def test_records_before_the_window_around_the_mark_go() -> None:
    assert erased(a_day()) == NOON_STEP - 3  # the window is two intervals to each side
    assert erased(a_day(window=0)) == NOON_STEP - 1
    assert erased(a_day(drift=5)) == NOON_STEP + 5 - 3
    assert erased(a_day(), learnt_shift=-2) == NOON_STEP - 2 - 3
    assert erased(a_day(), learnt_shift=2) == NOON_STEP - 3  # it may be off in both directions
    assert erased(a_day(), TrustedTime(NOON + 600, NOON, suspect=False)) == NOON_STEP - 3


def test_records_up_to_the_last_used_and_those_given_up_go() -> None:
    assert erased(a_day(), last_used=NOON_STEP + 7) == NOON_STEP + 7
    assert erased(a_day(), last_used=NOON_STEP - 50) == NOON_STEP - 3
    assert erased(a_day(given_up_through=NOON_STEP + 9), last_used=NOON_STEP + 7) == NOON_STEP + 9
    assert erased(a_day(), last_used=LAST + 100) == LAST
    assert erased(a_day(first=NOON_STEP + 300)) == NOON_STEP + 299
    assert erased(an_events_unit(), last_used=120) == 120
    assert erased(an_events_unit()) == 99


def test_an_expired_unit_goes_as_a_whole_one_second_after_its_end() -> None:
    for entry in (a_day(), an_events_unit(), an_emergency_unit()):
        ended = replace(entry, not_after=NOON - 1)
        assert erased(ended) == entry.last
        assert erased(replace(entry, not_after=NOON)) < entry.last
        # Only a mark that can be trusted decides that.
        assert erased(ended, TrustedTime(NOON, NOON, suspect=True)) == entry.first - 1


def test_nothing_of_an_emergency_unit_goes_before_its_end() -> None:
    assert erased(an_emergency_unit(), last_used=10**9) == -1


@given(st.integers(-5, 1500), st.integers(0, 2 * DAY_SECONDS), st.booleans())
def test_no_record_up_to_the_last_used_one_stays(ahead: int, seconds: int, suspect: bool) -> None:
    used, now = FIRST + ahead, FIRST * 60 + seconds
    through = erased(a_day(), TrustedTime(now, now, suspect), last_used=used)
    assert min(used, LAST) <= through <= LAST
    assert through >= FIRST - 1


LOCK = PinLock("token-1", "aa", "00" * 16, "11" * 32, "22")
LOCKED_DAY = a_day(
    pin_salt="aa",
    pieces=[Piece(0, 0), Piece(FIRST, 720, locked="33"), Piece(NOON_STEP, 60, locked="44")],
)


def test_behind_a_closed_lock_a_piece_goes_as_a_whole_or_not_yet() -> None:
    used = NOON_STEP + 7
    assert erased(LOCKED_DAY, last_used=used) == NOON_STEP - 1
    assert erased(LOCKED_DAY, opened=OpenedLock("device-1", "user-1", LOCK, Secret(b"")), last_used=used) == used
    other = OpenedLock("device-1", "user-1", replace(LOCK, pin_salt="bb"), Secret(b""))
    assert erased(LOCKED_DAY, opened=other, last_used=used) == NOON_STEP - 1


def test_a_start_gives_up_the_piece_of_a_sign_in_that_was_cut_off() -> None:
    accepted, nothing = TokenUse("token-1", accepted_here=NOON_STEP + 7), TokenUse("token-2")
    state = after_cut_off(state_of(a_user(LOCKED_DAY, tokens=[accepted, nothing]), a_user(a_day(), user="user-2")))
    assert [entry.given_up_through for user in state.users for entry in user.units] == [NOON_STEP + 59, -1]


@pytest.mark.parametrize(("seconds", "days"), [(0, 2), (1, 1), (DAY_SECONDS, 1), (DAY_SECONDS + 1, 0), (10**7, 0)])
def test_days_left_are_whole_days_to_the_last_record(seconds: int, days: int) -> None:
    user = a_user(a_day(), a_day(day=1, first=FIRST + 1440), an_emergency_unit())
    assert days_end(user) == (FIRST + 2880) * 60
    assert days_left(user, FIRST * 60 + seconds) == days


def test_the_end_of_the_days_counts_only_units_that_can_still_open() -> None:
    assert days_end(a_user()) == days_end(a_user(an_emergency_unit())) == 0
    assert days_end(a_user(a_day(drift=5))) == (LAST - 5 + 1) * 60
    assert days_end(a_user(an_events_unit(not_after=NOON + 9))) == NOON + 9
    assert days_end(a_user(a_day(erased_through=LAST - 1))) == (LAST + 1) * 60
    assert days_end(a_user(a_day(erased_through=LAST))) == 0
    assert days_end(a_user(a_day(generation=2))) == 0


def test_the_last_emergency_code_sets_the_end_of_emergency_access() -> None:
    assert emergency_ends(a_user(a_day())) == 0
    codes = [an_emergency_unit(not_after=NOON + end) for end in (5, 9, 7)]
    assert emergency_ends(a_user(a_day(not_after=NOON + 99), *codes)) == NOON + 9
    assert emergency_ends(a_user(an_emergency_unit(generation=2))) == 0
