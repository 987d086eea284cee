"""PIN locks of a real TPM (swtpm): the same sign-ins, and the TPM's own limits (S34)."""

from dataclasses import replace
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.outcome import Mode, RefusalReason, Result
from sparekey.agent.platform.posix import PosixFiles
from sparekey.agent.store.key_choice import make_keys
from sparekey.agent.store.pin_lock import is_locked
from sparekey.agent.store.status import status_of
from sparekey.core.offline.units import Protection
from tests.agent.devices import World, a_world
from tests.agent.pin_locks import LOCKING, change_pin_elsewhere, contact_online, days
from tests.swtpm import Swtpm

RESET = ("tpm2_dictionarylockout", "--clear-lockout")


def a_tpm_world(directory: Path, tpm: Swtpm) -> World:
    """Return a world with a TPM: Alice's days are locked, if they can be, and the network is cut."""
    world = a_world(directory, keys=make_keys(directory, PosixFiles(), tpm.tcti).keys)
    world.alice.policy = LOCKING
    world.signed_in_online()
    world.go_offline()
    granted(world)
    return world


def granted(world: World, typed: str | None = None) -> Mode:
    answer = world.login(world.passcode() if typed is None else typed).answer
    assert answer.result == Result.GRANTED, answer
    world.next_code()
    return answer.mode


def all_locked(world: World) -> bool:
    return bool(days(world)) and all(is_locked(day) for day in days(world))


def wrong_pins(world: World) -> int:
    """Return the number of wrong PINs that the TPM has counted."""
    facts = world.device.store.keys.facts()
    assert facts is not None
    return facts.failed


def lock_words(world: World) -> str:
    return str(status_of(world.device)["users"][0]["pin_lock"]["state"])


def test_s34_days_locked_by_a_tpm_open_with_the_pin_and_in_its_lockout_the_emergency_codes_do(
    tmp_path: Path, swtpm: Swtpm
) -> None:
    world = a_tpm_world(tmp_path / "store", swtpm)
    assert all_locked(world)
    world.reopen()
    assert granted(world) is Mode.OFFLINE
    assert wrong_pins(world) == 0
    assert world.login(world.passcode(pin="1357")).answer.reason is RefusalReason.WRONG_PASSCODE
    assert (wrong_pins(world), world.held.failures) == (1, 1)
    swtpm.lock_out()
    answer = world.login(world.passcode()).answer
    assert (answer.reason, world.held.failures) == (RefusalReason.PIN_LOCKOUT, 1)
    facts = world.device.store.keys.facts()
    assert facts is not None
    assert f"Wait up to {-(-facts.forgives_after // 60)} minute" in answer.message
    for typed in (world.alice.passcode, world.alice.pin + world.alice.tokencode):
        granted(world, typed)
    # Online the PIN is right, and the lock stays shut: what must go goes, and comes again.
    world.go_online()
    assert granted(world) is Mode.ONLINE
    make_contact(world.device)
    assert all_locked(world)
    assert len(days(world)) == 2


def test_s34_a_resettable_count_is_not_called_a_lock(tmp_path: Path, swtpm: Swtpm) -> None:
    """With a password on the TPM's lockout it is a lock, and keeps working as it was set up."""
    world = a_tpm_world(tmp_path / "store", swtpm)
    assert all_locked(world)
    assert told(world) == (Protection.TPM, "locked-resettable")
    assert "`systemd-ask-password | tpm2_changeauth -c lockout file:-`" in advice(world)
    assert world.login(world.passcode(pin="1357")).answer.reason is RefusalReason.WRONG_PASSCODE
    assert wrong_pins(world) == 1
    swtpm.tool(*RESET)  # as another system would
    assert wrong_pins(world) == 0

    swtpm.set_lockout_password("kept elsewhere")
    assert told(world) == (Protection.TPM_PIN_LOCK, "locked")
    assert advice(world) == ""
    assert world.login(world.passcode(pin="1357")).answer.reason is RefusalReason.WRONG_PASSCODE
    with pytest.raises(CalledProcessError):
        swtpm.tool(*RESET)
    assert wrong_pins(world) == 1
    assert granted(world) is Mode.OFFLINE
    # The lock of a new PIN, too: the tries are those that were set when there was no password.
    change_pin_elsewhere(world, "9876")
    contact_online(world)
    world.go_offline()
    granted(world)
    assert all_locked(world)
    assert granted(world) is Mode.OFFLINE
    assert told(world) == (Protection.TPM_PIN_LOCK, "locked")


def told(world: World) -> tuple[str, str]:
    """Return the protection as reported to the server, and the user's status."""
    contact_online(world)
    world.go_offline()
    assert status_of(world.device)["protection"]["word"] == world.server.protections[-1]
    return world.server.protections[-1], lock_words(world)


def advice(world: World) -> str:
    return str(status_of(world.device)["protection"]["advice"])


def test_a_pin_that_was_changed_elsewhere_costs_no_try_of_a_tpm(tmp_path: Path, swtpm: Swtpm) -> None:
    world = a_tpm_world(tmp_path / "store", swtpm)
    change_pin_elsewhere(world, "9876")
    world.go_online()
    assert granted(world) is Mode.ONLINE
    contact_online(world)
    world.go_offline()
    granted(world)
    assert all_locked(world)
    assert granted(world) is Mode.OFFLINE
    assert wrong_pins(world) == 0


@pytest.mark.parametrize(("password", "expected"), [("", "locked-resettable"), ("theirs", "too-few-tries")])
def test_a_tpm_with_a_fixed_and_too_low_limit_locks_nothing(
    tmp_path: Path, swtpm: Swtpm, password: str, expected: str
) -> None:
    if password:
        swtpm.set_lockout_password(password)
    world = a_tpm_world(tmp_path / "store", swtpm)
    assert lock_words(world) == expected
    assert all_locked(world) is (not password)
    assert replace(LOCKING, offline_failures=3) == LOCKING  # and two: 5; swtpm takes 3 as it comes
    assert granted(world) is Mode.OFFLINE
