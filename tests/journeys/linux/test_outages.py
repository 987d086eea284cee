"""Failures other than the network's: of the server, of the agent during a login, of the store on disk."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sparekey.agent.platform.configuration import EXEMPT_GROUP
from sparekey.agent.store.store import STATE
from sparekey.passcode import grouped, new_code
from tests.builders import PIN
from tests.journeys.linux.laptop import Laptop
from tests.journeys.linux.login_programs import SSH, SU, SUDO
from tests.journeys.site import poll

pytestmark = pytest.mark.services


def test_a_server_that_is_down_is_another_thing_than_no_network(laptop: Laptop) -> None:
    laptop.set_policy({"server_down": "off"})
    alice = laptop.add_traveller()
    laptop.stop_server()
    said = SU.try_it(laptop.machine, alice.login, alice.passcode())
    assert not said.is_in
    assert "The server does not answer, and the policy allows no offline sign-in while it is down." in said.words
    laptop.pair.unplug()
    said = SSH.try_it(laptop.machine, alice.login, alice.passcode())
    assert said.is_in, said.words
    laptop.pair.plug()
    laptop.start_server()
    laptop.set_policy({"server_down": "on"})
    laptop.sync()
    laptop.stop_server()
    laptop.next_interval()
    said = SUDO.try_it(laptop.machine, alice.login, alice.passcode())
    assert said.is_in, said.words


def test_s25_the_agent_is_killed_in_the_middle_of_a_login(laptop: Laptop) -> None:
    alice = laptop.add_traveller()
    laptop.pair.unplug()
    with ThreadPoolExecutor(1) as at_ssh:
        # an emergency code costs seconds of hashing: there is a middle
        attempt = at_ssh.submit(SSH.try_it, laptop.machine, alice.login, PIN + grouped(new_code(2)))
        poll(lambda: laptop.held(alice).emergency_failures == 1, "the count on disk")
        laptop.stop_daemon(signal.SIGKILL)
        said = attempt.result()
    assert not said.is_in
    assert "This computer cannot check passcodes right now." in said.words
    assert not SUDO.try_it(laptop.machine, alice.login, alice.passcode()).is_in  # no server to ask
    laptop.start_daemon()
    held = laptop.held(alice)
    assert (held.failures, held.emergency_failures) == (0, 1)
    said = SSH.try_it(laptop.machine, alice.login, alice.passcode())
    assert said.is_in, said.words


def test_s24_a_damaged_store_refuses_with_its_reason(laptop: Laptop) -> None:
    alice = laptop.add_traveller()
    laptop.pair.unplug()
    for entry in laptop.held(alice).units:
        damage(laptop.state_directory / "units" / entry.file)
    said = SU.try_it(laptop.machine, alice.login, alice.passcode())
    assert not said.is_in
    assert "The offline data on this device are damaged. Connect to the network to renew them." in said.words
    laptop.pair.plug()
    laptop.sign_in_online(alice)
    laptop.sync()
    laptop.next_interval()
    laptop.pair.unplug()
    said = SU.try_it(laptop.machine, alice.login, alice.passcode())
    assert said.is_in, said.words


def test_s24_a_store_without_its_state_admits_only_exempt_accounts(laptop: Laptop) -> None:
    alice = laptop.add_traveller()
    carol = laptop.add_account("correct horse", EXEMPT_GROUP)
    state = laptop.state_directory / STATE
    whole = state.read_bytes()
    laptop.stop_daemon()
    try:
        damage(state)
        assert "enrol again" in laptop.fails_to_start()
        said = SSH.try_it(laptop.machine, alice.login, alice.passcode())
        assert not said.is_in
        assert "This computer cannot check passcodes right now. Ask your administrator." in said.words
        assert SSH.try_it(laptop.machine, carol, ("Password:", "correct horse")).is_in
    finally:
        state.write_bytes(whole)
        laptop.start_daemon()
    assert SSH.try_it(laptop.machine, alice.login, alice.passcode()).is_in
    assert carol in laptop.agent("status")


def damage(path: Path) -> None:
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
