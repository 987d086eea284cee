"""What a guess costs: the protection levels, and the limits within which a unit is accepted at all.

The table of what each level costs an attacker is in spec/offline-day.md, "Levels".
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """Argon2id with `argon_m` KiB and `argon_t` passes, and a pepper of `pepper_bits` bits that is thrown away."""

    name: str
    argon_m: int
    argon_t: int
    pepper_bits: int

    @property
    def hashes_per_guess(self) -> int:
        """What one wrong guess costs whoever opens a record, against one hash for whoever seals it."""
        return 1 << self.pepper_bits


LIGHT = Level("light", 1024, 1, 9)
BALANCED = Level("balanced", 8192, 1, 9)
STRONG = Level("strong", 19456, 2, 7)
EMERGENCY = Level("emergency", 65536, 3, 4)
"""For codes of 40 and 60 random bits, read out and typed once: one refusal is slow, all of them are out of reach."""

LEVELS = {level.name: level for level in (LIGHT, BALANCED, STRONG)}
"""What a policy can choose, weakest first."""


@dataclass(frozen=True)
class Limits:
    """Ranges, both ends included, outside of which a unit is refused as "weak"."""

    argon_m: tuple[int, int]
    argon_t: tuple[int, int]
    pepper_bits: tuple[int, int]
    least_cost: int
    """Least argon_m x argon_t x 2^pepper_bits: KiB written for one wrong guess."""
    pin_m: tuple[int, int]
    pin_t: tuple[int, int]

    def allow(self, level: Level) -> bool:
        """Whether records may be sealed so."""
        return (
            self.argon_m[0] <= level.argon_m <= self.argon_m[1]
            and self.argon_t[0] <= level.argon_t <= self.argon_t[1]
            and self.pepper_bits[0] <= level.pepper_bits <= self.pepper_bits[1]
            and level.argon_m * level.argon_t * level.hashes_per_guess >= self.least_cost
        )

    def allow_pin(self, pin_m: int, pin_t: int) -> bool:
        """Whether a PIN may be hashed so."""
        return self.pin_m[0] <= pin_m <= self.pin_m[1] and self.pin_t[0] <= pin_t <= self.pin_t[1]


LIMITS = Limits(
    argon_m=(1024, 262144),
    argon_t=(1, 16),
    pepper_bits=(0, 14),
    least_cost=524288,
    # The lower ends are OWASP's floor for stored passwords (19 MiB, 2 passes).
    pin_m=(19456, 262144),
    pin_t=(2, 16),
)
