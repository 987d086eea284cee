"""A new PIN by the agent's command: asked twice, then in; and the offline data know the new one."""

from pathlib import Path

import pytest

from sparekey.app.tokens.tokens import clear_pin, set_pin
from sparekey.secret import Secret
from tests.builders import ROOT
from tests.journeys.site import Site, a_site

pytestmark = pytest.mark.services

TEMPORARY, CHOSEN = "2580abcd", "7391kmpq"


def answered(site: Site, typed: str, *answers: str) -> list[tuple[str, str]]:
    """Return the answers to the passcode and to each reply: pairs of result and challenge."""
    said = site.attempt(typed, fails=True)
    found = [(said.data["result"], said.data["ask"])]
    for number, text in enumerate(answers, 1):
        arguments = ("login", site.alice.login, "--reply-to", said.data["reply_to"])
        said = site.device.agent(*arguments, typed=text + "\n", fails=number < len(answers))
        found.append((said.data["result"], said.data["ask"]))
    return found


def test_a_temporary_pin_is_changed_and_a_cleared_one_is_chosen(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        site.enroll()
        set_pin(site.instance, ROOT, site.alice.serial, Secret(TEMPORARY), must_change=True, now=site.now)
        answers = [("ask", "new-pin"), ("ask", "confirm-pin"), ("granted", "")]
        assert answered(site, TEMPORARY + code(site), CHOSEN, CHOSEN) == answers
        signs_in_with(site, CHOSEN, not_with=TEMPORARY)
        clear_pin(site.instance, ROOT, site.alice.serial, now=site.now)
        site.next_interval()
        other = CHOSEN[::-1]
        assert answered(site, code(site), other, other) == answers
        signs_in_with(site, other, not_with=CHOSEN)


def signs_in_with(site: Site, pin: str, *, not_with: str) -> None:
    """Check that this PIN signs in, and not the other one, offline and online again."""
    site.cable.unplug()
    site.next_interval()
    site.login(not_with + code(site), "denied", "offline")
    site.login(pin + code(site), mode="offline")
    site.cable.plug()
    site.next_interval()
    site.login(pin + code(site), mode="online")


def test_the_server_fails_during_a_new_pin(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        site.enroll()
        set_pin(site.instance, ROOT, site.alice.serial, Secret(TEMPORARY), must_change=True, now=site.now)
        asked = site.attempt(TEMPORARY + code(site), fails=True).data
        site.cable.unplug()
        arguments = ("login", site.alice.login, "--reply-to", asked["reply_to"])
        said = site.device.agent(*arguments, typed=CHOSEN + "\n", fails=True)
        assert (said.code, said.data["reason"]) == (5, "broken-off")


def code(site: Site) -> str:
    """Return the tokencode that Alice's token shows."""
    return site.alice.totp.code(site.alice.step(site.now))
