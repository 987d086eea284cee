"""The cost and the effects of an attempt: waits for emergency codes, learnt shift, reasons."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.device_time import ClockReading, TimeState, TrustedTime, at_hit
from sparekey.agent.ground.outcome import LoginAnswer, Refusal, RefusalReason, Result
from sparekey.agent.ground.ports import Distance
from sparekey.agent.ground.state import Enrolment, TokenUse, UnitEntry, UserState, new_state
from sparekey.agent.sign_in.attempt import (
    FREE_EMERGENCY_FAILURES,
    LONGEST_WAIT,
    Conditions,
    Plan,
    Try,
    after_online_success,
    after_success,
    decide_attempt,
    emergency_wait,
    shape_of,
    try_of,
    with_counts_reset,
    with_failure,
    without_failure,
)
from sparekey.passcode import Reading, emergency_passcode, emergency_tokencode, new_code, tokencode
from sparekey.sealed import Moment
from sparekey.secret import Secret
from sparekey.unit_kind import UnitKind
from tests.agent.clocks import NOON
from tests.agent.devices import a_world, an_offline_world
from tests.agent.unit_entries import FIRST, a_day, a_user, an_emergency_unit, an_events_unit
from tests.sealed.units import a_cheap_plan, a_unit, an_emergency_plan, received


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (4, 0), (5, 1), (6, 2), (10, 32), (14, 512), (15, 900), (10**6, 900)]
)
def test_from_the_fifth_failure_each_emergency_code_waits(failures: int, seconds: int) -> None:
    user = UserState(
        "u", "alice", emergency_failures=failures, emergency_failed_boot="a", emergency_failed_monotonic=50
    )
    assert emergency_wait(user, ClockReading(0, 50, "a", synchronised=False)) == seconds
    assert emergency_wait(user, ClockReading(0, 50 + seconds, "a", synchronised=False)) == 0
    # Again in full after a reboot, counted from there.
    assert emergency_wait(user, ClockReading(0, 0, "b", synchronised=False)) == seconds
    assert emergency_wait(user, ClockReading(0, seconds, "b", synchronised=False)) == 0


def test_a_wait_is_reported_refuses_unhashed_and_ends(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    reading = world.clock.reading()
    tired = replace(
        world.held,
        emergency_failures=8,
        emergency_failed_boot=reading.boot,
        emergency_failed_monotonic=reading.monotonic,
    )
    world.device.store.change(lambda state: state.with_user(tired))
    answer = world.login(world.alice.passcode).answer
    assert (answer.result, answer.reason) == (Result.DENIED, RefusalReason.WAIT)
    assert "wait 8 seconds" in answer.message
    assert world.held.emergency_failures == 8
    world.pass_time(8)
    assert world.login(world.alice.passcode).answer.result == Result.GRANTED
    assert world.held.emergency_failures == 0


def test_s26_strangers_over_a_network_bring_no_wait_about(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    last_free = replace(world.held, emergency_failures=FREE_EMERGENCY_FAILURES - 1)
    world.device.store.change(lambda state: state.with_user(last_free))
    for _ in range(3):
        assert world.login(new_code(3), remote=True).answer.result is Result.DENIED
        world.pass_time(LONGEST_WAIT)  # they have time
    assert world.held.emergency_failures == FREE_EMERGENCY_FAILURES
    assert world.login(world.alice.passcode, remote=True).answer.reason is RefusalReason.WAIT
    assert world.login(world.alice.passcode).answer.result is Result.GRANTED


def test_a_device_learns_how_far_a_token_is_off_and_forgets_it_at_contact(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    for expected in (1, 2, 3, 4):
        world.next_code()
        assert world.login(world.passcode(expected)).answer.result == Result.GRANTED
        assert world.held.tokens[0].learnt_shift == expected
    world.go_online()
    make_contact(world.device)
    assert world.held.tokens[0].learnt_shift == 0


def test_locked_at_the_server_stops_tokencodes_and_never_emergency_codes(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    world.alice.locked = True
    make_contact(world.device)
    assert len(world.held.units) == 4
    world.go_offline()
    assert world.login(world.passcode()).answer.reason is RefusalReason.LOCKED
    assert world.login(world.alice.pin + world.alice.tokencode).answer.result == Result.GRANTED


def test_a_lost_token_loses_its_days_and_keeps_its_emergency_code(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    world.alice.token.lost = True
    make_contact(world.device)
    assert sorted(unit.kind for unit in world.held.units) == ["emergency-passcode", "emergency-tokencode"]


def test_a_revoked_device_erases_everything_at_contact(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    world.server.revoked = True
    answer = world.login(world.passcode()).answer
    assert (answer.result, answer.reason) == (Result.DENIED, RefusalReason.REFUSED)
    assert world.device.state.users == []
    assert list((world.directory / "units").iterdir()) == []


def test_an_expired_emergency_code(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    code = world.alice.passcode
    world.pass_time(31 * 86400)  # in the boot of the last contact: time has really passed
    answer = world.login(code).answer
    assert answer.result != Result.GRANTED
    world.device.store.change(lambda state: state)
    assert world.held.units == []


def test_a_replaced_code_of_the_same_generation_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    old = world.alice.passcode
    world.alice.passcode = new_code(3)
    world.alice.version = 2
    make_contact(world.device)
    assert {unit.version for unit in world.held.units if unit.is_emergency} == {2}
    world.go_offline()
    assert world.login(old).answer.result == Result.DENIED
    assert world.login(world.alice.passcode).answer.result == Result.GRANTED


def test_an_answer_has_no_truth_value() -> None:
    with pytest.raises(TypeError):
        bool(LoginAnswer(Result.DENIED))


# The pure decision, on units that exist in the state alone.

AT_NOON = TrustedTime(NOON, NOON, suspect=False)
READING = ClockReading(NOON, 1000, "boot-1", synchronised=False)
CODE, PASSCODE = "123456", new_code(3)
STEP = NOON // 60


def conditions(**values: Any) -> Conditions:
    defaults: dict[str, Any] = {"trusted": AT_NOON, "reading": READING, "distance": Distance.OFFLINE}
    return Conditions(**defaults | values)


def decided(user: UserState, typed: str, **values: Any) -> Plan | RefusalReason:
    """Return the plan, or the reason of the refusal."""
    found = decide_attempt(user, Secret(typed), conditions(**values))
    return found if isinstance(found, Plan) else found.reason


def tried(user: UserState, typed: str, **values: Any) -> list[str]:
    """Return the files of the units to try."""
    plan = decided(user, typed, **values)
    return [each.entry.file for each in plan.tries] if isinstance(plan, Plan) else []


DAY, EMERGENCY = a_day(file="day"), an_emergency_unit(file="emergency")
ALICE = a_user(DAY, EMERGENCY)
FAR_AHEAD = TrustedTime(NOON + 86400, NOON, suspect=True)
SET_BACK = TrustedTime(NOON - 121, NOON, suspect=False)
WAITING: dict[str, Any] = {
    "emergency_failures": 5,
    "emergency_failed_boot": "boot-1",
    "emergency_failed_monotonic": 1000,
}


def with_server_down(rule: str) -> UserState:
    return replace(ALICE, policy=replace(ALICE.policy, server_down=rule))


# name: the user, the typed text, the conditions; the reason of the refusal
REFUSALS: dict[str, tuple[UserState, str, dict[str, Any], RefusalReason]] = {
    "no units": (a_user(), CODE, {}, RefusalReason.NO_DATA),
    "no units of this generation": (a_user(DAY, generation=2), CODE, {}, RefusalReason.NO_DATA),
    "no emergency units to try": (a_user(DAY), CODE, {"emergency_only": True}, RefusalReason.NO_DATA),
    "server down": (with_server_down("off"), PASSCODE, {"distance": Distance.SERVER_DOWN}, RefusalReason.SERVER_DOWN),
    "server down, no data": (
        replace(with_server_down("off"), units=[]),
        CODE,
        {"distance": Distance.SERVER_DOWN},
        RefusalReason.SERVER_DOWN,
    ),
    "server down, tokencode": (
        with_server_down("emergency-codes-only"),
        CODE,
        {"distance": Distance.SERVER_DOWN},
        RefusalReason.SERVER_DOWN,
    ),
    "clock far ahead": (ALICE, CODE, {"trusted": FAR_AHEAD}, RefusalReason.CLOCK),
    "clock set back": (ALICE, CODE, {"trusted": SET_BACK}, RefusalReason.CLOCK),
    "locked at the server": (replace(ALICE, tokencodes_blocked=True), CODE, {}, RefusalReason.LOCKED),
    "at the limit": (replace(ALICE, failures=3), CODE, {}, RefusalReason.EMERGENCY_CODE_NEEDED),
    "beyond the limit": (replace(ALICE, failures=4), CODE, {}, RefusalReason.EMERGENCY_CODE_NEEDED),
    "must wait": (replace(ALICE, **WAITING), PASSCODE, {}, RefusalReason.WAIT),
    "a remote user has no free failures": (
        replace(ALICE, emergency_failures=5),
        PASSCODE,
        {"remote": True, "reading": replace(READING, monotonic=10**6)},
        RefusalReason.WAIT,
    ),
    "misread": (
        ALICE,
        PASSCODE[:4] + ("0" if PASSCODE[4] != "0" else "1") + PASSCODE[5:],
        {},
        RefusalReason.MISREAD,
    ),
    "emergency code expired": (
        a_user(an_emergency_unit(not_after=NOON - 1), DAY),
        PASSCODE,
        {},
        RefusalReason.EMERGENCY_EXPIRED,
    ),
    "day expired": (a_user(replace(DAY, not_after=NOON - 1)), CODE, {}, RefusalReason.RUN_OUT),
    "day still to come": (a_user(a_day(first=STEP + 3)), CODE, {}, RefusalReason.RUN_OUT),
    "day that is over": (a_user(a_day(first=STEP - 12, count=10)), CODE, {}, RefusalReason.RUN_OUT),
    "only emergency units are left": (a_user(EMERGENCY), CODE, {}, RefusalReason.RUN_OUT),
    "a PIN and a tokencode, only emergency units are left": (
        a_user(EMERGENCY),
        "2468" + CODE + " \r\n",
        {},
        RefusalReason.RUN_OUT,
    ),
    "a trial with a tokencode": (ALICE, CODE, {"emergency_only": True}, RefusalReason.WRONG_PASSCODE),
    "five digits": (a_user(EMERGENCY), "12345", {}, RefusalReason.WRONG_PASSCODE),
    "digits of another alphabet": (a_user(EMERGENCY), "١٢٣٤٥٦", {}, RefusalReason.WRONG_PASSCODE),
    "a letter at the end": (a_user(EMERGENCY), CODE + "X", {}, RefusalReason.WRONG_PASSCODE),
    "a tab at the end": (a_user(EMERGENCY), CODE + "\t", {}, RefusalReason.WRONG_PASSCODE),
    "no code at all": (ALICE, "?", {}, RefusalReason.WRONG_PASSCODE),
    "a tokencode of another length": (ALICE, CODE + "78", {}, RefusalReason.WRONG_PASSCODE),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str) -> None:
    user, typed, values, reason = REFUSALS[name]
    assert decided(user, typed, **values) is reason


def test_a_refusal_names_the_groups_and_the_wait() -> None:
    _, misread, *_ = REFUSALS["misread"]
    assert decide_attempt(ALICE, Secret(misread), conditions()) == Refusal(RefusalReason.MISREAD, misread=(1,))
    waiting = replace(ALICE, **WAITING)
    assert decide_attempt(waiting, Secret(PASSCODE), conditions()) == Refusal(RefusalReason.WAIT, wait=1)


def test_the_units_that_fit_and_may_open_now_are_tried() -> None:
    assert tried(ALICE, CODE) == ["day"]
    assert tried(ALICE, PASSCODE) == ["emergency"]
    assert tried(ALICE, PASSCODE, emergency_only=True) == ["emergency"]
    assert tried(ALICE, CODE, remote=True) == ["day"]
    assert tried(with_server_down("on"), CODE, distance=Distance.SERVER_DOWN) == ["day"]
    assert tried(with_server_down("off"), CODE) == ["day"]
    assert tried(with_server_down("emergency-codes-only"), PASSCODE, distance=Distance.SERVER_DOWN) == ["emergency"]
    assert tried(replace(ALICE, failures=2), CODE) == ["day"]


def test_blocks_of_tokencodes_do_not_stop_emergency_codes() -> None:
    blocked = replace(ALICE, failures=99, tokencodes_blocked=True)
    for trusted in (AT_NOON, SET_BACK, TrustedTime(NOON + 86401, NOON, suspect=True)):
        assert tried(blocked, PASSCODE, trusted=trusted) == ["emergency"]


def test_a_remote_user_may_fail_up_to_the_wait_and_a_local_one_waits() -> None:
    last_free = replace(ALICE, **WAITING | {"emergency_failures": FREE_EMERGENCY_FAILURES - 1})
    assert tried(last_free, PASSCODE, remote=True) == tried(last_free, PASSCODE) == ["emergency"]
    waited = replace(READING, monotonic=1001)
    assert tried(replace(ALICE, **WAITING), PASSCODE, reading=waited) == ["emergency"]
    assert tried(replace(ALICE, **WAITING), PASSCODE, reading=waited, remote=True) == []


@given(st.integers(-10, 1450), st.integers(0, 3), st.integers(-5, 5), st.integers(-4, 4))
def test_a_day_is_tried_while_its_window_meets_its_records(minute: int, window: int, drift: int, shift: int) -> None:
    now = (FIRST + minute) * 60
    user = a_user(a_day(window=window, drift=drift), tokens=[TokenUse("token-1", learnt_shift=shift)])
    centre = minute + drift + shift
    expected = centre + window >= 0 and centre - window <= 1439 and now <= user.units[0].not_after
    assert bool(tried(user, CODE, trusted=TrustedTime(now, now, suspect=False))) is expected


def test_a_unit_is_tried_up_to_its_last_second() -> None:
    for entry, typed in ((DAY, CODE), (EMERGENCY, PASSCODE), (an_events_unit(), CODE)):
        assert tried(a_user(replace(entry, not_after=NOON)), typed) == [entry.file]
        assert tried(a_user(replace(entry, not_after=NOON - 1)), typed) == []


def test_a_try_has_its_moment_and_the_numbers_that_may_match() -> None:
    trusted = TrustedTime(NOON, NOON + 60, suspect=False)
    used = a_user(tokens=[TokenUse("token-1", last_used=STEP - 1, learnt_shift=2)])
    moment = Moment(NOON, learnt_shift=2, last_used=STEP - 1)
    day = a_day(drift=3)
    assert try_of(day, used, trusted) == Try(day, moment, range(STEP + 5 - 2, STEP + 5 + 3))
    assert try_of(DAY, a_user(), trusted) == Try(DAY, Moment(NOON), range(STEP - 2, STEP + 3))
    # Emergency and events units are bound by the mark, so that a clock set back does not make them last.
    emergency = Moment(NOON + 60)
    assert try_of(EMERGENCY, used, trusted) == Try(EMERGENCY, emergency, range(1))


def test_counters_are_tried_from_the_one_after_the_last_used() -> None:
    trusted, events = TrustedTime(NOON, NOON + 60, suspect=False), an_events_unit()

    def moment(used: int) -> Try:
        return try_of(events, a_user(tokens=[TokenUse("token-1", last_used=used)]), trusted)

    assert moment(-1) == Try(events, Moment(NOON + 60, next_counter=100), range(100, 111))
    assert moment(0) == Try(events, Moment(NOON + 60, next_counter=100, last_used=0), range(100, 111))
    assert moment(120) == Try(events, Moment(NOON + 60, next_counter=121, last_used=120), range(121, 132))
    assert tried(a_user(events, tokens=[TokenUse("token-1", last_used=148)]), CODE) == ["a-file"]
    assert decided(a_user(events, tokens=[TokenUse("token-1", last_used=149)]), CODE) is RefusalReason.RUN_OUT


def test_the_token_used_last_comes_first_and_of_its_days_the_one_of_this_moment() -> None:
    midnight = (FIRST + 1440) * 60
    today, tomorrow = a_day(file="today"), a_day(file="tomorrow", first=FIRST + 1440)
    other = a_day(file="other", token="token-2")
    before, after = (TrustedTime(time, time, suspect=False) for time in (midnight - 60, midnight))
    for units in itertools.permutations((today, tomorrow, other)):
        uses = [TokenUse("token-1", used_at=NOON), TokenUse("token-2", used_at=NOON - 1)]
        user = a_user(*units, tokens=uses)
        assert tried(user, CODE, trusted=before) == ["today", "tomorrow", "other"]
        assert tried(user, CODE, trusted=after) == ["tomorrow", "today", "other"]
        user = replace(user, tokens=[uses[0], replace(uses[1], used_at=NOON + 1)])
        assert tried(user, CODE, trusted=before) == ["other", "today", "tomorrow"]


def test_shapes_of_units() -> None:
    assert shape_of(EMERGENCY) == emergency_passcode()
    for with_pin, pin_salt in ((True, "aa"), (False, "")):
        assert shape_of(a_day(pin_salt=pin_salt, digits=8)) == tokencode(8, with_pin=with_pin)
        code = an_emergency_unit(kind="emergency-tokencode", pin_salt=pin_salt)
        assert shape_of(code) == emergency_tokencode(with_pin=with_pin)


def a_plan(*units: UnitEntry) -> Plan:
    return Plan("user-1", tuple(try_of(entry, ALICE, AT_NOON) for entry in units), Reading())


@pytest.mark.parametrize(("units", "counts"), [((DAY,), (1, 0)), ((EMERGENCY,), (0, 1)), ((EMERGENCY, DAY), (1, 1))])
def test_a_failure_counts_for_the_kinds_that_were_tried_and_can_be_taken_back(
    units: tuple[UnitEntry, ...], counts: tuple[int, int]
) -> None:
    plan = a_plan(*units)
    failed = with_failure(ALICE, plan, READING)
    assert (failed.failures, failed.emergency_failures) == counts
    stamped = ("boot-1", 1000) if counts[1] else ("", 0)
    assert (failed.emergency_failed_boot, failed.emergency_failed_monotonic) == stamped
    back = without_failure(failed, plan)
    assert (back.failures, back.emergency_failures) == (0, 0)
    # A success of another attempt in between has reset the counts.
    assert without_failure(ALICE, plan) == ALICE
    twice = without_failure(with_failure(failed, plan, READING), plan)
    assert (twice.failures, twice.emergency_failures) == counts


def test_a_success_resets_both_counts() -> None:
    failed = replace(ALICE, failures=3, **WAITING)
    assert with_counts_reset(failed) == ALICE


def test_the_server_s_success_moves_the_token_only_forwards() -> None:
    failed = replace(ALICE, failures=3, **WAITING)
    user = after_online_success(failed, "token-1", 70, NOON)
    use = TokenUse("token-1", last_used=70, used_at=NOON, accepted_here=70)
    assert user == replace(ALICE, tokens=[use])
    again = after_online_success(user, "token-1", 60, NOON + 1)
    assert again.tokens == [replace(use, used_at=NOON + 1)]
    assert after_online_success(failed, "", 0, NOON) == ALICE


HEADER = received(a_unit(a_cheap_plan(window=2))).header
STATE = replace(
    new_state(Enrolment("device-1", "laptop", [], "", [], "")), users=[replace(ALICE, failures=2, **WAITING)]
)


@pytest.mark.parametrize(("hit", "shift"), [(0, 0), (1, 1), (-2, -2), (4, 4), (9, 4), (-9, -4)])
def test_a_hit_sets_the_last_used_record_the_mark_and_the_shift(hit: int, shift: int) -> None:
    state = after_success(STATE, HEADER, STEP + hit, AT_NOON, READING)
    use = TokenUse("token-1", last_used=STEP + hit, learnt_shift=shift, used_at=NOON)
    assert state.users == [replace(ALICE, tokens=[use])]
    begun = min(NOON + hit * 60, NOON)
    assert state.time == at_hit(TimeState(), READING, begun)


def test_the_learnt_shift_adds_to_drift_and_earlier_shift() -> None:
    use = TokenUse("token-1", last_used=STEP + 50, learnt_shift=1)
    state = STATE.with_user(replace(ALICE, tokens=[use]))
    header = replace(HEADER, drift=3)
    after = after_success(state, header, STEP + 3 + 3, AT_NOON, READING)
    assert after.users[0].tokens == [replace(use, learnt_shift=3, used_at=NOON)]
    behind = TrustedTime(NOON + 600, NOON, suspect=False)
    later = replace(READING, wall=NOON + 600)
    after = after_success(state, header, STEP + 3 + 3, behind, later)
    assert after.time == at_hit(TimeState(), later, NOON + 180)
    assert after.time.mark == NOON + 180


def test_a_counter_that_was_right_proves_no_time_and_an_emergency_code_uses_nothing() -> None:
    events = replace(HEADER, kind=UnitKind.EVENTS, interval=0, window=10, first=100, count=50)
    state = after_success(STATE, events, 120, AT_NOON, READING)
    assert state == replace(STATE, users=[replace(ALICE, tokens=[TokenUse("token-1", last_used=120, used_at=NOON)])])
    emergency = received(a_unit(an_emergency_plan(), [(0, new_code(2))])).header
    assert after_success(STATE, emergency, 0, AT_NOON, READING) == replace(STATE, users=[ALICE])
