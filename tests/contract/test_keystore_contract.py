"""The contract of every keystore, wherever it keeps its keys."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sparekey.app.ports import KeyPurpose, Keystore, KeystoreError
from sparekey.keystore.file import FileKeystore
from tests.memory_keystore import MemoryKeystore

Maker = Callable[[], Keystore]


@pytest.fixture(params=["file", "memory"])
def make_keystore(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    """A new keystore, with new keys, at each call."""
    if request.param == "memory":
        return MemoryKeystore
    names = iter(range(100))
    return lambda: FileKeystore.create(tmp_path / f"keys-{next(names)}")


@pytest.fixture
def keystore(make_keystore: Maker) -> Keystore:
    return make_keystore()


def test_a_wrapped_key_opens_under_its_context(keystore: Keystore) -> None:
    wrapped = keystore.wrap(bytes(range(32)), b"data-key 1")
    assert keystore.unwrap(wrapped, b"data-key 1") == bytes(range(32))
    assert bytes(range(32)) not in wrapped


def test_wrapping_twice_never_gives_the_same_bytes(keystore: Keystore) -> None:
    assert keystore.wrap(bytes(32), b"") != keystore.wrap(bytes(32), b"")


def test_another_context_does_not_unwrap(keystore: Keystore) -> None:
    wrapped = keystore.wrap(bytes(32), b"data-key 1")
    with pytest.raises(KeystoreError):
        keystore.unwrap(wrapped, b"data-key 2")


def test_another_keystore_does_not_unwrap(make_keystore: Maker) -> None:
    wrapped = make_keystore().wrap(bytes(32), b"")
    with pytest.raises(KeystoreError):
        make_keystore().unwrap(wrapped, b"")


def test_no_altered_byte_unwraps(keystore: Keystore) -> None:
    wrapped = keystore.wrap(bytes(32), b"")
    for place in range(len(wrapped)):
        altered = wrapped[:place] + bytes([wrapped[place] ^ 1]) + wrapped[place + 1 :]
        with pytest.raises(KeystoreError):
            keystore.unwrap(altered, b"")


@pytest.mark.parametrize("length", [0, 1, 11, 12, 27, 28])
def test_nothing_cut_short_unwraps(keystore: Keystore, length: int) -> None:
    wrapped = keystore.wrap(bytes(32), b"")
    with pytest.raises(KeystoreError):
        keystore.unwrap(wrapped[:length], b"")


@pytest.mark.parametrize("purpose", KeyPurpose)
def test_a_signature_verifies_under_the_public_key(keystore: Keystore, purpose: KeyPurpose) -> None:
    message = purpose.label + b"content"
    public_key = keystore.public_key(purpose)
    assert len(public_key) == 32
    verifier = Ed25519PublicKey.from_public_bytes(public_key)
    verifier.verify(keystore.sign(purpose, message), message)
    with pytest.raises(InvalidSignature):
        verifier.verify(keystore.sign(purpose, message), message + b"!")


def test_each_purpose_has_a_key_of_its_own(keystore: Keystore) -> None:
    assert len({keystore.public_key(purpose) for purpose in KeyPurpose}) == len(KeyPurpose)


@pytest.mark.parametrize("purpose", KeyPurpose)
def test_a_key_signs_only_what_it_is_for(keystore: Keystore, purpose: KeyPurpose) -> None:
    others = [other.label + b"content" for other in KeyPurpose if other is not purpose]
    for message in (b"", b"content", purpose.label[:-1], *others):
        with pytest.raises(KeystoreError):
            keystore.sign(purpose, message)
