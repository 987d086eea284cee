"""The first installation as docs/linux-login.md tells it, step by step on a real machine: nobody is locked out on the
way, and the way back is there all the time."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.journeys.linux.doors import SSH, SU, SUDO
from tests.journeys.linux.laptop import Laptop
from tests.journeys.linux.machines import Machine
from tests.journeys.linux.terminal import Terminal
from tests.native.built import pam_module
from tools.tree import ROOT

pytestmark = pytest.mark.services

PROFILES = ROOT / "packaging/pam"
EXAMPLES = PROFILES / "examples"
DOCUMENT = ROOT / "docs/linux-login.md"
STACKS = ("common-account", "common-auth", "common-password", "common-session", "common-session-noninteractive")
PASSWORD, RESCUE_PASSWORD, ROOT_PASSWORD = "correct-horse", "battery-staple", "paper-clip"


@dataclass(frozen=True)
class Installed:
    """The laptop with the package's files in place, and logins as Debian has them."""

    laptop: Laptop
    root: Terminal  # the shell that stays open

    @property
    def machine(self) -> Machine:
        return self.laptop.machine

    def by_root(self, command: str) -> None:
        """Typed in the shell that stays open; it goes on."""
        self.root.type(f"{command}; echo done=$?")
        found = self.root.shows(r"done=(\d+)")
        assert found is not None, self.root.words
        assert found[1] == "0", self.root.words

    def tries(self, service: str, login: str, typed: str, *items: str) -> str:
        """What PAM asks for, and whether it lets in: `Passcode: yes`."""
        command = ["pamtester", *items, service, login, "authenticate", "acct_mgmt"]
        done = subprocess.run([*self.machine.entered, *command], input=typed + "\n", capture_output=True, text=True,
                              timeout=60, check=False)  # fmt: skip
        prompt = re.search(r"(Passcode|Password): ", done.stdout + done.stderr)
        assert prompt is not None, done.stdout + done.stderr
        return f"{prompt[0]}{'no' if done.returncode else 'yes'}"

    def stacks(self) -> dict[str, str]:
        return {name: self.machine.path(f"/etc/pam.d/{name}").read_text() for name in STACKS}

    def status(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.laptop.agent("status", "--json"))
        return found


@pytest.fixture
def installed(laptop: Laptop) -> Iterator[Installed]:
    machine = laptop.machine
    for name in STACKS:
        shutil.copy(Path("/etc/pam.d") / name, machine.path(f"/etc/pam.d/{name}"))
    machine.run("pam-auth-update", "--package", "--force")  # as the packages that are there want them
    _place(machine, "/usr/share/pam-configs", [PROFILES / "sparekey", PROFILES / "sparekey-second"])
    _place(machine, _module_directory(), [pam_module()])
    shutil.copy(EXAMPLES / "trial", machine.path("/etc/pam.d/sparekey-trial"))
    machine.run("groupadd", "--system", "sparekey-exempt")
    machine.run("chpasswd", typed=f"root:{ROOT_PASSWORD}\n")
    with Terminal([*machine.entered, "env", "PS1=root# ", "sh"]) as root:
        yield Installed(laptop, root)
    for place in ("/usr/share/pam-configs", _module_directory()):
        machine.run("umount", place)
    machine.path("/etc/pam.d/sparekey-trial").unlink()
    machine.run("groupdel", "sparekey-exempt")


def _module_directory() -> str:
    return next(str(path.parent) for path in Path("/usr/lib").glob("*/security/pam_unix.so"))


def _place(machine: Machine, directory: str, files: list[Path]) -> None:
    """Files where a package puts them, on this machine alone."""
    copy = f"/run/machine/{directory.strip('/').replace('/', '-')}"
    machine.run("cp", "-a", directory, copy)
    for file in files:
        there = machine.path(f"{copy}/{file.name}")
        shutil.copy(file, there)
        there.chmod(0o644)
    machine.run("mount", "--bind", copy, directory)


