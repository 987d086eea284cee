"""The computations of spec/offline-day.md, "Bytes": one function each, with the reason why it is safe.

A(pw, salt, m, t) is Argon2id (RFC 9106), H is SHA-256, AES-256-GCM is NIST SP 800-38D, HKDF is RFC 5869.
"""

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sparekey.argon2id import argon2id
from sparekey.sealed.errors import WrongKey
from sparekey.secret import Secret

KEY_BYTES = 32
SALT_BYTES = 32
PIN_SALT_BYTES = 16
RECORD_BYTES = 48  # a key of 32 bytes and a tag of 16

# Safe because twelve zero bytes are a good nonce if the key seals one message. Each use below says why it does.
_ZERO_NONCE = bytes(12)

_ERASED = bytes(RECORD_BYTES)


def new_offline_key() -> Secret[bytes]:
    """Return a new key, 32 bytes from the generator of the operating system."""
    return Secret(secrets.token_bytes(KEY_BYTES))


def check_of(offline_key: Secret[bytes]) -> bytes:
    """Return the 32 bytes that name a key. Safe to publish because the key is uniform, so its hash cannot be
    searched."""
    return hashlib.sha256(b"sparekey/1/check" + offline_key.reveal()).digest()


def header_hash(header: bytes) -> bytes:
    """Return hh, which binds every record to every byte of the header."""
    return hashlib.sha256(header).digest()


def pin_part(pin: bytes, pin_salt: bytes, pin_m: int, pin_t: int) -> bytes:
    """Return P, the slow hash of the PIN, 32 bytes; empty for a token without a PIN.

    The server stores P, never the PIN. The salt is new at every PIN change, so an earlier P tells nothing about a later
    PIN.
    """
    return argon2id(pin, pin_salt, pin_m, pin_t) if pin_salt else b""


def record_salt(hh: bytes, i: int) -> bytes:
    """Return salt_i, 16 bytes.

    Safe because the header holds 32 random bytes that are new at every sealing. So no two records of any two units
    share a salt, and one guess tests one interval only.
    """
    return hashlib.sha256(b"sparekey/1/salt" + hh + _u64(i)).digest()[:16]


def record_key(pin_hash: bytes, code: bytes, i: int, pepper: int, salt: bytes, argon_m: int, argon_t: int) -> bytes:
    """Return K_i. Safe because lengths precede both secrets, so that no two pairs of PIN hash and code give the same
    bytes. PIN and code are in one hash: neither can be guessed without the other."""
    password = b"sparekey/1/code" + lp(pin_hash) + lp(code) + _u64(i) + pepper.to_bytes(2, "big")
    return argon2id(password, salt, argon_m, argon_t)


def seal_record(key: bytes, offline_key: bytes, hh: bytes, i: int) -> bytes:
    """Return record_i, 48 bytes. Safe because `key` seals this record only: its salt occurs once, so the zero nonce
    never repeats.

    The tag does not commit to the key. To profit from that, an attacker must have made the record, which the signature
    and `check` prevent.
    """
    return AESGCM(key).encrypt(_ZERO_NONCE, offline_key, hh + _u64(i))


def find_in_record(key: bytes, record: bytes, hh: bytes, i: int) -> bytes | None:
    """Return the offline key if `key` opens this record, otherwise None."""
    try:
        return AESGCM(key).decrypt(_ZERO_NONCE, record, hh + _u64(i))
    except InvalidTag:
        return None


def is_erased(record: bytes) -> bool:
    """Return True for 48 zero bytes, which sealing produces only with a chance of 2^-384."""
    return record == _ERASED


def seal_previous(new_key: Secret[bytes], old_key: Secret[bytes]) -> bytes:
    """Return `previous`, 48 bytes. It is the old key, sealed so that only the new key opens it.

    Safe because the sealing key is derived from the new key and the name of the old one. It seals one message only, so
    the zero nonce never repeats.
    """
    sealing_key = _previous_key(new_key, check_of(old_key))
    return AESGCM(sealing_key).encrypt(_ZERO_NONCE, old_key.reveal(), None)


def open_previous(new_key: Secret[bytes], old_check: bytes, previous: bytes) -> Secret[bytes]:
    """Return the old key whose check is `old_check`. Raises WrongKey if `previous` holds another one."""
    try:
        old_key = Secret(AESGCM(_previous_key(new_key, old_check)).decrypt(_ZERO_NONCE, previous, None))
    except (InvalidTag, ValueError) as reason:
        raise WrongKey("`previous` does not open to the key that is wanted") from reason
    if not hmac.compare_digest(check_of(old_key), old_check):
        raise WrongKey("`previous` opens to a key other than the one that is wanted")
    return old_key


def unlock(offline_key: Secret[bytes], device_secret: Secret[bytes], user: str, purpose: str) -> Secret[bytes]:
    """Return 32 bytes for one purpose of one user. Safe because `device_secret` never leaves the device, so that the
    server, which knows `offline_key`, cannot compute them. One purpose tells nothing about another (HKDF's info)."""
    info = b"sparekey/1/unlock" + lp(user.encode()) + lp(purpose.encode())
    return Secret(_hkdf(offline_key.reveal(), device_secret.reveal(), info))


def lp(value: bytes) -> bytes:
    """Return the value after its length as u16."""
    return len(value).to_bytes(2, "big") + value


def _previous_key(new_key: Secret[bytes], old_check: bytes) -> bytes:
    return _hkdf(new_key.reveal(), None, b"sparekey/1/previous" + old_check)


def _hkdf(key: bytes, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(key)


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "big")
