"""The daemon's background thread survives every answer of the server."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from sparekey import clock
from sparekey.agent.contact.contact import Progress
from sparekey.agent.contact.scheduler import (
    FIRST_AFTER,
    FIRST_SPREAD,
    LONGEST_INTERVAL,
    RETRY_AFTER,
    STOPPED,
    AfterChange,
    ContactScheduler,
)
from sparekey.wire.agent_api import SyncReply, SyncRequest
from tests.agent.devices import a_world

pytestmark = pytest.mark.services


def ignore(_: Progress) -> None:
    pass


@pytest.mark.parametrize("next_sync", [2**53 - 1, LONGEST_INTERVAL * 9, 0, -1])
def test_no_interval_of_the_server_stops_the_contacts(tmp_path: Path, next_sync: int) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    honest = world.server.sync

    def sync(request: SyncRequest) -> SyncReply:
        return replace(honest(request), next_sync=next_sync)

    world.server.sync = sync  # type: ignore[method-assign] # the simulated server's word, not our code
    background = ContactScheduler(world.device)
    thread = threading.Thread(target=background.run)
    thread.start()
    try:
        for _ in range(3):
            assert background.follow(background.request(), ignore).result is not None
    finally:
        background.stop()
        thread.join(20)
    assert world.device.state.next_sync == next_sync


def test_followers_of_a_stopped_agent_get_an_answer(tmp_path: Path) -> None:
    background = ContactScheduler(a_world(tmp_path / "store").device)
    number = background.request()
    background.stop()
    assert background.follow(number, ignore) == STOPPED


@dataclass
class Network:
    """A network that changes when the test says so. `pauses`: the scheduler's waits for it."""

    pauses: list[float] = field(default_factory=list)
    changed: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return self.changed.wait(min(seconds, 20))


def test_a_change_of_the_network_ends_the_pause_after_a_contact_that_failed(tmp_path: Path) -> None:
    world, network, told = a_world(tmp_path / "store").signed_in_online(), Network(), list[str]()
    contacts = threading.Semaphore(0)

    def after() -> None:
        told.append(background.trouble)
        contacts.release()

    world.go_offline()
    background = ContactScheduler(world.device, after, network.wait, AfterChange(settling=0, spread=1, least_between=0))
    thread = threading.Thread(target=background.run)
    thread.start()
    try:
        assert contacts.acquire(timeout=20)  # the start
        background.request()
        assert contacts.acquire(timeout=20)
        world.go_online()
        network.changed.set()
        assert contacts.acquire(timeout=20)
    finally:
        background.stop()
        thread.join(20)
    assert [bool(trouble) for trouble in told] == [False, True, False]
    assert len(network.pauses) == 1
    assert 0.875 * RETRY_AFTER <= network.pauses[0] <= 1.125 * RETRY_AFTER


def test_route_changes_from_the_kernel_are_noticed() -> None:
    """Run in a network namespace of its own: a change of this machine's network would affect other tests."""
    program = (
        "from sparekey.agent.platform.posix import wait_for_network as wait; import subprocess, threading\n"
        "assert not wait(0.1)\n"
        "up = threading.Timer(0.2, lambda: subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)); up.start()\n"
        "assert wait(20)\n"
    )
    if os.geteuid() != 0:
        pytest.skip("needs a network of its own")
    subprocess.run(["unshare", "--net", sys.executable, "-c", program], check=True, timeout=60)


def test_the_first_contacts_of_many_devices_are_spread_over_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "since_boot", lambda: 0)
    world = a_world(tmp_path / "store")
    due = sorted(ContactScheduler(world.device)._sync_due for _ in range(200))
    assert due[0] >= FIRST_AFTER
    assert due[-1] < FIRST_AFTER + FIRST_SPREAD
    assert due[-1] - due[0] > FIRST_SPREAD / 2
