"""The cost of a guess: the protection levels, and the limits within which a unit is accepted.

The table of costs for an attacker is in spec/offline-day.md, "Levels".
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """Argon2id with `argon_m` KiB and `argon_t` passes, and a pepper of `pepper_bits` bits that is not stored."""

    name: str
    argon_m: int
    argon_t: int
    pepper_bits: int

    @property
    def hashes_per_guess(self) -> int:
        """Return the hashes of one wrong guess for the opener. The sealer needs one hash for each record."""
        return 1 << self.pepper_bits


LIGHT = Level("light", 1024, 1, 9)
BALANCED = Level("balanced", 8192, 1, 9)
STRONG = Level("strong", 19456, 2, 7)
EMERGENCY = Level("emergency", 65536, 3, 4)
"""For codes of 40 and 60 random bits that are typed once: one guess is slow, and trying all is out of reach."""

LEVELS = {level.name: level for level in (LIGHT, BALANCED, STRONG)}
"""The levels for a policy, weakest first."""


@dataclass(frozen=True)
class LevelLimits:
    """Ranges, both ends included. A unit outside of them is refused as "weak"."""

    argon_m: tuple[int, int]
    argon_t: tuple[int, int]
    pepper_bits: tuple[int, int]
    least_cost: int
    """The least argon_m x argon_t x 2^pepper_bits: KiB written for one wrong guess."""
    pin_m: tuple[int, int]
    pin_t: tuple[int, int]

    def allow(self, level: Level) -> bool:
        """Return True if records may be sealed at this level."""
        return (
            self.argon_m[0] <= level.argon_m <= self.argon_m[1]
            and self.argon_t[0] <= level.argon_t <= self.argon_t[1]
            and self.pepper_bits[0] <= level.pepper_bits <= self.pepper_bits[1]
            and level.argon_m * level.argon_t * level.hashes_per_guess >= self.least_cost
        )

    def allow_pin(self, pin_m: int, pin_t: int) -> bool:
        """Return True if a PIN may be hashed with these costs."""
        return self.pin_m[0] <= pin_m <= self.pin_m[1] and self.pin_t[0] <= pin_t <= self.pin_t[1]


LIMITS = LevelLimits(
    argon_m=(1024, 262144),
    argon_t=(1, 16),
    pepper_bits=(0, 14),
    least_cost=524288,
    # The lower ends are OWASP's floor for stored passwords (19 MiB, 2 passes).
    pin_m=(19456, 262144),
    pin_t=(2, 16),
)
