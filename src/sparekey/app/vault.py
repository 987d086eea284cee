"""Encrypt the seeds, PINs, codes and keys in the database (envelope encryption, S81).

Rules:
- A ciphertext can be decrypted only in its own table, column and row, for its own owner and under its own key version.
  One that was moved or swapped inside the database cannot be decrypted.
- Data keys are stored wrapped by the keystore. Its master key is never in the database.
- Every failure is the same VaultError, which says nothing about the content.
"""

import hmac
import secrets
from collections.abc import Mapping
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection

from sparekey.app.ports import Keystore
from sparekey.core.row_seals import RowSeals
from sparekey.secret import Secret
from sparekey.storage import data_keys as stored

_VERSION_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32
_LABEL: Final = b"sparekey/1/vault"
_DERIVED_LABEL: Final = b"sparekey/1/derived"


class VaultError(RuntimeError):
    """A stored secret cannot be decrypted: the database was altered, or the keys belong to another database."""

    def __init__(self) -> None:
        super().__init__(
            "a stored secret cannot be opened: the database was altered, or the key directory belongs to another one"
        )


class Vault:
    """Encrypts and decrypts values with the database's data keys. One per process; safe to share between threads."""

    def __init__(self, keystore: Keystore, data_keys: Mapping[int, bytes]) -> None:
        """Unwrap the data keys, given by version; the highest encrypts. Raises KeystoreError, or VaultError if none."""
        if not data_keys:
            raise VaultError
        self._keys: Final = {
            version: Secret(keystore.unwrap(wrapped, _context(version))) for version, wrapped in data_keys.items()
        }
        self._newest: Final = max(data_keys)

    @classmethod
    def load(cls, connection: Connection, keystore: Keystore) -> Self:
        """Return the vault of an existing database. Raises KeystoreError, or VaultError if it has no data keys."""
        return cls(keystore, stored.list_wrapped(connection))

    @classmethod
    def create(cls, connection: Connection, keystore: Keystore, now: int) -> Self:
        """Make the first data key of a new database, in the caller's transaction. Raises KeystoreError."""
        version = 1
        wrapped = keystore.wrap(secrets.token_bytes(_KEY_BYTES), _context(version))
        stored.insert_wrapped(connection, version, wrapped, now)
        return cls(keystore, {version: wrapped})

    def seal(self, column: str, row_id: str, owner: str, plaintext: bytes) -> bytes:
        """Return the ciphertext for `column` ("table.column") of the row `row_id`, owned by `owner` ("token:ID", ...).

        Format: u32 key version || nonce 12 B || AES-256-GCM. Random nonces are safe because each (column, row, owner)
        has its own key: the limit of 2^32 nonces under one key (NIST SP 800-38D, 8.3) is never reached for one value of
        one row.
        """
        binding = _binding(column, row_id, owner, self._newest)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._row_key(self._newest, binding)).encrypt(nonce, plaintext, binding)
        return self._newest.to_bytes(_VERSION_BYTES, "big") + nonce + sealed

    def open(self, column: str, row_id: str, owner: str, ciphertext: bytes) -> Secret[bytes]:
        """Return the plaintext that `seal` encrypted for exactly this column, row and owner. Raises VaultError."""
        nonce_end = _VERSION_BYTES + _NONCE_BYTES
        version = int.from_bytes(ciphertext[:_VERSION_BYTES], "big")
        if len(ciphertext) < nonce_end + _TAG_BYTES or version not in self._keys:
            raise VaultError
        binding = _binding(column, row_id, owner, version)
        cipher = AESGCM(self._row_key(version, binding))
        try:
            return Secret(cipher.decrypt(ciphertext[_VERSION_BYTES:nonce_end], ciphertext[nonce_end:], binding))
        except InvalidTag:
            raise VaultError from None

    def row_seals(self) -> RowSeals:
        """Return the seals of the database's rows, under keys of their own derived from the data keys.

        Ids are derived from the oldest data key, so that a new data key changes no id.
        """
        seals = {version: self._derived(version, b"row-seal") for version in self._keys}
        return RowSeals(seals, self._derived(min(self._keys), b"id"))

    def _derived(self, version: int, purpose: bytes) -> Secret[bytes]:
        # HKDF-Expand, as in `_row_key`; safe because no binding of a ciphertext begins with this label
        text = _DERIVED_LABEL + version.to_bytes(_VERSION_BYTES, "big") + purpose
        return Secret(hmac.digest(self._keys[version].reveal(), text + b"\x01", "sha256"))

    def _row_key(self, version: int, binding: bytes) -> bytes:
        # HMAC of a uniform key is a pseudo-random function: HKDF-Expand (RFC 5869) of one block
        return hmac.digest(self._keys[version].reveal(), binding + b"\x01", "sha256")


def _context(version: int) -> bytes:
    return b"sparekey/1/data-key" + version.to_bytes(_VERSION_BYTES, "big")


def _binding(column: str, row_id: str, owner: str, version: int) -> bytes:
    """Return the associated data of a ciphertext. Each part has its length, so that no two bindings are equal."""
    table, _, name = column.partition(".")
    if not (table and name and row_id and owner):
        raise ValueError("give the column as `table.column`, and the row's id and its owner")
    parts = (text.encode() for text in (table, name, row_id, owner))
    return (
        _LABEL
        + version.to_bytes(_VERSION_BYTES, "big")
        + b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    )
