"""Event-based tokens on a device: a pack of counters opens a few ahead of the last one used (S21, S23, S27)."""

from pathlib import Path

import pytest

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.outcome import Mode, RefusalReason, Result
from sparekey.agent.ground.ports import Distance
from sparekey.agent.ground.state import UnitEntry
from sparekey.agent.store.status import status_of
from sparekey.sealed import split_unit
from tests.agent.devices import World, a_world
from tests.agent.simulator import DAY, RECORDS, SimulatedToken

LOOK_AHEAD = 5


def with_event_token(directory: Path, *, pin: str = "2468") -> World:
    """Return a world in which Alice has signed in with the code of counter 0, and the device holds a pack from counter
    1 on."""
    token = SimulatedToken("token-alice", with_pin=bool(pin), interval=0)
    return a_world(directory, pin=pin, token=token).signed_in_online()


def offline(directory: Path, *, pin: str = "2468") -> World:
    world = with_event_token(directory, pin=pin)
    world.go_offline()
    return world


def pack_of(world: World) -> UnitEntry:
    (pack,) = (unit for unit in world.held.units if unit.kind == "events")
    return pack


def counters_on_disk(world: World) -> set[int]:
    """Return the counters that the files and keys on disk still give."""
    pack = pack_of(world)
    _, records = split_unit(world.device.store.read_unit(pack, range(pack.first, pack.last + 1)).join())
    return {pack.first + n for n in range(pack.count) if records[48 * n : 48 * n + 48] != bytes(48)}


@pytest.mark.parametrize("pin", ["2468", ""])
def test_one_code_after_the_other(tmp_path: Path, pin: str) -> None:
    world = offline(tmp_path / "store", pin=pin)
    for _ in range(3):
        answer = world.login(world.passcode()).answer
        assert (answer.result, answer.mode, answer.method) == (Result.GRANTED, Mode.OFFLINE, "tokencode")
        world.next_code()


@pytest.mark.parametrize(("ahead", "result"), [(0, "granted"), (LOOK_AHEAD, "granted"), (LOOK_AHEAD + 1, "denied")])
def test_s21_a_device_looks_five_counters_ahead_and_no_further(tmp_path: Path, ahead: int, result: str) -> None:
    world = offline(tmp_path / "store")
    assert world.login(world.passcode(ahead)).answer.result == result


def test_s21_a_wrong_pin_and_a_wrong_code_of_a_pack_are_refused(tmp_path: Path) -> None:
    world = offline(tmp_path / "store")
    right = world.passcode()
    wrong_code = right[:-1] + str((int(right[-1]) + 1) % 10)
    for typed in ("1357" + right[4:], wrong_code):
        answer = world.login(typed).answer
        assert (answer.result, answer.reason) == (Result.DENIED, RefusalReason.WRONG_PASSCODE)
    assert world.login(right).answer.result is Result.GRANTED


def test_s23_used_and_skipped_counters_are_gone_and_refused(tmp_path: Path) -> None:
    world = offline(tmp_path / "store")
    skipped, typed = world.passcode(), world.passcode(3)
    assert world.login(typed).answer.result is Result.GRANTED
    assert counters_on_disk(world) == set(range(5, RECORDS + 1))
    for used in (typed, skipped, world.passcode(2)):
        assert world.login(used).answer.result is Result.DENIED


def test_s23_a_counter_used_online_is_gone_when_the_network_is_cut(tmp_path: Path) -> None:
    world = with_event_token(tmp_path / "store")
    typed = world.passcode(2)
    world.server.cut_at = "sync"  # right after the yes
    assert world.login(typed).answer.mode is Mode.ONLINE
    assert min(counters_on_disk(world)) == 4
    assert world.login(typed).answer.result is Result.DENIED
    assert world.login(world.passcode()).answer.result is Result.DENIED


