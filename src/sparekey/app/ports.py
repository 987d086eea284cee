"""What the use cases need from outside and that comes in more than one kind.

Rules: private keys never leave a keystore; each signing key serves one purpose and signs nothing else.
"""

from enum import StrEnum
from typing import Protocol

from sparekey.core import checkpoint
from sparekey.core.checkpoint import Checkpoint


class Purpose(StrEnum):
    """What a signing key is for. One key each, so that no signature can pass for another kind."""

    OFFLINE = "offline"  # sealed units (spec/offline-day.md)
    CHECKPOINT = "checkpoint"  # the heads of the audit chain

    @property
    def label(self) -> bytes:
        """How every message that this key signs begins; a keystore refuses others."""
        return {Purpose.OFFLINE: b"sparekey-offline/1\n", Purpose.CHECKPOINT: checkpoint.LABEL}[self]


class KeystoreError(RuntimeError):
    """The keystore cannot do it; says what to do, and nothing about keys or what they protect."""


class Keystore(Protocol):
    """Holds the master key and the signing keys, apart from the database and from its backups."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """`key` encrypted under the master key; only the same `context` opens it again."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The key that `wrap` was given. Raises KeystoreError if anything is not as it was."""
        ...

    def sign(self, purpose: Purpose, message: bytes) -> bytes:
        """Ed25519 (RFC 8032) over `message`, 64 bytes. Raises KeystoreError if it begins with another label."""
        ...

    def public_key(self, purpose: Purpose) -> bytes:
        """The raw Ed25519 public key, 32 bytes."""
        ...


class CheckpointStore(Protocol):
    """Where an instance keeps the newest audit checkpoint that it saw, out of the database's reach."""

    def newest(self) -> Checkpoint | None:
        """The checkpoint kept last; None: none yet."""
        ...

    def keep(self, checkpoint: Checkpoint) -> None:
        """Puts `checkpoint` in the place of the one before; durable when it returns."""
        ...

    def set_aside(self) -> None:
        """Keeps the newest one as evidence under another name: the database no longer holds what it vouches for."""
        ...
