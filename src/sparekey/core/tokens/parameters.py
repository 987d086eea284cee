"""What a token is made from, the same for every type, as it is stored and imported."""

from dataclasses import dataclass

from sparekey.secret import Secret


@dataclass(frozen=True)
class Parameters:
    """Seed (raw bytes) and what else some type needs; what a type does not have is 0 or empty."""

    seed: Secret[bytes]
    serial: str = ""
    digits: int = 6
    interval: int = 30  # seconds; 0: event-based
    algorithm: str = "sha1"
