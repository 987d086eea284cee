"""The store on disk: one state file, and one file of sealed pieces for each unit.

- Every change of the state is written aside and synced, name and all; then the keys commit it, and it is renamed. After
  a power cut it is the old state or the new one, whole: of the two files that may be there, the one that opens counts.
  Under a TPM no more than one does.
- A change that broke off leaves open whether it came about: the next one asks the disk first.
- A unit's header part and its records in pieces of at most an hour are each AES-256-GCM under a random key of their
  own; the keys live in the state alone, so that a file that did not come through a contact opens to nothing.
- At each commit what `erasing` says must not be on disk is taken out first: pieces are left out or rewritten under new
  keys, and the old file is removed before anybody is answered.
"""

import contextlib
import hashlib
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sparekey.agent.device_time import Judged, holding, judge, started
from sparekey.agent.erasing import decide_erasing
from sparekey.agent.ports import Clock, Files, StoreKeys, StoreUnreadable
from sparekey.agent.state import Piece, State, UnitEntry, state_from_bytes, state_to_bytes
from sparekey.agent.trusted_days import slot_day
from sparekey.sealed import SealedUnit, erase_through, join_unit, split_records, split_unit
from sparekey.wire.signing import lp

STATE: Final = "state"
ASIDE: Final = "state.new"
KEYS: Final = "store.key"
TPM_KEYS: Final = "store.tpm"
UNITS: Final = "units"
HOUR: Final = 3600
EVENTS_PER_PIECE: Final = 60

_RECORD = 48
_TAG = 16
_ZERO_NONCE: Final = bytes(12)  # every piece key seals one piece once: a rewrite takes a new key


class UnitDamaged(Exception):
    """A unit's file is missing, altered, or not the one that this state belongs to."""


