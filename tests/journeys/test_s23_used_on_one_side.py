"""S23 with real processes: one passcode has one success, also across the border between online and offline."""

from pathlib import Path

import pytest

from tests.journeys.site import Site, a_site

pytestmark = pytest.mark.services


def test_s23_once_on_either_side_of_the_border(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        site.enroll()
        used_online_then_cut(site)
        used_offline_then_back(site)


def used_online_then_cut(site: Site) -> None:
    site.login(site.passcode(), mode="online")
    site.next_interval()
    used = site.passcode()
    site.login(used, mode="online")
    site.cable.unplug()
    site.login(used, "denied", "offline")
    # the record of the next interval is still there: it was no general refusal
    site.next_interval()
    site.login(site.passcode(), mode="offline")


def used_offline_then_back(site: Site) -> None:
    site.next_interval()
    used = site.passcode()
    site.login(used, mode="offline")
    site.cable.plug()
    site.login(used, "denied", "online")
    site.next_interval()
    site.login(site.passcode(), mode="online")
