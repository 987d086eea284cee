"""The proof that a request comes from a device: an ECDSA P-256 signature over the whole request (spec/agent-api.md).

The key of the device was made there and never leaves it. The server has the public half from the enrolment. It is
P-256, not Ed25519, because every TPM supports P-256. Requests travel inside TLS. Their time only limits how long an
attacker who broke TLS could repeat a captured request.
"""

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DEVICE_HEADER: Final = "Sparekey-Device"
TIME_HEADER: Final = "Sparekey-Time"  # unix seconds, by the device's estimate of server time
SIGNATURE_HEADER: Final = "Sparekey-Signature"  # base64 of the DER signature
TOLERANCE: Final = 300  # seconds between that time and the server's own

_ALGORITHM: Final = ec.ECDSA(hashes.SHA256())


class BadSignature(ValueError):
    """The request, event or enrolment was not signed by the key that it names."""


def lp(value: bytes) -> bytes:
    """Return the value with a length prefix: u16 length, then the bytes."""
    return len(value).to_bytes(2, "big") + value


def request_bytes(method: str, path: str, device: str, at: int, body: bytes) -> bytes:
    """Return the bytes that the device signs. Safe because every part has a length prefix, so that no two requests have
    the same bytes."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(body)
    head = b"".join(lp(part.encode()) for part in (method, path, device))
    return b"sparekey/1/request" + head + at.to_bytes(8, "big") + digest.finalize()


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
