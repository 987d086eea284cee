"""Turns of the event loop: no party waits for many requests of another one, and sources together leave time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from sparekey.clock import monotonic
from sparekey.server.admission.turns import SECONDS_OF_A_SOURCE, Turns

HOSTILE, ANOTHER = "source 192.0.2.7", "source 192.0.2.8"


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 60))


async def _begin(turns: Turns, party: str, begun: list[str]) -> None:
    await turns.wait(party)
    begun.append(party)


def test_s46_parties_begin_in_turns() -> None:
    async def scene() -> None:
        turns, begun = Turns(), list[str]()
        flood = [_begin(turns, HOSTILE, begun) for _ in range(20)]
        await asyncio.gather(*flood, _begin(turns, ANOTHER, begun))
        assert begun.index(ANOTHER) <= 2  # one had begun, and one was before it in turn
        assert len(begun) == 21

    run(scene)


def test_s46_a_device_does_not_wait_for_a_flood_of_sources() -> None:
    async def scene() -> None:
        turns, begun = Turns(), list[str]()
        flood = [_begin(turns, HOSTILE, begun) for _ in range(20)]
        await asyncio.gather(*flood, *(_begin(turns, f"device:{number}", begun) for number in range(5)))
        assert begun[:6] == [HOSTILE, *(f"device:{number}" for number in range(5))]

    run(scene)


def test_s46_sources_together_leave_time_between_their_requests() -> None:
    async def scene() -> None:
        turns, begun, number = Turns(), list[str](), 25
        since = monotonic()
        await asyncio.gather(*(_begin(turns, f"source 192.0.2.{host}", begun) for host in range(number)))
        assert (
            monotonic() - since >= (number - 1) * SECONDS_OF_A_SOURCE / 2
        )  # timers of the loop are whole milliseconds

    run(scene)


def test_a_request_alone_does_not_wait() -> None:
    async def scene() -> None:
        turns, begun = Turns(), list[str]()
        for party in (HOSTILE, "device:1"):
            await _begin(turns, party, begun)
        assert begun == [HOSTILE, "device:1"]  # without another task, nothing would have ended a turn meanwhile

    run(scene)


def test_a_request_that_was_cancelled_takes_no_turn() -> None:
    async def scene() -> None:
        turns, begun = Turns(), list[str]()
        tasks = [asyncio.create_task(_begin(turns, f"device:{number}", begun)) for number in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert begun == ["device:0", "device:2", "device:3"]

    run(scene)


def test_a_turn_ends_with_its_event_loop() -> None:
    turns, begun = Turns(), list[str]()
    for _ in range(2):
        run(lambda: _begin(turns, HOSTILE, begun))
    assert begun == [HOSTILE, HOSTILE]
