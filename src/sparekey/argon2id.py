"""Argon2id (RFC 9106, version 0x13) with the parameters of this project: one lane, 32 bytes out, no secret, no
associated data.

Every slow hash is computed here: PIN verifiers on the server, code records in sealed units. The call releases the
interpreter lock, so that threads hash on all cores.
"""

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

KEY_BYTES = 32


def argon2id(password: bytes, salt: bytes, memory_kib: int, passes: int) -> bytes:
    """Return 32 bytes from `password` and a salt of at least 8 bytes, with `memory_kib` KiB and `passes` passes."""
    kdf = Argon2id(salt=salt, length=KEY_BYTES, iterations=passes, lanes=1, memory_cost=memory_kib)
    return kdf.derive(password)
