"""Encrypts what the database keeps of seeds, PINs, codes and keys (envelope encryption, S81).

Rules: a ciphertext opens only in its own table, column and row, for its own owner and under its own key version, so
that one moved or swapped inside the database opens to nothing; data keys are stored wrapped by the keystore, whose
master key is never in the database; every failure is one VaultError that says nothing of the content.
"""

import hmac
import secrets
from collections.abc import Mapping
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection

from sparekey.app.ports import Keystore
from sparekey.secret import Secret
from sparekey.storage import data_keys as stored

_VERSION_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32
_LABEL: Final = b"sparekey/1/vault"


class VaultError(RuntimeError):
    """A stored secret could not be opened: the database was altered, or these are another database's keys."""

    def __init__(self) -> None:
        super().__init__(
            "a stored secret cannot be opened: the database was altered, or the key directory belongs to another one"
        )


class Vault:
    """Seals and opens values with the database's data keys. One per process; safe to share between threads."""

    def __init__(self, keystore: Keystore, data_keys: Mapping[int, bytes]) -> None:
        """`data_keys`: wrapped keys by version; the highest seals. Raises KeystoreError, or VaultError if empty."""
        if not data_keys:
            raise VaultError
        self._keys: Final = {
            version: Secret(keystore.unwrap(wrapped, _context(version))) for version, wrapped in data_keys.items()
        }
        self._newest: Final = max(data_keys)

    @classmethod
    def load(cls, connection: Connection, keystore: Keystore) -> Self:
        """The vault of an existing database."""
        return cls(keystore, stored.list_wrapped(connection))

    @classmethod
    def create(cls, connection: Connection, keystore: Keystore, now: int) -> Self:
        """Makes the first data key of a new database, in the caller's transaction."""
        version = 1
        wrapped = keystore.wrap(secrets.token_bytes(_KEY_BYTES), _context(version))
        stored.insert_wrapped(connection, version, wrapped, now)
        return cls(keystore, {version: wrapped})

    def seal(self, column: str, row_id: str, owner: str, plaintext: bytes) -> bytes:
        """The ciphertext for `column` ("table.column") of the row `row_id`, owned by `owner` ("token:ID" and so on).

        u32 key version || nonce 12 B || AES-256-GCM. Each (column, row, owner) has a key of its own, so the limit of
        2^32 random nonces under one key (NIST SP 800-38D, 8.3) holds for one value of one row, which never sees as
        many; nothing has to be counted.
        """
        binding = _binding(column, row_id, owner, self._newest)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._row_key(self._newest, binding)).encrypt(nonce, plaintext, binding)
        return self._newest.to_bytes(_VERSION_BYTES, "big") + nonce + sealed

    def open(self, column: str, row_id: str, owner: str, ciphertext: bytes) -> Secret[bytes]:
        """What `seal` was given for exactly this column, row and owner. Raises VaultError otherwise."""
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

    def _row_key(self, version: int, binding: bytes) -> bytes:
        # HMAC of a uniform key is a pseudo-random function: HKDF-Expand (RFC 5869) of one block
        return hmac.digest(self._keys[version].reveal(), binding + b"\x01", "sha256")


def _context(version: int) -> bytes:
    return b"sparekey/1/data-key" + version.to_bytes(_VERSION_BYTES, "big")


def _binding(column: str, row_id: str, owner: str, version: int) -> bytes:
    """What a ciphertext is bound to, each part with its length, so that no two bindings read alike."""
    table, _, name = column.partition(".")
    if not (table and name and row_id and owner):
        raise ValueError("give the column as `table.column`, and the row's id and its owner")
    parts = (text.encode() for text in (table, name, row_id, owner))
    return (
        _LABEL
        + version.to_bytes(_VERSION_BYTES, "big")
        + b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    )