class Store:
    """The device's memory. `change` is the only way to alter it; it returns when the change is on disk."""

    def __init__(self, directory: Path, files: Files, keys: StoreKeys, clock: Clock, state: State) -> None:
        self._directory = directory
        self._files = files
        self._keys = keys
        self._clock = clock
        self._state = state
        self._is_sure = True  # that `_state` is what the disk holds
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
        store._remove_orphans()
        return store

    @staticmethod
    def erase(directory: Path, files: Files) -> None:
        """Removes everything, the keys first: without them the rest opens to nothing."""
        for name in (KEYS, TPM_KEYS):
            files.remove(directory / name)
        files.sync(directory)
        if UNITS in files.names(directory):
            for name in files.names(directory / UNITS):
                files.remove(directory / UNITS / name)
        for name in (STATE, ASIDE):
            files.remove(directory / name)
        files.sync(directory)

    @property
    def state(self) -> State:
        """As last committed."""
        return self._state

    @property
    def keys(self) -> StoreKeys:
        return self._keys

    @contextlib.contextmanager
    def steady(self) -> Iterator[None]:
        """Nothing changes meanwhile: what the state names is on disk."""
        with self._lock:
            yield

    def judged(self) -> Judged:
        """Time by this state and the clocks as they are now."""
        return judge(self._state.time, self._clock.reading())

    def begin(self) -> None:
        """Agent start: the mark is raised, what is past is erased."""
        self.change(lambda state: replace(state, time=started(state.time, self._clock.reading())))

    def change(self, change: Callable[[State], State]) -> State:
        """Commits `change` of the state; when it returns, state and erasures are on disk."""
        with self._lock:
            if not self._is_sure:
                self._make_sure()
            before = self._state
            state = _with_horizon(change(before))
            state = self._erased(state)
            self._write(state)
            self._state = state
            self._remove(_files_of(before) - _files_of(state))
            return state

    def write_unit(self, unit: bytes, sealed: SealedUnit) -> UnitEntry:
        """Puts a unit on disk; it counts once its entry is committed."""
        header = sealed.header
        header_part, records = split_unit(unit)
        per_piece = HOUR // header.interval if 0 < header.interval <= HOUR else EVENTS_PER_PIECE
        pieces_of_records = split_records(records, header.first, per_piece)
        parts = [(0, 0, header_part)]
        parts += [(first, len(piece) // _RECORD, piece) for first, piece in pieces_of_records.items()]
        unit_hash = sealed_hash(unit)
        file, pieces = self._write_pieces(unit_hash, parts)
        return UnitEntry(
            kind=header.kind.value,
            token=header.token,
            day=slot_day(header),
            generation=header.generation,
            version=header.version,
            sealed_at=header.sealed_at,
            not_after=header.not_after,
            interval=header.interval,
            drift=header.drift,
            window=header.window,
            first=header.first,
            count=header.count,
            digits=header.digits,
            with_pin=bool(header.pin_salt),
            unit_hash=unit_hash,
            file=file,
            header_size=len(header_part),
            pieces=pieces,
            erased_through=header.first - 1,
        )

    def read_unit(self, entry: UnitEntry, numbers: range) -> bytes:
        """The unit with the records of these numbers; others may be left out as if erased. Raises `UnitDamaged`."""
        with self._lock:
            sealed = self._read_sealed(entry)
            wanted = [
                piece
                for piece in entry.pieces
                if piece.first < numbers.stop and piece.first + piece.count > numbers.start
            ]
            header_part = self._open_piece(entry, entry.pieces[0], sealed)
            records = {
                piece.first: self._open_piece(entry, piece, sealed) for piece in wanted if piece is not entry.pieces[0]
            }
        return join_unit(header_part, records, entry.first, entry.count)

    def _erased(self, state: State) -> State:
        gone = decide_erasing(state, judge(state.time, self._clock.reading()))
        users = [
            replace(user, units=[kept for entry in user.units if (kept := self._rewritten(entry, gone[entry.file]))])
            for user in state.users
        ]
        return replace(state, users=users)

    def _rewritten(self, entry: UnitEntry, gone_through: int) -> UnitEntry | None:
        """The entry without the records up to that one; None where nothing is left of it."""
        if gone_through >= entry.last:
            return None
        if gone_through <= entry.erased_through:
            return entry
        header, *pieces = entry.pieces
        left = [piece for piece in pieces if piece.first + piece.count - 1 > gone_through]
        try:
            sealed = self._read_sealed(entry)
            parts = [(0, 0, self._open_piece(entry, header, sealed))]
            for piece in left:
                records = erase_through(self._open_piece(entry, piece, sealed), piece.first, gone_through)
                parts.append((piece.first, piece.count, records))
        except UnitDamaged:
            # What cannot be read cannot be rewritten, and must not stay.
            return None
        file, written = self._write_pieces(entry.unit_hash, parts)
        return replace(entry, file=file, pieces=written, erased_through=gone_through)

    def _write_pieces(self, unit_hash: str, parts: Iterable[tuple[int, int, bytes]]) -> tuple[str, list[Piece]]:
        pieces, sealed = [], []
        for first, count, plain in parts:
            key = secrets.token_bytes(32)
            pieces.append(Piece(first, count, key.hex()))
            sealed.append(AESGCM(key).encrypt(_ZERO_NONCE, plain, _bound_to(unit_hash, first, count)))
        file = secrets.token_hex(16)
        path = self._directory / UNITS / file
        self._files.write_new(path, b"".join(sealed))
        self._files.sync(path)
        self._files.sync(path.parent)
        return file, pieces

    def _read_sealed(self, entry: UnitEntry) -> bytes:
        try:
            return self._files.read(self._directory / UNITS / entry.file)
        except (OSError, StoreUnreadable) as error:
            raise UnitDamaged("a unit's file cannot be read") from error

    def _open_piece(self, entry: UnitEntry, piece: Piece, sealed: bytes) -> bytes:
        start = 0
        for each in entry.pieces:
            size = (each.count * _RECORD if each.count else entry.header_size) + _TAG
            if each is piece:
                break
            start += size
        else:
            raise UnitDamaged("the unit has no such piece")
        try:
            key = AESGCM(bytes.fromhex(piece.key))
            return key.decrypt(
                _ZERO_NONCE, sealed[start : start + size], _bound_to(entry.unit_hash, piece.first, piece.count)
            )
        except (InvalidTag, ValueError) as error:
            raise UnitDamaged("a unit's file is not the one that this state belongs to") from error

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

    def _make_sure(self) -> None:
        """After a change that broke off. What it wrote was sealed for the counter's next value, as the next change will
        be: so what counts is committed once more as it is, and takes that value away from it."""
        self._state = _read_state(self._directory, self._files, self._keys)
        self._write(self._state)

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            self._files.remove(self._directory / UNITS / name)

    def _remove_orphans(self) -> None:
        """Files that no state names: of an interrupted change, or planted. Their keys are nowhere."""
        self._remove(set(self._files.names(self._directory / UNITS)) - _files_of(self._state))


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
            files.sync(directory)
        return state_from_bytes(state)
    if failures:
        raise failures[0]
    raise StoreUnreadable("not-enrolled", "this device is not enrolled, or its state file is missing")


def sealed_hash(unit: bytes) -> str:
    """What a unit is acknowledged by: SHA-256 of its bytes as received, hex."""
    return hashlib.sha256(unit).hexdigest()


def _files_of(state: State) -> set[str]:
    return {entry.file for user in state.users for entry in user.units}


def _with_horizon(state: State) -> State:
    units = [entry for user in state.users for entry in user.units]
    days = [entry.not_after for entry in units if not entry.is_emergency]
    return replace(state, time=holding(state.time, days, [entry.not_after for entry in units if entry.is_emergency]))


def _bound_to(unit_hash: str, first: int, count: int) -> bytes:
    return b"sparekey/1/piece" + lp(unit_hash.encode()) + first.to_bytes(8, "big") + count.to_bytes(8, "big")
