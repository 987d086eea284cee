"""Signing in on a device: online first, then alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.outcome import Mode, RefusalReason, Result
from sparekey.agent.ground.ports import Distance
from sparekey.sealed import new_offline_key
from tests.agent.devices import World, a_world, an_offline_world


def results(world: World, *typed: str) -> list[str]:
    return [world.login(each).answer.result for each in typed]


def test_first_online_then_offline_with_the_token(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    login = world.login(world.passcode())
    assert (login.answer.result, login.answer.mode, login.answer.method) == ("granted", "offline", "tokencode")
    assert login.answer.days_left == 0  # the simulator's days are short
    assert "0 days of offline data left" in login.answer.message
    assert login.session is not None


def test_the_server_s_no_is_final(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    world.alice.enabled = False
    answer = world.login(world.passcode()).answer
    assert (answer.result, answer.mode) == (Result.DENIED, Mode.ONLINE)
    assert world.held.units == []


def test_wrong_pin_wrong_code_and_repeats_are_refused(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    right = world.passcode()
    assert results(world, right) == ["granted"]
    assert results(world, right, "1357" + right[4:]) == ["denied", "denied"]
    world.next_code()
    assert results(world, world.passcode()) == ["granted"]


def test_emergency_codes_offline(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    alice = world.alice
    code = alice.tokencode
    assert results(world, alice.pin + code) == ["granted"]
    assert results(world, f"{alice.pin} {code[:5].lower()}-{code[5:]}") == ["granted"]
    answer = world.login(alice.passcode).answer
    assert (answer.result, answer.method) == ("granted", "emergency-passcode")
    assert answer.emergency_expires == alice.codes_end
    assert "works until 2026-01-31" in answer.message
    assert results(world, code) == ["denied"]


def test_a_misread_group_is_named_and_costs_nothing(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    wrong = "Z" if world.alice.tokencode[7] != "Z" else "Y"
    typed = world.alice.pin + world.alice.tokencode[:7] + wrong + world.alice.tokencode[8:]
    before = world.held
    answer = world.login(typed).answer
    assert (answer.reason, answer.misread) == (RefusalReason.MISREAD, (2,))
    assert "Device laptop holds emergency tokencode version 1" in answer.message
    assert "Call 4321." in answer.message
    assert world.held == before


def test_after_the_limit_an_emergency_code_is_needed_and_one_entry_clears_the_block(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    for wrong in ("111111", "222222", "333333"):
        assert world.login(world.alice.pin + wrong).answer.reason is RefusalReason.WRONG_PASSCODE
    answer = world.login(world.passcode()).answer
    assert (answer.result, answer.reason) == (Result.DENIED, RefusalReason.EMERGENCY_CODE_NEEDED)
    assert world.held.failures == 3
    assert results(world, world.alice.pin + world.alice.tokencode) == ["granted"]
    assert world.held.failures == 0
    assert results(world, world.passcode()) == ["granted"]


def test_a_token_without_pin(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store", pin="")
    assert results(world, world.passcode(), world.alice.tokencode, world.alice.passcode) == ["granted"] * 3


@pytest.mark.parametrize(
    ("rule", "typed", "result"),
    [
        ("on", "token", Result.GRANTED),
        ("emergency-codes-only", "token", Result.UNAVAILABLE),
        ("emergency-codes-only", "code", Result.GRANTED),
        ("off", "token", Result.UNAVAILABLE),
        ("off", "code", Result.UNAVAILABLE),
    ],
)
def test_server_down_is_not_device_offline(tmp_path: Path, rule: str, typed: str, result: Result) -> None:
    world = a_world(tmp_path / "store")
    world.alice.policy = replace(world.alice.policy, server_down=rule)
    world.signed_in_online().go_offline(Distance.SERVER_DOWN)
    text = world.passcode() if typed == "token" else world.alice.passcode
    assert world.login(text).answer.result == result
    world.next_code()
    world.go_offline(Distance.OFFLINE)
    assert world.login(world.passcode()).answer.result == Result.GRANTED


def test_a_user_without_data_here_is_refused_offline(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    answer = world.login("24681234567", name="mallory").answer
    assert (answer.result, answer.reason) == (Result.UNAVAILABLE, RefusalReason.NO_DATA)


def test_an_emergency_code_signs_in_where_a_dead_battery_begins_at_1970(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store")
    world.clock.wall += 3600  # ahead of the server, so that the offset is negative
    world.signed_in_online().go_offline()
    world.clock.reboot()
    world.clock.wall = 60
    world.reopen()
    assert results(world, world.alice.passcode) == ["granted"]


def test_a_server_rolled_back_to_another_key_sends_all_units_again(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    world.alice.key = new_offline_key()
    make_contact(world.device)
    assert world.held.units == []  # none of them would open any more
    make_contact(world.device)
    world.go_offline()
    assert results(world, world.passcode()) == ["granted"]
