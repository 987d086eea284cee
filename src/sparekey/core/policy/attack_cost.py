"""Cost to break a stolen laptop, in money, for the weakest passcode that the policies allow.

An attacker with a copy of the disk guesses passcodes against one sealed record. The figures are those of
spec/offline-day.md, 2.7 "Levels and limits": guesses a second of one RTX 4090, scaled from published rates and accurate
to a factor of about 2, and one GPU hour at 0.40 USD. A cost is for all combinations; on average half of them are
enough. PINs are assumed to be random; PINs that people choose are broken sooner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, log10
from typing import Final

from sparekey.core.plurals import rough_time
from sparekey.core.policy.offline import OfflinePolicy, ProtectionLevel
from sparekey.core.policy.token import PinCharacters, TokenPolicy

USD_PER_HOUR: Final = 0.40
GUESSES_PER_SECOND: Final[Mapping[ProtectionLevel, int]] = {
    ProtectionLevel.LIGHT: 850,
    ProtectionLevel.BALANCED: 106,
    ProtectionLevel.STRONG: 72,
}
EMERGENCY_GUESSES_PER_SECOND: Final = 106  # the same scale: 64 MiB, 3 passes, 4 bits of pepper
PIN_LOCK_GUESSES_PER_SECOND: Final = 1_700  # of a TPM that was broken open (offline-day.md, threats)
CODE_DIGITS: Final = (6, 7, 8)  # that a token can have
PIN_LESS_DIGITS: Final = 8  # without a TPM
TOKENCODE_BITS: Final = 40  # random bits of an emergency tokencode
_LETTERS, _DIGITS = 52, 10  # characters of a PIN, which is case-sensitive


@dataclass(frozen=True)
class Attack:
    """One attack: a description of the secret to guess, and the time for all combinations."""

    what: str
    seconds: float  # of one card

    @property
    def usd(self) -> float:
        return self.seconds / 3_600 * USD_PER_HOUR

    @property
    def money(self) -> str:
        """Return for example `10,000 USD`: two digits, because the figures are not more accurate."""
        return in_money(self.usd)

    @property
    def time(self) -> str:
        """Return the time on one card as text."""
        return rough_time(self.seconds)


@dataclass(frozen=True)
class StolenLaptop:
    """The attacks on a stolen laptop. `weakest`: the cheapest for an attacker who has the disk and knows nothing; None
    if the policy allows no days on devices. `others`: attacks with a known PIN. `behind_tpm`: possible only after the
    TPM has been broken; if it had a PIN lock, the PIN is then guessed separately, which is cheaper than the level."""

    weakest: Attack | None
    others: tuple[Attack, ...]
    behind_tpm: bool


def stolen_laptop(policy: OfflinePolicy, tokens: TokenPolicy, level: ProtectionLevel | None = None) -> StolenLaptop:
    """Return the attacks under these two policies; `level` replaces the level of the policy."""
    level = level or policy.protection_level
    behind_tpm = policy.require_hardware_store
    if not policy.enabled:
        return StolenLaptop(None, (), behind_tpm)
    ways = [*_with_pin(policy, tokens, level)]
    if policy.allow_tokens_without_pin and level is not ProtectionLevel.LIGHT:
        digits = min(CODE_DIGITS) if behind_tpm else PIN_LESS_DIGITS
        ways.append(Attack(f"a token without a PIN and {digits}-digit codes", _code_seconds(digits, level)))
    weakest = min(ways, key=lambda way: float(f"{way.seconds:.6g}"), default=None)  # of equals the first
    return StolenLaptop(weakest, tuple(_with_known_pin(policy, tokens, level)), behind_tpm)


def in_money(usd: float) -> str:
    """Return an amount as text: `0.13 USD`, `1,300 USD`, `1.6 million USD`."""
    if usd < 0.01:
        return "less than 0.01 USD"
    rounded = _two_digits(usd)
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if rounded >= size:
            return f"{rounded / size:,.3g} {name} USD" if rounded < 1e15 else "more than 1,000 trillion USD"
    return f"{rounded:,.0f} USD" if rounded >= 10 or rounded == int(rounded) else f"{rounded:.2g} USD"


def pins_of(length: int, characters: PinCharacters) -> int:
    """Return how many PINs an attacker must try. Where letters are optional, people choose digits."""
    if characters is PinCharacters.BOTH:
        return int((_LETTERS + _DIGITS) ** length - _LETTERS**length - _DIGITS**length)
    return int(_DIGITS**length)


def shortest_pin(policy: OfflinePolicy, tokens: TokenPolicy, digits: int) -> int | None:
    """Return the length of the shortest PIN with which a token with so many digits gets days, or None."""
    length = max(tokens.pin_minimum, policy.minimum_passcode_length - digits)
    return length if length <= tokens.pin_maximum else None


def _with_pin(policy: OfflinePolicy, tokens: TokenPolicy, level: ProtectionLevel) -> list[Attack]:
    found = []
    for digits in CODE_DIGITS:
        length = shortest_pin(policy, tokens, digits)
        if length is None:
            continue
        pins, code = pins_of(length, tokens.pin_characters), _code_seconds(digits, level)
        locked = policy.require_hardware_store and policy.pin_lock
        seconds = pins / PIN_LOCK_GUESSES_PER_SECOND + code if locked else pins * code
        found.append(Attack(f"{_pin_words(length, tokens)} and a {digits}-digit tokencode", seconds))
    return found


def _with_known_pin(policy: OfflinePolicy, tokens: TokenPolicy, level: ProtectionLevel) -> list[Attack]:
    reached = [digits for digits in CODE_DIGITS if shortest_pin(policy, tokens, digits) is not None]
    found = [Attack(f"one {min(reached)}-digit tokencode", _code_seconds(min(reached), level)) for _ in reached[:1]]
    if policy.emergency_tokencode:
        found.append(Attack("an offline emergency tokencode", 2**TOKENCODE_BITS / EMERGENCY_GUESSES_PER_SECOND))
    return found


def _pin_words(length: int, tokens: TokenPolicy) -> str:
    made_of = "letters and digits" if tokens.pin_characters is PinCharacters.BOTH else "digits"
    return f"a PIN of {length} {made_of}"


def _code_seconds(digits: int, level: ProtectionLevel) -> float:
    return float(10**digits / GUESSES_PER_SECOND[level])


def _two_digits(number: float) -> float:
    return round(number, 1 - floor(log10(number)))
