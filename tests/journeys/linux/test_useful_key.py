"""The useful key at a real login: the passcode opens the password of the system, which nobody types any more."""

import pytest

from tests.journeys.linux.doors import LOGIN, SSH, SU, SUDO
from tests.journeys.linux.laptop import Laptop

pytestmark = pytest.mark.services

PASSWORD, CHANGED = "correct horse", "battery staple"


def test_s22_a_passcode_opens_the_password_that_was_kept(laptop: Laptop) -> None:
    laptop.set_policy({"os_password": "on"})
    alice = laptop.add_traveller(password=PASSWORD)
    laptop.stacks.write_by_hand("os-password")
    # nothing is kept yet: pam_unix asks
    said = SSH.try_it(laptop.machine, alice.login, alice.passcode(), ("Password:", PASSWORD))
    assert said.is_in, said.words
    laptop.next_interval()
    assert SSH.try_it(laptop.machine, alice.login, alice.passcode()).is_in
    laptop.pair.unplug()
    laptop.next_interval()
    assert not SU.try_it(laptop.machine, alice.login, alice.wrong_passcode()).is_in
    assert LOGIN.try_it(laptop.machine, alice.login, alice.passcode()).is_in
    laptop.machine.run("chpasswd", typed=f"{alice.login}:{CHANGED}\n")
    laptop.next_interval()
    assert not SSH.try_it(laptop.machine, alice.login, alice.passcode()).is_in  # what is kept is wrong
    laptop.agent("forget-key", alice.login, "os-password")
    laptop.next_interval()
    said = SUDO.try_it(laptop.machine, alice.login, alice.passcode(), ("(?i)password", CHANGED))
    assert said.is_in, said.words
    laptop.next_interval()
    assert SU.try_it(laptop.machine, alice.login, alice.passcode()).is_in
