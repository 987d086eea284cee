"""The network is cut, the token is at home: the help desk reads a code out, and the user types it at login programs."""

import pytest

from sparekey.app.tokens.tokens import NewToken
from tests.builders import PIN
from tests.journeys.linux.laptop import HELP_TEXT, INTERVAL, NAME, Laptop, Person
from tests.journeys.linux.login_programs import LOCK, LOGIN, PASSCODE, SSH, SU, SUDO

pytestmark = pytest.mark.services


def test_an_emergency_tokencode_needs_the_pin(laptop: Laptop) -> None:
    alice = laptop.add_traveller()
    laptop.pair.unplug()
    refused = SU.try_it(laptop.machine, alice.login, alice.wrong_passcode())
    # caller and help desk must agree on these
    assert f"Device {NAME} holds emergency tokencode version 1, emergency passcode version 1." in refused.words
    assert HELP_TEXT in refused.words
    shown = shown_tokencode(laptop, alice)
    for typed in (shown["code"], "9999zzzz" + shown["code"]):
        assert not SU.try_it(laptop.machine, alice.login, typed).is_in
    for program in (SSH, SUDO):
        said = program.try_it(laptop.machine, alice.login, PIN + shown["code"])
        assert said.is_in, said.words
        assert f"Signed in offline. This emergency code works until {in_words(shown)}" in said.words


def test_a_user_with_an_app_token_types_the_code_alone(laptop: Laptop) -> None:
    laptop.set_policy({"protection_level": "balanced", "allow_tokens_without_pin": "on"})
    alice = laptop.add_traveller(pin="", token=NewToken(digits=8, interval=INTERVAL))
    laptop.pair.unplug()
    said = SSH.try_it(laptop.machine, alice.login, alice.passcode())
    assert said.is_in, said.words
    code = shown_tokencode(laptop, alice)["code"]
    assert len(code.split("-")) == 3
    said = LOGIN.try_it(laptop.machine, alice.login, code.lower().replace("-", " "))
    assert said.is_in, said.words
    assert "This emergency code works until" in said.words


def test_an_emergency_passcode_is_for_a_forgotten_pin(laptop: Laptop) -> None:
    alice = laptop.add_traveller()
    laptop.pair.unplug()
    arguments = ("passcode", "show", alice.login, "--device", NAME, "--caller", "badge")
    shown = laptop.operator("emergency", *arguments)
    said = LOCK.try_it(laptop.machine, alice.login, shown["code"])
    assert said.is_in, said.words
    assert f"This emergency code works until {in_words(shown)}" in said.words


def test_a_misread_group_is_named_and_asked_for_again(laptop: Laptop) -> None:
    alice = laptop.add_traveller()
    laptop.pair.unplug()
    code = shown_tokencode(laptop, alice)["code"]
    wrong = code[:-1] + ("2" if code[-1] != "2" else "3")
    said = SU.try_it(laptop.machine, alice.login, PIN + wrong, (PASSCODE, PIN + code))
    assert said.is_in, said.words
    assert (
        "Group 2 of the code was misread. Check the code and type it again. This attempt was not counted." in said.words
    )
    said = SUDO.try_it(laptop.machine, alice.login, *[PIN + wrong] * 4)  # asked again three times, not more
    assert not said.is_in
    held = laptop.held(alice)
    assert (held.failures, held.emergency_failures) == (0, 0)


def test_after_too_many_failures_an_emergency_code_still_works(laptop: Laptop) -> None:
    alice = laptop.add_traveller()
    laptop.pair.unplug()
    # one count for all login programs
    refused = [program.try_it(laptop.machine, alice.login, alice.wrong_passcode()) for program in (SUDO, SU, SSH)]
    assert not any(said.is_in for said in refused)
    # a stranger may use the last program: it shows only the number to call
    words = refused[-1].words
    assert "The screen of this computer shows more" in words
    assert (HELP_TEXT in words, NAME in words) == (True, False)
    said = SU.try_it(laptop.machine, alice.login, alice.passcode())
    assert not said.is_in
    assert "Too many failed attempts. Use an emergency code now." in said.words
    assert HELP_TEXT in said.words
    assert laptop.held(alice).failures == 3
    code = shown_tokencode(laptop, alice)["code"]
    assert SSH.try_it(laptop.machine, alice.login, PIN + code).is_in  # one entry signs in and clears the block
    assert SUDO.try_it(laptop.machine, alice.login, alice.passcode()).is_in
    assert not SU.try_it(laptop.machine, alice.login, alice.wrong_passcode()).is_in
    assert laptop.held(alice).failures == 1
    laptop.pair.plug()
    laptop.next_interval()
    assert SU.try_it(laptop.machine, alice.login, alice.passcode()).is_in
    assert laptop.held(alice).failures == 0
    # the server has each guess that was tested, and none that was not
    rows = laptop.operator("audit", "list", "--user", alice.login, "--action", "device.event")["rows"]
    assert [row["result"] for row in reversed(rows)] == ["denied", "denied", "denied", "blocked", "denied"]


def shown_tokencode(laptop: Laptop, person: Person) -> dict[str, str]:
    """Return the output of the help desk's command: the code to read out, and its expiry."""
    shown: dict[str, str] = laptop.operator(
        "emergency", "show", person.user.serial, "--device", NAME, "--caller", "call back"
    )
    return shown


def in_words(shown: dict[str, str]) -> str:
    """Return the expiry as the login screen shows it: 2026-12-28 22:05 UTC."""
    return shown["expires"].replace("T", " ")[:16] + " UTC"
