"""The cost and the effects of an attempt: waits for emergency codes, learnt shift, reasons."""

from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.contact.contact import refill
from sparekey.agent.ground.device_time import ClockReading
from sparekey.agent.ground.outcome import LoginAnswer, RefusalReason, Result
from sparekey.agent.ground.state import UserState
from sparekey.agent.sign_in.attempt import FREE_EMERGENCY_FAILURES, LONGEST_WAIT, emergency_wait
from sparekey.passcode import new_code
from tests.agent.devices import a_world, an_offline_world


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


def test_a_wait_is_said_refuses_unhashed_and_ends(tmp_path: Path) -> None:
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
    refill(world.device)
    assert world.held.tokens[0].learnt_shift == 0


def test_locked_at_the_server_stops_tokencodes_and_never_emergency_codes(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    world.alice.locked = True
    refill(world.device)
    assert len(world.held.units) == 4
    world.go_offline()
    assert world.login(world.passcode()).answer.reason is RefusalReason.LOCKED
    assert world.login(world.alice.pin + world.alice.tokencode).answer.result == Result.GRANTED


def test_a_lost_token_loses_its_days_and_keeps_its_emergency_code(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    world.alice.token.lost = True
    refill(world.device)
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
    refill(world.device)
    assert {unit.version for unit in world.held.units if unit.is_emergency} == {2}
    world.go_offline()
    assert world.login(old).answer.result == Result.DENIED
    assert world.login(world.alice.passcode).answer.result == Result.GRANTED


def test_an_answer_is_no_truth_value() -> None:
    with pytest.raises(TypeError):
        bool(LoginAnswer(Result.DENIED))
