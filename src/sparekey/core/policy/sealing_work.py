"""How much work it is for the server to make offline data anew: for the sentence before an edit of a policy is saved.

The figures are those of spec/offline-day.md, 2.7 "Levels and limits", measured on one core; a day has a record for each
interval of its token.
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
# 64 MiB and 3 passes write 32 times what one record at balanced does
SECONDS_PER_CODE: Final = 32 * SECONDS_PER_RECORD[ProtectionLevel.BALANCED]
RECORDS_PER_PACK: Final = 50  # of an event-based token


@dataclass(frozen=True)
class Load:
    """What devices hold that would be made anew: users on devices, records of one day of all their tokens, packs of
    event-based tokens."""

    holders: int
    records_a_day: int
    packs: int


def days_seconds(load: Load, policy: OfflinePolicy) -> float:
    """Core seconds for all days and packs."""
    records = load.records_a_day * policy.days + load.packs * RECORDS_PER_PACK
    return records * SECONDS_PER_RECORD[policy.protection_level]


def codes_seconds(load: Load, policy: OfflinePolicy) -> float:
    """Core seconds for all emergency codes."""
    return load.holders * (policy.emergency_tokencode + policy.emergency_passcode) * SECONDS_PER_CODE
