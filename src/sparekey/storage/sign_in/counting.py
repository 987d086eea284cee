"""The changes of the counts of failures by a sign-in, under the lock of the account's row (S06)."""

from sqlalchemy import Connection, select

from sparekey.core.policy.lockout import FailureCount, InterfaceGroup, LockoutPolicy
from sparekey.storage.sealed_counts import HeldCounts, lock_counts
from sparekey.storage.sealed_rows import intact_rows
from sparekey.storage.tables import role_grant


def lock_open(
    connection: Connection, account_id: str, now: int, policy: LockoutPolicy, group: InterfaceGroup
) -> HeldCounts | None:
    """Lock the account and return its counts; None: it is disabled, or locked at these interfaces."""
    held = lock_unlocked(connection, account_id, now, policy, group)
    return held if held is not None and held.enabled else None


def lock_unlocked(
    connection: Connection, account_id: str, now: int, policy: LockoutPolicy, group: InterfaceGroup
) -> HeldCounts | None:
    """Lock the account, which may be disabled, and return its counts; None: it is locked at these interfaces."""
    held = lock_counts(connection, account_id)
    return held if held is not None and not held.count_at(group).locked(now, policy) else None


def count_failure(
    connection: Connection, held: HeldCounts, now: int, policy: LockoutPolicy, group: InterfaceGroup
) -> int:
    """Count one more failure. Return the new version of the counts.

    Roles are read under the lock: one that was granted or revoked after the snapshot gives no attempt.
    """
    count = held.count_at(group)
    after, of_administrator = (count.after_failure(now, policy, holds_a_role=each) for each in (False, True))
    if after != of_administrator and _holds_a_role(connection, held.account_id):
        after = of_administrator
    return held.save(connection, group, after)


def clear_count(connection: Connection, held: HeldCounts, group: InterfaceGroup) -> int | None:
    """Clear the count at these interfaces. Return the new version of the counts; None: there was nothing to clear."""
    return None if held.count_at(group).is_clear else held.save(connection, group, FailureCount())


def _holds_a_role(connection: Connection, account_id: str) -> bool:
    """Return True if the user holds any role. An inserted grant without a seal does not end a lock."""
    query = select(role_grant.c.id).where(role_grant.c.principal_id == account_id)
    return bool(intact_rows(connection, query, role_grant))
