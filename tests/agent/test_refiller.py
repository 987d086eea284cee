"""The daemon's background thread lives on, whatever the server says."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.refill import Progress
from sparekey.agent.refiller import LONGEST_INTERVAL, Refiller
from sparekey.wire.agent_api import SyncReply, SyncRequest
from tests.agent.devices import a_world

pytestmark = pytest.mark.services


def ignore(_: Progress) -> None:
    pass


@pytest.mark.parametrize("next_sync", [2**53 - 1, LONGEST_INTERVAL * 9, 0, -1])
def test_no_interval_of_the_server_ends_the_refills(tmp_path: Path, next_sync: int) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    honest = world.server.sync

    def sync(request: SyncRequest) -> SyncReply:
        return replace(honest(request), next_sync=next_sync)

    world.server.sync = sync  # type: ignore[method-assign] # the simulated server's word, not our code
    refiller = Refiller(world.device)
    thread = threading.Thread(target=refiller.run)
    thread.start()
    try:
        for _ in range(3):
            assert refiller.follow(refiller.request(), ignore).refilled is not None
    finally:
        refiller.stop()
        thread.join(20)
    assert world.device.state.next_sync == next_sync
