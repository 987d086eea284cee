"""S06 and S09 with real processes: a server killed in the middle of guesses, a database that goes and comes back."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparekey import clock
from sparekey.app.instance import Instance
from sparekey.app.sessions.clients import add_client
from sparekey.core.audit_log.actions import Action
from sparekey.secret import Secret
from sparekey.wiring.server import NewServer, create_server
from tests.builders import PIN, ROOT, Device, User, a_device, a_user, account_row, logged_events
from tests.journeys.http_lines import Line, Reply, Request, ask_all, by_client, by_device
from tests.journeys.site import an_opened, poll
from tools.postgresql import PostgresqlServer
from tools.story.stage import Server, Stage, free_port, is_listening

pytestmark = pytest.mark.services

LIMIT = 5  # of the default lockout policy
GUESSES = 40
# one sign-in at a time, so that there is a middle to be killed in
VARIABLES = {"SPAREKEY_TLS": "off", "SPAREKEY_REFUSAL_FLOOR_MS": "20", "SPAREKEY_SIGN_IN_THREADS": "1"}


@dataclass
class Interfaces:
    """A server and its callers."""

    stage: Stage
    instance: Instance
    server: Server
    user: User
    device: Device
    key: str

    def by_both(self, passcodes: list[str]) -> list[Request]:
        """Return requests in turn from a program and a device."""
        now = clock.now()
        return [
            by_client(self.key, self.user.login, typed)
            if number % 2
            else by_device(self.device, self.user.login, typed, now)
            for number, typed in enumerate(passcodes)
        ]

    async def ask(self, passcodes: list[str]) -> list[Reply | None]:
        """Ask all at once, each on its own connection."""
        lines = [Line(self.server.port) for _ in passcodes]
        replies = await ask_all(lines, self.by_both(passcodes))
        for line in lines:
            line.close()
        return replies

    def wrong_passcodes(self) -> list[str]:
        """The right PIN with different codes that the token does not show near this time."""
        step = self.user.step(clock.now())
        near = {self.user.totp.code(each) for each in range(step - 4, step + 5)}
        return [self.user.pin + code for number in range(GUESSES) if (code := f"{number:06d}") not in near]

    def decided(self) -> int:
        """Return the number of decided guesses: the failures in the audit log."""
        return len(
            [row for row in logged_events(self.instance, Action.SIGN_IN_DENIED) if row.result == "wrong-passcode"]
        )


@contextmanager
def a_server(directory: Path, database: str, processes: int = 1) -> Iterator[Interfaces]:
    with Stage(directory, print) as stage:
        stage.add_variables({**VARIABLES, "SPAREKEY_WORKERS": str(processes)})
        create_server(stage.server_data, NewServer(Secret(database)), ROOT, clock.now())
        with an_opened(stage.server_data) as instance:
            user, device = (a_user(instance, pin=PIN, now=clock.now()), a_device(instance, now=clock.now()))
            key = add_client(instance, ROOT, "web", now=clock.now()).reveal()
            yield Interfaces(stage, instance, stage.start_server(free_port()), user, device, key)


def test_s06_counts_survive_kill_9_of_the_workers(postgresql_url: str, tmp_path: Path) -> None:
    counts_survive(tmp_path, postgresql_url, "workers", processes=2)


def test_s06_counts_survive_kill_9_of_the_server(tmp_path: Path) -> None:
    counts_survive(tmp_path, "", "server")


def counts_survive(directory: Path, database: str, victim: str, processes: int = 1) -> None:
    with a_server(directory, database, processes) as interfaces:
        answered = asyncio.run(guess_and_kill(interfaces, victim))
        assert account_row(interfaces.instance, interfaces.user.login).failures == interfaces.decided()
        assert answered <= interfaces.decided()
        asyncio.run(guess_again(interfaces))
        assert interfaces.decided() == LIMIT
        assert account_row(interfaces.instance, interfaces.user.login).locked_at is not None


async def guess_and_kill(interfaces: Interfaces, victim: str) -> int:
    """Kill the server once two guesses were decided; return the number of answers until then."""
    guesses = asyncio.create_task(interfaces.ask(interfaces.wrong_passcodes()))
    await asyncio.to_thread(poll, lambda: interfaces.decided() >= 2, "two decided guesses")
    kill_9(interfaces.server, victim)
    replies = await guesses
    assert not any(reply is not None and reply.is_granted for reply in replies)
    if victim == "server":
        interfaces.server.process.wait(timeout=20)
        interfaces.server = interfaces.stage.start_server(interfaces.server.port)
    # the answers that came are of decided guesses and, past the limit, of none: they stop at the limit here
    return min(sum(reply is not None and reply.status == 200 for reply in replies), LIMIT)


def kill_9(server: Server, victim: str) -> None:
    """Kill the server, which is one process here, or all workers of a server with several."""
    pid = server.process.pid
    workers = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    assert bool(workers) == (victim == "workers")
    for each in workers or [pid]:
        os.kill(each, signal.SIGKILL)


async def guess_again(interfaces: Interfaces) -> None:
    """Guess on once the server answers again: after the limit the right passcode is refused, too."""
    await asyncio.to_thread(poll, lambda: is_listening(interfaces.server.port), "the server to answer")
    replies: list[Reply | None] = [None]
    while None in replies:  # until the new workers take over, connections break off
        replies = await interfaces.ask(interfaces.wrong_passcodes())
    replies += await interfaces.ask([interfaces.user.typed(clock.now()).reveal()])
    assert [reply for reply in replies if reply is None or reply.is_granted] == []


def test_s09_without_its_database_the_server_grants_nothing(tmp_path: Path) -> None:
    with PostgresqlServer() as postgresql, a_server(tmp_path, postgresql.create_database()) as interfaces:
        now = clock.now()
        assert granted(interfaces, interfaces.user.typed(now).reveal()) == [True, False]
        postgresql.stop()
        following = interfaces.user.typed(now + interfaces.user.totp.interval).reveal()
        for _ in range(2):
            replies = asyncio.run(interfaces.ask([following, following]))
            assert {(reply.status, reply.json["error"]) for reply in replies if reply} == {(503, "unavailable")}
            assert len([reply for reply in replies if reply]) == 2
        postgresql.start()
        poll(lambda: any(granted(interfaces, following)), "the server to find its database again", 20)
        assert interfaces.server.process.poll() is None


def granted(interfaces: Interfaces, typed: str) -> list[bool]:
    """Try the passcode on the device, then as the program; return whether each was granted."""

    async def one_after_the_other() -> list[Reply | None]:
        line = Line(interfaces.server.port)
        replies = [await line.ask(request) for request in interfaces.by_both([typed, typed])]
        line.close()
        return replies

    return [reply is not None and reply.is_granted for reply in asyncio.run(one_after_the_other())]