def test_the_first_installation_locks_nobody_out(installed: Installed) -> None:
    laptop, machine, before = installed.laptop, installed.machine, installed.stacks()
    alice = laptop.add_person(password=PASSWORD)

    # 1: a shell stays open; 2: an account that gets in whatever happens
    installed.by_root("useradd --create-home --groups sparekey-exempt rescue")
    machine.run("chpasswd", typed=f"rescue:{RESCUE_PASSWORD}\n")

    # 3: the agent signs her in, while no login asks it yet
    laptop.sign_in_online(alice)
    laptop.next_interval()
    assert installed.status()["exempt"] == ["rescue"]

    # 4: the module asks, and lets in whom it should, at a service that nobody comes in through
    assert installed.tries("sparekey-trial", alice.login, alice.passcode()) == "Passcode: yes"
    assert installed.tries("sparekey-trial", alice.login, PASSWORD) == "Passcode: no"
    assert installed.tries("sparekey-trial", "rescue", RESCUE_PASSWORD) == "Password: yes"
    assert SU.try_it(machine, alice.login, ("Password:", PASSWORD)).is_in  # logins are as they were
    laptop.next_interval()

    # 5: switched on
    installed.by_root("pam-auth-update --enable sparekey")
    assert "pam_sparekey.so" in installed.stacks()["common-auth"]

    # 6: everybody gets in who should, and nobody else; the shell is still there
    assert SSH.try_it(machine, alice.login, alice.passcode()).is_in
    laptop.next_interval()
    assert SUDO.try_it(machine, alice.login, alice.passcode()).is_in
    assert not SSH.try_it(machine, alice.login, PASSWORD).is_in
    assert SSH.try_it(machine, "rescue", (r"[Pp]assword:", RESCUE_PASSWORD)).is_in
    assert installed.tries("login", "root", ROOT_PASSWORD, "-Itty=tty1") == "Password: yes"
    assert installed.tries("login", "root", "wrong", "-Itty=tty1") == "Password: no"
    assert installed.tries("login", "root", ROOT_PASSWORD, "-Itty=pts/3") == "Passcode: no"
    assert installed.tries("sudo", "root", ROOT_PASSWORD, "-Itty=tty1") == "Passcode: no"
    assert installed.tries("sshd", "root", ROOT_PASSWORD, "-Itty=ssh") == "Passcode: no"
    assert installed.status()["exempt"] == ["root (on the console)", "rescue"]

    # where the agent does not answer, only those get in who need no passcode
    laptop.stop_daemon()
    assert not SSH.try_it(machine, alice.login, alice.passcode()).is_in
    assert SSH.try_it(machine, "rescue", (r"[Pp]assword:", RESCUE_PASSWORD)).is_in
    assert installed.tries("login", "root", ROOT_PASSWORD, "-Itty=tty1") == "Password: yes"

    # the way back: the stacks are as before, byte for byte
    installed.by_root("pam-auth-update --disable sparekey")
    assert installed.stacks() == before
    assert SU.try_it(machine, alice.login, ("Password:", PASSWORD)).is_in


def test_the_second_profile_asks_for_the_passcode_after_the_password(installed: Installed) -> None:
    laptop, machine, before = installed.laptop, installed.machine, installed.stacks()
    alice = laptop.add_traveller(password=PASSWORD)
    installed.by_root("pam-auth-update --enable sparekey-second")
    ask = ("Password:", PASSWORD)
    assert SU.try_it(machine, alice.login, ask, alice.passcode()).is_in
    assert not SU.try_it(machine, alice.login, ask, alice.wrong_passcode()).is_in
    assert not SU.try_it(machine, alice.login, ("Password:", "wrong")).is_in
    installed.by_root(f"usermod --append --groups sparekey-exempt {alice.login}")
    assert SU.try_it(machine, alice.login, ask).is_in
    installed.by_root("pam-auth-update --disable sparekey-second")
    assert installed.stacks() == before


@pytest.mark.parametrize("example", ["ssh-alone", "sudo-after-password"])
def test_the_examples_ask_where_they_stand_and_nowhere_else(installed: Installed, example: str) -> None:
    alice = installed.laptop.add_traveller(password=PASSWORD)
    stack = (EXAMPLES / example).read_text()
    installed.machine.path("/etc/pam.d/example").write_text(stack + "@include common-account\n")
    after_password = "after" in example
    typed = f"{PASSWORD}\n{alice.passcode()}" if after_password else alice.passcode()
    assert installed.tries("example", alice.login, typed) == f"{'Password' if after_password else 'Passcode'}: yes"
    assert installed.tries("example", alice.login, "wrong").endswith("no")
    installed.by_root(f"usermod --append --groups sparekey-exempt {alice.login}")
    assert installed.tries("example", alice.login, PASSWORD) == "Password: yes"
    assert installed.tries("sudo", alice.login, PASSWORD) == "Password: yes"


def test_the_document_tells_the_commands_that_were_tried() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for command in (
        "useradd --create-home --groups sparekey-exempt rescue",
        "pamtester sparekey-trial",
        "pam-auth-update --enable sparekey",
        "pam-auth-update --disable sparekey",
        "pam-auth-update --enable sparekey-second",
    ):
        assert command in text, command
    for example in EXAMPLES.iterdir():
        assert example.name in text, example.name
