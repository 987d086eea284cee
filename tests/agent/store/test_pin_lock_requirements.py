"""S-requirements that a PIN lock must not weaken, and those that it is for."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.ground.outcome import RefusalReason, Result
from sparekey.agent.ground.state import Piece
from sparekey.agent.store.pin_lock import is_locked
from sparekey.agent.store.unit_files import UnitDamaged
from sparekey.sealed import split_unit
from sparekey.sealed.open import _Block
from tests.agent.devices import World
from tests.agent.disk_recorder import RecordingFiles, disks
from tests.agent.pin_locks import (
    a_locked_world,
    a_locking_world,
    change_pin_elsewhere,
    contact_online,
    days,
    memory,
    reopened,
)
from tests.agent.simulator import SimulatedToken
from tools.counts import Count

TEN_MINUTES = SimulatedToken("token-alice", interval=600)


def records(world: World) -> set[int]:
    """Return the numbers of the records whose bytes are on disk, locked or not."""
    found = set()
    for day in days(world):
        for piece in day.pieces[1:]:
            found |= set(range(max(piece.first, day.erased_through + 1), piece.last + 1))
    return found


def step(world: World) -> int:
    return world.alice.token.step(world.server.now)


def piece_of(world: World, number: int) -> Piece:
    return next(piece for day in days(world) for piece in day.pieces[1:] if piece.first <= number <= piece.last)


def counting(world: World) -> list[int]:
    """Collect the hashes of each search from now on."""
    hashes: list[int] = []

    def run(function, items):  # type: ignore[no-untyped-def] # a map, as sealed.Run
        blocks: list[_Block] = list(items)
        hashes.append(sum(len(block.peppers) for block in blocks))
        return map(function, blocks)

    world.device = replace(world.device, run=run)
    return hashes


def test_s21_behind_the_lock_a_wrong_pin_or_code_is_refused_and_tampered_bytes_open_to_nothing(
    tmp_path: Path, count: Count
) -> None:
    world = a_locked_world(tmp_path / "store")
    right = world.passcode()
    world.alice.policy = replace(world.alice.policy, offline_failures=10**6)
    memory(world).most_tries = 10**6
    contact_online(world)
    world.go_offline()
    for round_ in range(count(small=2, full=200)):
        position = round_ * 7 % len(right)
        wrong = right[:position] + str((int(right[position]) + 1 + round_ % 9) % 10) + right[position + 1 :]
        if wrong != right:
            assert world.login(wrong).answer.reason is RefusalReason.WRONG_PASSCODE
    path = world.directory / "units" / next(day.file for day in days(world) if day.first <= step(world) <= day.last)
    good = path.read_bytes()
    for place in (-1, -100):
        bad = bytearray(good)
        bad[place] ^= 1
        path.write_bytes(bytes(bad))
        assert world.login(right).answer.result != Result.GRANTED
    path.write_bytes(good)
    assert world.login(right).answer.result == Result.GRANTED


def test_s21_a_day_without_its_lock_gives_none_of_its_records(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    sealed = [split_unit(unit)[1] for unit in world.server.sealed]
    real = {records[at : at + 48] for records in sealed for at in range(0, len(records), 48)}
    for day in days(world):
        _, read = split_unit(world.device.store.read_unit(day, range(day.first, day.last + 1)).join())
        assert real.isdisjoint(read[at : at + 48] for at in range(0, len(read), 48))
        assert not any(piece.key for piece in day.pieces[1:])


def test_s23_a_success_behind_the_lock_erases_its_record_and_leaves_the_rest_locked(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    typed, used = world.passcode(), step(world)
    files = {day.file: (world.directory / "units" / day.file).read_bytes() for day in days(world)}
    assert used in records(world)
    assert world.login(typed).answer.mode == "offline"
    assert min(records(world)) == used + 1
    assert all(is_locked(day) for day in days(world))
    now = {path.name for path in (world.directory / "units").iterdir()}
    assert now == {unit.file for unit in world.held.units}
    assert len(files.keys() - now) == 1
    assert world.login(typed).answer.result == Result.DENIED
    world.next_code()
    assert world.login(world.passcode()).answer.result == Result.GRANTED


def test_s23_a_success_online_erases_behind_the_lock_too(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    world.go_online()
    typed, used = world.passcode(), step(world)
    assert world.login(typed).answer.mode == "online"
    assert min(records(world)) == used + 1
    world.go_offline()
    assert world.login(typed).answer.result == Result.DENIED
    world.next_code()
    assert world.login(world.passcode()).answer.result == Result.GRANTED


@pytest.mark.parametrize("why", ["lockout", "PIN changed elsewhere", "no word", "next tokencode"])
def test_s23_a_success_online_that_cannot_open_the_lock_leaves_no_record_up_to_it(tmp_path: Path, why: str) -> None:
    world = a_locked_world(tmp_path / "store", token=replace(TEN_MINUTES))
    world.go_online()
    used, shown = step(world), memory(world).shown
    assert used in records(world)
    later = records(world) - set(range(piece_of(world, used).last + 1))
    assert later
    if why == "PIN changed elsewhere":
        change_pin_elsewhere(world, "9876")
    elif why == "next tokencode":
        world.alice.next_code_wanted = True
    else:
        memory(world).failed = memory(world).most_tries
    if why == "no word":
        world.server.cut_at = "sync"
    typed = world.passcode()
    answer = world.login(typed).answer
    if answer.reply_to:
        used += 1
        answer = world.login(world.alice.token.code(used), reply_to=answer.reply_to).answer
    assert (answer.result, answer.mode) == ("granted", "online")
    assert min(records(world)) > used
    assert later <= records(world)
    assert memory(world).shown - shown == (0 if why in {"PIN changed elsewhere", "next tokencode"} else 1)
    world.go_offline()
    assert world.login(typed).answer.result != Result.GRANTED


def test_s23_a_crash_between_success_and_lock_erases_the_step(tmp_path: Path) -> None:
    files = RecordingFiles()
    world = a_locked_world(tmp_path / "store", token=replace(TEN_MINUTES), files=files)
    world.go_online()
    typed, used, begun = world.passcode(), step(world), len(files.log)
    later = records(world) - set(range(piece_of(world, used).last + 1))
    assert world.login(typed).answer.mode == "online"
    whole = records(world)
    seen = set()
    for _, disk in disks(files, begun, tmp_path / "store", tmp_path / "disks"):
        again = reopened(world, disk)
        said_yes = again.held.token_use(world.alice.token.token).last_used == used
        again.device.store.begin()
        left = records(again)
        assert (used not in left) if said_yes else (used in left)
        assert later <= left
        seen.add((said_yes, left == whole))
        # The device requests missing units again.
        again.go_online()
        assert any(unit.is_given_up for unit in days(again)) is (said_yes and left != whole)
    assert seen == {(False, False), (True, False), (True, True)}


def test_s23_whole_locked_pieces_go_by_time_and_no_later_than_an_hour_after(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store", token=replace(TEN_MINUTES))
    world = reopened(world)
    piece, shown = piece_of(world, min(records(world))), memory(world).shown
    window = days(world)[0].window
    while step(world) <= piece.last + window:
        world.device.store.change(lambda state: state)
        assert piece.first <= min(records(world)) <= piece.last
        world.next_code()
    world.device.store.change(lambda state: state)
    assert min(records(world)) == piece.last + 1
    assert memory(world).shown == shown
    assert world.login(world.passcode()).answer.result == Result.GRANTED
    world.pass_time(86400)
    world.device.store.change(lambda state: state)
    assert {day.day for day in days(world)} <= {world.server.now // 86400}


def test_s23_a_step_that_was_used_elsewhere_does_not_open_though_its_bytes_are_still_locked(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    typed = world.passcode()
    world.alice.token.last_step = step(world)
    contact_online(world)
    world.go_offline()
    assert world.login(typed).answer.result == Result.DENIED
    world.next_code()
    assert world.login(world.passcode()).answer.result == Result.GRANTED
    assert min(records(world)) == step(world) + 1


def test_s25_the_failure_is_on_every_disk_before_the_lock_is_tried(tmp_path: Path) -> None:
    files = RecordingFiles()
    world = a_locked_world(tmp_path / "store", files=files)
    locks = memory(world)
    begun, tried = len(files.log), locks.open

    def marking(sealed, authorisation):  # type: ignore[no-untyped-def] # as ports.PinLocks
        files.mark("tried")
        return tried(sealed, authorisation)

    locks.open = marking  # type: ignore[method-assign]
    world.device = replace(world.device, run=files.hashing)
    assert world.login("1357" + world.passcode()[4:]).answer.result == Result.DENIED
    at = next(number for number, each in enumerate(files.log) if number >= begun and each.what == "tried")
    for length, disk in disks(files, begun, tmp_path / "store", tmp_path / "disks"):
        failures = reopened(world, disk).held.failures
        assert failures == 1 if length > at else failures in (0, 1)


def test_s25_a_power_cut_while_the_lock_is_made_leaves_days_that_open(tmp_path: Path) -> None:
    files = RecordingFiles()
    world = a_locking_world(tmp_path / "store", files=files)
    world.go_offline()
    begun = len(files.log)
    assert world.login(world.passcode()).answer.result == Result.GRANTED
    seen = set()
    for _, disk in disks(files, begun, tmp_path / "store", tmp_path / "disks"):
        again = reopened(world, disk)
        seen.add(bool(again.held.pin_locks))
        assert all(is_locked(day) is bool(again.held.pin_locks) for day in days(again))
        for day in days(again):
            again.device.store.read_unit(day, range(day.first, day.last + 1))
    assert seen == {False, True}
    world.next_code()
    last = reopened(world, disk)
    assert last.login(last.passcode()).answer.result == Result.GRANTED


def test_s25_a_success_online_is_forgotten_on_no_disk_and_behind_the_lock_neither(tmp_path: Path) -> None:
    files = RecordingFiles()
    world = a_locked_world(tmp_path / "store", files=files)
    world.go_online()
    begun, used = len(files.log), step(world)
    assert world.login(world.passcode()).answer.mode == "online"
    answered = len(files.log)
    for length, disk in disks(files, begun, tmp_path / "store", tmp_path / "disks"):
        again = reopened(world, disk)
        last = again.held.token_use(world.alice.token.token).last_used
        assert last == used if length >= answered else last <= used
        if length >= answered:
            assert min(records(again)) == used + 1
        for day in days(again):
            again.device.store.read_unit(day, range(day.first, day.last + 1))


def test_s31_the_old_pin_opens_nothing_that_came_after_it(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    old_pin = world.alice.pin
    copied = tmp_path / "copied"
    shutil.copytree(world.directory, copied)
    change_pin_elsewhere(world, "9876")
    contact_online(world)
    world.go_offline()
    assert world.login(world.passcode()).answer.result == Result.GRANTED
    world.next_code()
    # The copied state, with the lock of the old PIN, beside the files of today.
    for path in (world.directory / "units").iterdir():
        shutil.copy(path, copied / "units" / path.name)
    old = reopened(world, copied)
    now_held = days(world)
    for then, now in zip(days(old), now_held, strict=True):
        with pytest.raises(UnitDamaged):
            old.device.store.read_unit(replace(then, file=now.file), range(then.first, then.last + 1))
    assert old.login(old.passcode()).answer.result == Result.DENIED
    assert world.login(world.passcode(pin=old_pin)).answer.result == Result.DENIED


def test_s31_the_cached_secret_opens_behind_the_lock_after_a_new_generation(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    session = world.login(world.passcode()).session
    assert session is not None
    session.keep("os-password:alice", a_secret := session.offline_key)
    world.alice.policy = replace(world.alice.policy, os_password=True)
    world.alice.renew()
    contact_online(world)
    world.go_offline()
    world.next_code()
    again = world.login(world.passcode()).session
    assert again is not None
    assert again.open("os-password:alice") == a_secret


def test_s32_behind_the_lock_a_wrong_pin_takes_the_search_of_a_wrong_code(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    hashes, right = counting(world), world.passcode()
    wrong_pin = world.login("1357" + right[4:]).answer
    wrong_code = world.login(right[:4] + f"{(int(right[4:]) + 500) % 10**6:06}").answer
    assert hashes[0] == hashes[1] >= 2 * 512
    assert wrong_pin == wrong_code
    assert (memory(world).shown, memory(world).failed) == (2, 1)


def test_s34_in_lockout_every_emergency_code_opens_and_leaves_the_lock_alone(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    memory(world).failed = memory(world).most_tries
    shown = memory(world).shown
    assert world.login(world.passcode()).answer.reason is RefusalReason.PIN_LOCKOUT
    for typed in (world.alice.passcode, world.alice.pin + world.alice.tokencode):
        assert world.login(typed).answer.result == Result.GRANTED
    assert memory(world).shown == shown + 1
    world = reopened(world)
    assert world.login(world.alice.passcode).answer.result == Result.GRANTED
    contact_online(world)
    assert all(is_locked(day) for day in days(world))


def test_s34_a_lock_that_is_damaged_keeps_no_emergency_code_from_opening(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    memory(world).clear()
    assert world.login(world.passcode()).answer.reason is RefusalReason.DAMAGED
    assert world.login(world.alice.passcode).answer.result == Result.GRANTED
