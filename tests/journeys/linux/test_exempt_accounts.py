"""Accounts that the shipped stacks exempt from the module: root on the console, members of the group; and accounts that
they do not."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparekey.agent.platform.configuration import EXEMPT_GROUP
from tests.journeys.linux.laptop import Laptop
from tests.journeys.linux.machines import Machine

pytestmark = pytest.mark.services

PASSWORD = "correct horse"
CONSOLE, ELSEWHERE = "tty=tty1", "tty=pts/3"
# names like those of console terminals, which no journey uses
EXAMPLE = Path("/etc/pam.d/example")


@pytest.fixture
def asked(laptop: Laptop) -> Iterator[Laptop]:
    """Yield a laptop whose root has a password and which has no shipped example yet."""
    laptop.machine.run("chpasswd", typed=f"root:{PASSWORD}\n")
    yield laptop
    laptop.machine.path(str(EXAMPLE)).unlink(missing_ok=True)


def tries(machine: Machine, service: str, login: str, typed: str, terminal: str = ELSEWHERE) -> str:
    """Return the first prompt and the result, such as `Passcode: yes`."""
    command = ["pamtester", f"-I{terminal}", service, login, "authenticate"]
    line = [*machine.entered, *command]
    done = subprocess.run(line, input=f"{typed}\n", capture_output=True, text=True, timeout=120, check=False)
    prompt = re.search(r"(Passcode|Password): ", done.stdout + done.stderr)
    assert prompt is not None, done.stdout + done.stderr
    return prompt[0] + ("no" if done.returncode else "yes")


def test_root_needs_no_passcode_on_the_console_and_nowhere_else(asked: Laptop) -> None:
    machine = asked.machine
    assert tries(machine, "login", "root", PASSWORD, CONSOLE) == "Password: yes"
    assert tries(machine, "login", "root", "wrong", CONSOLE) == "Password: no"
    assert tries(machine, "login", "root", PASSWORD, ELSEWHERE) == "Passcode: no"
    for service in ("sudo", "sshd"):
        assert tries(machine, service, "root", PASSWORD, CONSOLE) == "Passcode: no"
    other = asked.add_person(password=PASSWORD)
    assert tries(machine, "login", other.login, PASSWORD, CONSOLE) == "Passcode: no"


def test_exempt_accounts_are_shown_and_the_server_hears_of_them(asked: Laptop) -> None:
    rescue = asked.add_account(PASSWORD, EXEMPT_GROUP)
    exempt = json.loads(asked.agent("status", "--json"))["exempt"]
    assert exempt[0] == "root (on the console)"
    assert rescue in exempt
    asked.sync()
    assert rescue in json.dumps(asked.operator("device", "show", "train-laptop"))


@pytest.mark.parametrize(("example", "after_password"), [("ssh-alone", False), ("sudo-after-password", True)])
def test_an_example_applies_to_its_own_terminal_only(asked: Laptop, example: str, *, after_password: bool) -> None:
    asked.stacks.disable()
    machine = asked.machine
    alice, rescue = asked.add_traveller(password=PASSWORD), asked.add_account(PASSWORD, EXEMPT_GROUP)
    machine.path(str(EXAMPLE)).write_text(asked.stacks.example(example) + "account required pam_permit.so\n")
    typed = f"{PASSWORD}\n{alice.passcode()}" if after_password else alice.passcode()
    first = "Password" if after_password else "Passcode"
    assert tries(machine, "example", alice.login, typed) == f"{first}: yes"
    assert tries(machine, "example", alice.login, f"{PASSWORD}\nwrong" if after_password else "wrong") == f"{first}: no"
    assert tries(machine, "example", rescue, PASSWORD) == "Password: yes"
    assert tries(machine, "sudo", alice.login, PASSWORD) == "Password: yes"
