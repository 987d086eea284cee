"""A contact with the server beyond a sign-in: upload events, sync, fetch units and acknowledge them.

- A contact needs no user. Data that the server withholds are erased before anything is fetched.
- A unit is valid once its file and its entry are on disk. Only then is it acknowledged.
- The units that every user needs first are fetched before later days of any user. This includes the first units of a
  user who signs in meanwhile.
- A unit that fails verification is left out, and the others continue.
- If the server says that it is busy, the contact waits as long as the server says. After a few such waits it ends, and
  the next contact fetches the rest.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeVar

from sparekey.agent.contact import replies
from sparekey.agent.contact.events import after_upload
from sparekey.agent.ground.exempt_accounts import as_reported
from sparekey.agent.ground.ports import AgentApi, NotReached, Refused
from sparekey.agent.ground.state import State
from sparekey.agent.store import pin_lock
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.tpm.protection import protection_of
from sparekey.durations import DAY_SECONDS
from sparekey.sealed import Unopened
from sparekey.wire.agent_api import (
    MOST_EVENTS,
    AcknowledgementRequest,
    EventsRequest,
    SyncReply,
    SyncRequest,
    UnitRequest,
)

R = TypeVar("R")

UNIT_PATIENCE = 300  # seconds: the server may begin to seal a unit only at the request
CONTACT_PATIENCE = 30
ROUNDS = 3  # a generation may change while units are fetched; then the device syncs again
OVERTAKEN = frozenset({"stale", "conflict"})  # words of a refusal after the generation has changed
REVOKED = "revoked"
BUSY = "busy"  # the word of a refusal that ends after `retry_after` seconds
MOST_WAITS = 8  # of one contact, for a server that is busy
LONGEST_PAUSE = 60  # seconds: what must wait longer is fetched by the next contact


@dataclass(frozen=True)
class Progress:
    """The progress of fetching units."""

    login: str
    kind: str
    done: int
    total: int


Report = Callable[[Progress], None]


Pause = Callable[[float], None]  # waits so many seconds


def silent(_: Progress) -> None:
    """Ignore progress, for contacts that report to no one."""


def never() -> bool:
    """Return False, for contacts that no request can restart."""
    return False


@dataclass(frozen=True)
class ContactResult:
    """The result of a contact."""

    fetched: int
    failures: "tuple[NotFetched, ...]"

    def words(self, login: str | None = None) -> str:
        """Return the reasons why units are missing, of all users or of this login; "" if none failed."""
        return "; ".join(failure.why for failure in self.failures if login in (None, failure.login))


@dataclass(frozen=True)
class NotFetched:
    """A unit that the server offered and that was not fetched."""

    login: str
    why: str


def upload_events(device: ThisDevice, server: AgentApi) -> None:
    """Upload the offline events. The server stores them before it answers anything else. Raises NotReached or
    Refused."""
    while device.state.events:
        pending = device.state.events[:MOST_EVENTS]
        reply = server.events(EventsRequest(events=pending))
        if reply.last_number < pending[0].number:
            return  # the server stored none of them; the next sync reports it again
        device.store.change(lambda state, last=reply.last_number: after_upload(state, last))  # type: ignore[misc] # mypy cannot infer a lambda with a default


def sync(device: ThisDevice, server: AgentApi) -> SyncReply:
    """Report what this device holds, and apply the server's reply at once. Raises NotReached or Refused."""
    state = device.state
    keys = device.store.keys
    held = replies.held_units(state)
    found = device.exempt.known()
    exempt = state.exempt if found is None else as_reported(found)
    request = SyncRequest(
        held=held,
        checkpoint=state.checkpoint,
        hardware_bound=keys.hardware_bound,
        protection=protection_of(keys, days_locked=pin_lock.any_locked(state)),
        exempt=exempt,
    )
    reply = server.sync(request)
    device.heard.contact = reply.server_time
    reading = device.clock.reading()

    def change(state: State) -> State:
        state = replace(state, exempt=exempt)
        return pin_lock.after_sync(replies.after_sync(state, reply, reading), reply)

    with device.store.steady():
        if replies.is_news(device.state, change(device.state)):
            device.store.change(change)
    return reply


def _upload_and_sync(device: ThisDevice, server: AgentApi) -> SyncReply:
    """Sync after an upload of what has happened meanwhile. Raises NotReached or Refused.

    Waiting and fetching take minutes, in which a sign-in may have been decided offline. No sync may come before its
    event: the server would find that it comes too late to be true.
    """
    upload_events(device, server)
    return sync(device, server)


class _Waiting:
    """The waits of one contact for a server that is busy with others, or finds this device too fast."""

    def __init__(self, server: AgentApi, pause: Pause) -> None:
        self._server = server
        self._pause = pause
        self._left = MOST_WAITS

    def ask(self, seconds: float, call: Callable[[], R]) -> R:
        """Return the result of a call that may take so many seconds, after waiting while the server is busy.

        Raises NotReached or Refused.
        """
        while True:
            self._server.allow(seconds)
            try:
                return call()
            except Refused as refused:
                wait = refused.reply.retry_after
                if refused.reply.error != BUSY or not 0 < wait <= LONGEST_PAUSE or self._left == 0:
                    raise
                self._left -= 1
            # A little longer, because many devices may have been told the same time.
            self._pause(wait * (1000 + secrets.randbelow(500)) / 1000)


