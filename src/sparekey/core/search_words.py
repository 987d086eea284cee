"""The words that a search compares: words of names, without case and accents.

Rules: stored names and typed text go through the same functions. A search finds an object if each typed word is the
beginning of one of its words. A mail address is found by its beginning, not by its domain, which all users share.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from sparekey.core.errors import BadInput

LONGEST_WORD: Final = 64  # characters; the rest of a word is ignored
LONGEST_NAME: Final = 128
LONGEST_TEXT: Final = 200  # of the typed text, in characters

_LETTERS: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ħ": "h", "ı": "i"}  # noqa: RUF001 -- it is the letter without a dot that is meant
)
# spelling on keyboards without these letters: such a word is found in both spellings
_SPELT_OUT: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})


def fold(text: str) -> str:
    """Return the text without case and accents, so that texts that look alike are equal."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return unicodedata.normalize("NFKD", bare.casefold().translate(_LETTERS))


def fold_name(name: str) -> str:
    """Return the sort key of the name of a user or device, which is also the search key of a device."""
    return fold(name)[:LONGEST_NAME]


def serial_key(serial: str) -> str:
    """Return the sort key and search key of a serial number, which is ASCII."""
    return serial.lower()


def words_of(login: str, name: str, mail: str = "") -> tuple[str, ...]:
    """Return the words by which a search finds a user, each once, in order."""
    spelt_out = unicodedata.normalize("NFC", name).casefold().translate(_SPELT_OUT)
    found = [word for text in (login, name, spelt_out) for word in _parts(text)]
    found += _parts(mail.partition("@")[0])
    found += [fold(text) for text in (login, mail) if "@" in text]
    return tuple(sorted({word[:LONGEST_WORD] for word in found}))


def typed_words(text: str) -> tuple[str, ...]:
    """Return the typed words, each once, or () if there are none. Raises BadInput if the text is too long.

    A word with an @ is the beginning of a mail address.
    """
    verify_length(text)
    found: dict[str, None] = {}
    for chunk in text.split():
        for word in [fold(chunk)] if "@" in chunk else _parts(chunk):
            found[word[:LONGEST_WORD]] = None
    return tuple(found)


def verify_length(text: str) -> None:
    """Raise BadInput if the text is too long for a search field."""
    if len(text) > LONGEST_TEXT:
        raise BadInput(f"the search text has more than {LONGEST_TEXT} characters", "search for the beginning of a name")


def is_found(words: Iterable[str], typed: Iterable[str]) -> bool:
    """Return True if each typed word is the beginning of one of the words."""
    return all(any(word.startswith(beginning) for word in words) for beginning in typed)


def _parts(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", fold(text))
