"""S24b, S25b, S31b, S33b, S34: the store under a TPM.

Copied disks, restored images and remnants open nothing. A lockout of the TPM stops only users who need a PIN lock.
"""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.outcome import RefusalReason, Result
from sparekey.agent.ground.ports import StoreUnreadable
from sparekey.agent.platform.posix import PosixFiles
from sparekey.agent.store.key_choice import AUTO, make_keys, open_keys
from sparekey.agent.store.store import Store
from sparekey.agent.store.wrapped_secrets import StaysClosed, UnlockedSecrets, _open
from sparekey.agent.tpm.keys import TPM_KEYS, TpmKeys, _read_head
from sparekey.sealed import unlock
from sparekey.secret import Secret
from tests.agent.devices import World, a_world, bytes_of
from tests.agent.disk_recorder import RecordingFiles
from tests.swtpm import Swtpm

PASSWORD = Secret(b"the cached password")


def a_tpm_world(directory: Path, tpm: Swtpm, files: PosixFiles | None = None) -> World:
    """Return a world with a TPM, Alice's offline data, a cached password, and the network."""
    files = files or PosixFiles()
    world = a_world(directory, files=files, keys=make_keys(directory, files, tpm.tcti).keys)
    world.alice.policy = replace(world.alice.policy, os_password=True)
    session = world.login(world.passcode()).session
    assert session is not None
    session.keep("os-password:alice", PASSWORD)
    make_contact(world.device)
    world.next_code()
    return world


def opened(directory: Path, world: World, tcti: str = AUTO) -> Store:
    files = PosixFiles()
    return Store.open(directory, files, open_keys(directory, files, tcti), world.clock)


def word_of(directory: Path, world: World, tcti: str = AUTO) -> str:
    """Return the reason why the store does not open."""
    with pytest.raises(StoreUnreadable) as caught:
        opened(directory, world, tcti)
    assert re.search("enrol|firmware|password", str(caught.value))  # the message has the next step
    return caught.value.word


def put_back(image: Path, directory: Path) -> None:
    shutil.rmtree(directory)
    shutil.copytree(image, directory)


def test_s24b_a_restored_disk_image_opens_to_nothing(tmp_path: Path, swtpm: Swtpm) -> None:
    store, image, newest = tmp_path / "store", tmp_path / "image", tmp_path / "newest"
    world = a_tpm_world(store, swtpm)
    world.go_offline()
    shutil.copytree(store, image)
    typed = world.passcode()
    assert world.login(typed).answer.result is Result.GRANTED
    shutil.copytree(store, newest)
    put_back(image, store)
    assert word_of(store, world) == "older-state"
    # Nor does the old state among the new files, or as one that was written and not yet renamed.
    put_back(newest, store)
    shutil.copy(image / "state", store / "state.new")
    (store / "state").unlink()
    assert word_of(store, world) == "older-state"
    put_back(newest, store)
    world.reopen()
    assert world.login(typed).answer.result is Result.DENIED


def test_s24b_a_store_copied_to_another_device_opens_to_nothing(tmp_path: Path, swtpm: Swtpm) -> None:
    world = a_tpm_world(tmp_path / "store", swtpm)
    with Swtpm() as other:
        for _ in range(2):  # its counters do not come to stand where ours stand, and it would not help
            make_keys(tmp_path / "theirs", PosixFiles(), other.tcti)
        assert word_of(tmp_path / "store", world, other.tcti) == "tpm-replaced"


def test_s24b_a_tpm_that_was_cleared_is_called_that(tmp_path: Path, swtpm: Swtpm) -> None:
    world = a_tpm_world(tmp_path / "store", swtpm)
    swtpm.clear()
    assert word_of(tmp_path / "store", world) == "tpm-cleared"


def test_s24b_a_tpm_that_was_replaced_is_called_that(tmp_path: Path, swtpm: Swtpm) -> None:
    world = a_tpm_world(tmp_path / "store", swtpm)
    swtpm.replace()
    assert word_of(tmp_path / "store", world) == "tpm-replaced"


def test_s24b_without_its_tpm_a_store_is_not_opened_another_way(tmp_path: Path, swtpm: Swtpm) -> None:
    world = a_tpm_world(tmp_path / "store", swtpm)
    world.go_offline()
    swtpm.switch_off()
    assert word_of(tmp_path / "store", world) == "no-tpm"
    answer = world.login(world.passcode()).answer
    assert (answer.result, answer.reason) == (Result.UNAVAILABLE, RefusalReason.KEYS)
    assert "no TPM answers" in answer.message
    swtpm.switch_on()
    world.reopen()
    assert world.login(world.passcode()).answer.result is Result.GRANTED


def test_s24b_a_tpm_with_an_owner_password_explains_the_next_step(tmp_path: Path, swtpm: Swtpm) -> None:
    world = a_tpm_world(tmp_path / "store", swtpm)
    swtpm.set_owner_password("theirs")
    assert word_of(tmp_path / "store", world) == "tpm-owner-password"
    with pytest.raises(StoreUnreadable) as caught:
        make_keys(tmp_path / "another", PosixFiles(), swtpm.tcti)
    assert caught.value.word == "tpm-owner-password"
    assert not (tmp_path / "another" / TPM_KEYS).exists()


