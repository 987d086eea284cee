"""The contract of store keys: a root-only file, a TPM."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sparekey.agent.ground.ports import StoreKeys, StoreUnreadable
from sparekey.agent.platform.posix import PosixFiles
from sparekey.agent.store.file_keys import KEYS
from sparekey.agent.store.key_choice import AUTO, OFF, REQUIRED, forget_keys, make_keys, open_keys
from sparekey.agent.store.store import STATE
from sparekey.agent.tpm.keys import TPM_KEYS
from sparekey.wire.signing import BadSignature, verify_signature

Make = Callable[[Path], StoreKeys]


@pytest.fixture(params=["file", pytest.param("tpm", marks=pytest.mark.services)])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes keys in a directory."""
    wish = OFF if request.param == "file" else request.getfixturevalue("swtpm").tcti
    return lambda directory: make_keys(directory, PosixFiles(), wish).keys


@pytest.fixture
def keys(make: Make, tmp_path: Path) -> StoreKeys:
    return make(tmp_path / "store")


def committed(keys: StoreKeys, state: bytes) -> bytes:
    """Return the bytes on disk of a committed state."""
    sealed = keys.seal_state(state)
    keys.committed()
    return sealed


def test_a_committed_state_opens_again_and_again(keys: StoreKeys) -> None:
    sealed = committed(keys, b"one")
    assert keys.open_state(sealed) == keys.open_state(sealed) == b"one"
    assert keys.open_state(committed(keys, b"two")) == b"two"


def test_a_state_is_any_bytes(keys: StoreKeys) -> None:
    for state in (b"", bytes(100_000)):
        assert keys.open_state(committed(keys, state)) == state


def test_the_same_state_is_never_sealed_to_the_same_bytes(keys: StoreKeys) -> None:
    assert keys.seal_state(b"state") != keys.seal_state(b"state")


def test_a_state_does_not_show(keys: StoreKeys) -> None:
    assert b"a secret state" not in keys.seal_state(b"a secret state")


def test_reopened_keys_are_the_same(keys: StoreKeys, tmp_path: Path) -> None:
    sealed = committed(keys, b"state")
    again = open_keys(tmp_path / "store", PosixFiles())
    assert again.open_state(sealed) == b"state"
    assert again.device_secret() == keys.device_secret()
    assert again.public_key() == keys.public_key()
    assert again.hardware_bound == keys.hardware_bound


def test_the_device_secret_is_32_bytes_that_no_other_device_has(make: Make, tmp_path: Path) -> None:
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    assert len(one.device_secret()) == 32
    assert one.device_secret() != other.device_secret()
    assert one.public_key() != other.public_key()


def test_signatures_are_of_the_device_s_key(keys: StoreKeys) -> None:
    signature = keys.sign(b"message")
    verify_signature(keys.public_key(), signature, b"message")
    with pytest.raises(BadSignature):
        verify_signature(keys.public_key(), signature, b"another message")


@pytest.mark.parametrize("where", [0, 20, 60, -1])
def test_a_state_that_was_altered_does_not_open(keys: StoreKeys, where: int) -> None:
    sealed = bytearray(committed(keys, bytes(200)))
    sealed[where] ^= 1
    with pytest.raises(StoreUnreadable):
        keys.open_state(bytes(sealed))


@pytest.mark.parametrize("size", [0, 10, 30, 100, -1])
def test_a_state_that_was_cut_off_does_not_open(keys: StoreKeys, size: int) -> None:
    sealed = committed(keys, bytes(200))
    with pytest.raises(StoreUnreadable):
        keys.open_state(sealed[:size])


def test_a_state_of_other_keys_does_not_open(make: Make, tmp_path: Path) -> None:
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    with pytest.raises(StoreUnreadable):
        other.open_state(committed(one, b"state"))


def test_no_secret_shows_in_words(keys: StoreKeys) -> None:
    assert keys.device_secret().reveal().hex() not in f"{keys!r} {vars(keys)!r}"


@pytest.mark.parametrize("wish", [AUTO, REQUIRED, OFF])
def test_options_for_a_new_device_do_not_change_an_existing_one(keys: StoreKeys, tmp_path: Path, wish: str) -> None:
    again = open_keys(tmp_path / "store", PosixFiles(), wish)
    assert again.device_secret() == keys.device_secret()


def test_keys_that_are_forgotten_open_nothing(keys: StoreKeys, tmp_path: Path) -> None:
    forget_keys(tmp_path / "store", PosixFiles())
    assert {KEYS, TPM_KEYS}.isdisjoint(path.name for path in (tmp_path / "store").iterdir())
    with pytest.raises(StoreUnreadable) as caught:
        open_keys(tmp_path / "store", PosixFiles())
    assert caught.value.word == "not-enrolled"
    (tmp_path / "store" / STATE).write_bytes(b"what they sealed")
    with pytest.raises(StoreUnreadable) as caught:
        open_keys(tmp_path / "store", PosixFiles())
    assert caught.value.word == "no-key-file"


def test_an_invalid_key_file_is_reported_as_damaged(keys: StoreKeys, tmp_path: Path) -> None:
    (path,) = (tmp_path / "store").iterdir()
    for content in (b"", b"{}", b"[1]"):
        path.write_bytes(content)
        with pytest.raises(StoreUnreadable) as caught:
            open_keys(tmp_path / "store", PosixFiles())
        assert caught.value.word == "damaged"
