"""The outside of the device as protocols: the server, the keys of the store, files, the clock.

Everything else in `agent` is portable. `platform.posix` and `server_client` are the adapters; tests bring their own.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from sparekey.agent.ground.device_time import ClockReading
from sparekey.secret import Secret
from sparekey.wire.agent_api import (
    AcknowledgementReply,
    AcknowledgementRequest,
    ErrorReply,
    EventsReply,
    EventsRequest,
    SignInReply,
    SignInRequest,
    SyncReply,
    SyncRequest,
    UnitRequest,
)


class Distance(StrEnum):
    """The reason why the server was not reached."""

    OFFLINE = "offline"  # no route to any address, or the name is unknown
    SERVER_DOWN = "server-down"  # a route, but no answer
    TLS = "tls"  # an answer by another machine


class NotReached(Exception):
    """The server did not answer. The device may decide by its offline data."""

    def __init__(self, distance: Distance, why: str) -> None:
        super().__init__(why)
        self.distance = distance


class Refused(Exception):
    """The server answered and refused. This is final and never tried offline."""

    def __init__(self, reply: ErrorReply) -> None:
        super().__init__("; ".join(filter(None, (reply.message, reply.do))))
        self.reply = reply


class AgentApi(Protocol):
    """The agent API. Every call raises NotReached or Refused."""

    def allow(self, seconds: float) -> None:
        """Limit the time of all calls from here on, in seconds."""

    def events(self, request: EventsRequest) -> EventsReply: ...

    def sign_in(self, request: SignInRequest) -> SignInReply: ...

    def sync(self, request: SyncRequest) -> SyncReply: ...

    def unit(self, request: UnitRequest) -> bytes: ...

    def acknowledge(self, request: AcknowledgementRequest) -> AcknowledgementReply: ...


Connect = Callable[[], AbstractContextManager[AgentApi]]


class StoreUnreadable(Exception):
    """The store cannot be used. `word` is the reason for programs, the message the one for people."""

    def __init__(self, word: str, message: str) -> None:
        super().__init__(message)
        self.word = word


class WrongPin(Exception):
    """The PIN does not open the lock. The TPM has counted the try."""


class LockedOut(Exception):
    """Too many wrong PINs: the lock accepts no PIN for a while, not even the right one."""


ENROL_AGAIN: Final = "run `sparekey-agent clear --all` and enrol again"
MOST_TRIES: Final = 64  # wrong PINs in a row; twice the usual setting of a new TPM
LEAST_FORGIVING: Final = 600  # seconds until one more try, so 144 a day


@dataclass(frozen=True)
class PinCount:
    """The rules by which wrong authorisations are counted.

    `resettable` is True if the count can be reset from another system on this computer, because no password protects
    it.
    """

    tries: int  # wrong tries in a row until the lockout; 0 if there is no such limit
    forgives_after: int  # seconds until one wrong try is forgotten
    resettable: bool

    @property
    def is_narrow(self) -> bool:
        """Return True if a PIN cannot be found by trying: few tries in a row, and long waits between the others."""
        return 0 < self.tries <= MOST_TRIES and self.forgives_after >= LEAST_FORGIVING

    @property
    def holds(self) -> bool:
        """Return True if the limit also holds against an attacker who starts another system."""
        return self.is_narrow and not self.resettable


class PinLocks(Protocol):
    """Secrets that come back only for the right authorisation, behind a limit of wrong ones (the dictionary-attack
    protection of a TPM).

    Nothing else counts towards that lockout or waits for its end (S34).
    """

    def count(self) -> PinCount:
        """Return the rules by which wrong authorisations are counted now. Raises StoreUnreadable."""

    def ensure_tries(self, wanted: int) -> int:
        """Set the limit to at least `wanted` tries if this device may set it. Return the limit in force."""

    def seal(self, secret: Secret[bytes], authorisation: Secret[bytes]) -> bytes:
        """Seal a secret of at most 64 bytes under an authorisation of 32 bytes."""

    def open(self, sealed: bytes, authorisation: Secret[bytes]) -> Secret[bytes]:
        """Return the secret. Raises WrongPin, LockedOut or StoreUnreadable."""


@dataclass(frozen=True)
class TpmFacts:
    """The properties of a TPM. Times are in seconds."""

    maker: str
    model: str
    firmware: str
    tries: int  # wrong authorisations in a row until the lockout; 0 if they are not counted
    failed: int  # wrong authorisations counted up to now
    forgives_after: int  # seconds until one wrong try is forgotten
    in_lockout: bool
    lockout_password: bool
    owner_password: bool


class StoreKeys(Protocol):
    """The keys of all data that the device stores, in a file for root or in a TPM."""

    hardware_bound: bool
    pin_locks: PinLocks | None  # None if nothing can count wrong PINs

    def device_secret(self) -> Secret[bytes]:
        """Return the 32 bytes that were made on this device and are never sent."""

    def public_key(self) -> bytes:
        """Return the public half of the device's P-256 key, as SubjectPublicKeyInfo in DER."""

    def sign(self, message: bytes) -> bytes:
        """Return an ECDSA P-256 signature over SHA-256, in DER."""

    def seal_state(self, state: bytes) -> bytes:
        """Return the bytes to write to disk for this state."""

    def open_state(self, sealed: bytes) -> bytes:
        """Return the state. Raises StoreUnreadable."""

    def committed(self) -> None:
        """Make the state that was sealed last the valid one; it is already on disk, in the second file.

        From then on, under a TPM, the state before it opens nothing. Raises StoreUnreadable if the commit failed.
        """

    def forget(self) -> None:
        """Free what the keys use outside of the files of the store. Raises StoreUnreadable if that fails."""

    def facts(self) -> TpmFacts | None:
        """Return the properties of the TPM that holds the keys; None for a file. Raises StoreUnreadable."""


class Files(Protocol):
    """Files that only root can read. Data are on disk for certain only after `sync` of the file and of its
    directory."""

    def make_directory(self, path: Path) -> None:
        """Make the directory with mode 0700. An existing one must belong to this user and be closed to others. Raises
        StoreUnreadable."""

    def verify_directory(self, path: Path) -> None:
        """Raise StoreUnreadable unless the directory belongs to this user and is closed to others."""

    def read(self, path: Path) -> bytes:
        """Return the content. Raises FileNotFoundError, and StoreUnreadable for a link or a file that others can
        read."""

    def write_new(self, path: Path, data: bytes) -> None:
        """Write a new file with mode 0600, without syncing it. Raises FileExistsError."""

    def sync(self, path: Path) -> None: ...

    def rename(self, path: Path, to: Path) -> None: ...

    def remove(self, path: Path) -> None:
        """Remove the file if it exists."""

    def names(self, path: Path) -> list[str]: ...


class Clock(Protocol):
    """The clocks of the system."""

    def reading(self) -> ClockReading: ...
