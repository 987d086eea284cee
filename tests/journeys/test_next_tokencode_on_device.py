"""After wrong passcodes the server wants the following tokencode, too; the device carries the challenge, and both codes
are used up there."""

from pathlib import Path

import pytest

from tests.journeys.site import a_site

pytestmark = pytest.mark.services

WRONG_BEFORE = 3  # the default of the token policy


def test_the_following_tokencode_is_asked_for(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        site.enroll()
        site.login(site.passcode(), mode="online")
        for _ in range(WRONG_BEFORE):
            site.login(site.wrong_passcode(), "denied", "online")
        site.next_interval()
        asked = site.attempt(site.passcode(), fails=True)
        assert (asked.code, asked.data["result"], asked.data["ask"]) == (4, "ask", "next-tokencode")
        site.next_interval()
        following = site.alice.totp.code(site.alice.step(site.now))
        done = site.device.agent("login", "alice", "--reply-to", asked.data["reply_to"], typed=following + "\n")
        assert (done.data["result"], done.data["mode"]) == ("granted", "online")
        used = site.passcode()  # its code was the answer
        site.cable.unplug()
        site.login(used, "denied", "offline")
        site.next_interval()
        site.login(site.passcode(), mode="offline")
