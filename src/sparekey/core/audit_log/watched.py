"""Objects that the watcher compares with the audit log: what the log says about each, and what the database says.

Rules: a fact that the log does not tell is unknown, and an unknown fact never differs. So events of an older release
cause no false alarm, and neither does a log whose beginning is gone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from sparekey.durations import DAY_SECONDS

Fact = bool | int | str | None
Facts = Mapping[str, Fact]  # by name
Stored = Mapping[str, object]  # by name, as the columns have them

HERE: Final = "here"  # True: the object exists; False: it was deleted
STEP: Final = "step"  # of a token: the newest accepted one
AGAIN: Final = "accepted again"  # of a token: a step that was accepted although it was used up
COUNTS: Final = "counts_version"  # of a user: the version of the counts of failures
COUNTED_AGAIN: Final = "counted again"  # of a user: the version of an event that had another version before it
AGAIN_AT: Final = "again at"  # unix second of either
REMEMBERED: Final = 30 * DAY_SECONDS  # for which either is a difference
_LONGEST_SHOWN: Final = 200  # characters
UNTIL: Final = "until"  # unix second from which the object decides nothing, and may be forgotten
_AGAIN: Final = (AGAIN, COUNTED_AGAIN)  # contradictions within the log itself
_OF_THE_LOG: Final = (HERE, UNTIL, *_AGAIN, AGAIN_AT)  # compared with no column


class WatchedKind(StrEnum):
    """A kind of object. Its key is its id, or where events name it by its name, that name."""

    ACCOUNT = "user"
    TOKEN = "token"
    DEVICE = "device"
    CLIENT = "client"
    PASSKEY = "passkey"
    GRANT = "grant"  # of a role; key: `grant_key`
    ROLE = "role"  # key: its name
    DOMAIN = "domain"  # key: its name
    POLICY = "policy"  # key: `policy_key`
    LINK = "link"  # of a super administrator; key: the beginning of its id
    INVITATION = "invitation"  # of a device
    SESSION = "session"  # key: the name of the session
    APPROVAL = "approval"


Named = tuple[WatchedKind, str]  # an object: its kind and key


class FactBook(Protocol):
    """The facts that the audit log tells, by object."""

    def find(self, named: Named) -> Facts | None:
        """Return the facts of an object; None: the log does not name it."""
        ...

    def put(self, named: Named, facts: Facts) -> None:
        """Replace the facts of an object."""
        ...

    def keys_of(self, kind: WatchedKind) -> list[str]:
        """Return the keys of all objects of a kind."""
        ...


@dataclass(frozen=True)
class Difference:
    """A fact that the database contradicts. `fact` HERE: the object was deleted, or is back."""

    kind: WatchedKind
    key: str
    fact: str
    logged: Fact
    stored: Fact

    @property
    def named(self) -> Named:
        return self.kind, self.key


class Overlay:
    """A fact book in memory over another one, which stays as it is. It knows what was written."""

    def __init__(self, below: FactBook) -> None:
        self._below = below
        self.written: Final[dict[Named, Facts]] = {}

    def find(self, named: Named) -> Facts | None:
        written = self.written.get(named)
        return self._below.find(named) if written is None else written

    def put(self, named: Named, facts: Facts) -> None:
        self.written[named] = facts

    def keys_of(self, kind: WatchedKind) -> list[str]:
        return list({*self._below.keys_of(kind), *(key for each, key in self.written if each is kind)})


def grant_key(principal_id: str, role: str, domain: str) -> str:
    """Return the key of a grant. Safe because a name has no line end."""
    return "\n".join((principal_id, role, domain))


def policy_key(kind: str, name: str) -> str:
    return f"{kind}/{name}"


def differences(named: Named, logged: Facts, stored: Stored | None) -> list[Difference]:
    """Return the facts in which the database differs from the log; `stored` None: it has no such object.

    Both must be of one moment: a snapshot of the database, and all events that it contains.
    """
    return [Difference(*named, fact, logged[fact], found) for fact, found in _contradicted(logged, stored)]


def _contradicted(logged: Facts, stored: Stored | None) -> Iterator[tuple[str, Fact]]:
    """Yield the names of the facts that differ, with what is stored."""
    if stored is None:
        if logged.get(HERE):
            yield HERE, False
        return
    if logged.get(HERE) is False:
        yield HERE, True
        return
    for fact in _AGAIN:
        if fact in logged:
            yield fact, logged[fact]
    for fact, value in logged.items():
        if fact not in _OF_THE_LOG and fact in stored and not _agree(fact, value, stored[fact]):
            yield fact, _shown(stored[fact])


def _shown(stored: object) -> Fact:
    """Return a value that the audit log can hold. An intruder can store any type in any column of SQLite."""
    if isinstance(stored, str):
        return stored[:_LONGEST_SHOWN]
    return stored if stored is None or isinstance(stored, bool | int) else f"a {type(stored).__name__}"


def _agree(fact: str, logged: Fact, stored: object) -> bool:
    if fact == STEP:
        # A step that is too high accepts less, so it is no roll back.
        return isinstance(stored, int) and isinstance(logged, int) and stored >= logged
    return logged == stored


def at_present(facts: Facts, now: int) -> Facts:
    """Return the facts without a step that was accepted again, or counts that were changed again, long ago."""
    again_at = facts.get(AGAIN_AT)
    if not isinstance(again_at, int) or now < again_at + REMEMBERED:
        return facts
    return {name: fact for name, fact in facts.items() if name not in (*_AGAIN, AGAIN_AT)}


def is_over(facts: Facts, now: int) -> bool:
    """Return True if the object decides nothing any more."""
    until = facts.get(UNTIL)
    return isinstance(until, int) and now >= until
