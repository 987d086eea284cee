"""Next tokencode, resync, and a token that is replaced while its codes are out: real servers, real devices."""

from dataclasses import replace as with_values
from pathlib import Path

import pytest

from sparekey.app.sessions.clients import add_client
from sparekey.app.tokens.life_cycle import replace
from sparekey.app.tokens.resync import resync
from sparekey.app.tokens.tokens import clear_pin
from sparekey.clock import now as clock_now
from sparekey.core.tokens import Totp
from sparekey.secret import Secret
from tests.builders import PIN, ROOT, User, a_user, account_row, shown_code, token_row
from tests.journeys.site import Site, a_site, an_opened
from tests.server.serving import a_data_directory, serving
from tests.token_stock import a_stocked_token

pytestmark = pytest.mark.services

NEW_PIN = "7391kmpq"
HOUR_AHEAD = 3_600


def test_after_three_failures_the_agent_asks_for_the_next_tokencode(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        site.enroll()
        for _ in range(3):
            site.login(site.wrong_passcode(), "denied")
        first = site.passcode()
        asked = site.attempt(first, fails=True)
        assert (asked.code, asked.data["ask"]) == (4, "next-tokencode")
        site.next_interval()
        code = site.passcode().removeprefix(PIN)
        said = site.device.agent("login", "alice", "--reply-to", asked.data["reply_to"], typed=code + "\n")
        assert (said.data["result"], said.data["mode"]) == ("granted", "online")
        assert account_row(site.instance, "alice").failures == 0
        # Both are used up, on the device too.
        for used in (first, PIN + code):
            site.login(used, "denied", "online")
        site.cable.unplug()
        for used in (first, PIN + code):
            site.login(used, "denied", "offline")
        site.next_interval()
        site.login(site.passcode(), mode="offline")


def test_a_clock_that_ran_away_is_found_and_the_device_follows(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        site.enroll()
        site.login(site.passcode(), mode="online")
        site.next_interval()
        site.login(ahead(site), "denied", "online")
        step = site.alice.step(site.now, HOUR_AHEAD)
        codes = Secret(site.alice.totp.code(step)), Secret(site.alice.totp.code(step + 1))
        assert resync(site.instance, ROOT, site.alice.serial, *codes, now=site.now).refused is None
        for _ in range(2):
            site.next_interval()
        site.login(ahead(site), mode="online")
        site.cable.unplug()
        site.next_interval()
        site.login(site.passcode(), "denied", "offline")
        site.login(ahead(site), mode="offline")


def ahead(site: Site) -> str:
    """Return Alice's passcode from a token that runs an hour ahead."""
    return site.alice.typed(site.now, HOUR_AHEAD).reveal()


def test_a_token_is_replaced_while_its_codes_are_out(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        site.enroll()
        site.login(site.passcode(), mode="online")
        emergency = PIN + shown_code(site.instance, site.alice, now=site.now)
        site.cable.unplug()
        site.next_interval()
        fresh = a_replacement(site)
        # The server cannot reach the device: its offline data still work there, and nowhere else.
        site.login(site.passcode(), mode="offline")
        site.login(emergency, mode="offline")
        site.login(fresh.typed(site.now).reveal(), "denied", "offline")
        site.cable.plug()
        site.next_interval()
        for old in (site.passcode(), emergency):
            site.login(old, "denied", "online")
        site.device.agent("sync")
        site.cable.unplug()
        for old in (site.passcode(), emergency):
            assert site.login(old, "unavailable")["reason"] == "no-offline-data"
        site.cable.plug()
        site.next_interval()
        site.login(fresh.typed(site.now).reveal(), mode="online")
        site.cable.unplug()
        site.next_interval()
        site.login(fresh.typed(site.now).reveal(), mode="offline")
        site.login(PIN + shown_code(site.instance, fresh, now=site.now), mode="offline")
        site.login(emergency, "denied", "offline")


def a_replacement(site: Site) -> User:
    """Create another token for Alice, with the same PIN."""
    stocked = a_stocked_token(site.instance, now=site.now)
    done = replace(site.instance, ROOT, site.alice.serial, None, now=site.now)
    assert (done.new, done.pin_kept) == (stocked.serial, True)
    assert isinstance(stocked.otp, Totp)
    token_id = token_row(site.instance, stocked.serial).id
    return with_values(site.alice, serial=stocked.serial, token_id=token_id, totp=stocked.otp)


def test_a_program_carries_both_challenges(tmp_path: Path) -> None:
    data = a_data_directory(tmp_path)
    with an_opened(data) as instance, serving(data) as server:
        now = clock_now()
        key = add_client(instance, ROOT, "web", "SystemDomain", now=now)
        bob = a_user(instance, "bob", pin=PIN, now=now)
        for _ in range(3):
            assert server.sign_in(key, "bob", bob.wrong(clock_now()).reveal())[1]["result"] == "denied"
        clear_pin(instance, ROOT, bob.serial, now=now)
        step = bob.step(clock_now())
        status, said = server.sign_in(key, "bob", bob.totp.code(step))
        assert (status, said["result"], said["ask"]) == (200, "ask", "next-tokencode")
        # The window holds the next code already: no need to wait for it.
        for answer, expected in ((bob.totp.code(step + 1), "new-pin"), (NEW_PIN, "confirm-pin"), (NEW_PIN, "")):
            status, said = server.sign_in(key, "bob", answer, reply_to=said["reply_to"])
            assert (status, said["ask"]) == (200, expected)
        assert said["result"] == "granted"
        assert server.sign_in(key, "bob", PIN + bob.totp.code(step + 2))[1]["result"] == "denied"
