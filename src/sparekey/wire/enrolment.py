"""The enrolment code. An administrator gives it to the person who sets up a device.

It is all that the device trusts at first. It has 160 bits in eight groups with check characters: an 80-bit one-time
secret and an 80-bit pin. The pin is from SHA-256 over the offline-signing key of the server and the certificate of its
CA. The device compares the pin before it sends the secret. So a server with another CA or signing key never sees the
secret (offline-day.md, server rule 8).
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from sparekey.passcode import ALPHABET, NotCanonical, grouped, misread_words, new_code, normalise, verify_canonical
from sparekey.secret import Secret

SECRET_BYTES: Final = 10
PIN_BYTES: Final = 10
GROUPS: Final = 8


class BadEnrolmentCode(ValueError):
    """The code was misread or mistyped. The message names the groups."""


@dataclass(frozen=True, kw_only=True)
class EnrolmentCode:
    """A one-time secret, and the pin of the server that accepts it."""

    secret: Secret[bytes]
    pin: bytes

    def verify_server(self, signing_key: bytes, ca_certificate: bytes) -> None:
        """Raise BadEnrolmentCode unless this is the server for which the code was made."""
        if not hmac.compare_digest(self.pin, trust_pin(signing_key, ca_certificate)):
            raise BadEnrolmentCode(
                "this is not the server for which the code was made (its CA or signing key is different); "
                "nothing was sent. Check the address, or ask for a new code"
            )

    def text(self) -> Secret[str]:
        """Return the code as people read it: eight groups of five."""
        number = int.from_bytes(self.secret.reveal() + self.pin, "big")
        chunks = iter([number >> shift & 0xFFFFF for shift in range(140, -1, -20)])
        return Secret(grouped(new_code(GROUPS, lambda _: next(chunks))))


def trust_pin(signing_key: bytes, ca_certificate: bytes) -> bytes:
    """Return the 10 bytes that stand for the raw Ed25519 signing key (32 bytes) and the CA certificate (DER)."""
    return hashlib.sha256(b"sparekey/1/trust" + signing_key + ca_certificate).digest()[:PIN_BYTES]


def secret_hash(secret: Secret[bytes]) -> bytes:
    """Return the hash that the server stores. Safe as a plain hash because the secret has 80 random bits."""
    return hashlib.sha256(b"sparekey/1/enrolment" + secret.reveal()).digest()


def proof_message(secret: bytes, public_key: bytes) -> bytes:
    """Return the message that the device signs with its new key. It proves that the device has the private half and the
    code."""
    return b"sparekey/1/enrol" + secret + public_key


def new_enrolment_code(signing_key: bytes, ca_certificate: bytes) -> EnrolmentCode:
    """Return a new code for the server with this signing key and CA."""
    return EnrolmentCode(secret=Secret(secrets.token_bytes(SECRET_BYTES)), pin=trust_pin(signing_key, ca_certificate))


def read_enrolment_code(typed: str) -> EnrolmentCode:
    """Return the code that a person typed. Raises BadEnrolmentCode."""
    code = normalise(typed.strip())
    try:
        verify_canonical(code, GROUPS)
    except NotCanonical as error:
        if len(code) != GROUPS * 5:
            raise BadEnrolmentCode(
                f"an enrolment code has {GROUPS} groups of five; this has {len(code)} characters"
            ) from error
        raise BadEnrolmentCode(f"{misread_words(error.groups, 'enrolment code')}; nothing was sent") from error
    number = 0
    for position, character in enumerate(code):
        if position % 5 != 4:  # the fifth is the check
            number = number << 5 | ALPHABET.index(character)
    value = number.to_bytes(SECRET_BYTES + PIN_BYTES, "big")
    return EnrolmentCode(secret=Secret(value[:SECRET_BYTES]), pin=value[SECRET_BYTES:])
