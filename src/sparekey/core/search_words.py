"""What people search by: the words of names, without case and accents, each found by how it begins.

Rules: what is stored and what is typed go through the same functions; a search finds what has, for each typed word, a
word that begins so. A mail address is found by its beginning, not by its domain, which everybody has.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from sparekey.core.errors import BadInput

LONGEST_WORD: Final = 64  # characters; what lies beyond is not looked at
LONGEST_NAME: Final = 128
LONGEST_TEXT: Final = 200  # of what is typed

_LETTERS: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ħ": "h", "ı": "i"}  # noqa: RUF001 -- it is the letter without a dot that is meant
)
# how people without these keys write them: such a word is found both ways
_SPELT_OUT: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})


def fold(text: str) -> str:
    """Without case and accents; what looks or reads the same is the same."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(each for each in decomposed if not unicodedata.combining(each))
    return unicodedata.normalize("NFKD", bare.casefold().translate(_LETTERS))


def fold_name(name: str) -> str:
    """The name of a user or a device as it is sorted, and that of a device as it is found."""
    return fold(name)[:LONGEST_NAME]


def serial_key(serial: str) -> str:
    """A serial number, which is ASCII, as it is sorted and found."""
    return serial.lower()


def words_of(login: str, name: str, mail: str = "") -> tuple[str, ...]:
    """Every word by which a user is found, each once, in order."""
    spelt_out = unicodedata.normalize("NFC", name).casefold().translate(_SPELT_OUT)
    found = [word for text in (login, name, spelt_out) for word in _parts(text)]
    found += _parts(mail.partition("@")[0])
    found += [fold(text) for text in (login, mail) if "@" in text]
    return tuple(sorted({word[:LONGEST_WORD] for word in found}))


def typed_words(text: str) -> tuple[str, ...]:
    """The words that somebody typed, each once; () where there is none. Raises BadInput where it is too long.

    What holds an @ is the beginning of a mail address, as a whole.
    """
    verify_length(text)
    found: dict[str, None] = {}
    for chunk in text.split():
        for word in [fold(chunk)] if "@" in chunk else _parts(chunk):
            found[word[:LONGEST_WORD]] = None
    return tuple(found)


def verify_length(text: str) -> None:
    """Raises BadInput for what nobody types into a search field."""
    if len(text) > LONGEST_TEXT:
        raise BadInput(f"the search text has more than {LONGEST_TEXT} characters", "search for the beginning of a name")


def is_found(words: Iterable[str], typed: Iterable[str]) -> bool:
    """Whether each typed word is the beginning of one of the words."""
    return all(any(word.startswith(each) for word in words) for each in typed)


def _parts(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", fold(text))
