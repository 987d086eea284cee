"""S25: the failure is on disk before the guess is tested; a power cut at any moment forgets neither it nor a use.

With a TPM its counter is part of what the power cut finds, and of the two files that may be there one opens.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.outcome import Result
from sparekey.agent.ground.ports import StoreUnreadable
from sparekey.agent.platform.posix import PosixFiles
from sparekey.agent.store.key_choice import make_keys, open_keys
from sparekey.agent.store.store import ASIDE, STATE
from tests.agent.devices import World, a_world, an_offline_world
from tests.agent.disk_recorder import RecordingFiles
from tests.agent.power_cuts import COMMIT, PowerCuts
from tests.swtpm import Swtpm


@pytest.fixture(params=["file", pytest.param("tpm", marks=pytest.mark.services)])
def cuts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PowerCuts]:
    """Return the power cuts of a device with keys of this kind."""
    cuts = PowerCuts(tmp_path, request.getfixturevalue("swtpm") if request.param == "tpm" else None)
    yield cuts
    cuts.close()


def a_recorded_world(cuts: PowerCuts, directory: Path) -> World:
    world = an_offline_world(directory / "store", files=cuts.files, keys=cuts.keys())
    world.device = replace(world.device, run=cuts.files.hashing)
    return world


def position(files: RecordingFiles, what: str, since: int) -> int:
    return next(number for number, each in enumerate(files.log) if number >= since and each.what == what)


def test_s25_a_wrong_guess_is_counted_on_every_disk_from_the_first_hash_on(cuts: PowerCuts, tmp_path: Path) -> None:
    world, files = a_recorded_world(cuts, tmp_path), cuts.files
    begun = len(files.log)
    assert world.login(world.alice.pin + "000000").answer.result == "denied"
    files.mark("answer")
    hashed = position(files, "hash", begun)
    assert begun < hashed
    for length, disk in cuts.disks(begun):
        failures = cuts.started_again(world, disk, length).held.failures
        assert failures == 1 if length > hashed else failures in (0, 1)


def test_s25_an_emergency_guess_is_counted_too(cuts: PowerCuts, tmp_path: Path) -> None:
    world, files = a_recorded_world(cuts, tmp_path), cuts.files
    begun = len(files.log)
    wrong_pin = "1357" + world.alice.tokencode
    assert world.login(wrong_pin).answer.result == "denied"
    hashed = position(files, "hash", begun)
    for length, disk in cuts.disks(hashed + 1):
        assert cuts.started_again(world, disk, length).held.emergency_failures == 1, length


def test_s25_a_success_that_was_answered_is_never_forgotten(cuts: PowerCuts, tmp_path: Path) -> None:
    world, files = a_recorded_world(cuts, tmp_path), cuts.files
    begun, step = len(files.log), world.alice.token.step(world.server.now)
    assert world.login(world.passcode()).answer.result == "granted"
    answered = len(files.log)
    for length, disk in cuts.disks(begun):
        again = cuts.started_again(world, disk, length)
        used = again.held.token_use(world.alice.token.token).last_used
        assert used == step if length >= answered else used <= step
        events = [event.kind for event in again.device.state.events]
        assert events == (["granted"] if used == step else [])


def test_s25_an_online_success_is_never_forgotten_either(cuts: PowerCuts, tmp_path: Path) -> None:
    world = a_world(tmp_path / "store", files=cuts.files, keys=cuts.keys()).signed_in_online()
    step = world.alice.token.step(world.server.now)
    assert world.login(world.passcode()).answer.mode == "online"
    for length, disk in cuts.disks(len(cuts.files.log)):
        assert cuts.started_again(world, disk, length).held.token_use(world.alice.token.token).last_used == step


def test_s25_an_interrupted_contact_leaves_a_store_with_whole_units(cuts: PowerCuts, tmp_path: Path) -> None:
    world = a_world(tmp_path / "store", files=cuts.files, keys=cuts.keys())
    assert world.login(world.passcode()).answer.mode == "online"
    begun = len(cuts.files.log)
    make_contact(world.device)
    for length, disk in cuts.disks(begun):
        again = cuts.started_again(world, disk, length)
        for entry in again.held.units:
            again.device.store.read_unit(entry, range(entry.first, entry.last + 1))


def opening(directory: Path, tcti: str) -> list[str]:
    """Return the files among the two that open as a state now."""
    keys, found = open_keys(directory, PosixFiles(), tcti), []
    for path in (directory / STATE, directory / ASIDE):
        try:
            keys.open_state(path.read_bytes())
            found.append(path.name)
        except (FileNotFoundError, StoreUnreadable):
            continue
    return found


@pytest.mark.parametrize("cuts", [pytest.param("tpm", marks=pytest.mark.services)], indirect=True)
def test_s25b_after_a_power_cut_at_any_moment_exactly_one_state_opens(cuts: PowerCuts, tmp_path: Path) -> None:
    world = a_recorded_world(cuts, tmp_path)
    begun = len(cuts.files.log)
    world.login(world.alice.pin + "000000")
    found = [opening(disk, cuts.tcti(length)) for length, disk in cuts.disks(begun)]
    assert all(len(each) == 1 for each in found)
    assert [STATE] in found
    assert [ASIDE] in found


@pytest.mark.parametrize("cuts", [pytest.param("tpm", marks=pytest.mark.services)], indirect=True)
def test_s25b_an_interrupted_commit_is_no_rollback_after_the_next_start(cuts: PowerCuts, tmp_path: Path) -> None:
    world = a_recorded_world(cuts, tmp_path)
    begun = len(cuts.files.log)
    world.login(world.alice.pin + "000000")
    before = position(cuts.files, COMMIT, begun)
    disk = next(disk for length, disk in cuts.disks(before) if (disk / ASIDE).exists())
    abandoned = (disk / ASIDE).read_bytes()
    again = cuts.started_again(world, disk, before)
    again.device.store.change(lambda state: state.with_user(replace(again.held, failures=1)))
    with pytest.raises(StoreUnreadable) as caught:
        again.device.store.keys.open_state(abandoned)
    assert caught.value.word == "older-state"


def test_s25b_an_increment_that_fails_is_no_change(swtpm: Swtpm, tmp_path: Path) -> None:
    files = FailingTpm(swtpm)
    world = an_offline_world(
        tmp_path / "store", files=files, keys=make_keys(tmp_path / "store", files, swtpm.tcti).keys
    )
    files.fails = True
    assert world.login(world.passcode()).answer.result is Result.UNAVAILABLE
    abandoned = (tmp_path / "store" / ASIDE).read_bytes()
    swtpm.switch_on()
    later = world.device.store.change(lambda state: replace(state, next_sync=state.next_sync + 1))
    assert later.get_user(world.alice.user).failures == 0
    # The abandoned state was sealed for a past value, so it is no alternative to the current state.
    with pytest.raises(StoreUnreadable) as caught:
        world.device.store.keys.open_state(abandoned)
    assert caught.value.word == "older-state"
    assert world.login(world.alice.pin + "000000").answer.result is Result.DENIED
    world.reopen()
    assert world.held.failures == 1
    assert world.login(world.passcode()).answer.result is Result.GRANTED


class FailingTpm(PosixFiles):
    """The TPM goes away once the state is written aside, when it should count."""

    def __init__(self, tpm: Swtpm) -> None:
        self.fails = False
        self._tpm = tpm

    def sync(self, path: Path) -> None:
        super().sync(path)
        if self.fails and path.is_dir() and (path / ASIDE).exists():
            self.fails = False
            self._tpm.switch_off()
