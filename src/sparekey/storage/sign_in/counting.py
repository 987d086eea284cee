"""The conditional writes on the counts of failures (S06): one set of statements for each group of interfaces."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import TextClause, text

from sparekey.core.policy.lockout import (
    LONGEST_LOCK_SECONDS,
    MOST_WITHOUT_SUCCESS,
    ONLY_A_PERSON,
    InterfaceGroup,
    lock_seconds,
)
from sparekey.storage.failure_counts import PREFIX

_DOUBLED: Final = 7  # locks, of which each lasts twice as long as the last

# The terms of the statements, each made of columns and of terms below it. `@` stands for the prefix of a group.
_TERMS: Final[Mapping[str, str]] = {
    "$locking": "($counted >= :limit OR $spent)",
    "$spent": "($administers AND @without_success + 1 >= $most)",
    "$counted": "(CASE WHEN $restarts THEN 1 ELSE @failures + 1 END)",
    "$restarts": "(@first_failure_at IS NULL OR @first_failure_at <= :since OR @locked_at IS NOT NULL)",
    # The statement looks for the role itself: one that was granted or revoked after the snapshot gives no attempt.
    "$administers": "EXISTS (SELECT 1 FROM role_grant WHERE principal_id = :account_id)",
    "$seconds": "CASE @locks $doubled ELSE $longest END",
    "$doubled": " ".join(f"WHEN {number} THEN {lock_seconds(number)}" for number in range(_DOUBLED)),
    "$longest": str(LONGEST_LOCK_SECONDS),
    "$most": str(MOST_WITHOUT_SUCCESS),
    "$person": str(ONLY_A_PERSON),
    "$unsuspected": "(:asks_after = 0 OR (@failures < :asks_after AND @locks = 0))",
    # As core.policy.lockout.FailureCount.locked: an administrator's lock has its own end.
    "$open": """(@locked_at IS NULL OR CASE WHEN @locked_until IS NULL THEN @locked_at <= :lock_ended
                                            ELSE @locked_until <= :now END)""",
}

_CLEAR: Final = """
    UPDATE account SET @failures = 0, @first_failure_at = NULL, @locked_at = NULL, @locked_until = NULL, @locks = 0,
                       @without_success = 0
    WHERE id = :account_id AND enabled AND $open AND $unsuspected
"""

_TAKE: Final = "UPDATE account SET @failures = @failures WHERE id = :account_id AND enabled AND $open"

_TAKE_UNSUSPECTED: Final = """
    UPDATE account SET @failures = @failures WHERE id = :account_id AND enabled AND $open AND $unsuspected
"""

# The same count as core.policy.lockout.FailureCount.after_failure, in one statement.
_COUNT: Final = """
    UPDATE account SET
        @failures = $counted,
        @first_failure_at = CASE WHEN $restarts THEN :now ELSE @first_failure_at END,
        @locked_at = CASE WHEN $locking THEN :now ELSE NULL END,
        @locked_until = CASE WHEN NOT $locking OR NOT $administers THEN NULL
                             WHEN $spent THEN $person
                             ELSE CAST(:now AS BIGINT) + $seconds END,
        @locks = @locks + CASE WHEN $locking AND $administers THEN 1 ELSE 0 END,
        @without_success = @without_success + 1
    WHERE id = :account_id AND $open
"""


@dataclass(frozen=True)
class CountAt:
    """The statements on the count of failures at one group of interfaces. Each locks the account's row.

    So accepts and failures of one account are settled one after the other, and no accept gets past a lock that was
    committed before. The two counts never read each other's columns.
    """

    clear: TextClause
    take: TextClause  # locks the account first even if it changes last, so that no two transactions wait for each other
    take_unsuspected: TextClause  # as `take`, but fails if too many failures were counted meanwhile
    count: TextClause


def _statement(template: str, prefix: str) -> TextClause:
    """Return the statement on the columns with this prefix. Safe because all its parts are constants."""
    for name, term in _TERMS.items():
        template = template.replace(name, term)
    return text(template.replace("@", prefix))


COUNTS_AT: Final[Mapping[InterfaceGroup, CountAt]] = {
    group: CountAt(*(_statement(template, prefix) for template in (_CLEAR, _TAKE, _TAKE_UNSUSPECTED, _COUNT)))
    for group, prefix in PREFIX.items()
}
