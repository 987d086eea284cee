"""S23: after a success at t every record up to t is gone from every file, wherever the success was."""

from pathlib import Path

from sparekey.agent.contact.contact import refill
from sparekey.agent.ground.state import UnitEntry
from sparekey.agent.store.store import Store
from sparekey.sealed import split_unit
from tests.agent.devices import World, a_world, an_offline_world


def records_on_disk(store: Store, entry: UnitEntry) -> dict[int, bytes]:
    """Whatever the files and the keys in the state still give, record by record."""
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


def test_s23_used_elsewhere(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    world.alice.token.last_step = world.alice.token.step(world.server.now) + 2
    refill(world.device)
    assert min(day_records(world)) == world.alice.token.last_step + 1


def test_s23_expired_days_go_within_the_hour(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    world.pass_time(86400)
    world.device.store.change(lambda state: state)  # what the daemon does each hour
    assert {unit.day for unit in world.held.units if unit.kind == "day"} <= {world.server.now // 86400}
    assert set(files_of(world)) == {unit.file for unit in world.held.units}


def test_s23_minutes_that_are_past_go_too(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    world.pass_time(300)
    world.device.store.change(lambda state: state)
    assert min(day_records(world)) >= world.alice.token.step(world.server.now) - 1
