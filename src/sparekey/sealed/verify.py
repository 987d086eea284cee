"""Steps 1 to 3 of spec/offline-day.md, "Opening": the checks that these bytes are a unit for this device.

- The signature is checked before the header is parsed, so that the parser sees only bytes that the server signed.
- At receipt the records must be the signed ones too. Later some may have been erased.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sparekey.sealed.errors import BadUnitSignature, Malformed, Superseded, WrongDevice
from sparekey.sealed.format import Header, UnitParts, cut_unit, parse_header, verify_costs, verify_records_length
from sparekey.sealed.levels import LIMITS, LevelLimits
from sparekey.sealed.primitives import RECORD_BYTES, header_hash, is_erased

PINNED_KEYS_LIMIT = 4


@dataclass(frozen=True)
class SealedUnit:
    """A unit that the server signed for this device. Only `verify_unit` and `verify_stored` make one."""

    header: Header
    hh: bytes
    records: bytes = field(repr=False)

    def record(self, i: int) -> bytes:
        """Return the 48 bytes of record i. Raises IndexError if the unit has no such record."""
        if not self.header.first <= i <= self.header.last:
            raise IndexError("the unit has no such record")
        start = (i - self.header.first) * RECORD_BYTES
        return self.records[start : start + RECORD_BYTES]

    def is_erased(self, i: int) -> bool:
        return is_erased(self.record(i))


def verify_unit(
    unit: bytes, pinned_keys: Sequence[bytes], device: str, generation: int, *, _limits: LevelLimits = LIMITS
) -> SealedUnit:
    """Verify a unit at receipt: steps 1 to 3 without time, and the hash of all records.

    `pinned_keys` are raw Ed25519 public keys (32 bytes), at most four. `generation` is the one in the server's sync
    reply. Raises Malformed, BadUnitSignature, Weak, WrongDevice or Superseded, in that order.
    """
    parts, header = _verify_signed(unit, pinned_keys, _limits)
    if not hmac.compare_digest(hashlib.sha256(parts.records).digest(), parts.records_hash):
        raise Malformed("the records are not those that were signed")
    return _verify_meant_for(parts, header, device, generation)


def verify_stored(
    unit: bytes, pinned_keys: Sequence[bytes], device: str, generation: int, *, _limits: LevelLimits = LIMITS
) -> SealedUnit:
    """Verify a stored unit: like `verify_unit` without the hash of the records, because erased records are zero now.

    A record that was altered since then fails its own tag.
    """
    parts, header = _verify_signed(unit, pinned_keys, _limits)
    return _verify_meant_for(parts, header, device, generation)


def _verify_signed(unit: bytes, pinned_keys: Sequence[bytes], limits: LevelLimits) -> tuple[UnitParts, Header]:
    if not 1 <= len(pinned_keys) <= PINNED_KEYS_LIMIT:
        raise ValueError(f"pin 1 to {PINNED_KEYS_LIMIT} keys")
    parts = cut_unit(unit)
    if not any(_made_by(key, parts) for key in pinned_keys):
        raise BadUnitSignature("the signature is by none of the pinned keys")
    header = parse_header(parts.header)
    verify_records_length(header, parts.records)
    # Check the costs last: in a unit with wrong form they cannot be trusted.
    verify_costs(header, limits)
    return parts, header


def _made_by(key: bytes, parts: UnitParts) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(parts.signature, parts.signed)
    except InvalidSignature:
        return False
    return True


def _verify_meant_for(parts: UnitParts, header: Header, device: str, generation: int) -> SealedUnit:
    if header.device != device:
        raise WrongDevice("sealed for another device")
    if header.generation < generation:
        raise Superseded("sealed in an earlier generation")
    return SealedUnit(header, header_hash(parts.header), parts.records)
