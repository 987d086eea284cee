"""S32: a clock that jumps ahead and is put right loses nothing; a wrong PIN costs as much time as a wrong code."""

from dataclasses import replace
from pathlib import Path

from sparekey import clock
from sparekey.agent.ground.outcome import RefusalReason, Result
from tests.agent.devices import World, an_offline_world

TEN_YEARS = 10 * 365 * 86400


def test_s32_ten_years_ahead_and_back(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    before = world.held.units
    world.clock.reboot(off_for=TEN_YEARS)
    world.reopen()
    answer = world.login(world.passcode()).answer
    assert (answer.result, answer.reason) == (Result.UNAVAILABLE, RefusalReason.CLOCK)
    assert world.login(world.alice.passcode).answer.result == Result.GRANTED
    world.device.store.change(lambda state: state)
    assert world.held.units == before
    world.clock.wall -= TEN_YEARS
    world.reopen()
    assert world.login(world.passcode()).answer.result == Result.GRANTED


def test_s32_ahead_while_the_agent_runs(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    world.clock.reboot()
    world.server.now += 60
    world.reopen()
    before = {unit.slot for unit in world.held.units}
    world.clock.wall += TEN_YEARS
    assert world.login(world.passcode()).answer.reason is RefusalReason.CLOCK
    world.device.store.change(lambda state: state)
    assert {unit.slot for unit in world.held.units} == before
    world.clock.wall -= TEN_YEARS
    assert world.login(world.passcode()).answer.result == Result.GRANTED


def seconds_to_refuse(world: World, typed: str) -> float:
    begun = clock.monotonic()
    assert world.login(typed).answer.reason is RefusalReason.WRONG_PASSCODE
    return clock.monotonic() - begun


def test_s32_a_wrong_pin_costs_the_hashes_of_a_wrong_code(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    hashes: list[int] = []

    def counting(function, items):  # type: ignore[no-untyped-def] # a map, as sealed.Run
        items = list(items)
        hashes.append(sum(len(item.peppers) for item in items))
        return map(function, items)

    world.device = replace(world.device, run=counting)
    code = world.passcode()[4:]
    seconds_to_refuse(world, "1357" + code)
    seconds_to_refuse(world, world.alice.pin + f"{(int(code) + 1) % 10**6:06}")
    assert hashes[0] == hashes[1] >= 2 * 512


def test_days_expire_while_a_device_is_off(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    world.pass_time(10 * 86400)
    world.clock.reboot()
    world.reopen()
    answer = world.login(world.passcode()).answer
    assert answer.reason in {RefusalReason.CLOCK, RefusalReason.RUN_OUT}
    assert "have expired" in answer.message
    assert world.login(world.alice.passcode).answer.result == Result.GRANTED
