"""Row seals: a message authentication code over the columns of a database row that decide, under a key of the keystore.

Rules:
- The sealed message is `["sparekey/1/row-seal",KIND,VALUE,...]` as ASCII JSON without white space (spec/row-seals.md).
  KIND names the table and the columns' group, and a kind has one list of columns. So two rows never have one message.
- NULL is a value. Bytes are lower-case hexadecimal text, truth values are `true` and `false`.
- A seal is u32 key version || HMAC-SHA-256 of the message under the key of that version.
- Each purpose has its own key: a seal never passes for the id of a session, nor the other way round.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sparekey.secret import Secret

Value = str | int | bytes | bool | None

_LABEL: Final = "sparekey/1/row-seal"
_VERSION_BYTES: Final = 4
_JSON: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"), check_circular=False)
_TRUTH: Final[Mapping[object, bool]] = {0: False, 1: True}
_KEPT: Final = 4_096


@dataclass(frozen=True)
class SealedKind:
    """A group of columns of one table that one seal covers. `octets`, `truths`: places of bytes and of truth values."""

    name: str
    columns: tuple[str, ...]
    octets: tuple[int, ...] = ()
    truths: tuple[int, ...] = ()

    @property
    def table(self) -> str:
        """The name of the table."""
        return self.name.partition(".")[0]

    def message(self, values: Sequence[object]) -> bytes:
        """Return the bytes that are sealed. Raises TypeError, ValueError or KeyError for a value of a foreign type."""
        told = list(values)
        for place in self.octets:
            if told[place] is not None:
                told[place] = _hexadecimal(told[place])
        for place in self.truths:
            if told[place] is not None:
                told[place] = _TRUTH[told[place]]
        return _JSON.encode([_LABEL, self.name, *told]).encode("ascii")


class RowSeals:
    """Seals rows and verifies seals. One per process; safe to share between threads."""

    def __init__(self, keys: Mapping[int, Secret[bytes]], id_key: Secret[bytes]) -> None:
        """Take the keys of seals by version, of which the highest seals, and the key of ids."""
        self._keys: Final = {version.to_bytes(_VERSION_BYTES, "big"): key.reveal() for version, key in keys.items()}
        self._newest: Final = max(self._keys)
        self._id_key: Final = id_key.reveal()
        self.holds_again: Final = lru_cache(_KEPT)(self.holds)

    def seal(self, kind: SealedKind, values: Sequence[object]) -> bytes:
        """Return the seal of a row with these values, in the order of the kind's columns."""
        return self._newest + hmac.digest(self._keys[self._newest], kind.message(values), "sha256")

    def holds(self, kind: SealedKind, values: Sequence[object], seal: object) -> bool:
        """Return True if `seal` belongs to these values. A missing seal never does.

        `holds_again` is the same with a memory, for rows that many requests read.
        """
        if not isinstance(seal, bytes):
            return False
        key = self._keys.get(seal[:_VERSION_BYTES])
        if key is None:
            return False
        try:
            message = kind.message(values)
        except (TypeError, ValueError, KeyError):
            return False  # an intruder can store any type in any column of SQLite
        return hmac.compare_digest(seal[_VERSION_BYTES:], hmac.digest(key, message, "sha256"))

    def id_of(self, digest: bytes) -> bytes:
        """Return the id under which the holder of a secret with this digest is stored.

        An intruder who writes to the database cannot compute the id of a secret of their own choice.
        """
        return hmac.digest(self._id_key, digest, "sha256")


def _hexadecimal(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError("no bytes")
    return value.hex()
