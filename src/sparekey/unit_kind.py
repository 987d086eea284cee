"""The kinds of units (spec/offline-day.md). The server plans and seals units; a device keeps and opens them."""

from enum import StrEnum
from typing import Final


class UnitKind(StrEnum):
    """The kinds of units. The values stand in headers, in messages and in the database."""

    DAY = "day"
    EVENTS = "events"
    EMERGENCY_TOKENCODE = "emergency-tokencode"
    EMERGENCY_PASSCODE = "emergency-passcode"

    @property
    def is_emergency(self) -> bool:
        return self in EMERGENCY_KINDS


EMERGENCY_KINDS: Final = frozenset({UnitKind.EMERGENCY_TOKENCODE, UnitKind.EMERGENCY_PASSCODE})
