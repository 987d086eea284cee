"""A pool of threads shared by several parties: in turns, without loss for the small ones."""

import asyncio
from collections.abc import Callable, Coroutine
from threading import Event, Lock
from typing import Any

import pytest

from sparekey.server.admission.parties import Party, begin_request, prove
from sparekey.server.work import Busy, WorkPool


class Scene:
    """Calls that wait for a signal, and the order in which they were made."""

    def __init__(self, pool: WorkPool) -> None:
        self.pool = pool
        self.go = Event()
        self.made: list[str] = []
        self.running = 0
        self.most_running: dict[str, int] = {}
        self._lock = Lock()
        self._now: dict[str, int] = {}

    def call(self, party: str, name: str) -> None:
        with self._lock:
            self._now[party] = self._now.get(party, 0) + 1
            self.most_running[party] = max(self.most_running.get(party, 0), self._now[party])
        assert self.go.wait(30)
        with self._lock:
            self._now[party] -= 1
            self.made.append(name)

    async def ask(self, party: str, name: str = "") -> None:
        begin_request(Party(party))
        await self.pool.run(self.call, party, name or party)


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 60))


async def begun(*asked: Coroutine[Any, Any, None]) -> list["asyncio.Task[None]"]:
    tasks = [asyncio.create_task(each) for each in asked]
    await asyncio.sleep(0)
    return tasks


def test_s46_calls_are_made_in_turns() -> None:
    async def scene() -> None:
        it = Scene(WorkPool("narrow", 1, 20))
        tasks = await begun(*(it.ask("flood", f"flood {number}") for number in range(10)))
        tasks += await begun(it.ask("administrator"))
        it.go.set()
        await asyncio.gather(*tasks)
        assert it.made.index("administrator") == 2  # one was running, and one was before it in turn

    run(scene)


def test_s46_a_full_pool_refuses_the_largest_party() -> None:
    async def scene() -> None:
        it = Scene(WorkPool("narrow", 1, 4))
        flood = await begun(*(it.ask("flood", f"flood {number}") for number in range(6)))
        others = await begun(it.ask("a"), it.ask("b"))
        it.go.set()
        results = await asyncio.gather(*flood, return_exceptions=True)
        await asyncio.gather(*others)
        assert [type(result) for result in results].count(Busy) == 3
        assert {"a", "b"} < set(it.made)

    run(scene)


def test_s46_one_party_cannot_hold_every_thread_of_slow_work() -> None:
    async def scene() -> None:
        it = Scene(WorkPool("reports", 3, 20, most_of_one=2))
        tasks = await begun(*(it.ask("slow") for _ in range(6)))
        tasks += await begun(it.ask("quick"))
        for _ in range(1_000):
            if it.most_running == {"slow": 2, "quick": 1}:
                break
            await asyncio.sleep(0.01)
        it.go.set()
        await asyncio.gather(*tasks)
        assert it.most_running == {"slow": 2, "quick": 1}
        assert len(it.made) == 7

    run(scene)


def test_s46_a_proven_party_no_longer_counts_for_its_address() -> None:
    async def scene() -> None:
        it = Scene(WorkPool("narrow", 1, 20))

        async def device() -> None:
            begin_request(Party("192.0.2.7"))
            prove("device:1")
            await it.pool.run(it.call, "device", "device")

        tasks = await begun(*(it.ask("192.0.2.7", f"flood {number}") for number in range(10)), device())
        it.go.set()
        await asyncio.gather(*tasks)
        assert it.made.index("device") == 2

    run(scene)


def test_a_call_whose_caller_has_gone_is_not_made() -> None:
    async def scene() -> None:
        it = Scene(WorkPool("narrow", 1, 20))
        first, second = await begun(it.ask("a", "first"), it.ask("a", "second"))
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        it.go.set()
        await first
        await it.ask("a", "third")
        assert it.made == ["first", "third"]

    run(scene)


def test_an_error_of_a_call_is_raised_to_its_caller_and_frees_the_thread() -> None:
    async def scene() -> None:
        pool = WorkPool("narrow", 1, 1)  # a result may come before its thread is free: then the next call waits for it
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await pool.run(lambda: 1 / 0)
        assert await pool.run(lambda: 7) == 7
        pool.close()

    run(scene)


def test_s46_all_sources_together_leave_threads_to_the_proven() -> None:
    async def scene() -> None:
        it = Scene(WorkPool("sign-ins", 6, 100))
        tasks = await begun(*(it.ask(f"source 192.0.2.{number}", "a source") for number in range(20)))
        tasks += await begun(*(it.ask("client:web", f"the client {number}") for number in range(4)))
        for _ in range(1_000):
            if sum(it.most_running.values()) == 6:
                break
            await asyncio.sleep(0.01)
        assert sum(it.most_running.values()) == 6
        assert it.most_running["client:web"] == 4
        it.go.set()
        await asyncio.gather(*tasks)
        assert len(it.made) == 24

    run(scene)


def test_s46_a_pool_with_one_thread_serves_sources_too() -> None:
    async def scene() -> None:
        it = Scene(WorkPool("narrow", 1, 20))
        it.go.set()
        await asyncio.gather(*(it.ask("source 192.0.2.7") for _ in range(3)))
        assert len(it.made) == 3

    run(scene)
