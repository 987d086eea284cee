"""Strangers try the real sshd all the time, with names that do not exist."""

import contextlib
import subprocess
from collections.abc import Iterator

import pytest

from tests.journeys.linux.laptop import Laptop
from tests.journeys.linux.login_programs import LOGIN
from tests.journeys.linux.machines import Machine
from tests.journeys.site import poll

pytestmark = [pytest.mark.services, pytest.mark.soak]

LOOPS = 24  # twice the limit for remote logins
TURNED_AWAY = "Too many users are signing in over the network"
LOOP = """
while [ ! -e /run/strangers/end ]; do
    SSH_ASKPASS=/run/strangers/askpass SSH_ASKPASS_REQUIRE=force setsid --wait ssh -F none \
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o NumberOfPasswordPrompts=1 -o PreferredAuthentications=keyboard-interactive \
        stranger$1@127.0.0.1 true </dev/null >>/run/strangers/said 2>&1
done
"""


@contextlib.contextmanager
def strangers(machine: Machine) -> Iterator[None]:
    """From where the first of them is turned away until the block ends."""
    directory = machine.path("/run/strangers")
    directory.mkdir()
    (directory / "askpass").write_text("#!/bin/sh\necho 9999123456\n")
    (directory / "askpass").chmod(0o755)
    said = directory / "said"
    said.touch()
    loops = [subprocess.Popen([*machine.entered, "sh", "-c", LOOP, "sh", str(number)]) for number in range(LOOPS)]
    try:
        poll(lambda: TURNED_AWAY in said.read_text(), "a stranger who is turned away")
        yield
    finally:
        (directory / "end").touch()
        for loop in loops:
            loop.wait(120)


def test_s26_strangers_at_sshd_do_not_block_the_console(laptop: Laptop) -> None:
    alice = laptop.add_traveller()
    laptop.pair.unplug()  # each refusal takes its five seconds: the places for strangers are full
    with strangers(laptop.machine):
        for _ in range(3):
            laptop.next_interval()
            said = LOGIN.try_it(laptop.machine, alice.login, alice.passcode())
            assert said.is_in, said.words
