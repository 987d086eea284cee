"""A software authenticator: the answers of a browser and a passkey, for tests without a browser.

It claims to have verified its owner unless the test says otherwise, and counts its uses.
"""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sparekey.core.sign_in.passkeys import RelyingParty

PLACE = RelyingParty("localhost", ("https://localhost",))
_PRESENT, _VERIFIED, _HAS_KEY = 0x01, 0x04, 0x40  # flags of authenticator data


@dataclass
class Authenticator:
    """One with at most one passkey; `origin`: of the page as the browser names it."""

    origin: str = "https://localhost"
    verifies: bool = True
    counts: bool = True
    count: int = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(20))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    owner: str = ""

    def create(self, options: str) -> str:
        """Return the result of `navigator.credentials.create` for these options, as JSON."""
        asked = json.loads(options)
        self.owner = asked["user"]["id"]
        numbers = self.key.public_key().public_numbers()
        public_key = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})
        attested = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id + public_key
        data = self._data(asked["rp"]["id"], _HAS_KEY) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": _text(self._client_data("webauthn.create", asked["challenge"])),
            "attestationObject": _text(attestation),
        }
        return self._answer(response)

    def get(self, options: str) -> str:
        """Return the result of `navigator.credentials.get` for these options, as JSON."""
        asked = json.loads(options)
        self.count += 1
        client_data, data = self._client_data("webauthn.get", asked["challenge"]), self._data(asked["rpId"])
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": _text(client_data),
            "authenticatorData": _text(data),
            "signature": _text(signature),
            "userHandle": self.owner,
        }
        return self._answer(response)

    def _data(self, host: str, more: int = 0) -> bytes:
        flags = _PRESENT | (_VERIFIED if self.verifies else 0) | more
        count = self.count if self.counts else 0
        return hashlib.sha256(host.encode()).digest() + bytes([flags]) + count.to_bytes(4)

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _answer(self, response: dict[str, Any]) -> str:
        name = _text(self.credential_id)
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}
        )


def challenge_of(options: str) -> bytes:
    text = json.loads(options)["challenge"]
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")
