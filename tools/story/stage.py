"""The stage of the story: separate processes of server and agent under one faked clock, and a narrator.

Rules: every command runs as its own process, as a person would run it; tokencodes come from `oathtool`; what is
expected is checked, and the story stops with what was seen where it does not hold; every process that was started is
ended by its own process id.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, NoReturn, Self

from sparekey.clock import monotonic
from tools.faketime import FakeTime
from tools.story.cable import Cable

PROGRAMS = Path(sys.executable).parent
COMMAND_SECONDS = 120
START_SECONDS = 60  # on a busy machine
FIRST_PORT: Final = 10_000
OUTGOING_PORTS: Final = 32_768  # net.ipv4.ip_local_port_range, as kernels come
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoryError(AssertionError):
    """Something came out otherwise than the story tells."""


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal raise Interrupted here, once, so that what stands on the stage is cleared
    away; SIGINT also where a script started this with `&`, which ignores it. What `nohup` asked for is left to it."""
    before = {number: signal.getsignal(number) for number in _ENDING}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]

    def end(number: int, _: FrameType | None) -> NoReturn:
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # a second one must not break off the clearing away
        raise Interrupted(number)

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Answer:
    """The result of a command: its exit code, its JSON, and its lines on standard error."""

    code: int
    data: Any
    words: str
    output: str = ""  # standard output as it was


