"""Erasing records of a unit, and cutting a unit into the pieces that a device stores. The signature stays valid.

- An erased record is 48 zero bytes. The signature covers the hash of the records as sealed, not the records.
- A unit is stored as its header part and its records in pieces, so that a rewrite touches one piece.
"""

from collections.abc import Mapping

from sparekey.sealed.format import cut_unit
from sparekey.sealed.primitives import RECORD_BYTES


def split_unit(unit: bytes) -> tuple[bytes, bytes]:
    """Return the header part (every byte before the records) and the records. Raises Malformed."""
    parts = cut_unit(unit)
    return parts.header_part, parts.records


def erase_through(records: bytes, first: int, last_used: int) -> bytes:
    """Return the records, the first of which has the number `first`, with every record i <= `last_used` erased."""
    erased = min(max(last_used - first + 1, 0) * RECORD_BYTES, len(records))
    return bytes(erased) + records[erased:]


def split_records(records: bytes, first: int, per_piece: int) -> dict[int, bytes]:
    """Return the records in pieces of at most `per_piece`, each under the number of its first record."""
    size = per_piece * RECORD_BYTES
    return {first + start // RECORD_BYTES: records[start : start + size] for start in range(0, len(records), size)}


def join_unit(header_part: bytes, pieces: Mapping[int, bytes], first: int, count: int) -> bytes:
    """Return the unit. Records of missing pieces are erased ones. Raises ValueError if a piece does not belong to
    it."""
    records = bytearray(count * RECORD_BYTES)
    for number, piece in pieces.items():
        start = (number - first) * RECORD_BYTES
        if start < 0 or start + len(piece) > len(records):
            raise ValueError("a piece lies outside the unit")
        records[start : start + len(piece)] = piece
    return header_part + bytes(records)
