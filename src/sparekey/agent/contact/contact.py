"""Contact with the server beyond a sign-in: events up, the server's word down, units fetched and acknowledged.

- Works with nobody signed in; what the server withholds is erased before anything is fetched.
- Each unit counts once its file and its entry are on disk; then it is acknowledged.
- What everybody needs first is fetched before anybody's later days, also for whoever signs in meanwhile.
- A unit that does not stand up to its examination is left out, and the others go on.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from sparekey.agent.contact import replies as trusted_days
from sparekey.agent.contact.events import UPLOAD_AT_ONCE, after_upload
from sparekey.agent.ground.exempt_accounts import as_reported
from sparekey.agent.ground.ports import NotReached, Refused, Server
from sparekey.agent.ground.state import State
from sparekey.agent.store import pin_lock
from sparekey.agent.store.device import Device
from sparekey.agent.tpm.protection import protection_of
from sparekey.sealed import Unopened
from sparekey.wire.agent_api import (
    AcknowledgementRequest,
    EventsRequest,
    SyncReply,
    SyncRequest,
    UnitRequest,
)

UNIT_PATIENCE = 300  # seconds: a unit may be sealed only when it is asked for
CONTACT_PATIENCE = 30
ROUNDS = 3  # a generation may rise while units are fetched: then the server is asked anew
OVERTAKEN = frozenset({"stale", "conflict"})  # a generation rose meanwhile
REVOKED = "revoked"


@dataclass(frozen=True)
class Progress:
    """How far the fetching is."""

    login: str
    kind: str
    done: int
    total: int


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """For refills that nobody watches."""


def never() -> bool:
    """For refills that nobody asks for meanwhile."""
    return False


@dataclass(frozen=True)
class Refilled:
    """What came of it."""

    fetched: int
    failures: "tuple[NotFetched, ...]"

    def words(self, login: str | None = None) -> str:
        """Why something is not here, of everybody or of this user; "": nothing failed."""
        return "; ".join(each.why for each in self.failures if login in (None, each.login))


@dataclass(frozen=True)
class NotFetched:
    """A unit that the server offered and that is not here."""

    login: str
    why: str


def upload_events(device: Device, server: Server) -> None:
    """Hands over what happened offline; the server counts it before anything else."""
    while device.state.events:
        pending = device.state.events[:UPLOAD_AT_ONCE]
        reply = server.events(EventsRequest(pending))
        if reply.last_number < pending[0].number:
            return  # it did not take even the first: the next sync will say so again
        device.store.change(lambda state, last=reply.last_number: after_upload(state, last))  # type: ignore[misc] # mypy cannot infer a lambda with a default


def take_word(device: Device, server: Server) -> SyncReply:
    """Asks what the server says about the users of this device, and does it at once."""
    state = device.state
    keys = device.store.keys
    held = trusted_days.held_units(state)
    found = device.exempt.known()
    exempt = state.exempt if found is None else as_reported(found)
    request = SyncRequest(
        held,
        state.checkpoint,
        keys.hardware_bound,
        protection=protection_of(keys, days_locked=pin_lock.any_locked(state)),
        exempt=exempt,
    )
    reply = server.sync(request)
    device.heard.contact = reply.server_time
    reading = device.clock.reading()

    def change(state: State) -> State:
        state = replace(state, exempt=exempt)
        return pin_lock.after_sync(trusted_days.after_sync(state, reply, reading), reply)

    with device.store.steady():
        if trusted_days.is_news(device.state, change(device.state)):
            device.store.change(change)
    return reply


def refill(device: Device, report: Report = silent, asked_again: Callable[[], bool] = never) -> Refilled:
    """A whole contact: events, sync, every unit that is wanted. Where `asked_again` says so between two units, the
    server's word is taken anew: whoever signed in meanwhile is in it. Raises `NotReached`, `Refused`."""
    device.exempt.look()
    with device.one_refill(), device.connect() as server:
        try:
            server.allow(CONTACT_PATIENCE)
            upload_events(device, server)
            return _Fetching(device, server, report, asked_again).all(take_word(device, server))
        except Refused as refused:
            withhold_if_revoked(device, refused)
            raise


