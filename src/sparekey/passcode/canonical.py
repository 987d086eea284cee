"""Emergency codes as people read them out: groups of five characters, the fifth of which checks the other four.

Rules (spec/offline-day.md, "Codes"):
- The alphabet has 32 characters, without I, L, O and U, so that no two are confused on the phone.
- The check is computed over GF(32), with another factor at each place and with the number of the group. Every wrong
  character, every swap inside a group and every swap of groups breaks it.
- So the misread group can be named, and the mistake does not cost a guess.
- Case does not matter. O is read as 0, I and L as 1. Spaces and dashes are ignored.
"""

import secrets
from collections.abc import Callable, Sequence

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUP_CHARACTERS = 5
SEPARATORS = " -"

_RANDOM_BITS_PER_GROUP = 20  # four characters of five bits
_FIELD_POLYNOMIAL = 0b100101  # x^5 + x^2 + 1, irreducible over GF(2)

# Every ASCII letter or digit is a symbol. U stays U: it has no value, so that its group is named as misread.
SYMBOL_OF = {character: character for character in ALPHABET + "U"}
SYMBOL_OF |= {"O": "0", "I": "1", "L": "1"}
SYMBOL_OF |= {character.lower(): symbol for character, symbol in SYMBOL_OF.items()}

_VALUE_OF = {character: value for value, character in enumerate(ALPHABET)}

_ICAO_WORDS = (
    ("0", "Zero"),
    ("1", "One"),
    ("2", "Two"),
    ("3", "Three"),
    ("4", "Four"),
    ("5", "Five"),
    ("6", "Six"),
    ("7", "Seven"),
    ("8", "Eight"),
    ("9", "Nine"),
    ("A", "Alfa"),
    ("B", "Bravo"),
    ("C", "Charlie"),
    ("D", "Delta"),
    ("E", "Echo"),
    ("F", "Foxtrot"),
    ("G", "Golf"),
    ("H", "Hotel"),
    ("J", "Juliett"),
    ("K", "Kilo"),
    ("M", "Mike"),
    ("N", "November"),
    ("P", "Papa"),
    ("Q", "Quebec"),
    ("R", "Romeo"),
    ("S", "Sierra"),
    ("T", "Tango"),
    ("V", "Victor"),
    ("W", "Whiskey"),
    ("X", "X-ray"),
    ("Y", "Yankee"),
    ("Z", "Zulu"),
)
_SPELLING = dict(_ICAO_WORDS)


class NotCanonical(ValueError):
    """The text is not a canonical code. `groups` are the numbers, from 1, of the groups whose check fails."""

    def __init__(self, groups: tuple[int, ...]) -> None:
        super().__init__("not a canonical code")
        self.groups = groups


def new_code(groups: int, random_bits: Callable[[int], int] = secrets.randbits) -> str:
    """Return a new canonical code of `groups` groups, with 20 random bits each.

    `random_bits(k)` returns a uniform integer of k bits. Only tests and vectors pass their own.
    """
    return "".join(_new_group(number, random_bits) for number in range(1, groups + 1))


def normalise(text: str) -> str:
    """Return the text in upper case, with O as 0, I and L as 1, and without spaces and dashes. Other characters do not
    change."""
    return "".join(SYMBOL_OF.get(character, character) for character in text if character not in SEPARATORS)


def misread_groups(code: str) -> tuple[int, ...]:
    """Return the numbers, from 1, of the groups of a normalised code whose check fails."""
    groups = [code[start : start + GROUP_CHARACTERS] for start in range(0, len(code), GROUP_CHARACTERS)]
    return tuple(number for number, group in enumerate(groups, 1) if not _check_holds(number, group))


def misread_words(groups: Sequence[int], code: str = "code") -> str:
    """Return a sentence that names the misread groups, for example `Groups 1 and 2 of the code were misread`. At least
    one group is required; `code` is the word for the code."""
    *before, last = map(str, groups)
    if not before:
        return f"Group {last} of the {code} was misread"
    return f"Groups {', '.join(before)} and {last} of the {code} were misread"


def verify_canonical(code: str, groups: int) -> None:
    """Raise NotCanonical unless `code` is a normalised code of `groups` groups with right check characters."""
    misread = misread_groups(code)
    if misread or len(code) != groups * GROUP_CHARACTERS:
        raise NotCanonical(misread)


def grouped(code: str) -> str:
    """Return the code as it is shown and read out: `ABCDE-FGHJK`."""
    return "-".join(code[start : start + GROUP_CHARACTERS] for start in range(0, len(code), GROUP_CHARACTERS))


def spelled(code: str) -> tuple[tuple[str, ...], ...]:
    """Return one word for each character, group by group, from the ICAO alphabet (ICAO Annex 10, volume II,
    5.2.1.3)."""
    return tuple(tuple(_SPELLING[character] for character in group) for group in grouped(code).split("-"))


def _new_group(number: int, random_bits: Callable[[int], int]) -> str:
    bits = random_bits(_RANDOM_BITS_PER_GROUP)
    values = [bits >> shift & 31 for shift in (15, 10, 5, 0)]
    return "".join(ALPHABET[value] for value in [*values, _check_value(number, values)])


def _check_holds(number: int, group: str) -> bool:
    values = [_VALUE_OF.get(character) for character in group]
    known = [value for value in values if value is not None]
    return len(known) == GROUP_CHARACTERS and known[4] == _check_value(number, known[:4])


def _check_value(number: int, values: list[int]) -> int:
    # Safe because the factors 16, 8, 4, 2 and the 1 of the check are different and none is 0: a single change, and a
    # swap of two places, each alter the sum by a product of non-zero field elements, which is never 0.
    check = number
    for value, factor in zip(values, (16, 8, 4, 2), strict=True):
        check ^= _multiply(value, factor)
    return check


def _multiply(value: int, factor: int) -> int:
    """Return the product in GF(32)."""
    product = 0
    while factor:
        if factor & 1:
            product ^= value
        value <<= 1
        if value & 32:
            value ^= _FIELD_POLYNOMIAL
        factor >>= 1
    return product
