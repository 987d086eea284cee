"""The keys of a `.sdtid` batch: they verify its MACs and decrypt its seeds. The scheme is that of the format, and old.

Rules: the seed of a token is never decrypted before its MAC was verified (S11); the password is stretched once for each
file (1,000 rounds, the number of the format, which is cheap for an attacker who guesses).
"""

import hmac
from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree.ElementTree import Element

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

from sparekey.secret import Secret
from sparekey.token_files.entries import EntryError

_BLOCK: Final = 16
_ROUNDS: Final = 1_000
_MOST_HASHED: Final = 65_536  # bytes of one section
_BATCH_MAC_START: Final = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
_TOKEN_MAC_START: Final = bytes.fromhex("1bb67ae8584caa73b25742d7078b83b8")
_TOKEN_KEY_START: Final = bytes.fromhex("16a09e667f3bcc908b2fb1366ea957d3")


class BatchKeys:
    """The keys of one file."""

    def __init__(self, name: str, batch: Secret[bytes]) -> None:
        self._name: Final = name
        self._batch: Final = batch
        self._verified = ""  # serial number of the token whose MAC was last verified

    def verify_header(self, header: Element, mac: bytes) -> bool:
        """Return True if the MAC fits the header under these keys."""
        key = self.derived("BatchMAC", self._name, _BATCH_MAC_START)
        return hmac.compare_digest(_chain(key, _BATCH_MAC_START, _hashed(header)), mac)

    def verify_token(self, token: Element, serial: str, mac: bytes) -> None:
        """Raise EntryError if the MAC does not fit the token."""
        key = self.derived("TokenMAC", serial, _TOKEN_MAC_START)
        if not hmac.compare_digest(_chain(key, _TOKEN_MAC_START, _hashed(token)), mac):
            raise EntryError("the MAC of the token does not fit: it was altered")
        self._verified = serial

    def seed(self, serial: str, sealed: bytes) -> Secret[bytes]:
        """Return the seed of the token. Raises AssertionError unless `verify_token` has just verified this token."""
        if self._verified != serial:
            raise AssertionError("no seed is decrypted before its MAC was verified")
        key = self.derived("TokenEncrypt", serial, _TOKEN_KEY_START)
        return Secret(_masked(key, _padded(serial, 8) + _padded("Seed", 8), sealed))

    def derived(self, purpose: str, name: str, start: bytes) -> bytes:
        """Return the key for one purpose and one token (or the batch)."""
        return _chain(self._batch.reveal(), start, _padded(purpose, 32) + _padded(name, 32))


def batch_keys(header: Mapping[str, str], secret: bytes, password: Secret[str] | None) -> BatchKeys:
    """Return the keys from the header's texts and its secret (16 bytes). Without a password, the origin of the file
    replaces it."""
    name = header.get("Name", "")
    text = password.reveal() if password is not None else header.get("Origin", "")
    stretched = _stretched(text, header.get("Dest", ""), name)
    return BatchKeys(name, Secret(_masked(stretched, _padded("Secret", 8) + _padded(name, 8), secret)))


def _stretched(password: str, destination: str, name: str) -> bytes:
    """Return the exclusive or of a thousand chains over password, destination and number of the round."""
    start = _padded(password, 32) + _padded(destination, 32) + bytes(14)
    key, combined = _padded(name, _BLOCK), 0
    for number in range(_ROUNDS):
        combined ^= int.from_bytes(_chain(key, bytes(_BLOCK), start + number.to_bytes(2, "big")), "big")
    return combined.to_bytes(_BLOCK, "big")


def _chain(key: bytes, start: bytes, data: bytes) -> bytes:
    """Return the last block of AES-CBC over `data`, padded with zeros."""
    encryptor = Cipher(AES(key), CBC(start)).encryptor()
    return encryptor.update(data + bytes(-len(data) % _BLOCK))[-_BLOCK:]


def _masked(key: bytes, block: bytes, sealed: bytes) -> bytes:
    mask = Cipher(AES(key), ECB()).encryptor().update(block)  # noqa: S305 -- one block, used as a stream of its own key
    return bytes(one ^ other for one, other in zip(mask, sealed, strict=True))


def _padded(text: str, size: int) -> bytes:
    return text.encode()[:size].ljust(size, b"\0")


def _hashed(section: Element) -> bytes:
    """Return the bytes that a MAC covers: a line for each value except MACs, with the zeros of the format between."""
    parts: list[bytes] = []
    size = zeros = 0
    for line in _lines(section, str(section.tag)):
        parts.append(line + bytes(zeros))
        size += len(line) + zeros
        if size > _MOST_HASHED:
            raise EntryError("it is too long")
        # The number of zeros depends on the end of the line before, as in all programs that write this format.
        zeros = size % _BLOCK or _BLOCK
    return b"".join(parts)


def _lines(section: Element, name: str) -> Iterator[bytes]:
    for element in section:
        tag = str(element.tag)
        if len(tag) > 3 and tag.endswith("MAC"):
            continue
        if len(element):
            yield from _lines(element, f"{name}.{tag}")
            continue
        text = element.text or f"</{tag}>"
        if "\n" in text or "\r" in text:
            raise EntryError("a value has several lines")  # it could pass for another value
        yield f"{name}.{tag} {text}\n".encode()
