"""The contract of PIN locks: those of a TPM, and those in memory that the device's tests use."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sparekey.agent.ground.ports import LockedOut, PinLocks, StoreUnreadable, WrongPin
from sparekey.agent.platform.posix import PosixFiles
from sparekey.agent.store.key_choice import make_keys
from sparekey.secret import Secret
from tests.agent.pin_locks import MemoryPinLocks

RIGHT, WRONG = Secret(bytes(32)), Secret(b"w" * 32)
SECRET = Secret(bytes(range(32)))


@pytest.fixture(params=["memory", pytest.param("tpm", marks=pytest.mark.services)])
def locks(request: pytest.FixtureRequest, tmp_path: Path) -> PinLocks:
    """Return the locks of a TPM that takes three wrong tries by default."""
    if request.param == "memory":
        return MemoryPinLocks(most_tries=3)
    found = make_keys(tmp_path / "store", PosixFiles(), request.getfixturevalue("swtpm").tcti).keys.pin_locks
    assert found is not None
    return found


def test_a_secret_comes_back_for_its_authorisation_alone(locks: PinLocks) -> None:
    sealed = locks.seal(SECRET, RIGHT)
    assert locks.seal(SECRET, RIGHT) != sealed
    assert SECRET.reveal() not in sealed
    with pytest.raises(WrongPin):
        locks.open(sealed, WRONG)
    assert locks.open(sealed, RIGHT) == SECRET


def test_a_right_pin_does_not_reset_the_wrong_ones(locks: PinLocks) -> None:
    sealed = locks.seal(SECRET, RIGHT)
    for attempt in range(locks.count().tries):
        with pytest.raises(WrongPin):
            locks.open(sealed, WRONG)
        if attempt == 0:
            assert locks.open(sealed, RIGHT) == SECRET
    for authorisation in (RIGHT, WRONG):
        with pytest.raises(LockedOut):
            locks.open(sealed, authorisation)
    locks.seal(SECRET, RIGHT)


def test_tries_are_set_where_they_may_be(locks: PinLocks) -> None:
    assert locks.count().tries == 3
    assert locks.ensure_tries(7) == locks.count().tries == 7
    assert locks.ensure_tries(5) == 7


@pytest.mark.parametrize("alter", [lambda sealed: sealed[:-1] + b"?", lambda sealed: sealed[:20], lambda _: b""])
def test_altered_data_do_not_open(locks: PinLocks, alter: Callable[[bytes], bytes]) -> None:
    with pytest.raises(StoreUnreadable):
        locks.open(alter(locks.seal(SECRET, RIGHT)), RIGHT)
