"""The codes that tokens of this installation can have, as read from the database in the last minute."""

from typing import Final

from sqlalchemy import Connection

from sparekey.core.sign_in.typed_text import EVERY_CODE, InstalledCodes
from sparekey.storage.sign_in.installation import find_installed_codes

LIFETIME: Final = 60  # seconds


class RecentlyInstalled:
    """The last answer of the database. Threads share it: two may ask at once, and either answer will do.

    A passcode of a token that is newer than the answer works all the same (`core.sign_in.authenticate`).
    """

    def __init__(self) -> None:
        self._read_at = 0  # unix seconds
        self._codes: InstalledCodes | None = None

    def at(self, connection: Connection, now: int) -> InstalledCodes:
        """Return the codes, at most a minute old; the connection asks for them if need be."""
        codes = self._codes
        if codes is None or not 0 <= now - self._read_at < LIFETIME:
            codes = self._codes = find_installed_codes(connection)
            self._read_at = now
        return codes

    @property
    def latest(self) -> InstalledCodes:
        """Return the codes of the last answer, however old; before the first one, every code that there is."""
        return self._codes or EVERY_CODE
