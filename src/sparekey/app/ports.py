"""What the use cases need from outside and that comes in more than one kind.

Rules: private keys never leave a keystore; each signing key serves one purpose and signs nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sparekey.core.audit_log import checkpoint
from sparekey.core.audit_log.checkpoint import Checkpoint
from sparekey.core.audit_log.export import ExportedEvent


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


@dataclass(frozen=True)
class Message:
    """One mail to one person."""

    id: str  # the same at every try, so that a receiver can tell that it has it already
    recipient: str
    subject: str
    body: str
    created_at: int  # unix seconds


class MailFailure(StrEnum):
    """Why a message was not sent, as far as it matters for the next try."""

    UNREACHABLE = "unreachable"  # no mail server, or it lets nobody in: no other message would fare better
    DEFERRED = "deferred"  # it does not take this message now
    REFUSED = "refused"  # it does not take this message at all


class MailError(RuntimeError):
    """A message was not sent; says why, and nothing of passwords or of what the message says."""

    def __init__(self, failure: MailFailure, why: str) -> None:
        super().__init__(why)
        self.failure = failure


class Mailer(Protocol):
    """Takes mail on its way."""

    def send(self, message: Message) -> None:
        """Returns once somebody else answers for it. Raises MailError, or ValueError for what can be no mail."""
        ...


class CollectorError(RuntimeError):
    """The collector did not confirm that it took the events; says why. It may have some of them."""


class EventCollector(Protocol):
    """Takes the record's events as they happen, somewhere else."""

    def send(self, events: Sequence[ExportedEvent]) -> None:
        """Returns once the collector has taken all of them, in this order. Raises CollectorError."""
        ...
