"""The secret of a success at a real login: the passcode opens the system password, which users no longer type."""

import pytest

from tests.journeys.linux.laptop import Laptop
from tests.journeys.linux.login_programs import LOGIN, SSH, SU, SUDO

pytestmark = pytest.mark.services

PASSWORD, CHANGED = "correct horse", "battery staple"
ASKED = r"(?m)^(\[sudo\] p|P)assword.*: ?$"  # by pam_unix


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
    # the kept password is wrong: a user with the right passcode is asked once for the new one
    for typed in ("wrong horse", PASSWORD):
        laptop.next_interval()
        said = SSH.try_it(laptop.machine, alice.login, alice.passcode(), (ASKED, typed))
        assert not said.is_in
        assert "is no longer right" in said.words
    laptop.next_interval()
    said = SUDO.try_it(laptop.machine, alice.login, alice.passcode(), (ASKED, CHANGED))
    assert said.is_in, said.words
    laptop.next_interval()
    assert SU.try_it(laptop.machine, alice.login, alice.passcode()).is_in
    # a password that was typed wrong is not asked for again
    laptop.agent("forget-key", alice.login, "os-password")
    laptop.next_interval()
    said = SSH.try_it(laptop.machine, alice.login, alice.passcode(), (ASKED, "wrong horse"))
    assert not said.is_in
    assert "is no longer right" not in said.words
