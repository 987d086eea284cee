"""The proof that a request comes from a device: an ECDSA P-256 signature over its head (spec/agent-api.md).

The head has the length and the SHA-256 of the body. So the server verifies a request before it reads the body, and a
body that differs from its head is refused.

The key of the device was made there and never leaves it. The server has the public half from the enrolment. It is
P-256, not Ed25519, because every TPM supports P-256. Requests travel inside TLS. Their time only limits how long an
attacker who broke TLS could repeat a captured request.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DEVICE_HEADER: Final = "Sparekey-Device"
TIME_HEADER: Final = "Sparekey-Time"  # unix seconds, by the device's estimate of server time
BODY_HEADER: Final = "Sparekey-Body"  # length of the body in bytes, a space, its SHA-256 in hex
SIGNATURE_HEADER: Final = "Sparekey-Signature"  # base64 of the DER signature
TOLERANCE: Final = 300  # seconds between that time and the server's own

_ALGORITHM: Final = ec.ECDSA(hashes.SHA256())
_BODY_HEAD: Final = re.compile(r"(0|[1-9][0-9]{0,9}) ([0-9a-f]{64})")


class BadSignature(ValueError):
    """The request, event or enrolment was not signed by the key that it names."""


@dataclass(frozen=True)
class BodyHead:
    """The length and the SHA-256 of a body, which its sender signs with the head of the request."""

    length: int
    sha256: bytes

    @classmethod
    def of(cls, body: bytes) -> Self:
        return cls(len(body), hashlib.sha256(body).digest())

    @classmethod
    def from_header(cls, value: str) -> Self:
        """Return what a header value says. Raises BadSignature if it has another form."""
        found = _BODY_HEAD.fullmatch(value)
        if found is None:
            raise BadSignature("not the length and hash of a body")
        return cls(int(found[1]), bytes.fromhex(found[2]))

    def to_header(self) -> str:
        return f"{self.length} {self.sha256.hex()}"

    def verify(self, body: bytes) -> None:
        """Raise BadSignature unless this is the body that was signed for."""
        if len(body) != self.length or not hmac.compare_digest(hashlib.sha256(body).digest(), self.sha256):
            raise BadSignature("not the body that was signed for")


def lp(value: bytes) -> bytes:
    """Return the value with a length prefix: u16 length, then the bytes."""
    return len(value).to_bytes(2, "big") + value


def request_bytes(method: str, path: str, device: str, at: int, body: BodyHead) -> bytes:
    """Return the bytes that the device signs. Safe because every part has a length prefix or a fixed length, so that no
    two requests have the same bytes."""
    head = b"".join(lp(part.encode()) for part in (method, path, device))
    return b"sparekey/2/request" + head + at.to_bytes(8, "big") + body.length.to_bytes(8, "big") + body.sha256


def load_public_key(der: bytes) -> ec.EllipticCurvePublicKey:
    """Return the public key of a device from SubjectPublicKeyInfo in DER. Raises BadSignature unless it is a P-256
    key."""
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadSignature("not a public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadSignature("not a P-256 key")
    return key


def verify_signature(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Raise BadSignature unless `signature` (DER) over `message` is by this key (SubjectPublicKeyInfo, DER)."""
    try:
        load_public_key(public_key).verify(signature, message, _ALGORITHM)
    except InvalidSignature as error:
        raise BadSignature("wrong signature") from error


def sign(private_key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Return the signature of `message` in DER."""
    return private_key.sign(message, _ALGORITHM)


def to_header(signature: bytes) -> str:
    """Return a signature as a header value."""
    return base64.b64encode(signature).decode()


def from_header(value: str) -> bytes:
    """Return the signature in a header value. Raises BadSignature if it is not base64."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSignature("not base64") from error
