"""An event-based token with real processes: online, on the train from its pack, and back, code after code."""

from pathlib import Path

import pytest

from tests.builders import token_row
from tests.event_tokens import pressing
from tests.journeys.site import a_site

pytestmark = pytest.mark.services


def test_codes_go_on_across_the_border(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        token = pressing(site.instance, site.alice)
        site.enroll()
        site.login(token.typed(0).reveal(), mode="online")
        (pack,) = site.device.agent("status").data["users"][0]["event_packs"]
        assert pack["codes_left"] == 50
        site.cable.unplug()
        site.login(token.typed(1).reveal(), mode="offline")
        site.login(token.typed(4).reveal(), mode="offline")  # two were pressed in the pocket
        for used in (4, 2):
            site.login(token.typed(used).reveal(), "denied", "offline")
        site.cable.plug()
        site.login(token.typed(4).reveal(), "denied", "online")
        assert token_row(site.instance, site.alice.serial).last_step == 4
        site.login(token.typed(5).reveal(), mode="online")
        site.cable.unplug()
        site.login(token.typed(5).reveal(), "denied", "offline")
        site.login(token.typed(6).reveal(), mode="offline")
        assert site.device.agent("status").data["users"][0]["event_packs"][0]["codes_left"] == 44
