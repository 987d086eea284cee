"""The keys of an encrypted PSKC file, and opening its values (RFC 6030 section 6).

Rules: the MAC over the encrypted value is verified first, in constant time, and nothing is decrypted if it is wrong
(S11); only ciphers that need such a MAC are supported; PBKDF2 runs once for each file, with a limited cost; a wrong
password refuses the file.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from sparekey.core.errors import BadInput
from sparekey.secret import Secret
from sparekey.token_files.entries import EntryError, base64_bytes
from sparekey.token_files.xml_entries import local_name, text_of

_XENC: Final = "{http://www.w3.org/2001/04/xmlenc#}"
_BLOCK: Final = 16  # bytes; the first block of a value is the IV
_CIPHERS: Final[Mapping[str, int]] = {  # key size in bytes by the end of the algorithm's name
    "aes128-cbc": 16,
    "aes192-cbc": 24,
    "aes256-cbc": 32,
}
_MACS: Final[Mapping[str, str]] = {
    "hmac-sha1": "sha1",
    "hmac-sha256": "sha256",
    "hmac-sha384": "sha384",
    "hmac-sha512": "sha512",
}
_MOST_ITERATIONS: Final = 5_000_000  # seconds of work; tools take up to a million
_LONGEST_SALT: Final = 1_024


@dataclass(frozen=True)
class PskcKeys:
    """The keys that verify and decrypt the values of one file; none if the file is not encrypted."""

    cipher: Secret[bytes] | None = None
    mac: Secret[bytes] | None = None
    mac_hash: str = ""

    def opened(self, encrypted: Element, value_mac: str) -> Secret[bytes]:
        """Return the decrypted value. Raises EntryError, with the same message for every altered value."""
        if self.cipher is None or self.mac is None:
            raise EntryError("the secret is encrypted, but the file names no key")
        if not value_mac:
            raise EntryError("the encrypted secret has no MAC")
        key_size, sealed = _cipher_value(encrypted)
        right = hmac.digest(self.mac.reveal(), sealed, self.mac_hash)
        if not hmac.compare_digest(right, base64_bytes(value_mac, "the MAC")):
            raise EntryError("the MAC of the secret does not fit: the record was altered, or belongs to another file")
        return Secret(_decrypted(self.cipher.reveal(), key_size, sealed))


def keys_of(encryption: Element | None, mac: Element | None, password: Secret[str] | None) -> PskcKeys:
    """Return the keys from a file's EncryptionKey and MACMethod. Raises BadInput."""
    if encryption is None:
        if password is not None:
            raise BadInput("the file is not encrypted, but a password was given", "import it without one")
        return PskcKeys()
    if password is None:
        raise BadInput("the file is encrypted", "give its password or key: --password-stdin")
    if mac is None:
        raise BadInput("the file is encrypted, but has no MAC to verify it by", "export it with MACs")
    mac_hash = _MACS.get(mac.get("Algorithm", "").rpartition("#")[2])
    if mac_hash is None:
        raise BadInput("the file's MAC is no HMAC with SHA-1 or SHA-2", "export it with another one")
    cipher = _encryption_key(encryption, password)
    mac_key = next((child for child in mac if local_name(child) == "MACKey"), None)
    try:
        # A MAC without its own key is made with the encryption key.
        return PskcKeys(cipher, cipher if mac_key is None else _mac_key(cipher, mac_key), mac_hash)
    except EntryError:
        raise BadInput("the password or key does not open this file", "give the one that belongs to it") from None


def _encryption_key(encryption: Element, password: Secret[str]) -> Secret[bytes]:
    names = {local_name(element): element for element in encryption.iter()}
    if "X509Data" in names:
        raise BadInput("the file is encrypted for a certificate", "export it with a password or a pre-shared key")
    if "KeyDerivationMethod" in names:
        return _derived_key(names, password)
    try:
        key = bytes.fromhex(password.reveal())
    except ValueError:
        key = b""
    if len(key) not in _CIPHERS.values():
        raise BadInput("the file is encrypted with a pre-shared key", "give it in hex: 32, 48 or 64 digits")
    return Secret(key)


def _derived_key(names: Mapping[str, Element], password: Secret[str]) -> Secret[bytes]:
    """Return the key of PBKDF2 (RFC 8018 section 5.2) with the parameters of the file."""
    method = names["KeyDerivationMethod"].get("Algorithm", "")
    prf = names["PRF"].get("Algorithm", "") if "PRF" in names else ""
    prf_hash = _MACS.get(re.sub(r"^.*[#/]", "", prf).lower() or "hmac-sha1")
    iterations, length = _number(names, "IterationCount", 0), _number(names, "KeyLength", _BLOCK)
    try:
        salt = base64_bytes(text_of(names.get("Specified")), "the salt")
    except EntryError:
        salt = b""
    known = method.endswith("#pbkdf2") and prf_hash and length in _CIPHERS.values() and 0 < len(salt) <= _LONGEST_SALT
    if not known or prf_hash is None or not 0 < iterations <= _MOST_ITERATIONS:
        raise BadInput(
            "the file's key is derived in a way that is not read",
            f"export it with PBKDF2, a salt, and at most {_MOST_ITERATIONS} iterations",
        )
    return Secret(hashlib.pbkdf2_hmac(prf_hash, password.reveal().encode(), salt, iterations, length))


def _number(names: Mapping[str, Element], name: str, otherwise: int) -> int:
    text = text_of(names.get(name))
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else otherwise


def _mac_key(cipher: Secret[bytes], mac_key: Element) -> Secret[bytes]:
    key_size, sealed = _cipher_value(mac_key)
    return Secret(_decrypted(cipher.reveal(), key_size, sealed))


def _cipher_value(encrypted: Element) -> tuple[int, bytes]:
    """Return the key size in bytes, and the IV with the ciphertext."""
    method = encrypted.find(f"{_XENC}EncryptionMethod")
    data = encrypted.find(f"{_XENC}CipherData")
    key_size = _CIPHERS.get(method.get("Algorithm", "").rpartition("#")[2]) if method is not None else None
    if key_size is None or data is None:
        raise EntryError("the secret is encrypted in another way than AES in CBC mode")
    return key_size, base64_bytes(text_of(data.find(f"{_XENC}CipherValue")), "the encrypted secret")


def _decrypted(key: bytes, key_size: int, sealed: bytes) -> bytes:
    """Decrypt AES-CBC with the padding of XML Encryption: the last byte gives the number of padding bytes."""
    if len(key) != key_size or len(sealed) < 2 * _BLOCK or len(sealed) % _BLOCK:
        raise EntryError("the secret is encrypted with another key")
    decryptor = Cipher(AES(key), CBC(sealed[:_BLOCK])).decryptor()
    plain = decryptor.update(sealed[_BLOCK:]) + decryptor.finalize()
    if not 0 < plain[-1] <= _BLOCK:
        raise EntryError("the secret is encrypted with another key")
    return plain[: -plain[-1]]
