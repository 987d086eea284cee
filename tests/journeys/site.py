"""The start of every journey: a real server and a real device under one faked clock, Alice with PIN and token.

Servers, daemons and a person's actions at the device are processes. An operator's actions go through the same use cases
on the same data directory, but in this process, because each command would cost a program start.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sparekey.agent.ground.state import State, UserState, state_from_bytes
from sparekey.agent.platform.posix import PosixFiles, SystemClock
from sparekey.agent.store.key_choice import open_keys
from sparekey.agent.store.store import STATE, Store
from sparekey.app.devices import invitations
from sparekey.app.instance import Instance
from sparekey.app.tokens.tokens import NewToken
from sparekey.clock import monotonic, now_precise
from sparekey.secret import Secret
from sparekey.server.settings import read_settings
from sparekey.wiring.server import NewServer, create_server, open_instance
from tests.builders import LIGHT, PIN, ROOT, User, a_user, edit_policy
from tools.story.cable import Cable
from tools.story.stage import Answer, Server, Stage, free_port

DEVICE = "alice-laptop"
EVENING = (23, 20)  # forty minutes of a UTC day are left to seal, and the day after: a slow machine needs them
INTERVAL = 60  # seconds: half as many records to seal as for the usual 30
PATIENCE = 60


@dataclass
class Site:
    """One server, one device, and the cable between them."""

    stage: Stage
    instance: Instance
    port: int
    server: Server
    cable: Cable
    alice: User
    device: Stage  # another stage where the device's clock is its own

    @property
    def now(self) -> int:
        """Return the time of the server's clock."""
        return int(self.stage.time.now())

    @property
    def address(self) -> str:
        return f"https://localhost:{self.cable.port}"

    @property
    def state_directory(self) -> Path:
        return self.device.device_state

    def next_interval(self) -> None:
        """Move every clock by one interval: the token shows another code."""
        for stage in {id(stage): stage for stage in (self.stage, self.device)}.values():
            stage.time.advance(INTERVAL)

    def passcode(self, *, ago: int = 0) -> str:
        """Return Alice's PIN and the code that her token shows, or showed `ago` seconds ago."""
        return self.alice.typed(self.now - ago).reveal()

    def wrong_passcode(self) -> str:
        """The right PIN and a code that her token does not show near this time."""
        return self.alice.wrong(self.now).reveal()

    def enroll(self, tpm: str = "off") -> Answer:
        """The device becomes one of this server's, with its keys in a file or in that TPM."""
        code = invitations.invite(self.instance, ROOT, DEVICE, now=self.now).text().reveal()
        line = ("enroll", "--server", self.address, "--code", "-", "--tpm", tpm)
        return self.device.agent(*line, typed=code + "\n")

    def login(self, typed: str, result: str = "granted", mode: str = "", *, user: str = "") -> Any:
        """Sign in on the device and return its answer. Check the result, and the mode if it is given."""
        answer = self.attempt(typed, user=user, fails=result != "granted")
        assert answer.data["result"] == result, (answer.data, answer.words)
        assert mode in ("", answer.data["mode"]), answer.data
        return answer.data

    def attempt(self, typed: str, *, user: str = "", fails: bool) -> Answer:
        return self.device.agent("login", user or self.alice.login, typed=typed + "\n", fails=fails)

    def held(self) -> UserState | None:
        """Return Alice's state from the device's store on disk."""
        return next((user for user in read_state(self.state_directory).users if user.login == self.alice.login), None)

    def failures(self) -> int:
        held = self.held()
        assert held is not None
        return held.failures


def read_state(directory: Path) -> State:
    """The device's state, decrypted with its keys: in a file beside it, or in its TPM."""
    files = PosixFiles()
    return state_from_bytes(open_keys(directory, files).open_state(files.read(directory / STATE)))


def read_store(directory: Path) -> tuple[State, bytes, list[bytes]]:
    """Return the state, its bytes as JSON, and every unit, all decrypted: the view of an attacker with the keys and the
    disk."""
    files = PosixFiles()
    keys = open_keys(directory, files)
    plain = keys.open_state(files.read(directory / STATE))
    state = state_from_bytes(plain)
    store = Store(directory, files, keys, SystemClock(), state)
    entries = [entry for user in state.users for entry in user.units]
    return state, plain, [store.read_unit(entry, range(entry.first, entry.last + 1)).join() for entry in entries]


@contextmanager
def an_opened(data: Path) -> Iterator[Instance]:
    """The use cases on a data directory."""
    instance = open_instance(data, read_settings(data, os.environ))
    try:
        yield instance
    finally:
        instance.database.close()


@contextmanager
def a_site(
    directory: Path,
    *,
    policy: Mapping[str, str] = LIGHT,
    database: str = "",
    pin: str = PIN,
    device: Stage | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Site]:
    """Everything of a site but the enrolment; on its server is SQLite unless a database's address is given."""
    with Stage(directory, print) as stage:
        if variables:
            stage.add_variables(variables)
        set_evening(stage)
        now = int(stage.time.now())
        create_server(stage.server_data, NewServer(Secret(database)), ROOT, now)
        with an_opened(stage.server_data) as instance:
            edit_policy(instance, policy, now=now)
            alice = a_user(instance, "alice", pin=pin, token=NewToken(interval=INTERVAL), now=now)
            port = free_port()
            server = stage.start_server(port)
            yield Site(stage, instance, port, server, stage.lay_cable(port), alice, device or stage)


def set_evening(stage: Stage) -> None:
    """Set the clock late in the evening of the next day, so that it only goes forward."""
    evening = datetime.fromtimestamp(now_precise(), UTC) + timedelta(days=1)
    stage.time.set(evening.replace(hour=EVENING[0], minute=EVENING[1], second=5, microsecond=0))


def poll(holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Try again until the condition holds; fail after `seconds`."""
    until, pause = monotonic() + seconds, threading.Event()
    while not holds():
        assert monotonic() < until, f"waited {seconds} s for {what}"
        pause.wait(0.01)
