"""The numbers of users who could sign in if the network failed now, counted in steps of a thousand users.

Rules: a page requests the next step until all users are counted, so that no request takes long; each user counts once,
by the best of their devices; accounts that cannot sign in at all are not counted; this process keeps the counts of a
scope for ten minutes, and every administrator with the same scope continues them.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final
from weakref import WeakKeyDictionary

from sparekey.app.authorisation import verify_somewhere
from sparekey.app.instance import Instance
from sparekey.app.reports.reports import ReportRow, readiness_page
from sparekey.core.explain.readiness import Readiness, runs_out
from sparekey.core.permissions import Actor, Permission
from sparekey.storage.unit_of_work import Database

KEPT_SECONDS: Final = 600
_BATCH: Final = 1_000
_Scope = frozenset[str] | None


@dataclass(frozen=True)
class ReadinessCounts:
    """The counts so far. `at`: when counting began. `after`: the last login counted; None: all users are counted.

    `tokencode`: users who can sign in with their token. `runs_out`: those of them whose days end within a week unless
    new ones arrive. `code`: users who can sign in only with an emergency code. `nothing`: users who cannot sign in.
    """

    at: int
    tokencode: int = 0
    runs_out: int = 0
    code: int = 0
    nothing: int = 0
    after: str | None = ""

    @property
    def users(self) -> int:
        return self.tokencode + self.code + self.nothing


_kept: WeakKeyDictionary[Database, dict[_Scope, ReadinessCounts]] = WeakKeyDictionary()
_lock: Final = threading.Lock()


def counted_so_far(instance: Instance, actor: Actor, *, now: int) -> ReadinessCounts:
    """Return the counts for this scope; empty if they are older than ten minutes. Raises NotAllowed."""
    scope = verify_somewhere(actor, Permission.REPORT_VIEW)
    with _lock:
        counts = _kept.get(instance.database, {}).get(scope)
    return counts if counts is not None and 0 <= now - counts.at < KEPT_SECONDS else ReadinessCounts(now)


def count_on(instance: Instance, actor: Actor, *, now: int) -> ReadinessCounts:
    """Count a thousand more users, unless all are counted. Raises NotAllowed."""
    before = counted_so_far(instance, actor, now=now)
    if before.after is None:
        return before
    page = readiness_page(instance, actor, _BATCH, before.after, now=now)
    found = replace(_added(before, page.rows, now), after=page.next)
    scope = actor.domains_with(Permission.REPORT_VIEW)
    with _lock:
        of_scopes = _kept.setdefault(instance.database, {})
        if of_scopes.get(scope) in (before, None) or before.after == "":
            of_scopes[scope] = found  # otherwise another request has counted further meanwhile
        return of_scopes[scope]


def _added(counts: ReadinessCounts, rows: Iterable[ReportRow], now: int) -> ReadinessCounts:
    best = [_best(user_rows) for _, user_rows in groupby(rows, key=lambda row: row.login)]
    with_days = [row for row in best if row.assessment.readiness is Readiness.TOKENCODE]
    return replace(
        counts,
        tokencode=counts.tokencode + len(with_days),
        runs_out=counts.runs_out + sum(runs_out(row.assessment, now) is not None for row in with_days),
        code=counts.code + sum(row.assessment.readiness is Readiness.EMERGENCY_CODE for row in best),
        nothing=counts.nothing + sum(row.assessment.readiness is Readiness.NOTHING for row in best),
    )


def _best(rows: Iterator[ReportRow]) -> ReportRow:
    """Return the row of the device on which the user can sign in longest."""
    order = [Readiness.TOKENCODE, Readiness.EMERGENCY_CODE, Readiness.NOTHING, Readiness.CLOSED]
    return min(rows, key=lambda row: (order.index(row.assessment.readiness), -(row.assessment.data_until or 0)))
