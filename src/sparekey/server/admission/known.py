"""Credentials that were valid lately, so that their holders are counted separately before the database is asked.

Rules:
- An entry grants nothing: the use case verifies the credential again. It only says for whom the request counts, so that
  the holder of a session does not wait behind a flood from the same address.
- Only hashes are kept.
"""

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import Final

from sparekey.secret import Secret
from sparekey.server.admission.parties import prove

_MOST: Final = 20_000  # about 3 MiB


class KnownCredentials:
    """The party of each session token or key that was valid when it was last used."""

    def __init__(self, most: int = _MOST) -> None:
        self._most: Final = most
        self._parties: Final[OrderedDict[bytes, str]] = OrderedDict()  # the last one was used last
        self._lock: Final = Lock()

    def prove(self, shown: Secret[str]) -> bool:
        """Count the request for the holder of this credential. Return False if it is not known."""
        digest = _digest(shown)
        with self._lock:
            party = self._parties.get(digest)
            if party is None:
                return False
            self._parties.move_to_end(digest)
        prove(party)
        return True

    def remember(self, shown: Secret[str], party: str) -> None:
        """Remember that this credential is valid, and whose it is."""
        digest = _digest(shown)
        with self._lock:
            self._parties[digest] = party
            self._parties.move_to_end(digest)
            if len(self._parties) > self._most:
                self._parties.popitem(last=False)


class KnownDevices:
    """The public keys of devices that asked lately. Used by the event loop alone."""

    def __init__(self, most: int = _MOST) -> None:
        self._most: Final = most
        self._keys: Final[OrderedDict[str, bytes]] = OrderedDict()

    def find_key(self, device_id: str) -> bytes | None:
        """Return the public key of a device, which never changes; None if it is not known."""
        return self._keys.get(device_id)

    def remember(self, device_id: str, public_key: bytes) -> None:
        """Remember the key of a device that has just signed a request."""
        self._keys[device_id] = public_key
        self._keys.move_to_end(device_id)
        if len(self._keys) > self._most:
            self._keys.popitem(last=False)


def _digest(shown: Secret[str]) -> bytes:
    return hashlib.sha256(shown.reveal().encode()).digest()
