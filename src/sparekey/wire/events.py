"""Offline events: sign-ins and alarms on a device without the server, numbered, chained and signed there (S27).

Each event carries the hash of the one before it, so that a dropped, changed or reordered event is noticed at upload.
"""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sparekey.wire.messages import TYPED
from sparekey.wire.signing import lp

NO_EVENT: Final = bytes(32)  # `previous` of event 1


class EventKind(StrEnum):
    """The kinds of offline events."""

    GRANTED = "granted"
    DENIED = "denied"
    BLOCKED = "blocked"  # the limit of failures was reached
    CLOCK_SUSPECT = "clock-suspect"
    TLS_FAILURE = "tls-failure"  # another machine answered in the server's place
    STORE_DAMAGED = "store-damaged"


@dataclass(frozen=True, kw_only=True)
class OfflineEvent:
    """One event. Strings are "" and numbers 0 if they do not apply."""

    number: int  # from 1, without gaps
    at: int  # unix seconds, by the device's estimate of server time
    kind: str
    user: str  # account id
    login: str = field(metadata=TYPED)
    method: str  # tokencode, emergency-tokencode, emergency-passcode
    token: str
    step: int  # of a tokencode
    version: int  # of an emergency code
    check: str  # hex; names the offline key that the success opened
    reason: str
    previous: str  # hex; hash of the event before
    signature: str = ""  # hex; DER signature by the device's key over `signed_bytes`

    def signed_bytes(self) -> bytes:
        """Return the bytes that the device signs: the whole event without its signature."""
        texts = (self.kind, self.user, self.login, self.method, self.token, self.check, self.reason, self.previous)
        numbers = (self.number, self.at, self.step, self.version)
        packed = b"".join(number.to_bytes(8, "big") for number in numbers)
        return b"sparekey/1/event" + packed + b"".join(lp(text.encode()) for text in texts)

    def hash(self) -> bytes:
        """Return the SHA-256 that the next event carries as `previous`."""
        return hashlib.sha256(self.signed_bytes()).digest()
