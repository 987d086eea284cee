"""Compare the state in the database with the chained audit log, and raise an alarm for each difference (S47).

Rules:
- The facts that the log tells are kept in a book outside the database. So an intruder who puts back a row cannot put
  back what the log said about it.
- The log is read batch by batch, and each batch is verified first: place, hash and signature. A batch that is altered
  raises an alarm, and its rows tell nothing.
- State and events are compared in one snapshot. Events that are not chained yet count, because the state contains them.
- What a new batch names is compared at once, and every object in rounds. A round begins when the server starts.
- Each difference raises one alarm. It is raised again only after it was gone.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit import SYSTEM
from sparekey.app.notices import raise_alarm
from sparekey.app.ports import WatchBook
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.chain import AuditRow, Batch, hash_of_rows
from sparekey.core.audit_log.checkpoint import CheckpointError
from sparekey.core.audit_log.told_facts import take_event
from sparekey.core.audit_log.watched import (
    Difference,
    Facts,
    Named,
    Overlay,
    Stored,
    WatchedKind,
    at_present,
    differences,
    is_over,
)
from sparekey.storage.audit_log import chain as audit_chain
from sparekey.storage.audit_log import watched_rows
from sparekey.storage.unit_of_work import Database

AT_ONCE: Final = 1_000  # objects of a round that one step compares
ROUND_SECONDS: Final = 20  # a new round begins at most that often
MOST_BATCHES: Final = 10  # that one step reads: 5,000 events
MOST_WAITING: Final = 2_000  # unchained events; if there are more, an import is being chained, and nothing is compared
UNREADABLE: Final = "row"  # the fact of an object whose row cannot be read
_IN_ONE_QUERY: Final = 250
_LONGEST_RESULT: Final = 32  # characters, of an alarm


@dataclass(frozen=True)
class AlteredBatch:
    """A batch of the log that is not as it was signed.

    `number` 0: the log no longer has the last batch that was read before.
    """

    number: int


@dataclass(frozen=True)
class WatchStep:
    """The result of one step. `behind`: there is more of the log to read before anything can be compared.

    `round_ended`: all objects were compared since the round began.
    """

    behind: bool
    events: int = 0  # read from the log
    compared: Mapping[Named, Facts] = field(default_factory=dict)  # with what the log tells about them
    differences: tuple[Difference, ...] = ()  # all of them, also those that raised an alarm before
    altered: tuple[AlteredBatch, ...] = ()
    round_ended: bool = False


@dataclass(frozen=True)
class _LogRead:
    """The part of the log that one step has read. `named`: the objects that its events name."""

    batches: int
    events: int
    altered: tuple[AlteredBatch, ...]
    named: Collection[Named]


class Watcher:
    """The watch over one database. Only one thread at a time may use it."""

    def __init__(self, database: Database, public_key: bytes, book: WatchBook, *, alarms: bool = True) -> None:
        """Begin a round. `public_key`: the public checkpoint key.

        `alarms`: False to return the differences only, and to compare even while many events are not chained.
        """
        self._database = database
        self._public_key = public_key
        self._book = book
        self._alarms = alarms
        self._place: Named | None = None  # the last object of this round that was compared
        self._next_round_at = 0

    def step(self, now: int) -> WatchStep:
        """Read what is new in the log, compare what it names and the next objects of the round, and raise alarms."""
        try:
            with self._database.read() as connection:
                done = self._look(connection, now)
            if self._alarms:
                self._raise_alarms(done, now)
            self._book.commit()
        except BaseException:
            self._book.rollback()
            self._place = None  # the round begins again: nothing may be left out
            raise
        return done

    def _look(self, connection: Connection, now: int) -> WatchStep:
        log = self._read_log(connection)
        waiting = audit_chain.list_unchained(connection, MOST_WAITING + 1).rows if self._alarms else ()
        if log.batches == MOST_BATCHES or len(waiting) > MOST_WAITING:
            self._place, self._next_round_at = None, 0  # what is read now is not compared at once
            return WatchStep(True, log.events, altered=log.altered)
        if not self._alarms:
            waiting = audit_chain.list_unchained(connection, None).rows
        present = Overlay(self._book)
        for row in waiting:
            take_event(present, row)
        in_round, ends = self._next_of_round(now)
        named = {*log.named, *present.written, *in_round}
        facts = {each: at_present(present.find(each) or {}, now) for each in named}
        found = tuple(compare(connection, facts))
        return WatchStep(False, log.events, facts, found, log.altered, round_ended=ends)

    def _read_log(self, connection: Connection) -> _LogRead:
        """Read new batches into the book."""
        head = self._book.head()
        altered = []
        if head is not None and not audit_chain.contains_batch(connection, *head):
            altered.append(AlteredBatch(0))
            self._book.start_over()
            head = None
        overlay, batches, events = Overlay(self._book), 0, 0
        for batch, rows in islice(audit_chain.each_batch(connection, head[0] if head else None), MOST_BATCHES):
            batches, events = batches + 1, events + len(rows)
            if self._is_genuine(batch, rows, head):
                for row in rows:
                    take_event(overlay, row)
            else:
                altered.append(AlteredBatch(batch.number))
            head = (batch.number, batch.hash)
        for named, facts in overlay.written.items():
            self._book.put(named, facts)
        if head is not None and batches:
            self._book.set_head(*head)
        return _LogRead(batches, events, tuple(altered), overlay.written.keys())

    def _is_genuine(self, batch: Batch, rows: Sequence[AuditRow], head: tuple[int, bytes] | None) -> bool:
        """Return True if the batch follows `head` and is as it was signed. The beginning of the log may be gone."""
        if head is not None and (batch.number, batch.previous) != (head[0] + 1, head[1]):
            return False
        if batch.hash != batch.computed_hash() or batch.rows_hash != hash_of_rows(rows):
            return False
        try:
            batch.checkpoint.verify(self._public_key)
        except (CheckpointError, OverflowError):
            return False
        return True

    def _next_of_round(self, now: int) -> tuple[list[Named], bool]:
        """Return the next objects of the round, and True if they are the last ones. Forget those that are over."""
        if self._place is None:
            if now < self._next_round_at:
                return [], False
            self._next_round_at = now + ROUND_SECONDS
        chosen = self._book.list_after(self._place, AT_ONCE)
        for named, facts in chosen:
            if is_over(facts, now):
                self._book.forget(named)
        ends = len(chosen) < AT_ONCE
        self._place = None if ends else chosen[-1][0]
        return [named for named, facts in chosen if not is_over(facts, now)], ends

    def _raise_alarms(self, done: WatchStep, now: int) -> None:
        """Raise an alarm for each difference that is new, and forget those that are gone."""
        found: dict[Named, dict[str, Difference]] = {}
        for difference in done.differences:
            found.setdefault(difference.named, {})[difference.fact] = difference
        fresh = []
        for named in done.compared:
            before, texts = self._book.told(named), {fact: _text(each) for fact, each in found.get(named, {}).items()}
            fresh += [each for fact, each in found.get(named, {}).items() if before.get(fact) != texts[fact]]
            if texts != before:
                self._book.set_told(named, texts)
        if not fresh and not done.altered:
            return
        with self._database.write() as connection:
            for batch in done.altered:
                _raise_altered(connection, batch, now)
            for each in fresh:
                _raise_difference(connection, each, done.compared[each.named], now)


def compare(connection: Connection, logged: Mapping[Named, Facts]) -> Iterator[Difference]:
    """Yield the differences between what the log tells about these objects and what this snapshot stores."""
    for kind in WatchedKind:
        keys = sorted(key for each, key in logged if each is kind)
        for start in range(0, len(keys), _IN_ONE_QUERY):
            chosen = keys[start : start + _IN_ONE_QUERY]
            stored = _find(connection, kind, chosen)
            for key in chosen:
                if key in stored.unreadable:
                    yield Difference(kind, key, UNREADABLE, None, "unreadable")
                else:
                    yield from differences((kind, key), logged[kind, key], stored.facts.get(key))


@dataclass(frozen=True)
class _Found:
    facts: Mapping[str, Stored]
    unreadable: frozenset[str] = frozenset()


def _find(connection: Connection, kind: WatchedKind, keys: Collection[str]) -> _Found:
    """Return what is stored. One row that cannot be read must not hide the others from the watch."""
    try:
        return _Found(watched_rows.find_facts(connection, kind, keys))
    except _UNREADABLE_ERRORS:
        facts: dict[str, Stored] = {}
        unreadable = set()
        for key in keys:
            try:
                facts |= watched_rows.find_facts(connection, kind, [key])
            except _UNREADABLE_ERRORS:
                unreadable.add(key)
        return _Found(facts, frozenset(unreadable))


# An intruder can store any type in any column of SQLite. A lost connection is none of these errors.
_UNREADABLE_ERRORS: Final = (TypeError, ValueError)


def _text(difference: Difference) -> str:
    return f"{difference.logged!r}, {difference.stored!r}"


def _raise_altered(connection: Connection, altered: AlteredBatch, now: int) -> None:
    raise_alarm(
        connection,
        now,
        SYSTEM,
        Action.ALARM_AUDIT_ROLLED_BACK,
        result="batch altered" if altered.number else "batch missing",
        witness="watcher",
        batch=altered.number or None,
    )


def _raise_difference(connection: Connection, difference: Difference, facts: Facts, now: int) -> None:
    kind, key = difference.named
    account = key if kind is WatchedKind.ACCOUNT else facts.get("account")
    raise_alarm(
        connection,
        now,
        SYSTEM,
        Action.ALARM_STATE_ROLLED_BACK,
        result=f"{kind} {difference.fact}"[:_LONGEST_RESULT],
        account=account if isinstance(account, str) else None,
        token=key if kind is WatchedKind.TOKEN else None,
        device=key if kind is WatchedKind.DEVICE else None,
        what=kind.value,
        key=key.replace("\n", " "),
        fact=difference.fact,
        logged=difference.logged,
        stored=difference.stored,
    )
