"""S25: the failure is on disk before the guess is tested; a power cut at any moment forgets neither it nor a use."""

from dataclasses import replace
from pathlib import Path

from sparekey.agent.device import Device
from sparekey.agent.file_keys import FileKeys
from sparekey.agent.platform_posix import PosixFiles
from sparekey.agent.refill import refill
from sparekey.agent.store import Store
from tests.agent.devices import World, a_world, an_offline_world, on_all_cores
from tests.agent.disk_recorder import RecordingFiles, disks


def a_recorded_world(directory: Path) -> tuple[World, RecordingFiles]:
    files = RecordingFiles()
    world = an_offline_world(directory, files=files)
    world.device = replace(world.device, run=files.hashing)
    return world, files


def after_power_cut(world: World, disk: Path) -> World:
    """The same computer, started again on that disk."""
    files = PosixFiles()
    store = Store.open(disk, files, FileKeys.open(disk, files), world.clock)
    return replace(world, directory=disk, device=Device(store, world.clock, world.server.connect, on_all_cores))


def position(files: RecordingFiles, what: str, since: int) -> int:
    return next(number for number, each in enumerate(files.log) if number >= since and each.what == what)


def test_s25_a_wrong_guess_is_counted_on_every_disk_from_the_first_hash_on(tmp_path: Path) -> None:
    world, files = a_recorded_world(tmp_path / "store")
    begun = len(files.log)
    assert world.login(world.alice.pin + "000000").answer.result == "denied"
    files.mark("answer")
    hashed = position(files, "hash", begun)
    assert begun < hashed
    for length, disk in disks(files, begun, tmp_path / "store", tmp_path / "disks"):
        failures = after_power_cut(world, disk).held.failures
        assert failures == 1 if length > hashed else failures in (0, 1)


def test_s25_an_emergency_guess_is_counted_too(tmp_path: Path) -> None:
    world, files = a_recorded_world(tmp_path / "store")
    begun = len(files.log)
    wrong_pin = "1357" + world.alice.tokencode
    assert world.login(wrong_pin).answer.result == "denied"
    hashed = position(files, "hash", begun)
    for length, disk in disks(files, hashed + 1, tmp_path / "store", tmp_path / "disks"):
        assert after_power_cut(world, disk).held.emergency_failures == 1, length


def test_s25_a_success_that_was_answered_is_never_forgotten(tmp_path: Path) -> None:
    world, files = a_recorded_world(tmp_path / "store")
    begun, step = len(files.log), world.alice.token.step(world.server.now)
    assert world.login(world.passcode()).answer.result == "granted"
    answered = len(files.log)
    for length, disk in disks(files, begun, tmp_path / "store", tmp_path / "disks"):
        again = after_power_cut(world, disk)
        used = again.held.token_use(world.alice.token.token).last_used
        assert used == step if length >= answered else used <= step
        events = [event.kind for event in again.device.state.events]
        assert events == (["granted"] if used == step else [])


def test_s25_an_online_success_is_never_forgotten_either(tmp_path: Path) -> None:
    files = RecordingFiles()
    world = a_world(tmp_path / "store", files=files).signed_in_online()
    step = world.alice.token.step(world.server.now)
    assert world.login(world.passcode()).answer.mode == "online"
    for _, disk in disks(files, len(files.log), tmp_path / "store", tmp_path / "disks"):
        assert after_power_cut(world, disk).held.token_use(world.alice.token.token).last_used == step


def test_s25_a_refill_cut_short_leaves_a_store_that_opens_with_whole_units(tmp_path: Path) -> None:
    files = RecordingFiles()
    world = a_world(tmp_path / "store", files=files)
    assert world.login(world.passcode()).answer.mode == "online"
    begun = len(files.log)
    refill(world.device)
    for _, disk in disks(files, begun, tmp_path / "store", tmp_path / "disks"):
        again = after_power_cut(world, disk)
        for entry in again.held.units:
            again.device.store.read_unit(entry, range(entry.first, entry.last + 1))
