"""A certificate with less than a third of its lifetime left is renewed, and devices go on signing in."""

import os
import signal
import ssl
from pathlib import Path

import pytest

from tests.builders import DAY
from tests.journeys.site import Site, a_site, poll

pytestmark = pytest.mark.services


def test_devices_follow_a_renewed_certificate(tmp_path: Path) -> None:
    """`test_serving` shows that callers get answers without a pause meanwhile."""
    with a_site(tmp_path) as site:
        site.enroll()
        site.login(site.passcode(), mode="online")
        first = served_certificate(site)
        # The server checks every hour, but its current wait runs in real time, so the reload asks it to check now.
        site.stage.time.advance(70 * DAY)  # 20 of 90 days are left
        os.kill(site.server.process.pid, signal.SIGHUP)
        poll(lambda: served_certificate(site) != first, "the new certificate")
        assert site.server.process.poll() is None
        site.login(site.passcode(), mode="online")
        site.stage.time.advance(30 * DAY)  # the first one has ended
        site.login(site.passcode(), mode="online")


def served_certificate(site: Site) -> str:
    return ssl.get_server_certificate(("127.0.0.1", site.port))
