"""The keys of the store in a file that only root can read, for devices that use no TPM.

The weaknesses (see the threat model): a copied disk holds these keys too, so that only the cost of a guess protects the
data. A restored image is not noticed.
"""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sparekey.agent.ground.ports import ENROL_AGAIN, Files, PinLocks, StoreUnreadable, TpmFacts
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
    """The `ports.StoreKeys` of one file."""

    hardware_bound = False
    pin_locks: PinLocks | None = None

    def __init__(self, keys: _KeyFile) -> None:
        signing_key = serialization.load_der_private_key(bytes.fromhex(keys.signing_key), password=None)
        if not isinstance(signing_key, ec.EllipticCurvePrivateKey):
            raise StoreUnreadable("damaged", f"the key file of the store holds another kind of key; {ENROL_AGAIN}")
        self._signing_key = signing_key
        self._device_secret = Secret(bytes.fromhex(keys.device_secret))
        self._state_key = Secret(bytes.fromhex(keys.state_key))

    @classmethod
    def create(cls, directory: Path, files: Files) -> "FileKeys":
        """Make new keys and write them to disk. Raises FileExistsError if there are keys already."""
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
        """Open the key file. Raises StoreUnreadable."""
        try:
            return cls(decode(_KeyFile, files.read(directory / KEYS)))
        except FileNotFoundError as error:
            raise StoreUnreadable(
                "no-key-file", f"the key file {KEYS} of the store is missing, so its data are lost; {ENROL_AGAIN}"
            ) from error
        except (BadMessage, ValueError) as error:
            raise StoreUnreadable("damaged", f"the key file {KEYS} of the store is damaged; {ENROL_AGAIN}") from error

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
                raise StoreUnreadable("damaged", f"the state file was not written by this agent; {ENROL_AGAIN}")
            return AESGCM(self._state_key.reveal()).decrypt(nonce, sealed[start:], STATE_MAGIC)
        except (InvalidTag, ValueError) as error:
            raise StoreUnreadable(
                "damaged", f"the state file and the key file do not belong together; {ENROL_AGAIN}"
            ) from error

    def committed(self) -> None:
        """Do nothing: a file has no counter to move."""

    def forget(self) -> None:
        """Do nothing: there is nothing outside of the file."""

    def facts(self) -> TpmFacts | None:
        return None
