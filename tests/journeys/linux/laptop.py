"""The laptop of the journeys: a real sshd, sudo and su on it, the agent's daemon, and people who live there alone.

One laptop serves many journeys: each has people of its own, with their own counts, tokens and data on the device.
Tokencodes come from `oathtool`.
"""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sparekey.agent.ground.outcome import LoginAnswer, Mode
from sparekey.agent.ground.state import UserState
from sparekey.app.devices import invitations
from sparekey.app.instance import Instance
from sparekey.app.people import users
from sparekey.app.tokens.tokens import NewToken
from sparekey.cli.agent.remote import Daemon, answer_of, find_daemon
from sparekey.clock import now_precise
from sparekey.secret import Secret
from sparekey.wire.local_socket import FrameKind, frame
from sparekey.wiring.server import NewServer, create_server
from tests.builders import LIGHT, PIN, ROOT, User, a_user, edit_policy
from tests.journeys.linux import display_manager
from tests.journeys.linux.login_programs import PROOF
from tests.journeys.linux.machines import SERVER_ADDRESS, Machine, Pair, a_pair
from tests.journeys.linux.stacks import ALONE, Stacks
from tests.journeys.site import an_opened, poll, read_state
from tests.native.built import pam_module
from tools import oathtool
from tools.faketime import FakeTime
from tools.story.stage import PROGRAMS, Server, Stage, listens_there

NAME = "train-laptop"
HELP_TEXT = "Help desk: 555 0100."
PORT = 8443
STATE = "/run/sparekey-state"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
SOCKET = "/run/sparekey-agent/agent.sock"
EVENING = 22  # o'clock, UTC: two hours of this day are left to seal, and the day after
INTERVAL = 60  # seconds: half as many records to seal as for the usual 30
TOKEN = NewToken(interval=INTERVAL)
POLICY = LIGHT | {
    "help_text": HELP_TEXT,
    "users_per_device": "50",
    "offline_failures": "3",
    "allow_tokens_without_pin": "off",
    "server_down": "on",
}

_SSHD = """\
ListenAddress 127.0.0.1
HostKey /etc/ssh/key
UsePAM yes
KbdInteractiveAuthentication yes
PasswordAuthentication no
AuthenticationMethods keyboard-interactive
PerSourcePenalties no
LogLevel VERBOSE
PrintLastLog no
"""
_SUDOERS = "Defaults passwd_tries=1, !lecture, !pam_silent\nALL ALL=(ALL) ALL\n"


@dataclass(frozen=True)
class Person:
    """A user with an account on the laptop and a token at the server."""

    user: User
    stage: Stage

    @property
    def login(self) -> str:
        return self.user.login

    def code(self, *, later: int = 0) -> str:
        """Return the tokencode that the token shows now, or in `later` seconds."""
        totp = self.user.totp
        at = int(self.stage.time.now()) + later
        algorithm: oathtool.Algorithm = "sha1"
        return oathtool.totp(
            totp.seed.reveal().hex(), digits=totp.digits, interval=totp.interval, algorithm=algorithm, at=at
        )

    def passcode(self, *, later: int = 0) -> str:
        return self.user.pin + self.code(later=later)

    def wrong_passcode(self) -> str:
        """The right PIN, and a code that her token does not show near this time."""
        return self.user.wrong(int(self.stage.time.now())).reveal()