def test_s23_a_counter_used_offline_is_refused_when_the_network_is_back(tmp_path: Path) -> None:
    world = offline(tmp_path / "store")
    typed = world.passcode(2)
    assert world.login(typed).answer.mode is Mode.OFFLINE
    world.go_online()
    for used in (typed, world.passcode()):
        answer = world.login(used).answer
        assert (answer.result, answer.mode) == (Result.DENIED, Mode.ONLINE)


def test_s23_counters_used_elsewhere_go_at_contact(tmp_path: Path) -> None:
    world = with_event_token(tmp_path / "store")
    world.alice.token.last_step = 4
    make_contact(world.device)
    assert min(counters_on_disk(world)) == 5


def test_s27_the_counter_of_an_offline_success_is_uploaded(tmp_path: Path) -> None:
    world = offline(tmp_path / "store")
    world.login(world.passcode(2))
    (event,) = world.device.state.events
    assert (event.method, event.step) == ("tokencode", 3)
    world.go_online()
    make_contact(world.device)
    assert world.alice.token.last_step == 3


def test_a_pack_is_replaced_before_it_runs_out(tmp_path: Path) -> None:
    world = with_event_token(tmp_path / "store")
    first = pack_of(world)
    world.alice.token.last_step = RECORDS // 2 + 1
    world.pass_time(60)
    make_contact(world.device)
    assert pack_of(world).first == RECORDS // 2 + 2 > first.first
    world.go_offline()
    world.alice.token.pressed = world.alice.token.last_step + 1
    assert world.login(world.passcode()).answer.result is Result.GRANTED


def test_a_pack_that_is_used_up_is_gone(tmp_path: Path) -> None:
    world = offline(tmp_path / "store")
    for _ in range(RECORDS):
        assert world.login(world.passcode()).answer.result is Result.GRANTED
        world.next_code()
    assert [unit.kind for unit in world.held.units] == ["emergency-tokencode", "emergency-passcode"]
    assert world.login(world.passcode()).answer.reason is RefusalReason.RUN_OUT
    assert world.login(world.alice.passcode).answer.result is Result.GRANTED


def test_a_pack_ends_like_the_last_day(tmp_path: Path) -> None:
    world = offline(tmp_path / "store")
    end = pack_of(world).not_after
    assert end % DAY == 0
    world.pass_time(end - world.server.now)
    assert world.login(world.passcode()).answer.result is Result.GRANTED
    world.next_code()
    world.pass_time(1)
    assert world.login(world.passcode()).answer.result is not Result.GRANTED
    world.device.store.change(lambda state: state)  # the daemon's hourly work
    assert all(unit.kind != "events" for unit in world.held.units)


def test_days_left_are_those_of_the_pack_while_it_has_codes(tmp_path: Path) -> None:
    world = offline(tmp_path / "store")
    days = (pack_of(world).not_after - world.server.now) // DAY
    assert world.login(world.passcode(2)).answer.days_left == days == 1
    (user,) = status_of(world.device)["users"]
    assert [pack["codes_left"] for pack in user["event_packs"]] == [RECORDS - 3]
    assert (user["days_left"], user["days"]) == (1, [])


def test_the_rules_for_days_hold_for_packs(tmp_path: Path) -> None:
    world = offline(tmp_path / "store")
    world.go_offline(Distance.SERVER_DOWN)
    assert world.login(world.passcode()).answer.result is Result.GRANTED
    for wrong in ("111111", "222222", "333333"):
        assert world.login(world.alice.pin + wrong).answer.reason is RefusalReason.WRONG_PASSCODE
    assert world.login(world.passcode(1)).answer.reason is RefusalReason.EMERGENCY_CODE_NEEDED
    assert world.login(world.alice.pin + world.alice.tokencode).answer.result is Result.GRANTED
    assert world.login(world.passcode(1)).answer.result is Result.GRANTED


def test_a_clock_that_cannot_be_right_refuses_the_codes_of_a_pack(tmp_path: Path) -> None:
    world = offline(tmp_path / "store")
    world.clock.reboot(off_for=-9999)
    assert world.login(world.passcode()).answer.reason is RefusalReason.CLOCK
