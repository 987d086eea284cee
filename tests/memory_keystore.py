"""Fakes of the server's ports in memory. The contract tests compare them with the real ones."""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sparekey.app.ports import KeyPurpose, KeystoreError
from sparekey.core.audit_log.checkpoint import Checkpoint


class MemoryKeystore:
    """A `Keystore` with its own keys in memory."""

    def __init__(self) -> None:
        self._master = AESGCM(secrets.token_bytes(32))
        self._signers = {purpose: Ed25519PrivateKey.generate() for purpose in KeyPurpose}

    def wrap(self, key: bytes, context: bytes) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + self._master.encrypt(nonce, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        try:
            return self._master.decrypt(wrapped[:12], wrapped[12:], context)
        except (InvalidTag, ValueError):
            raise KeystoreError("wrapped under another key or context") from None

    def sign(self, purpose: KeyPurpose, message: bytes) -> bytes:
        if not message.startswith(purpose.label):
            raise KeystoreError(f"the {purpose} key signs nothing else")
        return self._signers[purpose].sign(message)

    def public_key(self, purpose: KeyPurpose) -> bytes:
        return self._signers[purpose].public_key().public_bytes_raw()


class MemorySealMark:
    """A `SealMark` in a variable."""

    def __init__(self, revision: str | None = None) -> None:
        self._revision = revision

    def sealed_at(self) -> str | None:
        return self._revision

    def keep(self, revision: str) -> None:
        self._revision = revision


class MemoryCheckpoints:
    """A `CheckpointStore` in a variable."""

    def __init__(self) -> None:
        self._newest: Checkpoint | None = None
        self.set_aside_ones: list[Checkpoint] = []

    def newest(self) -> Checkpoint | None:
        return self._newest

    def keep(self, checkpoint: Checkpoint) -> None:
        self._newest = checkpoint

    def set_aside(self) -> None:
        if self._newest:
            self.set_aside_ones.append(self._newest)
        self._newest = None
