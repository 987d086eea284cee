"""What the device needs from outside, as protocols: the server, the store's keys, files, clock and kernel.

Everything else in `agent` is portable; `platform_posix` and `server_client` are the adapters, tests bring their own.
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
    """Why the server was not reached."""

    OFFLINE = "offline"  # no route to any address, or no name
    SERVER_DOWN = "server-down"  # a route, but no answer
    TLS = "tls"  # an answer that is not our server's


class NotReached(Exception):
    """No answer of the server: offline data may answer instead."""

    def __init__(self, distance: Distance, why: str) -> None:
        super().__init__(why)
        self.distance = distance


class Refused(Exception):
    """The server answered, and the answer is no: final, never tried offline."""

    def __init__(self, reply: ErrorReply) -> None:
        super().__init__("; ".join(filter(None, (reply.message, reply.do))))
        self.reply = reply


class Server(Protocol):
    """The agent API. Every call raises `NotReached` or `Refused`."""

    def allow(self, seconds: float) -> None:
        """The calls from here on take at most so many seconds in all."""

    def events(self, request: EventsRequest) -> EventsReply: ...

    def sign_in(self, request: SignInRequest) -> SignInReply: ...

    def sync(self, request: SyncRequest) -> SyncReply: ...

    def unit(self, request: UnitRequest) -> bytes: ...

    def acknowledge(self, request: AcknowledgementRequest) -> AcknowledgementReply: ...


Connect = Callable[[], AbstractContextManager[Server]]


class StoreUnreadable(Exception):
    """The store cannot be used; `word` says why, for programs, and the message for people."""

    def __init__(self, word: str, message: str) -> None:
        super().__init__(message)
        self.word = word


class WrongPin(Exception):
    """What was shown does not open the lock; the try was counted by whoever keeps it."""


class LockedOut(Exception):
    """Too many wrong PINs: the lock takes none for a while, whatever is shown."""


MOST_TRIES: Final = 64  # of wrong PINs in a row; twice what TPMs are shipped with
LEAST_FORGIVING: Final = 600  # seconds for one more: 144 a day


@dataclass(frozen=True)
class PinCount:
    """How wrong authorisations are counted. `resettable`: whoever reaches what counts can set the count back, from
    another system, too; nothing but a password would keep them from it, and there is none."""

    tries: int  # so many in a row are taken before the lockout; 0: there is no such protection
    forgives_after: int  # seconds, after which one of them is forgotten
    resettable: bool

    @property
    def is_narrow(self) -> bool:
        """Whether so few are taken, and so seldom another one, that a PIN is not found by trying."""
        return 0 < self.tries <= MOST_TRIES and self.forgives_after >= LEAST_FORGIVING

    @property
    def holds(self) -> bool:
        """Whether so few are tried by whoever it is."""
        return self.is_narrow and not self.resettable


class PinLocks(Protocol):
    """Secrets that come back only for the right authorisation, of which only a few wrong ones are tried (a TPM's
    dictionary-attack protection). Nothing but these counts towards that lockout, or waits for its end (S34)."""

    def count(self) -> PinCount:
        """How it is now; raises `StoreUnreadable`."""

    def ensure_tries(self, wanted: int) -> int:
        """Asks for at least so many where this device may set them; the tries that are in force then."""

    def seal(self, secret: Secret[bytes], authorisation: Secret[bytes]) -> bytes:
        """The secret (at most 64 bytes) under this authorisation (32 bytes)."""

    def open(self, sealed: bytes, authorisation: Secret[bytes]) -> Secret[bytes]:
        """The secret again. Raises `WrongPin`, `LockedOut`, `StoreUnreadable`."""


@dataclass(frozen=True)
class TpmFacts:
    """What a TPM says of itself; times in seconds."""

    maker: str
    model: str
    firmware: str
    tries: int  # wrong authorisations in a row until the lockout; 0: it counts none
    failed: int  # of these, so far
    forgives_after: int  # one of them each time
    in_lockout: bool
    lockout_password: bool
    owner_password: bool


class StoreKeys(Protocol):
    """The keys under everything that the device keeps: a root-only file, or a TPM."""

    hardware_bound: bool
    pin_locks: PinLocks | None  # None where nothing can keep count of wrong PINs

    def device_secret(self) -> Secret[bytes]:
        """32 bytes made on this device and never sent."""

    def public_key(self) -> bytes:
        """Of the device's P-256 key, SubjectPublicKeyInfo DER."""

    def sign(self, message: bytes) -> bytes:
        """ECDSA P-256 over SHA-256, DER."""

    def seal_state(self, state: bytes) -> bytes:
        """What to write to disk for this state."""

    def open_state(self, sealed: bytes) -> bytes:
        """The state again; raises `StoreUnreadable`."""

    def committed(self) -> None:
        """The state sealed last is on disk, written aside: from this moment on it alone is valid, and the one before
        opens to nothing where a TPM counts. Raises `StoreUnreadable` where that did not come about."""

    def forget(self) -> None:
        """Gives back what the keys take up outside of the store's files; raises `StoreUnreadable` where that fails."""

    def facts(self) -> TpmFacts | None:
        """Of the TPM that holds the keys; None where a file does. Raises `StoreUnreadable`."""


class Files(Protocol):
    """Files that only root reads. Nothing is on disk for sure before `sync` of the file and of its directory."""

    def make_directory(self, path: Path) -> None:
        """0700; an existing one must be this user's own and closed to others."""

    def verify_directory(self, path: Path) -> None:
        """Raises `StoreUnreadable` unless the directory is this user's own and closed to others."""

    def read(self, path: Path) -> bytes:
        """Raises `FileNotFoundError`; `StoreUnreadable` for a link, or a file that others may read."""

    def write_new(self, path: Path, data: bytes) -> None:
        """A new file, 0600; raises `FileExistsError`. Not on disk yet."""

    def sync(self, path: Path) -> None: ...

    def rename(self, path: Path, to: Path) -> None: ...

    def remove(self, path: Path) -> None:
        """Nothing happens if it is not there."""

    def names(self, path: Path) -> list[str]: ...


class Clock(Protocol):
    """What the system's clocks show."""

    def reading(self) -> ClockReading: ...
