"""S23, S25: a change that counts although its answer was lost. The next step follows the state on disk."""

import errno
from pathlib import Path

import pytest

from sparekey.agent.ground.outcome import Result
from sparekey.agent.ground.ports import StoreKeys, StoreUnreadable
from sparekey.agent.platform.posix import PosixFiles
from sparekey.agent.store.store import ASIDE, STATE, UNITS
from sparekey.agent.tpm.keys import TpmKeys
from sparekey.sealed import verify_unit
from tests.agent.devices import World, a_world
from tests.agent.simulator import DEVICE
from tests.agent.store.test_erasing import day_records, files_of
from tests.swtpm import Swtpm

not_sure = pytest.mark.parametrize(
    "fault", ["sync", pytest.param("tpm", marks=pytest.mark.services)], indirect=True
)  # whether it counts

SUCCESS = 2  # an attempt commits its failure first, and then its success


class Faulty:
    """A fault that reports a failure once although the operation is done. `what`: the operation that fails."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._left = 0

    def arm(self, commit: int = SUCCESS) -> None:
        self._left = commit

    def reached(self) -> None:
        """A commit is due."""
        self._left -= 1

    def strikes(self, what: str) -> bool:
        if self.what != what or self._left != 0:
            return False
        self._left = -1
        return True


class FaultyFiles(PosixFiles):
    def __init__(self, fault: Faulty) -> None:
        self._fault = fault

    def write_new(self, path: Path, data: bytes) -> None:
        super().write_new(path, data)
        if path.name == ASIDE:
            self._fault.reached()

    def sync(self, path: Path) -> None:
        super().sync(path)
        if (path / STATE).exists() and not (path / ASIDE).exists() and self._fault.strikes("sync"):
            raise OSError(errno.EIO, "the disk does not say")

    def remove(self, path: Path) -> None:
        if path.parent.name == UNITS and self._fault.strikes("remove"):
            raise OSError(errno.EIO, "the disk does not do it")
        super().remove(path)


class FaultyTpmKeys(TpmKeys):
    fault: Faulty

    def committed(self) -> None:
        super().committed()
        if self.fault.strikes("tpm"):
            raise StoreUnreadable("not-committed", "no answer came, nor to the question whether it has counted")


@pytest.fixture(params=["sync", "remove", pytest.param("tpm", marks=pytest.mark.services)])
def fault(request: pytest.FixtureRequest) -> Faulty:
    """Each that there is."""
    return Faulty(request.param)


@pytest.fixture
def world(fault: Faulty, tmp_path: Path, request: pytest.FixtureRequest) -> World:
    """Return a device with Alice's offline data whose disk, or TPM, will fail. The network is cut."""
    directory, files, keys = tmp_path / "store", FaultyFiles(fault), None
    if fault.what == "tpm":
        keys = faulty_keys(fault, directory, files, request.getfixturevalue("swtpm"))
    world = a_world(directory, files=files, keys=keys).signed_in_online()
    world.go_offline()
    return world


def faulty_keys(fault: Faulty, directory: Path, files: FaultyFiles, tpm: Swtpm) -> StoreKeys:
    keys = FaultyTpmKeys.create(directory, files, tpm.tcti)
    keys.fault = fault
    return keys


def events(world: World) -> list[tuple[str, int]]:
    return [(str(event.kind), event.step) for event in world.device.state.events]


def named(world: World) -> set[str]:
    return {unit.file for unit in world.held.units}


def test_s23_a_commit_whose_answer_was_lost_leaves_no_old_file(world: World, fault: Faulty) -> None:
    typed, step = world.passcode(), world.alice.token.step(world.server.now)
    fault.arm()
    assert world.login(typed).answer.result in (Result.DENIED, Result.UNAVAILABLE)
    # A contact has written a unit meanwhile; its entry is not committed yet.
    unit = world.server.sealed[-1]
    keys = [bytes.fromhex(key) for key in world.device.state.enrolment.signing_keys]
    entry = world.device.store.write_unit(unit, verify_unit(unit, keys, DEVICE, world.held.generation))
    assert len(files_of(world).keys() - named(world)) >= 2
    assert world.login(typed).answer.result is Result.DENIED
    assert set(files_of(world)) == named(world) | {entry.file}
    assert min(day_records(world)) == step + 1
    assert events(world)[0] == ("granted", step)
    assert [kind for kind, _ in events(world)].count("granted") == 1


@not_sure
def test_s25_after_an_unsure_change_the_disk_is_asked_before_the_next_attempt(world: World, fault: Faulty) -> None:
    typed, step = world.passcode(), world.alice.token.step(world.server.now)
    fault.arm()
    assert world.login(typed).answer.result in (Result.DENIED, Result.UNAVAILABLE)
    # The use goes up before the attempt, so that the server knows that step.
    world.go_online()
    assert world.login(typed).answer.result is Result.DENIED
    assert world.server.calls[-3:] == ["events", "sign_in", "sync"]
    world.go_offline()
    world.next_code()
    assert world.login(world.passcode()).answer.result is Result.GRANTED
    assert events(world)[-1] == ("granted", step + 1)


@not_sure
def test_s25_the_committed_state_is_the_one_on_disk(world: World, fault: Faulty) -> None:
    fault.arm()
    world.login(world.passcode())
    step = world.alice.token.step(world.server.now)
    with world.device.store.steady():
        assert world.held.token_use(world.alice.token.token).last_used == step
        assert set(files_of(world)) == named(world)
