"""Ports: services outside the use cases that have several implementations, such as keystores and mail servers.

Rules: private keys never leave a keystore. Each signing key serves one purpose and signs nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sparekey.core.audit_log import checkpoint
from sparekey.core.audit_log.checkpoint import Checkpoint
from sparekey.core.audit_log.export import ExportedEvent
from sparekey.core.audit_log.watched import FactBook, Facts, Named


class KeyPurpose(StrEnum):
    """The purpose of a signing key. Each purpose has its own key, so that no signature passes for another kind."""

    OFFLINE = "offline"  # sealed units (spec/offline-day.md)
    CHECKPOINT = "checkpoint"  # the heads of the audit chain

    @property
    def label(self) -> bytes:
        """The first bytes of every message that this key signs. A keystore refuses other messages."""
        return {KeyPurpose.OFFLINE: b"sparekey-offline/1\n", KeyPurpose.CHECKPOINT: checkpoint.LABEL}[self]


class KeystoreError(RuntimeError):
    """The keystore failed. The message says what to do, and nothing about keys or the data they protect."""


class Keystore(Protocol):
    """Holds the master key and the signing keys, apart from the database and from its backups."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return `key`, encrypted under the master key. Only the same `context` decrypts it."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the key that `wrap` encrypted. Raises KeystoreError if the bytes or the context differ."""
        ...

    def sign(self, purpose: KeyPurpose, message: bytes) -> bytes:
        """Return the Ed25519 signature of `message` (RFC 8032, 64 bytes). Raises KeystoreError if its label differs."""
        ...

    def public_key(self, purpose: KeyPurpose) -> bytes:
        """Return the raw Ed25519 public key, 32 bytes."""
        ...


class CheckpointStore(Protocol):
    """The store of the newest audit checkpoint that an instance saw, outside the database."""

    def newest(self) -> Checkpoint | None:
        """Return the checkpoint kept last; None: none yet. Raises CheckpointError if it is damaged."""
        ...

    def keep(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint kept before. The new one is durable when this returns."""
        ...

    def set_aside(self) -> None:
        """Rename the newest checkpoint, to keep it as evidence: the database no longer holds the events it signs."""
        ...


class SealMark(Protocol):
    """Remembers beside the keys, outside the database, that its rows are sealed (`app.row_seals`)."""

    def sealed_at(self) -> str | None:
        """Return the revision whose columns are sealed; None: the rows were never sealed. Raises KeystoreError."""
        ...

    def keep(self, revision: str) -> None:
        """Replace the mark. It is durable when this returns. Raises KeystoreError."""
        ...


class WatchBook(FactBook, Protocol):
    """The facts that the audit log tells, kept outside the database, with the place up to which the log was read.

    Changes are kept by `commit`, all of them or none.
    """

    def head(self) -> tuple[int, bytes] | None:
        """Return number and hash of the last batch that was read; None: none yet."""
        ...

    def set_head(self, number: int, batch_hash: bytes) -> None:
        """Replace number and hash of the last batch that was read."""
        ...

    def list_after(self, after: Named | None, limit: int) -> Sequence[tuple[Named, Facts]]:
        """Return objects with their facts, in order of kind and key, from the one after `after`."""
        ...

    def count(self) -> int:
        """Return the number of objects."""
        ...

    def forget(self, named: Named) -> None:
        """Delete an object."""
        ...

    def told(self, named: Named) -> Mapping[str, str]:
        """Return the differences that an alarm was raised for: by fact, their text."""
        ...

    def set_told(self, named: Named, told: Mapping[str, str]) -> None:
        """Replace the differences that an alarm was raised for."""
        ...

    def start_over(self) -> None:
        """Delete everything, except the differences that an alarm was raised for."""
        ...

    def commit(self) -> None:
        """Keep the changes."""
        ...

    def rollback(self) -> None:
        """Discard the changes since the last commit."""
        ...


@dataclass(frozen=True)
class Message:
    """One mail to one person."""

    id: str  # the same at every try, so that a receiver can recognise a duplicate
    recipient: str
    subject: str
    body: str
    created_at: int  # unix seconds


class MailFailure(StrEnum):
    """The reason why a message was not sent, as far as it matters for the next try."""

    UNREACHABLE = "unreachable"  # no connection to the mail server, or no login: other messages would fail, too
    DEFERRED = "deferred"  # the mail server does not accept this message now
    REFUSED = "refused"  # the mail server does not accept this message at all


class MailError(RuntimeError):
    """A message was not sent. The text says why; it contains no password and nothing of the message."""

    def __init__(self, failure: MailFailure, why: str) -> None:
        super().__init__(why)
        self.failure = failure


class Mailer(Protocol):
    """Sends mail."""

    def send(self, message: Message) -> None:
        """Return once another mail server is responsible for the message.

        Raises MailError, or ValueError if the message cannot be a valid mail.
        """
        ...


class CollectorError(RuntimeError):
    """The collector did not confirm the events; the text says why. It may have some of them."""


class EventCollector(Protocol):
    """A program outside that receives the events of the audit log."""

    def send(self, events: Sequence[ExportedEvent]) -> None:
        """Return once the collector has all events, in this order. Raises CollectorError."""
        ...
