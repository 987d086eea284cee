"""Builders of devices for tests: a real store on a real directory, a clock that stands, a server in memory."""

import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.outcome import Mode, Result
from sparekey.agent.ground.ports import Distance, Files, StoreKeys
from sparekey.agent.ground.state import Enrolment, UserState, new_state
from sparekey.agent.platform.posix import PosixFiles
from sparekey.agent.sign_in.login import login
from sparekey.agent.sign_in.offline import LoginOutcome
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.store.file_keys import FileKeys
from sparekey.agent.store.key_choice import open_keys
from sparekey.agent.store.store import Store
from sparekey.secret import Secret
from tests.agent.clocks import FakeClock
from tests.agent.simulator import DEVICE, SimulatedServer, SimulatedToken, SimulatedUser

T = TypeVar("T")
R = TypeVar("R")


def on_all_cores(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield from pool.map(function, items)


@dataclass
class World:
    """One device and its server; time passes for both."""

    directory: Path
    clock: FakeClock
    server: SimulatedServer
    device: ThisDevice

    @property
    def alice(self) -> SimulatedUser:
        return self.server.users["alice"]

    @property
    def held(self) -> UserState:
        """Return the state of Alice on the device."""
        return self.device.state.get_user(self.alice.user)

    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.server.now += seconds

    def next_code(self) -> None:
        """The token shows another code: time passes, or she presses it."""
        self.alice.token.pressed += 1
        self.pass_time(self.alice.token.interval)

    def passcode(self, steps: int = 0, *, pin: str | None = None, user: SimulatedUser | None = None) -> str:
        """Return PIN and tokencode, of now or of some intervals later."""
        user = user or self.alice
        code = user.token.code(user.token.step(self.server.now) + steps)
        return (user.pin if pin is None else pin) + code

    def login(self, typed: str, name: str = "alice", reply_to: str = "", *, remote: bool = False) -> LoginOutcome:
        return login(self.device, name, Secret(typed), reply_to, remote=remote)

    def go_offline(self, distance: Distance = Distance.OFFLINE) -> None:
        self.server.unreachable = distance

    def go_online(self) -> None:
        self.server.unreachable = None

    def reopen(self, files: Files | None = None) -> None:
        """The agent is started again."""
        files = files or PosixFiles()
        store = Store.open(self.directory, files, open_keys(self.directory, files), self.clock)
        self.device = ThisDevice(store, self.clock, self.server.connect, on_all_cores)
        store.begin()

    def signed_in_online(self) -> "World":
        """Sign Alice in with her token, and let the device fetch everything."""
        answer = self.login(self.passcode()).answer
        assert (answer.result, answer.mode) == (Result.GRANTED, Mode.ONLINE)
        make_contact(self.device)
        self.next_code()
        return self


def a_world(
    directory: Path,
    *,
    files: Files | None = None,
    pin: str = "2468",
    token: SimulatedToken | None = None,
    keys: StoreKeys | None = None,
) -> World:
    """Return an enrolled device, with its keys in a file or as given. The server knows Alice, who has not signed in
    yet."""
    clock, server = FakeClock(), SimulatedServer()
    server.add_user(pin=pin, token=token)
    files = files or PosixFiles()
    keys = keys or FileKeys.create(directory, files)
    enrolment = Enrolment(DEVICE, "laptop", ["https://server:1"], "", [server.signing_key.hex()], "")
    store = Store.create(directory, files, keys, clock, new_state(enrolment))
    return World(directory, clock, server, ThisDevice(store, clock, server.connect, on_all_cores))


def an_offline_world(
    directory: Path, *, files: Files | None = None, pin: str = "2468", keys: StoreKeys | None = None
) -> World:
    """Return a device with Alice's offline data, without a network."""
    world = a_world(directory, files=files, pin=pin, keys=keys).signed_in_online()
    world.go_offline()
    return world


def bytes_of(directory: Path) -> bytes:
    """Every byte of every file of the store."""
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())
