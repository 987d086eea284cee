"""The file of each unit: sealed pieces, written once, and rewritten without the records that must go.

- The header part of a unit, and its records in pieces of at most an hour, are each AES-256-GCM under a random key of
  their own. The keys are in the state only: a file from another source opens nothing.
- A rewrite gives new keys to the pieces that it opens. A piece behind a closed PIN lock is copied unchanged.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sparekey.agent.ground.ports import Files, StoreUnreadable
from sparekey.agent.ground.state import Piece, UnitEntry
from sparekey.agent.store.pin_lock import OpenedLock, StaysLocked
from sparekey.sealed import SealedUnit, erase_through, join_unit, split_records, split_unit
from sparekey.wire.signing import lp

HOUR: Final = 3600
EVENTS_PER_PIECE: Final = 60

_RECORD = 48
_TAG = 16
_ZERO_NONCE: Final = bytes(12)  # safe because each piece key seals one piece once; a rewrite takes a new key


class UnitDamaged(Exception):
    """The file of a unit is missing, altered, or does not belong to this state."""


@dataclass(frozen=True)
class StoredUnit:
    """A unit as read from disk. Pieces behind a PIN lock are still locked."""

    entry: UnitEntry
    header_part: bytes = field(repr=False)
    records: dict[int, bytes] = field(repr=False)
    locked: tuple[tuple[Piece, bytes], ...] = field(repr=False)

    def join(self, opened: OpenedLock | None = None) -> bytes:
        """Return the unit.

        Without its lock, random bytes replace the locked pieces: a search over them takes as long and finds nothing
        (S32). Raises UnitDamaged.
        """
        records = {piece.first: self._records_of(piece, sealed, opened) for piece, sealed in self.locked}
        return join_unit(self.header_part, self.records | records, self.entry.first, self.entry.count)

    def _records_of(self, piece: Piece, sealed: bytes, opened: OpenedLock | None) -> bytes:
        if opened is not None and opened.covers(self.entry):
            return _open(self.entry, piece, sealed, opened)
        return erase_through(secrets.token_bytes(piece.count * _RECORD), piece.first, self.entry.erased_through)


class UnitFiles:
    """The unit files of one store."""

    def __init__(self, directory: Path, files: Files) -> None:
        self._directory = directory
        self._files = files

    def write(self, unit: bytes, sealed: SealedUnit) -> UnitEntry:
        """Write a unit to disk. It is valid once its entry is committed."""
        header = sealed.header
        header_part, records = split_unit(unit)
        per_piece = HOUR // header.interval if 0 < header.interval <= HOUR else EVENTS_PER_PIECE
        pieces_of_records = split_records(records, header.first, per_piece)
        unit_hash = sealed_hash(unit)
        parts = [_seal(unit_hash, 0, 0, header_part)]
        parts += [_seal(unit_hash, first, len(piece) // _RECORD, piece) for first, piece in pieces_of_records.items()]
        file, pieces = self._write(parts)
        return UnitEntry(
            kind=header.kind.value,
            token=header.token,
            day=header.slot_day,
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
            pin_salt=header.pin_salt.hex(),
            unit_hash=unit_hash,
            file=file,
            header_size=len(header_part),
            pieces=pieces,
            erased_through=header.first - 1,
        )

    def read(self, entry: UnitEntry, numbers: range) -> StoredUnit:
        """Return the unit with the records of these numbers; other records may be missing, as if erased. Raises
        UnitDamaged."""
        (header, header_part), *cut = self._cut(entry)
        near = [(piece, part) for piece, part in cut if piece.first < numbers.stop and piece.last >= numbers.start]
        return StoredUnit(
            entry,
            _open(entry, header, header_part),
            {piece.first: _open(entry, piece, part) for piece, part in near if not piece.locked},
            tuple((piece, part) for piece, part in near if piece.locked),
        )

    def rewrite(self, entry: UnitEntry, through: int, opened: OpenedLock | None) -> UnitEntry | None:
        """Return the entry without the records up to `through`, under new keys in a new file.

        None if nothing is left. None also if the file cannot be read, because it must not stay with its records.
        """
        try:
            header, *cut = self._cut(entry)
            left = [(piece, part) for piece, part in cut if piece.last > through]
            parts = [_rewritten(entry, piece, part, through, opened) for piece, part in (header, *left)]
        except UnitDamaged:
            return None
        if not left:
            return None
        file, pieces = self._write(parts)
        return replace(entry, file=file, pieces=pieces, erased_through=max(through, entry.erased_through))

    def names(self) -> list[str]:
        return self._files.names(self._directory)

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            self._files.remove(self._directory / name)

    def _write(self, parts: list[tuple[Piece, bytes]]) -> tuple[str, list[Piece]]:
        file = secrets.token_hex(16)
        path = self._directory / file
        self._files.write_new(path, b"".join(sealed for _, sealed in parts))
        self._files.sync(path)
        self._files.sync(path.parent)
        return file, [piece for piece, _ in parts]

    def _cut(self, entry: UnitEntry) -> list[tuple[Piece, bytes]]:
        """Return every piece with its ciphertext, the header part first."""
        try:
            sealed = self._files.read(self._directory / entry.file)
        except (OSError, StoreUnreadable) as error:
            raise UnitDamaged("the file of a unit cannot be read") from error
        parts, start = [], 0
        for piece in entry.pieces:
            size = (piece.count * _RECORD if piece.count else entry.header_size) + _TAG
            parts.append((piece, sealed[start : start + size]))
            start += size
        return parts


def sealed_hash(unit: bytes) -> str:
    """Return the SHA-256 of a unit as received, in hex. A unit is acknowledged by it."""
    return hashlib.sha256(unit).hexdigest()


def _rewritten(
    entry: UnitEntry, piece: Piece, sealed: bytes, through: int, opened: OpenedLock | None
) -> tuple[Piece, bytes]:
    if piece.locked and piece.first > through:
        return piece, sealed
    plain = _open(entry, piece, sealed, opened)
    left = erase_through(plain, piece.first, through) if piece.count else plain
    return _seal(entry.unit_hash, piece.first, piece.count, left)


def _seal(unit_hash: str, first: int, count: int, plain: bytes) -> tuple[Piece, bytes]:
    key = secrets.token_bytes(32)
    return Piece(first, count, key.hex()), AESGCM(key).encrypt(_ZERO_NONCE, plain, _bound_to(unit_hash, first, count))


def _open(entry: UnitEntry, piece: Piece, sealed: bytes, opened: OpenedLock | None = None) -> bytes:
    try:
        key = opened.key_of(entry, piece) if piece.locked and opened is not None else bytes.fromhex(piece.key)
        return AESGCM(key).decrypt(_ZERO_NONCE, sealed, _bound_to(entry.unit_hash, piece.first, piece.count))
    except (InvalidTag, StaysLocked, ValueError) as error:
        raise UnitDamaged("the file of a unit does not belong to this state") from error


def _bound_to(unit_hash: str, first: int, count: int) -> bytes:
    return b"sparekey/1/piece" + lp(unit_hash.encode()) + first.to_bytes(8, "big") + count.to_bytes(8, "big")
