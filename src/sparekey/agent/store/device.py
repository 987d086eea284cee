"""The parts of one device that its actions share, and the lock that allows one attempt at a time."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from sparekey import clock
from sparekey.agent.ground.account_names import SAME_NAMES, Names
from sparekey.agent.ground.exempt_accounts import ExemptAccounts
from sparekey.agent.ground.ports import Clock, Connect, PinCount, StoreUnreadable
from sparekey.agent.ground.state import State
from sparekey.agent.store.store import Store
from sparekey.sealed import Run, one_by_one

ATTEMPT_WAIT = 60  # seconds that an attempt waits for the one before it


class AttemptInProgress(Exception):
    """The attempt before this one did not end in time."""


@dataclass
class _Counted:
    """The last answer of the TPM, and when it came (seconds since boot)."""

    count: PinCount | None = None
    at: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Heard:
    """The last message from the server in this process. Not every contact is written to disk, because with a TPM each
    write wears its counter."""

    contact: int = 0  # unix seconds by the server; 0: no message yet


@dataclass(frozen=True)
class ThisDevice:
    """An enrolled device.

    `run` spreads hashes over threads. `connect` opens a conversation with the server. `purposes` are the purposes for
    which the configuration allows secrets (module `secret_purposes`).
    """

    store: Store
    clock: Clock
    connect: Connect
    run: Run = one_by_one
    names: Names = SAME_NAMES
    exempt: ExemptAccounts = field(default_factory=ExemptAccounts)
    desktop_notices: bool = True
    purposes: frozenset[str] = frozenset()
    heard: Heard = field(default_factory=Heard, repr=False)
    _counted: _Counted = field(default_factory=_Counted, repr=False)
    _attempts: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _contacts: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def state(self) -> State:
        return self.store.state

    @property
    def last_contact(self) -> int:
        """Return the unix time of the last contact, by the server; 0 if there was none."""
        return max(self.state.time.contact, self.heard.contact)

    def pin_count(self, seconds_old: int) -> PinCount | None:
        """Return how the TPM counts wrong PINs, from an answer that is at most `seconds_old` seconds old. None if no
        TPM counts or answers."""
        with self._counted.lock:
            now = clock.since_boot()
            if self._counted.at is None or now - self._counted.at >= seconds_old:
                self._counted.count, self._counted.at = self._ask_count(), now
            return self._counted.count

    def _ask_count(self) -> PinCount | None:
        locks = self.store.keys.pin_locks
        try:
            return locks.count() if locks else None
        except StoreUnreadable:
            return None

    @contextlib.contextmanager
    def one_attempt(self) -> Iterator[None]:
        """Allow one attempt at a time; each starts from the state that the one before it left on disk. Raises
        AttemptInProgress, and StoreUnreadable if the disk cannot be read."""
        if not self._attempts.acquire(timeout=ATTEMPT_WAIT):
            raise AttemptInProgress
        try:
            self.store.make_sure()
            yield
        finally:
            self._attempts.release()

    @contextlib.contextmanager
    def one_contact(self) -> Iterator[None]:
        """Allow one contact at a time: a second one would fetch the same units."""
        with self._contacts:
            yield
