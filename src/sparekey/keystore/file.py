"""Keeps the server's keys in files that only their owner can read.

Rules: the directory has mode 0700 and the files 0600, all owned by the user that runs the server, and links are not
followed; otherwise the keys are refused with a message that says what to do; existing keys are never overwritten; new
keys are made completely or not at all.
"""

import os
import secrets
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sparekey.app.ports import KeyPurpose, KeystoreError
from sparekey.keystore.durable_file import sync_directory
from sparekey.keystore.service_user import do_about_owner

_MASTER: Final = "master.key"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_WRAP_LABEL: Final = b"sparekey/1/wrap"


class FileKeystore:
    """A `Keystore` over one directory. The keys are read once, when it is opened; safe to share between threads."""

    def __init__(self, directory: Path) -> None:
        """Read the keys in `directory`. Raises KeystoreError."""
        with _PrivateDirectory(directory) as keys:
            self._master: Final = AESGCM(keys.read_key(_MASTER))
            self._signers: Final = {
                purpose: Ed25519PrivateKey.from_private_bytes(keys.read_key(_file_name(purpose)))
                for purpose in KeyPurpose
            }

    @classmethod
    def create(cls, directory: Path) -> Self:
        """Make new keys in `directory`, which must be missing or empty. Raises KeystoreError."""
        try:
            making = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))  # 0700
            try:
                for name in (_MASTER, *(_file_name(purpose) for purpose in KeyPurpose)):
                    _write_key(making / name, secrets.token_bytes(_KEY_BYTES))
                sync_directory(making)
                # Replaces only an empty directory. So keys appear all at once, and never overwrite others.
                making.rename(directory)
                sync_directory(directory.parent)
            except BaseException:
                shutil.rmtree(making, ignore_errors=True)
                raise
        except OSError as error:
            raise KeystoreError(
                f"cannot make keys in {directory}: {error.strerror}; name a directory that is missing or empty"
            ) from error
        return cls(directory)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return `key` encrypted under the master key: nonce 12 B || AES-256-GCM, with `context` as associated data.

        Random nonces are safe because the master key wraps only a few data keys in its life; 2^32 would be the limit
        (NIST SP 800-38D, 8.3).
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._master.encrypt(nonce, key, _WRAP_LABEL + context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the key that `wrap` encrypted. Raises KeystoreError if wrapped bytes, context or master key differ."""
        try:
            return self._master.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _WRAP_LABEL + context)
        except (InvalidTag, ValueError):
            raise KeystoreError(
                "a data key cannot be unwrapped: the key directory belongs to another database, or one was altered"
            ) from None

    def sign(self, purpose: KeyPurpose, message: bytes) -> bytes:
        """Return the Ed25519 signature of `message`, 64 bytes. Raises KeystoreError if the label is missing."""
        if not message.startswith(purpose.label):
            raise KeystoreError(f"the {purpose} key signs nothing else")
        return self._signers[purpose].sign(message)

    def public_key(self, purpose: KeyPurpose) -> bytes:
        """Return the raw Ed25519 public key, 32 bytes."""
        return self._signers[purpose].public_key().public_bytes_raw()


class _PrivateDirectory:
    """An open and checked directory. Names are looked up only in it, even if its path is renamed meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise KeystoreError(f"cannot open the key directory {path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        try:
            _verify_private(os.fstat(self._descriptor), self._path, self._path.parent, mode=0o700)
        except BaseException:
            os.close(self._descriptor)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def read_key(self, name: str) -> bytes:
        path = self._path / name
        try:
            # O_NONBLOCK: a pipe in place of a file must not block the server
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            descriptor = os.open(name, flags, dir_fd=self._descriptor)
        except OSError as error:
            raise KeystoreError(f"cannot open the key {path}: {error.strerror}; restore it from its backup") from error
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise KeystoreError(f"{path} is no regular file; restore it from its backup")
            _verify_private(status, path, self._path.parent, mode=0o600)
            key = file.read(_KEY_BYTES + 1)
        if len(key) != _KEY_BYTES:
            raise KeystoreError(f"{path} must hold exactly {_KEY_BYTES} bytes; restore it from its backup")
        return key


def _verify_private(status: os.stat_result, path: Path, data: Path, *, mode: int) -> None:
    if status.st_uid != os.geteuid():
        raise KeystoreError(
            f"{path} belongs to user {status.st_uid}, this runs as {os.geteuid()}; {do_about_owner(path, data)}"
        )
    if status.st_mode & 0o077:
        raise KeystoreError(f"others may use {path}; run: chmod {mode:o} {path}")


def _file_name(purpose: KeyPurpose) -> str:
    return f"{purpose}.key"


def _write_key(path: Path, key: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
