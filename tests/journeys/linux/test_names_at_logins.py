"""Accounts that are called otherwise at Sparekey: the map of the device's configuration, at real logins."""

import json
from collections.abc import Iterator

import pytest

from sparekey.agent.platform.configuration import CONFIGURATION
from tests.journeys.linux.laptop import Laptop
from tests.journeys.linux.login_programs import OWN_RIGHTS, SSH, SU, SUDO

pytestmark = pytest.mark.services


@pytest.fixture
def configured(laptop: Laptop) -> Iterator[Laptop]:
    """Yield a laptop with this journey's own configuration."""
    yield laptop
    laptop.machine.path(str(CONFIGURATION)).unlink(missing_ok=True)
    if laptop.daemon:
        laptop.stop_daemon()  # it is started again without


def configure(laptop: Laptop, text: str) -> None:
    path = laptop.machine.path(str(CONFIGURATION))
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    laptop.stop_daemon()
    laptop.start_daemon()


def test_s26_a_mapped_account_is_its_user_and_others_have_none(configured: Laptop) -> None:
    laptop = configured
    alice, boss = laptop.add_traveller(), laptop.add_account("")
    configure(laptop, f"[names]\n{boss} = '{alice.login}'\n")
    assert SSH.try_it(laptop.machine, boss, alice.passcode()).is_in
    laptop.pair.unplug()
    laptop.next_interval()
    assert SUDO.try_it(laptop.machine, boss, alice.passcode()).is_in
    laptop.next_interval()
    # the screen lock asks with the account's own rights
    assert OWN_RIGHTS.try_it(laptop.machine, boss, alice.passcode()).is_in
    laptop.next_interval()
    said = SU.try_it(laptop.machine, alice.login, alice.passcode())
    assert not said.is_in
    assert "has no Sparekey login" in said.words
    assert laptop.held(alice).failures == 0  # nothing was tried
    status = json.loads(laptop.agent("status", "--json"))
    assert [user["accounts"] for user in status["users"] if user["login"] == alice.login] == [[boss]]


def test_the_doctor_names_the_logins_that_ask_and_a_broken_configuration(configured: Laptop) -> None:
    laptop = configured
    looked = {each["name"]: each for each in json.loads(laptop.agent("doctor", "--json"))["findings"]}
    for service in ("sshd", "sudo", "su", "login"):
        assert service in looked["logins"]["more"].partition(" ask for")[0].split(", ")
    assert looked["module"]["words"] == "pam_sparekey.so can be loaded"
    assert looked["exempt"]["words"].startswith("root (on the console)")
    assert all(each["ok"] for each in looked.values()), looked
    path = laptop.machine.path(str(CONFIGURATION))
    path.parent.mkdir(exist_ok=True)
    path.write_text("nonsense = 1\n")
    with pytest.raises(AssertionError, match="line 1: nonsense is not a setting"):
        laptop.agent("doctor")
