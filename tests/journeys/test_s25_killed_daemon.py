"""S25 with the daemon: killed during a guess, it still has the failure after its restart, and grants nothing."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sparekey.passcode import grouped, new_code
from tests.builders import PIN
from tests.journeys.site import Site, a_site, poll

pytestmark = pytest.mark.services


def test_s25_kill_9_of_the_daemon_in_the_middle_of_a_guess(tmp_path: Path) -> None:
    with a_site(tmp_path) as site, ThreadPoolExecutor(1) as person:
        site.enroll()
        site.login(site.passcode(), mode="online")
        site.cable.unplug()
        daemon = site.stage.start_daemon()
        # an emergency code costs seconds of hashing: there is a middle
        guess = person.submit(site.attempt, PIN + grouped(new_code(2)), fails=True)
        poll(lambda: emergency_failures(site) == 1, "the count on disk")
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.wait(timeout=20)
        answer = guess.result()
        assert answer.code != 0
        assert (answer.data or {}).get("result") != "granted"
        (site.state_directory / "agent.sock").unlink()
        site.stage.start_daemon()
        assert emergency_failures(site) == 1
        site.login(site.wrong_passcode(), "denied", "offline")
        assert site.failures() == 1
        site.next_interval()
        site.login(site.passcode(), mode="offline")
        assert (site.failures(), emergency_failures(site)) == (0, 0)


def emergency_failures(site: Site) -> int:
    held = site.held()
    assert held is not None
    return held.emergency_failures
