"""The parts of one device that its actions share, and the one lock that keeps attempts apart."""

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


class Busy(Exception):
    """Another attempt did not end in time."""


@dataclass
class _Counted:
    """What the TPM said, and when (seconds since boot)."""

    count: PinCount | None = None
    at: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Heard:
    """What this process heard from the server last. Not every contact is written down: with a TPM that wears it."""

    contact: int = 0  # unix seconds by the server; 0: none yet


@dataclass(frozen=True)
class Device:
    """An enrolled device. `run` spreads hashes over threads; `connect` begins a conversation with the server;
    `purposes` are what its configuration lets secrets be kept for (`purposes`)."""

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
    _refills: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def state(self) -> State:
        return self.store.state

    @property
    def last_contact(self) -> int:
        """Unix seconds by the server; 0: there was none."""
        return max(self.state.time.contact, self.heard.contact)

    def pin_count(self, seconds_old: int) -> PinCount | None:
        """How wrong PINs are counted, as the TPM said at most so many seconds ago; None where no TPM counts, or none
        answers."""
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
        """One attempt at a time on this device, and each knows what the one before it has left on disk: raises `Busy`,
        and whatever keeps the store from asking its disk."""
        if not self._attempts.acquire(timeout=ATTEMPT_WAIT):
            raise Busy
        try:
            self.store.make_sure()
            yield
        finally:
            self._attempts.release()

    @contextlib.contextmanager
    def one_refill(self) -> Iterator[None]:
        """One refill at a time: a second would fetch the same units."""
        with self._refills:
            yield
