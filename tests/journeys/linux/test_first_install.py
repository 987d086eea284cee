"""The first installation as docs/linux-login.md tells it, step by step, with its way back: at no step is anybody locked
out. Root on the console is in test_exempt_accounts."""

import json

import pytest

from sparekey.agent.platform.configuration import EXEMPT_GROUP
from sparekey.agent.platform.pam_stacks import MODULE
from tests.builders import PIN
from tests.journeys.linux.laptop import Laptop
from tests.journeys.linux.login_programs import SSH, SUDO, LoginProgram
from tests.journeys.linux.stacks import ALONE, PROFILES
from tests.journeys.linux.terminal import Terminal
from tests.journeys.linux.test_emergency import shown_tokencode
from tests.native.built import pam_module
from tools.tree import ROOT

pytestmark = pytest.mark.services

ALICES, RESCUES = ("Password:", "correct horse"), ("Password:", "battery staple")
SWITCH_ON, SWITCH_OFF = "pam-auth-update --enable sparekey", "pam-auth-update --disable sparekey"
SWITCH_OFF_BY_FORCE = "pam-auth-update --force --disable sparekey sparekey-second"
# a service of no program; its caller is root, like the administrator
TRIAL = LoginProgram(
    "trial", ("sh", "-c", "pamtester sparekey-trial PERSON authenticate && echo in as PERSON"), "in as PERSON"
)


def test_the_first_installation_locks_no_user_out(laptop: Laptop) -> None:
    machine, stacks = laptop.machine, laptop.stacks
    stacks.uninstall()
    before = stacks.common()
    with Terminal([*machine.entered, "sh"]) as shell:  # 1: stays open
        stacks.install(pam_module())  # 2
        assert stacks.common() == before
        rescue = laptop.add_account(RESCUES[1], EXEMPT_GROUP)
        alice = laptop.add_person(password=ALICES[1])
        laptop.sign_in_without_a_login(alice)  # 3
        assert rescue in json.loads(laptop.agent("status", "--json"))["exempt"]
        machine.path("/etc/pam.d/sparekey-trial").write_text(stacks.example("trial"))  # 4
        laptop.next_interval()
        assert not TRIAL.try_it(machine, alice.login, alice.wrong_passcode()).is_in
        assert TRIAL.try_it(machine, alice.login, alice.passcode()).is_in
        assert TRIAL.try_it(machine, rescue, RESCUES).is_in
        code = shown_tokencode(laptop, alice)["code"]
        assert "The emergency code works: without" in laptop.agent("test", alice.login, typed=PIN + code + "\n")
        assert SSH.try_it(machine, alice.login, ALICES).is_in  # so far nothing asks for a passcode
        by_root(shell, SWITCH_ON)  # 5
        laptop.next_interval()
        assert not SSH.try_it(machine, alice.login, ("Passcode:", ALICES[1])).is_in  # 6
        assert SSH.try_it(machine, alice.login, alice.passcode()).is_in
        assert SSH.try_it(machine, rescue, RESCUES).is_in
        laptop.pair.unplug()
        laptop.next_interval()
        assert SUDO.try_it(machine, alice.login, alice.passcode()).is_in
        by_root(shell, SWITCH_OFF)
    assert stacks.common() == before
    assert SSH.try_it(machine, alice.login, ALICES).is_in


def test_the_way_back_from_a_stack_that_was_written_by_hand(laptop: Laptop) -> None:
    stacks = laptop.stacks
    stacks.enable(ALONE)
    stacks.write_by_hand("os-password")
    by_hand = stacks.common()
    with Terminal([*laptop.machine.entered, "sh"]) as shell:
        by_root(shell, f"DEBIAN_FRONTEND=noninteractive {SWITCH_OFF}")  # says 0, and did nothing
        assert stacks.common() == by_hand
        by_root(shell, SWITCH_OFF_BY_FORCE)
    stacks.give_up()
    assert MODULE not in stacks.common()["common-auth"].decode()
    alice = laptop.add_account(ALICES[1])
    assert SSH.try_it(laptop.machine, alice, ALICES).is_in


def by_root(shell: Terminal, command: str) -> None:
    """Typed in the shell that stays open."""
    shell.type(f"{command}; echo done=$?")
    found = shell.shows(r"done=(\d+)")
    assert found is not None, shell.words
    assert found[1] == "0", shell.words


def test_the_document_has_the_commands_of_this_test() -> None:
    text = (ROOT / "docs/linux-login.md").read_text(encoding="utf-8")
    for command in (
        "useradd --create-home --groups sparekey-exempt rescue",
        "pamtester sparekey-trial",
        SWITCH_ON,
        SWITCH_OFF,
        SWITCH_OFF_BY_FORCE,
        "pam-auth-update --enable sparekey-second",
    ):
        assert command in text, command
    for example in (PROFILES / "examples").iterdir():
        assert example.name in text, example.name
