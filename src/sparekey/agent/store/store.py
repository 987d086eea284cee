"""The store on disk: one state file, and the files of the units.

- Every change of the state is written aside and synced, name and all; then the keys commit it, and it is renamed. After
  a power cut it is the old state or the new one, whole: of the two files that may be there, the one that opens counts.
  Under a TPM no more than one does.
- A change that broke off leaves open whether it came about: whatever comes next, a change or an attempt, asks the disk
  first. Then what it would have removed, or has written, goes if the state does not name it.
- At each commit what `erasing` says must not be on disk is taken out first: pieces are left out or rewritten under new
  keys, and the old file is removed before anybody is answered.
- No state is written with a key open that a PIN lock is for.
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
    """The device's memory. `change` is the only way to alter it; it returns when the change is on disk."""

    def __init__(self, directory: Path, files: Files, keys: StoreKeys, clock: Clock, state: State) -> None:
        self._directory = directory
        self._files = files
        self._keys = keys
        self._clock = clock
        self._state = state
        self._is_sure = True  # that `_state` is what the disk holds
        self._passing: set[str] = set()  # files of units that go, or stay, with a change that is not through
        self._units = UnitFiles(directory / UNITS, files)
        self._lock = threading.RLock()

    @classmethod
    def create(cls, directory: Path, files: Files, keys: StoreKeys, clock: Clock, state: State) -> "Store":
        """The store of a device that was enrolled just now."""
        files.make_directory(directory)
        files.make_directory(directory / UNITS)
        store = cls(directory, files, keys, clock, state)
        store._write(state)
        return store

    @classmethod
    def open(cls, directory: Path, files: Files, keys: StoreKeys, clock: Clock) -> "Store":
        """Raises `StoreUnreadable`. What an interrupted change left behind is removed."""
        files.verify_directory(directory)
        files.verify_directory(directory / UNITS)
        store = cls(directory, files, keys, clock, _read_state(directory, files, keys))
        # A power cut may have left a change that broke off, here or on a copy of this disk.
        store._is_sure = False
        store._remove_orphans()
        return store

    @staticmethod
    def erase(directory: Path, files: Files) -> None:
        """Remove the state and every unit. Call `store_keys.forget_keys` first: without its keys nothing opens."""
        if UNITS in files.names(directory):
            for name in files.names(directory / UNITS):
                files.remove(directory / UNITS / name)
        for name in (STATE, ASIDE):
            files.remove(directory / name)
        files.sync(directory)

    @property
    def state(self) -> State:
        """As last committed; after a change that broke off, as before it until somebody asks the disk."""
        return self._state

    @property
    def keys(self) -> StoreKeys:
        return self._keys

    @contextlib.contextmanager
    def steady(self) -> Iterator[None]:
        """Nothing changes meanwhile: the state is the disk's, and what it names is there."""
        with self._lock:
            self.make_sure()
            yield

    def make_sure(self) -> None:
        """After this the state is what the disk holds, and no file of a change that broke off is left. Whoever decides
        something asks first; an error here means that nothing can be decided.

        What broke off was sealed for the counter's next value, as the next change will be: so what counts is committed
        once more as it is, and takes that value away from it.
        """
        with self._lock:
            if not self._is_sure:
                self._state = _read_state(self._directory, self._files, self._keys)
                self._write(self._state)
            self._remove_passed()

    def trusted_time(self) -> TrustedTime:
        """Time by this state and the clocks as they are now."""
        return trusted_time(self._state.time, self._clock.reading())

    def begin(self) -> None:
        """Agent start: the mark is raised; what is past is erased, and what a sign-in could not erase any more."""
        self.change(lambda state: replace(after_cut_off(state), time=started(state.time, self._clock.reading())))

    def change(
        self, change: Callable[[State], State], opened: OpenedLock | None = None, *, always: bool = False
    ) -> State:
        """Commits `change` of the state, if it changes anything; when it returns, state and erasures are on disk. With
        an opened PIN lock single records behind it can be erased, too. `always`: also where it changes nothing, for
        nobody gets in whose device has lost its disk."""
        with self._lock:
            self.make_sure()
            before = self._state
            state = self._settled(_with_horizon(change(before)), opened)
            if state == before and not always:
                return before  # on disk already; and each commit wears the TPM's counter
            self._passing = _files_of(before) ^ _files_of(state)
            self._write(state)
            self._state = state
            self._remove_passed()
            return state

    def write_unit(self, unit: bytes, sealed: SealedUnit) -> UnitEntry:
        """Puts a unit on disk; it counts once its entry is committed."""
        return self._units.write(unit, sealed)

    def read_unit(self, entry: UnitEntry, numbers: range) -> StoredUnit:
        """The unit with the records of these numbers; others may be left out as if erased. Raises `UnitDamaged`."""
        with self._lock:
            return self._units.read(entry, numbers)

    def _settled(self, state: State, opened: OpenedLock | None) -> State:
        """Without what must not be on disk; what a lock is for stands under it."""
        state = standing(state)
        gone = decide_erasing(state, trusted_time(state.time, self._clock.reading()), opened)
        users = [
            replace(user, units=[left for each in user.units if (left := self._left(user, each, gone, opened))])
            for user in state.users
        ]
        return with_keys_locked(replace(state, users=users))

    def _left(
        self, user: UserState, entry: UnitEntry, gone: dict[str, int], opened: OpenedLock | None
    ) -> UnitEntry | None:
        """What is left of a unit; None: nothing."""
        through = gone[entry.file]
        if through >= entry.last:
            return None
        # What a new lock is for gets new keys: the old ones stood open in an earlier state.
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
        # Its name too: where the keys count, nothing else opens from the commit on.
        self._files.sync(self._directory)
        self._keys.committed()
        self._files.rename(aside, path)
        self._files.sync(self._directory)
        self._is_sure = True

    def _remove_passed(self) -> None:
        """Those alone: a refill may have written a unit whose entry is still to be committed."""
        self._units.remove(self._passing - _files_of(self._state))
        self._passing = set()

    def _remove_orphans(self) -> None:
        """Files that no state names: of an interrupted change, or planted. Their keys are nowhere."""
        self._units.remove(set(self._units.names()) - _files_of(self._state))


def _read_state(directory: Path, files: Files, keys: StoreKeys) -> State:
    """The one that counts, in its place. Raises `StoreUnreadable`: why the one in its place does not open."""
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
            # Committed, and cut off before it was renamed. The next change writes aside again.
            files.rename(directory / ASIDE, directory / STATE)
        # Before that its name is to be on disk, whatever became of the sync after the rename.
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
