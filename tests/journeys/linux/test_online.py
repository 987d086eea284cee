"""Online logins: every login program asks for the passcode and admits only users whom the server grants."""

import pytest

from sparekey.app.tokens.tokens import clear_pin, set_pin
from sparekey.secret import Secret
from tests.builders import ROOT
from tests.journeys.linux.laptop import INTERVAL, Laptop
from tests.journeys.linux.login_programs import EVERY, GREETD, LOGIN, SSH, SU, SUDO, LoginProgram

pytestmark = pytest.mark.services

TEMPORARY, CHOSEN, OTHER = "2580abcd", "7391kmpq", "5164rstv"


def test_every_login_program_admits_users_whom_the_server_grants(laptop: Laptop) -> None:
    person = laptop.add_person()
    for program in EVERY:
        assert not program.try_it(laptop.machine, person.login, person.wrong_passcode()).is_in, program.name
        used = person.passcode()
        assert program.try_it(laptop.machine, person.login, used).is_in, program.name
        assert not program.try_it(laptop.machine, person.login, used).is_in, program.name
        laptop.next_interval()


def test_a_new_pin_is_asked_for_at_ssh_at_sudo_and_at_a_display_manager(laptop: Laptop) -> None:
    person = laptop.add_person()
    set_pin(laptop.instance, ROOT, person.user.serial, Secret(TEMPORARY), must_change=True, now=laptop.now)
    said = SSH.try_it(
        laptop.machine, person.login, TEMPORARY + person.code(), ("New PIN:", CHOSEN), ("New PIN again:", CHOSEN)
    )
    assert said.is_in, said.words
    laptop.next_interval()
    assert SSH.try_it(laptop.machine, person.login, CHOSEN + person.code()).is_in
    for program, pin in ((SUDO, CHOSEN[::-1]), (GREETD, OTHER)):
        clear_pin(laptop.instance, ROOT, person.user.serial, now=laptop.now)
        laptop.next_interval()
        said = program.try_it(laptop.machine, person.login, person.code(), ("New PIN:", pin), ("New PIN again:", pin))
        assert said.is_in, said.words
    assert "info: Choose a new PIN" in said.words


@pytest.mark.parametrize("program", [SSH, GREETD], ids=lambda program: program.name)
def test_the_following_tokencode_is_asked_for(laptop: Laptop, program: LoginProgram) -> None:
    person = laptop.add_person()
    for other in (program, SU, LOGIN):
        assert not other.try_it(laptop.machine, person.login, person.wrong_passcode()).is_in
    following = person.code(later=INTERVAL)
    said = program.try_it(laptop.machine, person.login, person.passcode(), ("Next tokencode:", following))
    assert said.is_in, said.words
    assert "Wait until the tokencode changes" in said.words
