"""Runs `sparekey-agent` as people do: a process, its standard input, its exit status."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparekey import clock
from sparekey.agent.platform.posix import connect
from tests.agent.https_simulator import Served, served
from tests.agent.simulator import SimulatedServer, SimulatedUser

AGENT = [sys.executable, "-m", "sparekey.cli.agent.main"]


class Computer:
    """A computer with its own state directory."""

    def __init__(self, directory: Path, server: Served) -> None:
        self.state = directory / "state"
        self.server = server
        self.options: list[str] = []  # of every command, the daemon too

    @property
    def alice(self) -> SimulatedUser:
        return self.server.simulator.users["alice"]

    def run(self, command: str, *arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        line = [*AGENT, command, *arguments, "--state", str(self.state), *self.options, "--json"]
        if command == "enroll" and "--tpm" not in arguments:
            line += ["--tpm", "off"]  # a TPM of the computer that runs the tests would keep objects of the tests
        return subprocess.run(line, input=typed + "\n", capture_output=True, text=True, timeout=120, check=False)

    def data(self, command: str, *arguments: str, typed: str = "", status: int = 0) -> dict[str, Any]:
        done = self.run(command, *arguments, typed=typed)
        assert done.returncode == status, done.stdout + done.stderr
        data: dict[str, Any] = json.loads(done.stdout)
        return data

    def enroll(self) -> None:
        self.data("enroll", "--server", self.server.url, "--code", "-", typed=self.server.new_code())

    def passcode(self, steps: int = 0) -> str:
        """Return the passcode for the real time, which this computer and the server share."""
        token = self.alice.token
        return self.alice.pin + token.code(token.step(clock.now()) + steps)

    @contextlib.contextmanager
    def daemon(self) -> Iterator["subprocess.Popen[str]"]:
        line = [*AGENT, "run", "--state", str(self.state), *self.options]
        with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr is not None
                for each in process.stderr:
                    if "listening" in each:
                        break
                elsewhere = "--socket" in self.options
                path = self.options[self.options.index("--socket") + 1] if elsewhere else self.state / "agent.sock"
                connect(Path(path), 5).close()
                yield process
            finally:
                process.terminate()
                process.wait(20)


@contextlib.contextmanager
def a_computer(directory: Path) -> Iterator[Computer]:
    """Return a computer that is not enrolled, beside a server that knows Alice."""
    simulator = SimulatedServer(clock=clock.now)
    alice = simulator.add_user()
    alice.codes_end = clock.now() + 30 * 86400
    with served(simulator, directory / "tls") as server:
        yield Computer(directory, server)
