"""The network is cut: the passcode works at every login program, once, and the device shows its own state."""

import pytest

from sparekey.agent.platform.configuration import EXEMPT_GROUP
from sparekey.app.tokens.tokens import set_pin
from sparekey.secret import Secret
from tests.builders import PIN, ROOT
from tests.journeys.linux.laptop import Laptop
from tests.journeys.linux.login_programs import EVERY, LOCK, OWN_RIGHTS, SSH, SU, SUDO
from tests.journeys.linux.stacks import AFTER_PASSWORD

pytestmark = pytest.mark.services

OTHER_PIN = "5283mnbv"


def test_every_login_program_works_without_the_network(laptop: Laptop) -> None:
    alice = laptop.add_traveller()
    laptop.pair.unplug()
    for program in EVERY:
        said = program.try_it(laptop.machine, alice.login, alice.passcode())
        assert said.is_in, said.words
        assert "Signed in offline." in said.words
        laptop.next_interval()


def test_s21_a_wrong_pin_or_code_is_refused_by_every_login_program_offline(laptop: Laptop) -> None:
    """A Linux login product once took any PIN while it was offline."""
    laptop.set_policy({"offline_failures": "25"})
    alice = laptop.add_traveller()
    laptop.pair.unplug()
    code = alice.code()
    wrong = ("4711abce" + code, alice.wrong_passcode(), code, PIN, "")
    for number, typed in enumerate(wrong):
        program = (SU, SUDO, SSH)[number % 3]
        assert not program.try_it(laptop.machine, alice.login, typed).is_in, f"{program.name}, number {number}"
    assert OWN_RIGHTS.try_it(laptop.machine, alice.login, PIN + code).is_in


def test_s23_one_passcode_works_in_one_login_program_once(laptop: Laptop) -> None:
    alice = laptop.add_traveller()
    used_online = alice.passcode()
    assert SSH.try_it(laptop.machine, alice.login, used_online).is_in
    laptop.pair.unplug()
    assert not SUDO.try_it(laptop.machine, alice.login, used_online).is_in
    laptop.next_interval()
    used_offline = alice.passcode()
    assert SUDO.try_it(laptop.machine, alice.login, used_offline).is_in
    said = SSH.try_it(laptop.machine, alice.login, used_offline)
    assert not said.is_in
    assert "The passcode is not right, or was used before." in said.words
    laptop.pair.plug()
    assert not SU.try_it(laptop.machine, alice.login, used_offline).is_in
    laptop.next_interval()
    said = SU.try_it(laptop.machine, alice.login, alice.passcode())
    assert said.is_in
    assert "Signed in." in said.words


def test_s26_a_user_cannot_sign_in_as_another_with_their_own_rights(laptop: Laptop) -> None:
    alice, bob = laptop.add_traveller(), laptop.add_person()
    laptop.pair.unplug()
    said = OWN_RIGHTS.try_it(laptop.machine, alice.login, alice.passcode(), by=bob.login)
    assert not said.is_in
    assert "only root can sign in another user" in said.words
    assert laptop.held(alice).failures == 0
    # she may ask for herself, and it counts like an attempt at any login program
    assert not OWN_RIGHTS.try_it(laptop.machine, alice.login, alice.wrong_passcode()).is_in
    assert not LOCK.try_it(laptop.machine, alice.login, alice.wrong_passcode()).is_in
    assert laptop.held(alice).failures == 2
    assert OWN_RIGHTS.try_it(laptop.machine, alice.login, alice.passcode()).is_in
    assert laptop.held(alice).failures == 0


def test_s31_a_pin_that_was_changed_elsewhere_is_the_one_that_counts(laptop: Laptop) -> None:
    alice = laptop.add_traveller()
    set_pin(laptop.instance, ROOT, alice.user.serial, Secret(OTHER_PIN), must_change=False, now=laptop.now)
    laptop.sync()
    laptop.pair.unplug()
    assert not SSH.try_it(laptop.machine, alice.login, PIN + alice.code()).is_in
    assert SSH.try_it(laptop.machine, alice.login, OTHER_PIN + alice.code()).is_in


def test_the_password_of_the_system_comes_before_the_passcode(laptop: Laptop) -> None:
    alice, carol = laptop.add_traveller(password="correct horse"), laptop.add_account("correct horse", EXEMPT_GROUP)
    laptop.stacks.enable(AFTER_PASSWORD)
    laptop.pair.unplug()
    right, wrong = ("Password:", "correct horse"), ("Password:", "wrong horse")
    assert not SSH.try_it(laptop.machine, alice.login, wrong).is_in  # the passcode is not even asked for
    assert not SSH.try_it(laptop.machine, alice.login, right, alice.wrong_passcode()).is_in
    assert laptop.held(alice).failures == 1
    assert SSH.try_it(laptop.machine, alice.login, right, alice.passcode()).is_in
    laptop.next_interval()
    assert SU.try_it(laptop.machine, alice.login, right, alice.passcode()).is_in
    # an exempt account is asked for the password alone, and for no less
    assert not SSH.try_it(laptop.machine, carol, wrong).is_in
    assert SSH.try_it(laptop.machine, carol, right).is_in
