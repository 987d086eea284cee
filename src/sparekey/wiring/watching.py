"""The watch over the database: the courier of one server process, and the whole round of `sparekey doctor --deep`.

Rules: one process of a data directory watches, the one that has the lock; the others take over when it ends; a step is
short, and a second passes between two steps, so that sign-ins do not wait.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from sparekey.app.audit_log.watcher import AlteredBatch, Watcher
from sparekey.app.instance import Instance
from sparekey.app.ports import KeyPurpose
from sparekey.core.audit_log.watched import AGAIN, COUNTED_AGAIN, HERE, Difference, Fact, WatchedKind
from sparekey.keystore.watch_file import WatchFile, WatchLock
from sparekey.storage.audit_log import alarms
from sparekey.wiring.couriers import CourierStep

WATCH: Final = "watch.db"
LOCK: Final = "watch.lock"
_log: Final = structlog.get_logger()

Progress = Callable[[int, int], None]  # events read, objects compared


@dataclass
class WatchSteps:
    """The steps of the watch in this process. Only the process with the lock does anything."""

    directory: Path
    instance: Instance
    _lock: WatchLock = field(init=False)
    _book: WatchFile | None = field(default=None, init=False)
    _watcher: Watcher | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._lock = WatchLock(self.directory / LOCK)

    def __call__(self, now: int) -> CourierStep:
        if not self._lock.take():
            return CourierStep.IDLE
        if self._book is None or self._watcher is None:
            self._book = WatchFile.open(self.directory / WATCH)
            self._watcher = _watcher(self.instance, self._book)
        try:
            self._watcher.step(now)
        except sqlite3.OperationalError:
            raise  # such as a full disk: nothing is damaged
        except sqlite3.DatabaseError as error:
            # Safe because the audit log still tells everything.
            _log.warning("the file of the watch is damaged and begun again", why=str(error))
            self._forget()
            WatchFile.set_aside(self.directory / WATCH)
        return CourierStep.IDLE

    def close(self) -> None:
        """Let another process watch."""
        self._forget()
        self._lock.release()

    def _forget(self) -> None:
        if self._book is not None:
            self._book.close()
        self._book = self._watcher = None


@dataclass(frozen=True)
class StateCheck:
    """The result of a whole round. `problems`: a sentence for each difference and each altered batch."""

    events: int
    objects: int
    problems: tuple[str, ...]


def check_state(instance: Instance, now: Callable[[], int], progress: Progress) -> StateCheck:
    """Read the whole audit log, compare every object with it, and return the differences. Raise no alarm.

    It trusts neither the file of the running watch nor its position, and changes nothing.
    """
    found: dict[Difference, None] = {}
    altered: dict[AlteredBatch, None] = {}
    events, compared = 0, 0
    with closing(WatchFile.temporary()) as book:
        watcher = _watcher(instance, book, alarms=False)
        while True:
            step = watcher.step(now())
            events, compared = events + step.events, compared + len(step.compared)
            found |= dict.fromkeys(step.differences)
            altered |= dict.fromkeys(step.altered)
            progress(events, compared)
            if step.round_ended:
                break
        objects = book.count()
    problems = (*map(_altered_in_words, altered), *_in_words(instance, list(found)))
    return StateCheck(events, objects, problems)


def _watcher(instance: Instance, book: WatchFile, *, alarms: bool = True) -> Watcher:
    return Watcher(instance.database, instance.keystore.public_key(KeyPurpose.CHECKPOINT), book, alarms=alarms)


def _altered_in_words(batch: AlteredBatch) -> str:
    return f"batch {batch.number} of the audit log was altered: run `sparekey audit verify`"


def _in_words(instance: Instance, found: list[Difference]) -> Iterator[str]:
    with instance.database.read() as connection:
        for difference in found:
            kind, key = difference.named
            account = key if kind is WatchedKind.ACCOUNT else None
            token = key if kind is WatchedKind.TOKEN else None
            device = key if kind is WatchedKind.DEVICE else None
            names = alarms.find_names(connection, account, token, device)
            name = next((name for name in names.values() if name), key.replace("\n", " "))
            yield f"{kind} {name}: {_contradiction(difference)}"


def _contradiction(difference: Difference) -> str:
    if difference.fact == HERE:
        return "deleted without an event" if difference.logged else "back although it was deleted or withdrawn"
    if difference.fact == AGAIN:
        return f"the tokencode of step {_shown(difference.logged)} was accepted twice"
    if difference.fact == COUNTED_AGAIN:
        return f"failures were counted or cleared on old counts, as version {_shown(difference.logged)}"
    fact = difference.fact.replace("_", " ")
    return f"{fact} is {_shown(difference.stored)} in the database, and {_shown(difference.logged)} in the audit log"


def _shown(fact: Fact) -> str:
    if fact is None:
        return "empty"
    return ("yes" if fact else "no") if isinstance(fact, bool) else str(fact)