def make_contact(
    device: ThisDevice, report: Report = silent, asked_again: Callable[[], bool] = never, pause: Pause = time.sleep
) -> ContactResult:
    """Make a complete contact: events, sync, and every wanted unit.

    If `asked_again` returns True between two units, the device syncs again, to include a user who has
    signed in meanwhile. `pause` waits while the server is busy. Raises NotReached or Refused.
    """
    device.exempt.look()
    with device.one_contact(), device.connect() as server:
        waiting = _Waiting(server, pause)
        try:
            waiting.ask(CONTACT_PATIENCE, lambda: upload_events(device, server))
            reply = waiting.ask(CONTACT_PATIENCE, lambda: _upload_and_sync(device, server))
            return _Fetching(device, server, waiting, report, asked_again).all(reply)
        except Refused as refused:
            withhold_if_revoked(device, refused)
            raise


def withhold_if_revoked(device: ThisDevice, refused: Refused) -> None:
    """Erase all data if the server has revoked this device.

    A server that does not know the device refuses it, but the device keeps its data. Otherwise a server that lost
    its database would destroy every user's spare key.
    """
    if refused.reply.error == REVOKED:
        device.store.change(replies.after_revoking)


@dataclass(frozen=True)
class _UnitFetch:
    """A unit to fetch, and its number among the units of its user."""

    login: str
    request: UnitRequest
    number: int
    total: int


class _Ended(Enum):
    """The reason why a round ended."""

    WHOLE = auto()
    OVERTAKEN = auto()
    ASKED_AGAIN = auto()
    BUSY = auto()


class _Fetching:
    """The units that one contact fetches, for all users."""

    def __init__(
        self,
        device: ThisDevice,
        server: AgentApi,
        waiting: _Waiting,
        report: Report,
        asked_again: Callable[[], bool],
    ) -> None:
        self._device = device
        self._server = server
        self._waiting = waiting
        self._report = report
        self._asked_again = asked_again
        self._fetched = 0
        self._passed = Counter[str]()  # units of each user, in rounds that ended early
        self._failures: list[NotFetched] = []

    def all(self, reply: SyncReply) -> ContactResult:
        """Fetch in rounds until one is complete, or until generations have changed in `ROUNDS` of them."""
        overtaken = 0
        while (ended := self._round(reply)) is not _Ended.WHOLE:
            overtaken += ended is _Ended.OVERTAKEN
            if overtaken == ROUNDS:
                break
            if ended is _Ended.OVERTAKEN:
                self._failures.clear()
            reply = self._waiting.ask(CONTACT_PATIENCE, lambda: _upload_and_sync(self._device, self._server))
        return ContactResult(self._fetched, tuple(self._failures))

    def _round(self, reply: SyncReply) -> _Ended:
        is_overtaken = False
        turns = _in_turn(self._device.state, reply)
        for place, turn in enumerate(turns, 1):
            ended = self._take(turn)
            if ended is _Ended.BUSY:
                return _Ended.WHOLE  # the other units would be turned away, too; the next contact fetches them
            is_overtaken |= ended is _Ended.OVERTAKEN
            passed = self._passed[turn.login]
            self._report(Progress(turn.login, turn.request.kind, passed + turn.number, passed + turn.total))
            if place < len(turns) and self._asked_again():
                self._passed.update(passed_turn.login for passed_turn in turns[:place])
                return _Ended.ASKED_AGAIN
        return _Ended.OVERTAKEN if is_overtaken else _Ended.WHOLE

    def _take(self, turn: _UnitFetch) -> _Ended:
        """Fetch one unit. Return OVERTAKEN if its generation is over. A unit that fails verification is left out."""
        try:
            _fetch(self._device, self._server, self._waiting, turn.request)
            self._fetched += 1
        except Refused as refused:
            self._failures.append(NotFetched(turn.login, f"{turn.request.kind}: {refused}"))
            if refused.reply.error in OVERTAKEN:
                return _Ended.OVERTAKEN
            if refused.reply.error == BUSY:
                # The unit still belongs here, so a staged generation goes on waiting for it.
                return _Ended.WHOLE if refused.reply.retry_after > LONGEST_PAUSE else _Ended.BUSY
            self._device.store.change(lambda state: replies.after_refusal(state, turn.request))
        except (Unopened, KeyError) as error:
            why = f"{turn.request.kind}: the unit from the server failed verification ({error})"
            self._failures.append(NotFetched(turn.login, why))
        return _Ended.WHOLE


def _in_turn(state: State, reply: SyncReply) -> list[_UnitFetch]:
    """Return the units in order: first those that every user needs first, then each further day.

    Units of one user stay in the server's order.
    """
    turns: list[tuple[int, _UnitFetch]] = []
    today = reply.server_time // DAY_SECONDS
    for user_sync in reply.users:
        if state.has_user(user_sync.user):
            wanted, ahead = replies.missing_units(state.get_user(user_sync.user), user_sync.wanted), 0
            for number, request in enumerate(wanted, 1):
                ahead = max(ahead, request.day - today)  # only day units have a day
                turns.append((ahead, _UnitFetch(user_sync.login, request, number, len(wanted))))
    return [turn for _, turn in sorted(turns, key=lambda each: each[0])]


def _fetch(device: ThisDevice, server: AgentApi, waiting: _Waiting, request: UnitRequest) -> None:
    unit = waiting.ask(UNIT_PATIENCE, lambda: server.unit(request))
    sealed = replies.verify_received(device.state, unit, request)
    entry = device.store.write_unit(unit, sealed)
    device.store.change(lambda state: replies.after_receipt(state, request.user, entry))
    acknowledge(server, [entry.unit_hash])


def acknowledge(server: AgentApi, unit_hashes: Sequence[str]) -> None:
    """Tell the server which units are on disk. If this fails, the next sync does it."""
    try:
        server.acknowledge(AcknowledgementRequest(unit_hashes=list(unit_hashes)))
    except (NotReached, Refused):
        return