def withhold_if_revoked(device: Device, refused: Refused) -> None:
    """A revoked device keeps nothing. One that the server does not know is refused, but keeps what it has: a server
    whose database was lost must not take everybody's spare key with it."""
    if refused.reply.error == REVOKED:
        device.store.change(trusted_days.after_revoking)


@dataclass(frozen=True)
class _Turn:
    """A unit to be fetched, and which of its user's it is."""

    login: str
    asked: UnitRequest
    number: int
    total: int


class _Ended(Enum):
    """Why a round is over."""

    WHOLE = auto()
    OVERTAKEN = auto()
    ASKED_AGAIN = auto()


class _Fetching:
    """What one contact fetches, for everybody."""

    def __init__(self, device: Device, server: Server, report: Report, asked_again: Callable[[], bool]) -> None:
        self._device = device
        self._server = server
        self._report = report
        self._asked_again = asked_again
        self._fetched = 0
        self._passed = Counter[str]()  # of each user's, in rounds that were broken off
        self._failures: list[NotFetched] = []

    def all(self, reply: SyncReply) -> Refilled:
        """Rounds until one is whole, or generations rise again and again."""
        overtaken = 0
        while (ended := self._round(reply)) is not _Ended.WHOLE:
            overtaken += ended is _Ended.OVERTAKEN
            if overtaken == ROUNDS:
                break
            if ended is _Ended.OVERTAKEN:
                self._failures.clear()
            self._server.allow(CONTACT_PATIENCE)
            reply = take_word(self._device, self._server)
        return Refilled(self._fetched, tuple(self._failures))

    def _round(self, reply: SyncReply) -> _Ended:
        is_overtaken = False
        turns = _in_turn(self._device.state, reply)
        for place, turn in enumerate(turns, 1):
            is_overtaken |= self._take(turn)
            passed = self._passed[turn.login]
            self._report(Progress(turn.login, turn.asked.kind, passed + turn.number, passed + turn.total))
            if place < len(turns) and self._asked_again():
                self._passed.update(each.login for each in turns[:place])
                return _Ended.ASKED_AGAIN
        return _Ended.OVERTAKEN if is_overtaken else _Ended.WHOLE

    def _take(self, turn: _Turn) -> bool:
        """Whether its generation is over; what does not stand up to its examination is left out."""
        try:
            _fetch(self._device, self._server, turn.asked)
            self._fetched += 1
        except Refused as refused:
            self._failures.append(NotFetched(turn.login, f"{turn.asked.kind}: {refused}"))
            if refused.reply.error in OVERTAKEN:
                return True
            self._device.store.change(lambda state: trusted_days.after_refusal(state, turn.asked))
        except (Unopened, KeyError) as error:
            why = f"{turn.asked.kind}: the server's unit was not accepted ({error})"
            self._failures.append(NotFetched(turn.login, why))
        return False


def _in_turn(state: State, reply: SyncReply) -> list[_Turn]:
    """What is needed first of everybody, then each further day: each user's in the server's order."""
    turns: list[tuple[int, _Turn]] = []
    today = reply.server_time // trusted_days.DAY_SECONDS
    for said in reply.users:
        if state.has_user(said.user):
            wanted, ahead = trusted_days.missing_units(state.get_user(said.user), said.wanted), 0
            for number, asked in enumerate(wanted, 1):
                ahead = max(ahead, asked.day - today)  # only a day's unit has a day
                turns.append((ahead, _Turn(said.login, asked, number, len(wanted))))
    return [turn for _, turn in sorted(turns, key=lambda each: each[0])]


def _fetch(device: Device, server: Server, asked: UnitRequest) -> None:
    server.allow(UNIT_PATIENCE)
    unit = server.unit(asked)
    sealed = trusted_days.verify_received(device.state, unit, asked)
    entry = device.store.write_unit(unit, sealed)
    device.store.change(lambda state: trusted_days.after_receipt(state, asked.user, entry))
    acknowledge(server, [entry.unit_hash])


def acknowledge(server: Server, unit_hashes: Sequence[str]) -> None:
    """Tells the server what is on disk. If that fails, the next sync tells it too."""
    try:
        server.acknowledge(AcknowledgementRequest(list(unit_hashes)))
    except (NotReached, Refused):
        return
