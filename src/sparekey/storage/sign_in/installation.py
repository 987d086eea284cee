"""The codes that tokens of this installation can have at all, which decide how a text can be read (S07)."""

from typing import Final

from sqlalchemy import Connection, text

from sparekey.core.policy.token import Alphabet
from sparekey.core.sign_in.typed_text import InstalledCodes

# Six digits need no question: almost every installation has them. `digits <> 6` lets SQLite use the partial index.
_INSTALLED: Final = text("""
    SELECT EXISTS (SELECT 1 FROM token WHERE digits <> 6 AND digits = 7),
           EXISTS (SELECT 1 FROM token WHERE digits <> 6 AND digits = 8),
           EXISTS (SELECT 1 FROM token_policy WHERE emergency_alphabet = :digits_alone)
""")


def find_installed_codes(connection: Connection) -> InstalledCodes:
    """Return the codes of the tokens and policies of all domains."""
    seven, eight, online_digits = connection.execute(_INSTALLED, {"digits_alone": Alphabet.DIGITS}).one()
    present = ((6, True), (7, seven), (8, eight))
    return InstalledCodes(frozenset(digits for digits, is_present in present if is_present), bool(online_digits))
