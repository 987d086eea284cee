"""Contact with the server beyond a sign-in: events up, the server's word down, units fetched and acknowledged.

- Works with nobody signed in; what the server withholds is erased before anything is fetched.
- Each unit counts once its file and its entry are on disk; then it is acknowledged.
- A unit that does not stand up to its examination is left out, and the others go on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sparekey.agent import pin_lock, trusted_days
from sparekey.agent.device import Device
from sparekey.agent.events import UPLOAD_AT_ONCE, after_upload
from sparekey.agent.exempt import as_reported
from sparekey.agent.ports import NotReached, Refused, Server
from sparekey.agent.protection import protection_of
from sparekey.agent.state import State
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
    reading = device.clock.reading()

    def change(state: State) -> State:
        state = replace(state, exempt=exempt)
        return pin_lock.after_sync(trusted_days.after_sync(state, reply, reading), reply)

    with device.store.steady():
        if trusted_days.is_news(device.state, change(device.state)):
            device.store.change(change)
    return reply


def refill(device: Device, report: Report = silent) -> Refilled:
    """A whole contact: events, sync, every unit that is wanted. Raises `NotReached`, `Refused`."""
    device.exempt.look()
    with device.one_refill(), device.connect() as server:
        try:
            server.allow(CONTACT_PATIENCE)
            upload_events(device, server)
            reply = take_word(device, server)
            return _fetch_all(device, server, reply, report)
        except Refused as refused:
            withhold_if_revoked(device, refused)
            raise


def withhold_if_revoked(device: Device, refused: Refused) -> None:
    """A revoked device keeps nothing. One that the server does not know is refused, but keeps what it has: a server
    whose database was lost must not take everybody's spare key with it."""
    if refused.reply.error == REVOKED:
        device.store.change(trusted_days.without_data)


def _fetch_all(device: Device, server: Server, reply: SyncReply, report: Report) -> Refilled:
    fetched, failures = 0, list[NotFetched]()
    for _ in range(ROUNDS):
        outcome, again = _fetch_round(device, server, reply, report)
        fetched += outcome.fetched
        failures = list(outcome.failures)
        if not again:
            break
        server.allow(CONTACT_PATIENCE)
        reply = take_word(device, server)
    return Refilled(fetched, tuple(failures))


def _fetch_round(device: Device, server: Server, reply: SyncReply, report: Report) -> tuple[Refilled, bool]:
    fetched, failures, again = 0, list[NotFetched](), False
    for said in reply.users:
        if not device.state.has_user(said.user):
            continue
        wanted = trusted_days.missing_units(device.state.get_user(said.user), said.wanted)
        for number, asked in enumerate(wanted, 1):
            try:
                _fetch(device, server, asked)
                fetched += 1
            except Refused as refused:
                again = again or refused.reply.error in OVERTAKEN
                if refused.reply.error not in OVERTAKEN:
                    device.store.change(lambda state, asked=asked: trusted_days.after_refusal(state, asked))  # type: ignore[misc] # mypy cannot infer a lambda with a default
                failures.append(NotFetched(said.login, f"{asked.kind}: {refused}"))
            except (Unopened, KeyError) as error:
                failures.append(NotFetched(said.login, f"{asked.kind}: the server's unit was not accepted ({error})"))
            report(Progress(said.login, asked.kind, number, len(wanted)))
    return Refilled(fetched, tuple(failures)), again


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
