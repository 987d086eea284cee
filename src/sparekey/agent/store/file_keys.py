"""The store's keys in a root-only file: for devices without a TPM, or until it is used.

What it costs (threat model): a copied disk holds these keys too and falls to the level's price; a restored image is
not noticed.
"""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sparekey.agent.ground.ports import Files, PinLocks, StoreUnreadable, TpmFacts
from sparekey.secret import Secret
from sparekey.wire import signing
from sparekey.wire.messages import BadMessage, decode, encode

KEYS: Final = "store.key"
STATE_MAGIC: Final = b"sparekey-state/1\n"
_NONCE_BYTES: Final = 12


@dataclass(frozen=True)
class _KeyFile:
    device_secret: str = field(repr=False)
    state_key: str = field(repr=False)
    signing_key: str = field(repr=False)  # PKCS#8, DER


class FileKeys:
    """`ports.StoreKeys` from one file."""

    hardware_bound = False
    pin_locks: PinLocks | None = None

    def __init__(self, keys: _KeyFile) -> None:
        signing_key = serialization.load_der_private_key(bytes.fromhex(keys.signing_key), password=None)
        if not isinstance(signing_key, ec.EllipticCurvePrivateKey):
            raise StoreUnreadable("damaged", "the store's key file holds another kind of key; enrol anew")
        self._signing_key = signing_key
        self._device_secret = Secret(bytes.fromhex(keys.device_secret))
        self._state_key = Secret(bytes.fromhex(keys.state_key))

    @classmethod
    def create(cls, directory: Path, files: Files) -> "FileKeys":
        """Fresh keys, on disk. Raises `FileExistsError` where there are some."""
        signing_key = ec.generate_private_key(ec.SECP256R1())
        der = signing_key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        keys = _KeyFile(secrets.token_hex(32), secrets.token_hex(32), der.hex())
        files.make_directory(directory)
        files.write_new(directory / KEYS, encode(keys))
        files.sync(directory / KEYS)
        files.sync(directory)
        return cls(keys)

    @classmethod
    def open(cls, directory: Path, files: Files) -> "FileKeys":
        """Raises `StoreUnreadable`."""
        try:
            return cls(decode(_KeyFile, files.read(directory / KEYS)))
        except FileNotFoundError as error:
            raise StoreUnreadable(
                "no-key-file", f"the store's key file {KEYS} is missing: what it opened is lost; clear and enrol anew"
            ) from error
        except (BadMessage, ValueError) as error:
            raise StoreUnreadable("damaged", f"the store's key file {KEYS} is damaged; clear and enrol anew") from error

    def device_secret(self) -> Secret[bytes]:
        return self._device_secret

    def public_key(self) -> bytes:
        return self._signing_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, message: bytes) -> bytes:
        return signing.sign(self._signing_key, message)

    def seal_state(self, state: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return STATE_MAGIC + nonce + AESGCM(self._state_key.reveal()).encrypt(nonce, state, STATE_MAGIC)

    def open_state(self, sealed: bytes) -> bytes:
        start = len(STATE_MAGIC) + _NONCE_BYTES
        nonce = sealed[len(STATE_MAGIC) : start]
        try:
            if not sealed.startswith(STATE_MAGIC):
                raise StoreUnreadable("damaged", "the state file is not one of this agent; clear and enrol anew")
            return AESGCM(self._state_key.reveal()).decrypt(nonce, sealed[start:], STATE_MAGIC)
        except (InvalidTag, ValueError) as error:
            raise StoreUnreadable(
                "damaged", "the state file and the key file do not belong together; clear and enrol anew"
            ) from error

    def committed(self) -> None:
        """Nothing counts on it here; a TPM's counter would move."""

    def forget(self) -> None:
        """There is nothing but the file."""

    def facts(self) -> TpmFacts | None:
        return None
