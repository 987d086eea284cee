"""S28 with real processes: a laptop is reported stolen; at its next contact it erases its data and denies logins."""

from pathlib import Path

import pytest

from sparekey.core.reasons import ChallengeKind
from sparekey.core.sign_in.outcome import Asked
from tests.builders import submit
from tests.journeys.site import DEVICE, a_site, read_state

pytestmark = pytest.mark.services


def test_s28_a_stolen_device_erases_itself_at_contact(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        site.enroll()
        site.login(site.passcode(), mode="online")
        site.cable.unplug()
        site.next_interval()
        site.login(site.passcode(), mode="offline")
        said = site.stage.sparekey("device", "stolen", DEVICE, "--yes").data
        assert [(user["user"], user["new_pin"]) for user in said["users"]] == [("alice", [site.alice.serial])]
        site.next_interval()
        site.login(site.passcode(), mode="offline")  # the server cannot warn a device that it cannot reach
        site.cable.plug()
        site.next_interval()
        assert site.login(site.passcode(), "denied", "online")["reason"] == "refused-by-server"
        assert read_state(site.state_directory).users == []
        assert [*(site.state_directory / "units").iterdir()] == []
        site.cable.unplug()
        site.next_interval()
        assert site.login(site.passcode(), "unavailable", "offline")["reason"] == "no-offline-data"
        asked = submit(site.instance, site.alice, site.now)
        assert isinstance(asked, Asked)
        assert asked.ask is ChallengeKind.NEW_PIN
