"""A checkpoint: one signed line that states the end of the audit log at one moment. Witnesses keep it.

Rules: the signature covers every value; `parse` accepts only the exact form that `text` writes.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LABEL: Final = b"sparekey-checkpoint/1\n"  # the beginning of every message that the checkpoint key signs

# Numbers without leading zeros, so that one checkpoint has one text.
_LINE: Final = re.compile(
    r"sparekey-checkpoint/1 ([1-9][0-9]{0,17}) ([1-9][0-9]{0,17}) (0|[1-9][0-9]{0,17}) ([0-9a-f]{64}) ([0-9a-f]{128})"
)


class CheckpointError(ValueError):
    """The checkpoint is malformed, or not signed by the given key."""


@dataclass(frozen=True)
class Checkpoint:
    """The head of the audit chain at one moment."""

    number: int  # of the batch, from 1
    total: int  # rows in this batch and all before
    signed_at: int  # unix seconds
    hash: bytes  # 32 bytes, of the batch
    signature: bytes  # Ed25519, 64 bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a line. Raises CheckpointError if it is malformed. Does not check the signature: see `verify`."""
        match = _LINE.fullmatch(text.strip())
        if match is None:
            raise CheckpointError("this is no checkpoint; it is one line that begins with `sparekey-checkpoint/1`")
        number, total, signed_at, digest, signature = match.groups()
        return cls(int(number), int(total), int(signed_at), bytes.fromhex(digest), bytes.fromhex(signature))

    @property
    def text(self) -> str:
        """Return the checkpoint as one line of ASCII, at most 275 characters, without a line end."""
        numbers = f"{self.number} {self.total} {self.signed_at}"
        return f"sparekey-checkpoint/1 {numbers} {self.hash.hex()} {self.signature.hex()}"

    def verify(self, public_key: bytes) -> None:
        """Raise CheckpointError unless `public_key` (raw Ed25519, 32 bytes) signed exactly these values."""
        message = signed_message(self.number, self.total, self.signed_at, self.hash)
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(self.signature, message)
        except (InvalidSignature, ValueError):
            raise CheckpointError(f"checkpoint {self.number} is not signed by this server") from None


def signed_message(number: int, total: int, signed_at: int, digest: bytes) -> bytes:
    """Return the bytes that the checkpoint key signs: label || u64 number || u64 total || u64 signed_at || hash."""
    return LABEL + number.to_bytes(8, "big") + total.to_bytes(8, "big") + signed_at.to_bytes(8, "big") + digest
