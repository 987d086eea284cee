"""Estimates the work for the server to renew offline data, for the preview of an edit of a policy.

The figures are those of spec/offline-day.md, 2.7 "Levels and limits", measured on one core. A day has one record for
each step of its token.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparekey.core.policy.offline import OfflinePolicy, ProtectionLevel

SECONDS_PER_RECORD: Final[Mapping[ProtectionLevel, float]] = {
    ProtectionLevel.LIGHT: 0.000_39,
    ProtectionLevel.BALANCED: 0.002_9,
    ProtectionLevel.STRONG: 0.014_5,
}
# 64 MiB and 3 passes write 32 times as much memory as one record at level balanced
SECONDS_PER_CODE: Final = 32 * SECONDS_PER_RECORD[ProtectionLevel.BALANCED]
RECORDS_PER_PACK: Final = 50  # of an event-based token


@dataclass(frozen=True)
class Load:
    """The data on devices that would be renewed: users on devices, records of one day of all their tokens, packs of
    event-based tokens."""

    holders: int
    records_a_day: int
    packs: int


def days_seconds(load: Load, policy: OfflinePolicy) -> float:
    """Return the core seconds for all days and packs."""
    records = load.records_a_day * policy.days + load.packs * RECORDS_PER_PACK
    return records * SECONDS_PER_RECORD[policy.protection_level]


def codes_seconds(load: Load, policy: OfflinePolicy) -> float:
    """Return the core seconds for all emergency codes."""
    return load.holders * (policy.emergency_tokencode + policy.emergency_passcode) * SECONDS_PER_CODE
