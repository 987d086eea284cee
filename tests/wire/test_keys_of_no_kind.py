"""A public key that this library does not know is no key, and no failure of the server."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sparekey.wire.signing import BadSignature, load_public_key

P256 = bytes.fromhex("06082a8648ce3d030107")
EC = bytes.fromhex("06072a8648ce3d0201")


@pytest.mark.parametrize(
    ("known", "unknown"), [(P256, P256[:-1] + b"\x77"), (EC, EC[:-1] + b"\x66")], ids=["curve", "algorithm"]
)
def test_an_unknown_curve_or_algorithm_is_refused(known: bytes, unknown: bytes) -> None:
    der = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    assert known in der
    with pytest.raises(BadSignature):
        load_public_key(der.replace(known, unknown, 1))