@dataclass
class Laptop:
    """The laptop, the server, and the network between them."""

    stage: Stage
    instance: Instance
    pair: Pair
    time: FakeTime  # the clock that the agent sees
    server: Server
    stacks: Stacks
    policy: Mapping[str, str]  # as it is between journeys
    daemon: int = 0  # its process id
    _made: int = 0
    _people: list[Person] = field(default_factory=list)
    _edited: bool = False
    _ends: ExitStack = field(default_factory=ExitStack)

    @property
    def machine(self) -> Machine:
        return self.pair.laptop

    @property
    def now(self) -> int:
        """Return the time of the server's clock."""
        return int(self.stage.time.now())

    @property
    def state_directory(self) -> Path:
        return self.machine.path(STATE)

    def next_interval(self) -> None:
        """A minute goes by on every clock: the tokens show another code."""
        for time in {id(time): time for time in (self.stage.time, self.time)}.values():
            time.advance(INTERVAL)

    # people

    def add_account(self, password: str, *groups: str) -> str:
        """Add an account that only this computer knows; return its name."""
        self._made += 1
        login = f"alice{self._made}"
        self.machine.run("useradd", "--create-home", "--groups", ",".join(groups), login)
        if password:
            self.machine.run("chpasswd", typed=f"{login}:{password}\n")
        return login

    def add_person(self, *, pin: str = PIN, token: NewToken = TOKEN, password: str = "") -> Person:
        """A new account, here and at the server, with the password of the system if one is given."""
        login = self.add_account(password)
        person = Person(a_user(self.instance, login, pin=pin, token=token, now=self.now), self.stage)
        self._people.append(person)
        return person

    def add_traveller(self, *, pin: str = PIN, token: NewToken = TOKEN, password: str = "") -> Person:
        """Add a user who was online here a minute ago and has offline data on the device."""
        person = self.add_person(pin=pin, token=token, password=password)
        self.sign_in_online(person)
        self.next_interval()
        return person

    def sign_in_online(self, person: Person, *, later: int = 0) -> None:
        """Sign in like any login program. When this returns, her units from the server are on the disk.

        Twice if need be: the server of a busy machine may miss the agent's three seconds, with the code used up.
        """
        with self.asked() as daemon:
            answer = self._signed_in(daemon, person.login, person.passcode(later=later))
            if answer.mode is Mode.OFFLINE:
                self.next_interval()
                answer = self._signed_in(daemon, person.login, person.passcode(later=later))
            assert (answer.result, answer.mode) == ("granted", "online"), answer
            daemon.follow(frame(FrameKind.WATCH), lambda _: None)

    @staticmethod
    def _signed_in(daemon: Daemon, login: str, passcode: str) -> LoginAnswer:
        return answer_of(daemon.ask(frame(FrameKind.LOGIN, user=login, passcode=passcode, reply_to="")))

    def sign_in_without_a_login(self, person: Person) -> None:
        """Sign in by the agent's own command."""
        assert self.agent("login", person.login, typed=person.passcode() + "\n").startswith("granted")

    def set_policy(self, fields: Mapping[str, str]) -> None:
        """Set the policy for this journey; `tidy_up` resets it. The device learns of it at its next contact."""
        edit_policy(self.instance, fields, now=self.now)
        self._edited = True

    def tidy_up(self) -> None:
        """Tidy up after a journey: remove its users, reset the policy, plug in the cable, start everything."""
        for person in self._people:
            users.set_enabled(self.instance, ROOT, person.login, enabled=False, now=self.now)
        self._people.clear()
        if self._edited:
            edit_policy(self.instance, self.policy, now=self.now)
            self._edited = False
        self.pair.plug()
        if self.server.process.poll() is not None:
            self.start_server()
        if not self.daemon:
            self.start_daemon()
        self.stacks.enable(ALONE)
        self.sync()

    # the server

    def start_server(self) -> None:
        self.server = _start_server(self.stage, self.pair)

    def stop_server(self) -> None:
        """Stop the server, so that there is a route to it, but no answer."""
        self.stage.stop_server(self.server)

    def operator(self, *arguments: str) -> Any:
        """A command on the server, as the help desk types it; its JSON."""
        return self.stage.sparekey(*arguments).data

    # the agent

    def enroll(self) -> None:
        code = invitations.invite(self.instance, ROOT, NAME, now=self.now).text().reveal()
        url = f"https://{SERVER_ADDRESS}:{PORT}"
        self.agent("enroll", "--server", url, "--code", "-", "--tpm", "off", typed=code + "\n")

    def agent(self, *arguments: str, typed: str = "") -> str:
        """Run a command of root's on the laptop and return its output."""
        words = ("env", *_assignments(self.time), str(PROGRAMS / "sparekey-agent"), *arguments)
        return self.machine.run(*words, "--state", STATE, "--socket", SOCKET, typed=typed)

    def start_daemon(self) -> None:
        process = self._start_daemon()
        poll(lambda: self._listens() or process.poll() is not None, "the agent's socket")
        assert self.daemon, self.agent_log()

    def fails_to_start(self) -> str:
        """Start the daemon, wait until it exits, and return the end of its log."""
        process = self._start_daemon()
        poll(lambda: process.poll() is not None, "the end of a daemon that cannot start")
        assert process.returncode != 0
        return self.agent_log()

    def agent_log(self) -> str:
        return (self.stage.directory / "agent.log").read_text()[-2000:]

    def _start_daemon(self) -> subprocess.Popen[bytes]:
        self.machine.path(str(Path(SOCKET).parent)).mkdir(mode=0o755, exist_ok=True)
        command = (str(PROGRAMS / "sparekey-agent"), "run", "--state", STATE, "--socket", SOCKET)
        with (self.stage.directory / "agent.log").open("ab") as log:
            process = subprocess.Popen(
                [*self.machine.entered, "env", *_assignments(self.time), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._ends.callback(process.wait, timeout=20)
        return process

    def _listens(self) -> bool:
        """Return True if the daemon listens at the socket, according to the kernel."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.machine.path(SOCKET)))
            except OSError:
                return False
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self.daemon = int(struct.unpack("3i", credentials)[0])
        return True

    def stop_daemon(self, number: int = signal.SIGTERM) -> None:
        """Stop the daemon; SIGKILL interrupts it at any point."""
        pid, self.daemon = self.daemon, 0
        os.kill(pid, number)
        poll(lambda: not Path(f"/proc/{pid}").exists(), "the daemon's end")

    @contextmanager
    def asked(self) -> Iterator[Daemon]:
        """A connection to the daemon."""
        daemon = find_daemon(self.machine.path(SOCKET))
        assert daemon is not None, "the agent's daemon does not run"
        with contextlib.closing(daemon):
            yield daemon

    def sync(self) -> None:
        """A whole contact."""
        with self.asked() as daemon:
            daemon.follow(frame(FrameKind.SYNC), lambda _: None)

    def restart(self, *, off_for: int = 0) -> None:
        """The laptop starts again after it was switched off for so long: another boot, by the kernel's name for it."""
        self.stop_daemon()
        boot = self.machine.path("/run/machine/boot")
        boot.write_text(f"{uuid.uuid4()}\n")
        self.machine.run("mount", "--bind", "/run/machine/boot", BOOT_ID)
        for time in {id(time): time for time in (self.stage.time, self.time)}.values():
            time.advance(off_for)
        self.start_daemon()

    def held(self, person: Person) -> UserState:
        """Return the state of this user from the store on disk."""
        return next(user for user in read_state(self.state_directory).users if user.login == person.login)

    def close(self) -> None:
        if self.daemon:
            self.stop_daemon()
        self._ends.close()


def _assignments(time: FakeTime) -> list[str]:
    return [f"{name}={value}" for name, value in time.env.items()]


def _start_server(stage: Stage, pair: Pair) -> Server:
    return stage.start_server(PORT, host=SERVER_ADDRESS, within=pair.server.entered)


@contextmanager
def a_laptop(directory: Path, *, policy: Mapping[str, str] = POLICY, own_clock: bool = False) -> Iterator[Laptop]:
    """Yield an enrolled laptop whose daemon and sshd run. `own_clock`: its clock can be set wrong, and does not follow
    the time that passes at the server."""
    with a_pair() as pair, Stage(directory, print) as stage:
        evening = datetime.fromtimestamp(now_precise(), UTC) + timedelta(days=1)
        stage.time.set(evening.replace(hour=EVENING, minute=0, second=5, microsecond=0))
        time = stage.time
        if own_clock:
            (directory / "beside").mkdir()
            time = FakeTime(directory / "beside", clock_only=True)
            time.set(stage.time.offset)
        now = int(stage.time.now())
        create_server(stage.server_data, NewServer(Secret(""), f"{SERVER_ADDRESS}:{PORT}"), ROOT, now)
        with an_opened(stage.server_data) as instance:
            edit_policy(instance, policy, now=now)
            server, stacks = _start_server(stage, pair), Stacks(pair.laptop)
            with contextlib.closing(Laptop(stage, instance, pair, time, server, stacks, policy)) as laptop:
                laptop.enroll()
                laptop.start_daemon()
                _prepare_login_programs(stage, pair.laptop)
                stacks.hurry()
                stacks.install(pam_module())
                stacks.enable(ALONE)
                laptop.sync()  # the server has answered once: the first answer takes its time
                yield laptop


def _prepare_login_programs(stage: Stage, machine: Machine) -> None:
    """Remove the delays of sudo, su and `login` after a refusal, and start sshd."""
    machine.path("/etc/sudoers.d/people").write_text(_SUDOERS)
    with machine.path("/etc/login.defs").open("a") as settings:
        settings.write("FAIL_DELAY 0\n")
    stack = machine.path("/etc/pam.d/login")
    stack.write_text("".join(line for line in stack.read_text().splitlines(True) if "pam_faildelay" not in line))
    for service in ("vlock", "lock"):
        machine.path(f"/etc/pam.d/{service}").write_text("@include common-auth\n@include common-account\n")
    display_manager.install(machine, PROOF)
    _start_sshd(stage, machine)


def _start_sshd(stage: Stage, machine: Machine) -> None:
    machine.path("/etc/ssh/sshd_config").write_text(_SSHD)
    machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/key")
    with (stage.directory / "sshd.log").open("ab") as log:
        process = subprocess.Popen(
            [*machine.entered, "/usr/sbin/sshd", "-D", "-e"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    stage.call_at_end(process.wait)
    stage.call_at_end(process.terminate)
    poll(lambda: listens_there(machine.pid, 22), "sshd to listen")