@dataclass
class Server:
    """One `sparekey serve` process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path


def expect(holds: bool, what: str, seen: object = "") -> None:
    """Stops the story where `holds` is false. `seen` must hold no secret."""
    if not holds:
        raise StoryError(f"expected {what}; seen: {seen}")


class Stage:
    """Everything that is running. A context manager: at its end every process of its own is ended."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self.directory = directory
        self.say = say
        self.time = FakeTime(directory)
        self.server_data = directory / "server"
        self.device_state = directory / "laptop"
        # what a command on the device is started through, such as ("unshare", "-n"): no network there
        self.device_namespaces: tuple[str, ...] = ()
        self.answers: list[tuple[str, Answer]] = []  # every command's program and arguments, with what it said
        self._cleanup = ExitStack()
        self._variables: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def sparekey(self, *arguments: str, typed: str = "", fails: bool = False, data: Path | None = None) -> Answer:
        """An operator's command on the server, as JSON."""
        return self._run("sparekey", ("--data", str(data or self.server_data), *arguments), typed, fails=fails)

    def agent(self, *arguments: str, typed: str = "", fails: bool = False, state: Path | None = None) -> Answer:
        """A command on the device, as JSON."""
        where: tuple[str, ...] = ("--state", str(state or self.device_state))
        if arguments[0] == "enroll" and "--tpm" not in arguments:
            where += ("--tpm", "off")  # a TPM of the computer that this runs on would keep what is made there
        return self._run("sparekey-agent", (*arguments, *where), typed, fails=fails, within=self.device_namespaces)

    def start_server(
        self,
        port: int,
        data: Path | None = None,
        *,
        for_a_browser: bool = False,
        host: str = "127.0.0.1",
        within: tuple[str, ...] = (),
    ) -> Server:
        """`sparekey serve`, on loopback unless told otherwise, ready when this returns. `for_a_browser`: at today's
        time, without TLS. `within`: what it is started through, such as a program that enters another network."""
        env = {**os.environ, "SPAREKEY_TLS": "off"} if for_a_browser else self._env()
        log = self.directory / f"server-{port}.log"
        command = [str(PROGRAMS / "sparekey"), "--data", str(data or self.server_data), "serve"]
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*within, *command, "--listen", f"{host}:{port}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                start_new_session=True,
            )
        server = Server(process, port, log)
        self._cleanup.callback(self.stop_server, server)
        here = (lambda: listens_there(process.pid, port)) if within else (lambda: is_listening(port))
        _wait_until(here, server, "the server to answer")
        return server

    def start_daemon(self) -> subprocess.Popen[bytes]:
        """`sparekey-agent run` on the device, ready when this returns."""
        log = self.directory / "agent.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(PROGRAMS / "sparekey-agent"), "run", "--state", str(self.device_state)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._env(),
                start_new_session=True,
            )
        daemon = Server(process, 0, log)
        self._cleanup.callback(self.stop_server, daemon)
        _wait_until((self.device_state / "agent.sock").exists, daemon, "the agent's socket")
        return process

    def follow_login(self, user: str, passcode: str) -> None:
        """Sign in as a person sees it, with the messages that appear while the offline data arrive."""
        command = [str(PROGRAMS / "sparekey-agent"), "login", user, "--state", str(self.device_state)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self._env()
        ) as process:
            if process.stdin is None or process.stdout is None:
                raise StoryError("no way to talk to sparekey-agent")
            process.stdin.write(passcode + "\n")
            process.stdin.close()
            for line in process.stdout:
                self.say(f"    {line.rstrip()}")
            expect(process.wait(timeout=COMMAND_SECONDS) == 0, f"{user} to be let in")

    def wait_for_checkpoint(self) -> None:
        """The servers chain the audit record once a second."""
        threading.Event().wait(1.5)

    def stop_server(self, server: Server) -> None:
        """Ends one server, as a service manager does."""
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
            try:
                server.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                os.killpg(server.process.pid, signal.SIGKILL)  # its own session: its workers too
                server.process.wait(timeout=15)

    def lay_cable(self, port: int) -> Cable:
        """The way from the device to the server."""
        return self._cleanup.enter_context(Cable(port))

    def call_at_end(self, end: Callable[[], object]) -> None:
        self._cleanup.callback(end)

    def add_variables(self, variables: Mapping[str, str]) -> None:
        """For every command from now on."""
        self._variables |= variables

    def _env(self) -> dict[str, str]:
        return {**os.environ, **self.time.env, **self._variables, "PYTHONWARNINGS": "default"}

    def _run(
        self, program: str, arguments: tuple[str, ...], typed: str, *, fails: bool, within: tuple[str, ...] = ()
    ) -> Answer:
        done = subprocess.run(
            [*within, str(PROGRAMS / program), *arguments, "--json"],
            input=typed,
            capture_output=True,
            text=True,
            env=self._env(),
            timeout=COMMAND_SECONDS,
            check=False,
        )
        try:
            data = json.loads(done.stdout) if done.stdout.strip() else None
        except ValueError:
            data = None
        answer = Answer(done.returncode, data, done.stderr, done.stdout)
        self.answers.append((" ".join((program, *arguments)), answer))
        if (done.returncode != 0) is not fails:
            words = f"exit {done.returncode}: {done.stderr.strip()[-2000:]}"
            raise StoryError(f"`{program} {' '.join(arguments)}` came out otherwise than expected: {words}")
        return answer


def free_port() -> int:
    """A port on loopback that nothing listens on now, and that no outgoing connection is given meanwhile (Linux takes
    theirs from `OUTGOING_PORTS` on)."""
    while True:
        port = FIRST_PORT + secrets.randbelow(OUTGOING_PORTS - FIRST_PORT)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def is_listening(port: int) -> bool:
    """Return True if a server accepts connections on this loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def listens_there(pid: int, port: int) -> bool:
    """Return True if a server listens on the port in the network namespace of the process."""
    try:
        lines = Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    except OSError:  # it has ended
        return False
    listen = "0A"  # TCP_LISTEN, include/net/tcp_states.h
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == listen for line in lines)


def _wait_until(holds: Callable[[], bool], server: Server, what: str) -> None:
    patience = monotonic() + START_SECONDS
    pause = threading.Event()
    while not holds():
        if server.process.poll() is not None or monotonic() > patience:
            raise StoryError(f"waited for {what}; its log ends: {server.log.read_text()[-2000:]}")
        pause.wait(0.05)