def test_s24b_a_recreated_counter_opens_nothing(tmp_path: Path, swtpm: Swtpm) -> None:
    world = a_tpm_world(tmp_path / "store", swtpm)
    keys = world.device.store.keys
    assert isinstance(keys, TpmKeys)
    index = f"{keys._counter.index:#x}"
    swtpm.tool("tpm2_nvundefine", "-C", "o", index)
    assert word_of(tmp_path / "store", world) == "tpm-counter-gone"
    # A counter that takes any value replaces it, but has another name.
    swtpm.tool("tpm2_nvdefine", "-C", "o", "-s", "8", "-a", "authread|authwrite|no_da", index)
    assert word_of(tmp_path / "store", world) == "tpm-counter-gone"


def test_s25b_the_failure_counter_survives_restoring_the_file(tmp_path: Path, swtpm: Swtpm) -> None:
    store, image, newest = tmp_path / "store", tmp_path / "image", tmp_path / "newest"
    world = a_tpm_world(store, swtpm)
    world.go_offline()
    shutil.copytree(store, image)
    assert world.login(world.alice.pin + "000000").answer.result is Result.DENIED
    shutil.copytree(store, newest)
    for restored in (["state"], [path.name for path in image.iterdir()]):
        for name in restored:
            if (image / name).is_file():
                shutil.copy(image / name, store / name)
        assert word_of(store, world) == "older-state"
        put_back(newest, store)
    world.reopen()
    assert world.held.failures == 1


def test_s31b_after_a_new_pin_the_whole_old_store_opens_to_nothing(tmp_path: Path, swtpm: Swtpm) -> None:
    store, image = tmp_path / "store", tmp_path / "image"
    world = a_tpm_world(store, swtpm)
    shutil.copytree(store, image)
    world.alice.set_pin("9876")
    world.alice.renew()
    make_contact(world.device)
    assert word_of(image, world) == "older-state"
    swtpm.reset()
    assert word_of(image, world) == "older-state"
    world.reopen()
    world.go_offline()
    assert world.login(world.passcode()).answer.result is Result.GRANTED


def test_s33b_server_and_copied_disk_together_open_no_cached_password(tmp_path: Path, swtpm: Swtpm) -> None:
    world = a_tpm_world(tmp_path / "store", swtpm)
    offline_key = world.alice.key
    session = UnlockedSecrets(world.device.store, world.alice.user, offline_key)
    assert session.open("os-password:alice") == PASSWORD
    # The thief has the server's key, every byte of the disk, and even the wrapped keys, but not the TPM.
    (wrapped,) = world.held.secrets
    disk = bytes_of(tmp_path / "store")
    assert PASSWORD.reveal() not in disk
    hexes = [bytes.fromhex(run.decode()) for run in re.findall(rb"(?:[0-9a-f]{2}){32,}", disk)]
    candidates = {run[i : i + 32] for run in [*hexes, disk[-4096:]] for i in range(len(run) - 31)} | {bytes(32)}
    for candidate in candidates:
        key = unlock(offline_key, Secret(candidate), world.alice.user, "os-password:alice")
        with pytest.raises(StaysClosed):
            _open(key, wrapped)
    with Swtpm() as other:
        assert word_of(tmp_path / "store", world, other.tcti) == "tpm-replaced"


def test_s34_in_lockout_the_emergency_passcode_still_opens(tmp_path: Path, swtpm: Swtpm) -> None:
    world = a_tpm_world(tmp_path / "store", swtpm)
    world.go_offline()
    swtpm.lock_out()
    world.reopen()
    for typed in (world.alice.passcode, world.alice.pin + world.alice.tokencode, world.passcode()):
        login = world.login(typed)
        assert login.answer.result is Result.GRANTED, login.answer
        assert login.session is not None
        assert login.session.open("os-password:alice") == PASSWORD
    assert world.login(world.alice.pin + "000000").answer.result is Result.DENIED
    facts = world.device.store.keys.facts()
    assert facts is not None
    assert facts.in_lockout
    world.reopen()
    assert world.held.failures == 1


def test_s34_remnants_of_older_states_open_to_nothing(tmp_path: Path, swtpm: Swtpm) -> None:
    files = RecordingFiles()
    world = a_tpm_world(tmp_path / "store", swtpm, files)
    world.go_offline()
    world.login(world.passcode())
    keys = world.device.store.keys
    assert isinstance(keys, TpmKeys)
    # Flash keeps overwritten data: every state that was ever written is found again.
    *older, newest = [each.data for each in files.log if each.what == "write" and each.path.name == "state.new"]
    assert len(older) > 5
    value, sealed_key, _ = _read_head(newest)
    with keys._visit() as visit:
        current = visit.unseal_at(sealed_key, keys._counter, value)
    for state in older:
        with pytest.raises(StoreUnreadable) as caught:
            keys.open_state(state)
        assert caught.value.word == "older-state"
        length = _read_head(state)[2]
        with pytest.raises(InvalidTag):
            AESGCM(current.reveal()).decrypt(bytes(12), state[length:], state[:length])
    assert keys.open_state(newest)
