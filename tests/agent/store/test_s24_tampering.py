"""S24 and S31: a clock that was set back, swapped and replayed files, a store without its keys; each its own reason."""

import shutil
from pathlib import Path

import pytest

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.contact.replies import after_receipt, verify_received
from sparekey.agent.ground.outcome import RefusalReason, Result
from sparekey.agent.ground.ports import StoreUnreadable
from sparekey.agent.platform.posix import PosixFiles
from sparekey.agent.store.file_keys import FileKeys
from sparekey.agent.store.unit_files import UnitDamaged
from sparekey.sealed import Superseded, verify_stored
from sparekey.wire.agent_api import UnitName, UnitRequest
from tests.agent.devices import World, a_world, an_offline_world


def day(world: World) -> UnitName:
    return UnitName(kind="day", token=world.alice.token.token, day=world.server.now // 86400)


def asked_for(world: World, name: UnitName) -> UnitRequest:
    return UnitRequest(
        user=world.alice.user, kind=name.kind, token=name.token, day=name.day, generation=world.alice.generation
    )


def test_s24_a_clock_set_back_below_the_mark(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    typed = world.passcode()
    world.pass_time(600)
    world.reopen()
    world.clock.reboot(off_for=-660)  # in another boot, back to when that code was right
    world.reopen()
    answer = world.login(typed).answer
    assert (answer.result, answer.reason) == (Result.UNAVAILABLE, RefusalReason.CLOCK)
    assert world.login(world.alice.pin + world.alice.tokencode).answer.result == Result.GRANTED


def test_s24_in_the_boot_of_the_last_contact_the_wall_clock_means_nothing(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    world.clock.wall -= 3 * 86400
    assert world.login(world.passcode()).answer.result == Result.GRANTED


def test_s24_swapped_days(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    first, second = (tmp_path / "store" / "units" / unit.file for unit in world.held.units if unit.kind == "day")
    aside = tmp_path / "aside"
    first.rename(aside)
    second.rename(first)
    aside.rename(second)
    answer = world.login(world.passcode()).answer
    assert (answer.result, answer.reason) == (Result.UNAVAILABLE, RefusalReason.DAMAGED)
    assert world.held.failures == 0
    assert world.login(world.alice.pin + world.alice.tokencode).answer.result == Result.GRANTED


def test_s24_an_older_day_after_a_later_policy_is_refused_at_receipt(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    older = world.server.seal(world.alice, day(world))
    asked = asked_for(world, day(world))
    world.alice.renew()
    make_contact(world.device)
    with pytest.raises(Superseded):
        verify_received(world.device.state, older, asked)
    world.pass_time(5)
    earlier = world.server.seal(world.alice, day(world))
    world.pass_time(5)
    later = world.server.seal(world.alice, day(world))
    entry = world.device.store.write_unit(later, verify_received(world.device.state, later, asked))
    world.device.store.change(lambda state: after_receipt(state, world.alice.user, entry))
    with pytest.raises(Superseded):
        verify_received(world.device.state, earlier, asked)
    with pytest.raises(Superseded):
        verify_received(world.device.state, later, asked)


def test_s24_the_file_of_an_older_day_opens_to_nothing(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    typed = world.passcode()
    saved = tmp_path / "saved"
    shutil.copytree(tmp_path / "store" / "units", saved)
    entry = next(unit for unit in world.held.units if unit.kind == "day")
    assert world.login(typed).answer.result == Result.GRANTED
    now_held = next(unit for unit in world.held.units if unit.kind == "day" and unit.day == entry.day)
    shutil.copy(saved / entry.file, tmp_path / "store" / "units" / now_held.file)
    assert world.login(typed).answer.result != Result.GRANTED
    world.next_code()
    assert world.login(world.passcode()).answer.reason is RefusalReason.DAMAGED


def test_s31_after_a_new_pin_old_units_are_superseded_and_old_files_open_to_nothing(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    old_pin, asked = world.alice.pin, asked_for(world, day(world))
    old_unit = world.server.sealed[0]
    old_files = {path.name: path.read_bytes() for path in (tmp_path / "store" / "units").iterdir()}
    old_entries = world.held.units
    world.alice.set_pin("9876")
    world.alice.renew()
    make_contact(world.device)
    state = world.device.state
    keys = [bytes.fromhex(key) for key in state.enrolment.signing_keys]
    with pytest.raises(Superseded):
        verify_received(state, old_unit, asked)
    with pytest.raises(Superseded):
        verify_stored(old_unit, keys, state.enrolment.device, world.held.generation)
    for name, data in old_files.items():
        path = tmp_path / "store" / "units" / name
        path.write_bytes(data)
        path.chmod(0o600)
    for new, old in zip(world.held.units, old_entries, strict=True):
        (tmp_path / "store" / "units" / new.file).write_bytes(old_files[old.file])
        with pytest.raises(UnitDamaged):
            world.device.store.read_unit(new, range(new.first, new.last + 1))
    world.go_offline()
    assert world.login(world.passcode(pin=old_pin)).answer.result != Result.GRANTED


def test_s31_until_the_new_days_are_here_the_old_ones_open(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    old_pin = world.alice.pin
    world.alice.set_pin("9876")
    world.alice.renew()
    world.server.seals_nonsense = True
    make_contact(world.device)
    assert (world.held.generation, world.held.staged_generation) == (1, 2)
    world.go_offline()
    assert world.login(world.passcode(pin=old_pin)).answer.result == Result.GRANTED
    world.go_online()
    world.server.seals_nonsense = False
    make_contact(world.device)
    world.go_offline()
    world.next_code()
    assert world.login(world.passcode(pin=old_pin)).answer.result == Result.DENIED
    world.next_code()
    assert world.login(world.passcode()).answer.result == Result.GRANTED


def test_s24_a_store_without_its_key_file(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    (tmp_path / "store" / "store.key").unlink()
    with pytest.raises(StoreUnreadable) as caught:
        world.reopen()
    assert caught.value.word == "no-key-file"


def test_s24_a_store_with_another_device_s_key_file(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    (tmp_path / "store" / "store.key").unlink()
    FileKeys.create(tmp_path / "store", PosixFiles())
    with pytest.raises(StoreUnreadable) as caught:
        world.reopen()
    assert caught.value.word == "damaged"


@pytest.mark.parametrize("break_it", ["link", "readable", "truncated", "missing"])
def test_s26_files_that_others_may_reach_are_not_used(tmp_path: Path, break_it: str) -> None:
    world = an_offline_world(tmp_path / "store")
    path = tmp_path / "store" / "state"
    if break_it == "link":
        path.rename(tmp_path / "moved")
        path.symlink_to(tmp_path / "moved")
    elif break_it == "readable":
        path.chmod(0o644)
    elif break_it == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
    with pytest.raises(StoreUnreadable) as caught:
        world.reopen()
    assert caught.value.word == {"truncated": "damaged", "missing": "not-enrolled"}.get(break_it, "unsafe")


def test_s26_a_linked_unit_file_is_not_followed(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    entry = next(unit for unit in world.held.units if unit.kind == "day")
    path = tmp_path / "store" / "units" / entry.file
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    assert world.login(world.passcode()).answer.reason is RefusalReason.DAMAGED


def test_s26_a_directory_that_others_may_reach_is_not_used(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    (tmp_path / "store").chmod(0o755)
    with pytest.raises(StoreUnreadable) as caught:
        world.reopen()
    assert caught.value.word == "unsafe"
