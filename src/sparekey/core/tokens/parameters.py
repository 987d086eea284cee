"""The parameters of a token of any type, as they are stored and imported."""

from dataclasses import dataclass

from sparekey.secret import Secret


@dataclass(frozen=True)
class Parameters:
    """The seed (raw bytes) and the other parameters; a parameter that a type does not use is 0 or empty."""

    seed: Secret[bytes]
    serial: str = ""
    digits: int = 6
    interval: int = 30  # seconds; 0: event-based
    algorithm: str = "sha1"
