"""The store on disk: one state file, and one file for each unit.

- Each change of the state is written to a second file and synced, with its name. Then the keys commit it and it is
  renamed.
- After a power cut the disk has the old state or the new one, complete: of the two files, the one that opens is valid.
  Under a TPM at most one of them opens.
- After a change that failed halfway, memory and disk may differ. The next change or attempt reads the disk first, and
  then removes the unit files that the state does not name.
- Each commit first removes the records that `erasing` names: pieces are left out or rewritten under new keys. The old
  file is removed before anyone gets an answer.
- A key that belongs behind a PIN lock is never written unlocked.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from sparekey.agent.ground.device_time import TrustedTime, holding, started, trusted_time
from sparekey.agent.ground.ports import Clock, Files, StoreKeys, StoreUnreadable
from sparekey.agent.ground.state import State, UnitEntry, UserState, state_from_bytes, state_to_bytes
from sparekey.agent.store.erasing import after_cut_off, decide_erasing
from sparekey.agent.store.pin_lock import OpenedLock, needs_locking, standing, with_keys_locked
from sparekey.agent.store.unit_files import StoredUnit, UnitFiles
from sparekey.sealed import SealedUnit

STATE: Final = "state"
ASIDE: Final = "state.new"
UNITS: Final = "units"


class Store:
    """The memory of the device. Only `change` alters it, and it returns when the change is on disk."""

    def __init__(self, directory: Path, files: Files, keys: StoreKeys, clock: Clock, state: State) -> None:
        self._directory = directory
        self._files = files
        self._keys = keys
        self._clock = clock
        self._state = state
        self._is_sure = True  # True if `_state` is the state on disk
        self._passing: set[str] = set()  # unit files that the change in progress adds or removes
        self._units = UnitFiles(directory / UNITS, files)
        self._lock = threading.RLock()

    @classmethod
    def create(cls, directory: Path, files: Files, keys: StoreKeys, clock: Clock, state: State) -> "Store":
        """Create the store of a newly enrolled device."""
        files.make_directory(directory)
        files.make_directory(directory / UNITS)
        store = cls(directory, files, keys, clock, state)
        store._write(state)
        return store

    @classmethod
    def open(cls, directory: Path, files: Files, keys: StoreKeys, clock: Clock) -> "Store":
        """Open the store and remove the leftovers of an interrupted change. Raises StoreUnreadable."""
        files.verify_directory(directory)
        files.verify_directory(directory / UNITS)
        store = cls(directory, files, keys, clock, _read_state(directory, files, keys))
        # A power cut may have left a failed change on this disk or on a copy of it.
        store._is_sure = False
        store._remove_orphans()
        return store

    @staticmethod
    def erase(directory: Path, files: Files) -> None:
        """Remove the state and every unit. Call `key_choice.forget_keys` first: without its keys nothing opens."""
        if UNITS in files.names(directory):
            for name in files.names(directory / UNITS):
                files.remove(directory / UNITS / name)
        for name in (STATE, ASIDE):
            files.remove(directory / name)
        files.sync(directory)

    @property
    def state(self) -> State:
        """Return the state of the last commit. After a change that failed, this is the state before it, until
        `make_sure` reads the disk."""
        return self._state

    @property
    def keys(self) -> StoreKeys:
        return self._keys

    @contextlib.contextmanager
    def steady(self) -> Iterator[None]:
        """Hold the store still: within this context the state is the one on disk, and the files that it names exist."""
        with self._lock:
            self.make_sure()
            yield

    def make_sure(self) -> None:
        """Make the state in memory the one on disk, and remove the files of a change that failed.

        Every decision calls this first; if it raises, nothing can be decided. Raises StoreUnreadable.

        The failed change was sealed for the next value of the counter, as the next change will be. Committing the valid
        state again uses that value up, so that the failed change can never open.
        """
        with self._lock:
            if not self._is_sure:
                self._state = _read_state(self._directory, self._files, self._keys)
                self._write(self._state)
            self._remove_passed()

    def trusted_time(self) -> TrustedTime:
        """Return the time, by this state and the clocks now."""
        return trusted_time(self._state.time, self._clock.reading())

    def begin(self) -> None:
        """Raise the mark at the start of the agent, and erase what has expired and what a sign-in could no longer
        erase."""
        self.change(lambda state: replace(after_cut_off(state), time=started(state.time, self._clock.reading())))

    def change(
        self, change: Callable[[State], State], opened: OpenedLock | None = None, *, always: bool = False
    ) -> State:
        """Commit `change` of the state and return the new state; state and erasures are then on disk.

        A change that alters nothing is not written, unless `always` is True: a device that cannot write must not grant.
        With an opened PIN lock, single records behind it can be erased too. Raises StoreUnreadable.
        """
        with self._lock:
            self.make_sure()
            before = self._state
            state = self._settled(_with_horizon(change(before)), opened)
            if state == before and not always:
                return before  # already on disk; each commit also wears the counter of the TPM
            self._passing = _files_of(before) ^ _files_of(state)
            self._write(state)
            self._state = state
            self._remove_passed()
            return state

    def write_unit(self, unit: bytes, sealed: SealedUnit) -> UnitEntry:
        """Write a unit to disk. It is valid once its entry is committed."""
        return self._units.write(unit, sealed)

    def read_unit(self, entry: UnitEntry, numbers: range) -> StoredUnit:
        """Return the unit with the records of these numbers; other records may be missing, as if erased. Raises
        UnitDamaged."""
        with self._lock:
            return self._units.read(entry, numbers)

    def _settled(self, state: State, opened: OpenedLock | None) -> State:
        """Return the state without data that must not be on disk, and with each key that belongs behind a lock
        locked."""
        state = standing(state)
        gone = decide_erasing(state, trusted_time(state.time, self._clock.reading()), opened)
        users = [
            replace(user, units=[left for entry in user.units if (left := self._left(user, entry, gone, opened))])
            for user in state.users
        ]
        return with_keys_locked(replace(state, users=users))

    def _left(
        self, user: UserState, entry: UnitEntry, gone: dict[str, int], opened: OpenedLock | None
    ) -> UnitEntry | None:
        """Return the rest of a unit after erasure; None if nothing is left."""
        through = gone[entry.file]
        if through >= entry.last:
            return None
        # A unit behind a new lock gets new keys: an earlier state held the old ones unlocked.
        stood_open = needs_locking(user, entry) and entry.file in _files_of(self._state)
        if through > entry.erased_through or stood_open:
            return self._units.rewrite(entry, through, opened)
        return entry

    def _write(self, state: State) -> None:
        path, aside = self._directory / STATE, self._directory / ASIDE
        self._is_sure = False
        self._files.remove(aside)
        self._files.write_new(aside, self._keys.seal_state(state_to_bytes(state)))
        self._files.sync(aside)
        # Sync the name too: under a TPM, only this file opens after the commit.
        self._files.sync(self._directory)
        self._keys.committed()
        self._files.rename(aside, path)
        self._files.sync(self._directory)
        self._is_sure = True

    def _remove_passed(self) -> None:
        """Remove only the last change's unused files: a fetched unit may not have its entry in the state yet."""
        self._units.remove(self._passing - _files_of(self._state))
        self._passing = set()

    def _remove_orphans(self) -> None:
        """Remove files that no state names: leftovers of an interrupted change, or planted. Their keys exist
        nowhere."""
        self._units.remove(set(self._units.names()) - _files_of(self._state))


def _read_state(directory: Path, files: Files, keys: StoreKeys) -> State:
    """Return the valid state, and put it in its place. Raises StoreUnreadable with the reason of the file in place."""
    failures = []
    for name in (STATE, ASIDE):
        try:
            state = keys.open_state(files.read(directory / name))
        except FileNotFoundError:
            continue
        except StoreUnreadable as error:
            failures.append(error)
            continue
        if name == ASIDE:
            # This state was committed but not renamed. The next change writes to the second file again.
            files.rename(directory / ASIDE, directory / STATE)
        # Sync the name before the state is used, because the sync after the rename may have failed.
        files.sync(directory)
        return state_from_bytes(state)
    if failures:
        raise failures[0]
    raise StoreUnreadable("not-enrolled", "this device is not enrolled, or its state file is missing")


def _files_of(state: State) -> set[str]:
    return {entry.file for user in state.users for entry in user.units}


def _with_horizon(state: State) -> State:
    units = [entry for user in state.users for entry in user.units]
    days = [entry.not_after for entry in units if not entry.is_emergency]
    return replace(state, time=holding(state.time, days, [entry.not_after for entry in units if entry.is_emergency]))
