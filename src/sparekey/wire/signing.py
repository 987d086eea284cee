"""How a device proves that a request is its own: an ECDSA P-256 signature over the whole request (spec/agent-api.md).

The device's key was made on the device and never leaves it; the server knows the public half from the enrolment.
P-256, not Ed25519, because it is what every TPM can hold. Requests travel inside TLS; the time in them only bounds
how long a captured one could be sent again by whoever broke TLS.
"""

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DEVICE_HEADER: Final = "Sparekey-Device"
TIME_HEADER: Final = "Sparekey-Time"  # unix seconds, by the device's idea of server time
SIGNATURE_HEADER: Final = "Sparekey-Signature"  # base64 of the DER signature
TOLERANCE: Final = 300  # seconds between that and the server's own time

_ALGORITHM: Final = ec.ECDSA(hashes.SHA256())


class BadSignature(ValueError):
    """The request, event or enrolment was not signed by the key that it names."""


def lp(value: bytes) -> bytes:
    """Length-prefixed: u16 length, then the bytes."""
    return len(value).to_bytes(2, "big") + value


def request_bytes(method: str, path: str, device: str, at: int, body: bytes) -> bytes:
    """What the device signs. Every part is length-prefixed, so that no two requests have the same bytes."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(body)
    head = b"".join(lp(part.encode()) for part in (method, path, device))
    return b"sparekey/1/request" + head + at.to_bytes(8, "big") + digest.finalize()


def load_public_key(der: bytes) -> ec.EllipticCurvePublicKey:
    """A device's public key from SubjectPublicKeyInfo DER; BadSignature unless it is a P-256 key."""
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadSignature("not a public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadSignature("not a P-256 key")
    return key


def verify_signature(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Raises BadSignature unless `signature` (DER) over `message` is by the key (SubjectPublicKeyInfo DER)."""
    try:
        load_public_key(public_key).verify(signature, message, _ALGORITHM)
    except InvalidSignature as error:
        raise BadSignature("wrong signature") from error


def sign(private_key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """The DER signature of `message`."""
    return private_key.sign(message, _ALGORITHM)


def to_header(signature: bytes) -> str:
    """A signature as a header value."""
    return base64.b64encode(signature).decode()


def from_header(value: str) -> bytes:
    """The signature in a header value; BadSignature if it is not base64."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSignature("not base64") from error
