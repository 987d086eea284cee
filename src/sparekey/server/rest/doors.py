"""Which API client a key belongs to: remembered for the rest of a second, so that not each sign-in asks the database.

Rules: what is refused is never remembered, nor a key itself; a client that is revoked, expired or moved is refused
everywhere a second later at the latest.
"""

import hashlib
from typing import Final

from sparekey.app.sessions.clients import find_door
from sparekey.app.sign_in.verification import Door
from sparekey.secret import Secret
from sparekey.server.service import Service

_MOST: Final = 1_000


class Doors:
    """The doors of the clients that asked in the last second."""

    def __init__(self, service: Service) -> None:
        self._service: Final = service
        self._known: dict[tuple[bytes, str], tuple[Door, int]] = {}  # with the unix second of the asking

    async def find(self, key: Secret[str], address: str, now: int) -> Door | None:
        """The client's door, or None: no such client may ask from this address now."""
        asked = (hashlib.sha256(key.reveal().encode()).digest(), address)
        door, second = self._known.get(asked, (None, 0))
        if door is not None and second == now:
            return door
        door = await self._service.contacts.run(find_door, self._service.instance, key, address, now)
        if door is None:
            self._known.pop(asked, None)
            return None
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[asked] = (door, now)
        return door
