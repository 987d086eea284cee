"""The API client of a key, cached for the rest of a second, so that not every sign-in queries the database.

Rules:
- Refusals and keys are never cached.
- After at most one second, a client that was revoked, expired or moved is rejected everywhere.
"""

import hashlib
from typing import Final

from sparekey.app.sessions.clients import find_client_interface
from sparekey.app.sign_in.verification import SignInInterface
from sparekey.secret import Secret
from sparekey.server.admission.parties import prove
from sparekey.server.service import Service

_MOST: Final = 1_000


class ClientInterfaces:
    """Cached interfaces of the clients that called in the last second."""

    def __init__(self, service: Service) -> None:
        self._service: Final = service
        self._known: dict[tuple[bytes, str], tuple[SignInInterface, int]] = {}  # with the unix second of the query

    async def find(self, key: Secret[str], address: str, now: int) -> SignInInterface | None:
        """Return the interface of the client; None if the key is not valid or not from this address."""
        asked = (hashlib.sha256(key.reveal().encode()).digest(), address)
        interface, second = self._known.get(asked, (None, 0))
        if interface is not None and second == now:
            prove(interface.actor)
            return interface
        interface = await self._service.contacts.run(find_client_interface, self._service.instance, key, address, now)
        if interface is None:
            self._known.pop(asked, None)
            return None
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[asked] = (interface, now)
        prove(interface.actor)
        self._service.known.remember(key, interface.actor)
        return interface
