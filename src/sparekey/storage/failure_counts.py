"""The columns of an account that count failures: once at the administrators' interfaces, once everywhere else (S06)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparekey.core.policy.lockout import FailureCount, InterfaceGroup
from sparekey.storage.tables import account

# Before the name of each column, by group.
PREFIX: Final[Mapping[InterfaceGroup, str]] = {InterfaceGroup.ELSEWHERE: "", InterfaceGroup.ADMINISTRATORS: "admin_"}
_FIELDS: Final = tuple(FailureCount.__dataclass_fields__)
COUNT_NAMES: Final = (*(f"{prefix}{name}" for prefix in PREFIX.values() for name in _FIELDS), "counts_version")
COUNT_COLUMNS: Final = tuple(account.c[name] for name in COUNT_NAMES)
CLEARED: Final[Mapping[str, int | None]] = {
    f"{prefix}{name}": value for prefix in PREFIX.values() for name, value in vars(FailureCount()).items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CountColumns:
    """The columns of both counts. `core.policy.lockout.FailureCount` says what they mean; times are unix seconds.

    `counts_version`: of both counts together. Each change has its own, and its event names it.
    """

    failures: int
    first_failure_at: int | None
    locked_at: int | None
    locked_until: int | None
    locks: int
    without_success: int
    admin_failures: int
    admin_first_failure_at: int | None
    admin_locked_at: int | None
    admin_locked_until: int | None
    admin_locks: int
    admin_without_success: int
    counts_version: int

    def count_at(self, group: InterfaceGroup) -> FailureCount:
        """Return the count at these interfaces."""
        if group is InterfaceGroup.ADMINISTRATORS:
            return FailureCount(
                self.admin_failures,
                self.admin_first_failure_at,
                self.admin_locked_at,
                self.admin_locked_until,
                self.admin_locks,
                self.admin_without_success,
            )
        return FailureCount(
            self.failures,
            self.first_failure_at,
            self.locked_at,
            self.locked_until,
            self.locks,
            self.without_success,
        )


def columns_of(group: InterfaceGroup, count: FailureCount) -> dict[str, int | None]:
    """Return the values of the columns that hold this count at these interfaces."""
    return {f"{PREFIX[group]}{name}": value for name, value in vars(count).items()}
