"""How many users could sign in if the network died now, counted bit by bit: a page asks for the next thousand until all
are counted, so that no request takes long, whatever the number of users.

Rules: a user counts once, by the best of their devices; closed users are no users here; what is counted is kept in this
process for ten minutes, for whoever asks with the same scope, and whoever asks meanwhile goes on with it.
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
    """So far; `after`: the login that it goes on from, None: all are counted. `at`: when it was begun.

    `tokencode`: who gets in with the token; `runs_out`: those of them whose days end within a week, if no others come;
    `code`: who gets in only with an emergency code; `nothing`: who does not get in.
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
    """What is counted for this scope; nothing yet, where that was long ago. Raises NotAllowed."""
    scope = verify_somewhere(actor, Permission.REPORT_VIEW)
    with _lock:
        counts = _kept.get(instance.database, {}).get(scope)
    return counts if counts is not None and 0 <= now - counts.at < KEPT_SECONDS else ReadinessCounts(now)


def count_on(instance: Instance, actor: Actor, *, now: int) -> ReadinessCounts:
    """A thousand users more, unless all are counted. Raises NotAllowed."""
    before = counted_so_far(instance, actor, now=now)
    if before.after is None:
        return before
    page = readiness_page(instance, actor, _BATCH, before.after, now=now)
    found = replace(_added(before, page.rows, now), after=page.next)
    scope = actor.domains_with(Permission.REPORT_VIEW)
    with _lock:
        of_scopes = _kept.setdefault(instance.database, {})
        if of_scopes.get(scope) in (before, None) or before.after == "":
            of_scopes[scope] = found  # else somebody else has gone on meanwhile
        return of_scopes[scope]


def _added(counts: ReadinessCounts, rows: Iterable[ReportRow], now: int) -> ReadinessCounts:
    best = [_best(theirs) for _, theirs in groupby(rows, key=lambda row: row.login)]
    with_days = [row for row in best if row.assessment.readiness is Readiness.TOKENCODE]
    return replace(
        counts,
        tokencode=counts.tokencode + len(with_days),
        runs_out=counts.runs_out + sum(runs_out(row.assessment, now) is not None for row in with_days),
        code=counts.code + sum(row.assessment.readiness is Readiness.EMERGENCY_CODE for row in best),
        nothing=counts.nothing + sum(row.assessment.readiness is Readiness.NOTHING for row in best),
    )


def _best(rows: Iterator[ReportRow]) -> ReportRow:
    """Of one user's devices the one that opens longest."""
    order = [Readiness.TOKENCODE, Readiness.EMERGENCY_CODE, Readiness.NOTHING, Readiness.CLOSED]
    return min(rows, key=lambda row: (order.index(row.assessment.readiness), -(row.assessment.data_until or 0)))
