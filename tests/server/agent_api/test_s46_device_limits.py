"""S46: one device has one request in work and a rate; it takes nothing from other devices."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

import pytest
from sqlalchemy import delete
from starlette.types import Receive, Scope, Send

from sparekey.server.admission.connections import Connections
from sparekey.server.admission.requests import CONNECTION
from sparekey.server.agent_api.device_limits import (
    COST_BYTES,
    LARGE,
    LONGEST_REST,
    MOST_LARGE,
    MOST_WAITING,
    REST_SECONDS,
    DeviceLimits,
    Lane,
    Rate,
    Share,
    finished,
)
from sparekey.server.errors import RequestRejected
from sparekey.storage.tables import device as device_table
from sparekey.wire import agent_api as api
from sparekey.wire.messages import encode
from tests.builders import DAY, NOW, a_device, a_user
from tests.server.asgi import Reply, ask
from tests.server.interfaces import Interfaces, headers_of, run

SHORT, UNITS = Share(Lane.SHORT, Rate.CONTACTS), Share(Lane.UNITS, Rate.CONTACTS)
SIGN_IN = Share(Lane.SHORT, Rate.SIGN_INS)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


async def once(limits: DeviceLimits, device: str, share: Share = SHORT, length: int = 0) -> int:
    """Make one request. Return 0, or the seconds after which the device may try again."""
    try:
        limits.pay(device, share, length)
        async with limits.one(device, share, length):
            return 0
    except RequestRejected as error:
        refused = error
    assert (refused.status, refused.reply.error) == (429, "busy")
    return refused.reply.retry_after


def test_s46_requests_of_one_device_run_one_after_the_other() -> None:
    limits, inside, most = DeviceLimits(), 0, 0

    async def work(device: str) -> None:
        nonlocal inside, most
        async with limits.one(device, SHORT, 0):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    async def together(*devices: str) -> None:
        await asyncio.gather(*map(work, devices))

    run(together(*["laptop"] * (1 + MOST_WAITING)))
    assert most == 1
    run(together("laptop", "another"))
    assert most == 2


def test_s46_more_than_a_few_waiting_requests_are_refused_and_others_are_not() -> None:
    limits = DeviceLimits()

    async def flood() -> list[int]:
        async with limits.one("laptop", SHORT, 0):
            waiting = [asyncio.create_task(once(limits, "laptop")) for _ in range(MOST_WAITING + 3)]
            await asyncio.sleep(0)
            assert await once(limits, "another") == 0
            assert await once(limits, "laptop", UNITS) == 0  # sealing does not wait for them, nor they for it
        return list(await asyncio.gather(*waiting))

    assert run(flood()) == [0] * MOST_WAITING + [1] * 3
    assert run(once(limits, "laptop")) == 0


def test_s46_one_unit_of_a_device_is_sealed_at_a_time() -> None:
    limits = DeviceLimits()

    async def second() -> int:
        async with limits.one("laptop", UNITS, 0):
            assert await once(limits, "another", UNITS) == 0
            assert await once(limits, "laptop", SIGN_IN) == 0
            return await once(limits, "laptop", UNITS)

    assert run(second()) > 0


def test_a_cancelled_request_frees_its_lane() -> None:
    limits = DeviceLimits()

    async def cancelled() -> int:
        async with limits.one("laptop", SHORT, 0):
            waiting = asyncio.create_task(once(limits, "laptop"))
            await asyncio.sleep(0)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
            # Cancelled in the moment in which the lane is handed over.
            waiting = asyncio.create_task(once(limits, "laptop"))
            await asyncio.sleep(0)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        return await once(limits, "laptop")

    assert run(cancelled()) == 0


def test_s46_hanging_up_does_not_free_the_lane_before_the_work_ends() -> None:
    limits, release = DeviceLimits(), asyncio.Event()

    async def request(work: Coroutine[None, None, object]) -> None:
        async with limits.one("laptop", UNITS, 0):
            await finished(work)

    async def hang_up() -> tuple[int, int]:
        first = asyncio.create_task(request(release.wait()))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        during = await once(limits, "laptop", UNITS)
        release.set()
        with suppress(asyncio.CancelledError):
            await first
        return during, await once(limits, "laptop", UNITS)

    during, after = run(hang_up())
    assert (during > 0, after) == (True, 0)


@pytest.mark.parametrize("rate", Rate)
def test_s46_a_device_that_is_too_fast_is_told_when_to_come_back(rate: Rate) -> None:
    clock = Clock()
    limits, (size, per_second) = DeviceLimits(clock), rate.value
    share = Share(Lane.SHORT, rate)
    assert [run(once(limits, "laptop", share)) for _ in range(size)] == [0] * size
    wait = run(once(limits, "laptop", share))
    assert wait == 1
    assert run(once(limits, "another", share)) == 0
    clock.seconds += wait
    assert [run(once(limits, "laptop", share)) for _ in range(int(per_second))] == [0] * int(per_second)
    assert run(once(limits, "laptop", share)) > 0


def test_no_number_of_syncs_keeps_a_user_of_the_device_out() -> None:
    limits = DeviceLimits(Clock())
    while run(once(limits, "laptop")) == 0:
        pass
    assert run(once(limits, "laptop", SIGN_IN)) == 0


def test_s46_a_long_list_costs_more_and_the_longest_is_still_possible() -> None:
    clock = Clock()
    limits, (size, per_second) = DeviceLimits(clock), Rate.CONTACTS.value
    assert run(once(limits, "laptop", SHORT, 1_000 * COST_BYTES)) == 0
    assert run(once(limits, "laptop", SHORT, 1_000 * COST_BYTES)) == size / per_second
    clock.seconds += size / per_second
    assert run(once(limits, "laptop", SHORT, 1_000 * COST_BYTES)) == 0


def test_s46_a_list_of_dear_things_costs_more_for_its_size() -> None:
    limits, (size, _) = DeviceLimits(Clock()), Rate.CONTACTS.value
    dear = Share(Lane.SHORT, Rate.CONTACTS, bytes_each=1_024)
    assert [run(once(limits, "laptop", dear, 1_024 * 99)) for _ in range(size // 100)] == [0] * (size // 100)
    assert run(once(limits, "laptop", dear)) > 0


def test_s46_each_refusal_of_a_device_has_its_connection_rest_longer() -> None:
    clock = Clock()
    limits = DeviceLimits(clock)
    rests = [limits.rest_after_refusal("laptop") for _ in range(3)]
    assert rests == pytest.approx([REST_SECONDS, 2 * REST_SECONDS, 3 * REST_SECONDS])
    assert limits.rest_after_refusal("another") == pytest.approx(REST_SECONDS)
    clock.seconds += 2 * REST_SECONDS
    assert limits.rest_after_refusal("laptop") == pytest.approx(2 * REST_SECONDS)
    assert max(limits.rest_after_refusal("laptop") for _ in range(10_000)) == pytest.approx(LONGEST_REST)


def test_s46_few_long_lists_are_in_memory_at_once() -> None:
    limits = DeviceLimits()

    async def nested(left: int) -> int:
        if left == 0:
            return await once(limits, "last", SHORT, LARGE + 1)
        async with limits.one(f"laptop{left}", SHORT, LARGE + 1):
            return await nested(left - 1)

    assert run(nested(MOST_LARGE)) > 0
    assert run(nested(MOST_LARGE - 1)) == 0


def test_devices_that_were_quiet_are_forgotten() -> None:
    clock = Clock()
    limits = DeviceLimits(clock)
    for number in range(5_000):
        clock.seconds += 1
        assert run_quickly(once(limits, f"laptop{number}")) == 0
    assert len(limits._devices) < 4_200


def run_quickly(work: Coroutine[None, None, int]) -> int:
    """Run work that waits for nothing, without an event loop."""
    try:
        work.send(None)
    except StopIteration as done:
        return int(done.value)
    raise AssertionError("it waits")


def test_s46_a_few_uploads_of_many_events_use_up_the_rate(interfaces: Interfaces) -> None:
    """The size of an upload decides, so these are no events."""
    device, upload = a_device(interfaces.instance), b'{"events": []}' + b" " * 80_000
    statuses = [run(interfaces.signed(device, api.EVENTS, upload)).status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


def test_s46_a_flood_of_one_device_does_not_delay_another(interfaces: Interfaces) -> None:
    hostile, honest = a_device(interfaces.instance), a_device(interfaces.instance)
    alice = a_user(interfaces.instance)
    sync = api.SyncRequest(held=[], checkpoint="", hardware_bound=False)

    async def flood() -> tuple[list[Reply], Reply]:
        many = [interfaces.signed(hostile, api.SYNC, sync) for _ in range(40)]
        replies = await asyncio.gather(*many, interfaces.sign_in(honest, alice.login, alice.typed(NOW).reveal()))
        return list(replies[:-1]), replies[-1]

    replies, sign_in = run(flood())
    assert sign_in.json["result"] == "granted"
    served = [reply for reply in replies if reply.status == 200]
    turned_away = [reply for reply in replies if reply.status == 429]
    assert len(served) + len(turned_away) == 40
    assert turned_away
    assert served
    assert dict(turned_away[0].headers)[b"retry-after"] == str(turned_away[0].json["retry_after"]).encode()
    assert "try again in" in turned_away[0].json["do"]


def test_s46_the_database_is_not_asked_for_a_device_that_is_too_fast(interfaces: Interfaces) -> None:
    device = a_device(interfaces.instance)
    sync = api.SyncRequest(held=[], checkpoint="", hardware_bound=False)
    long = encode(sync) + b" " * (COST_BYTES * Rate.CONTACTS.value[0])
    assert [run(interfaces.signed(device, api.SYNC, each)).status for each in (sync, long)] == [200, 429]
    small = encode(sync) + b" " * (COST_BYTES * (Rate.CONTACTS.value[0] - 10))
    assert run(interfaces.signed(device, api.SYNC, small)).status == 200
    with interfaces.instance.database.write() as connection:
        connection.execute(delete(device_table))
    assert run(interfaces.signed(device, api.SYNC, small)).error == "busy"
    assert run(interfaces.signed(device, api.ACKNOWLEDGEMENTS, b"{}")).error == "unknown-device"


def test_s46_the_connection_of_a_refused_request_rests(interfaces: Interfaces) -> None:
    device, rests = a_device(interfaces.instance), list[float]()
    connection = Connections(1).enter("source", lambda: None)
    assert connection
    connection.rest_by(rests.append)
    unit = encode(api.UnitRequest(user="", kind="day", token="", day=0, generation=0))

    async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
        await interfaces.app({**scope, "extensions": {CONNECTION: {"connection": connection}}}, receive, send)

    async def asked() -> int:
        return (await ask(with_connection, "POST", api.UNITS, unit, headers_of(device, api.UNITS, unit, NOW))).status

    async def refused() -> int:
        async with interfaces.service.devices.one(device.device_id, UNITS, 0):
            return await asked()

    assert (run(refused()), len(rests)) == (429, 1)
    assert rests[0] > 0
    assert run(asked()) != 429
    assert len(rests) == 1


def test_s46_many_requests_for_one_unit_seal_it_few_times(interfaces: Interfaces) -> None:
    alice, device = a_user(interfaces.instance, pin="4711abcd"), a_device(interfaces.instance)
    device.sign_in(alice, NOW)
    said = device.sync_of(alice, NOW)
    wish = api.UnitRequest(
        user=alice.account_id, kind="day", token=alice.token_id, day=NOW // DAY, generation=said.generation
    )

    async def flood() -> list[int]:
        many = [interfaces.signed(device, api.UNITS, wish) for _ in range(80)]
        return [reply.status for reply in await asyncio.gather(*many)]

    statuses = run(flood())
    assert 1 <= statuses.count(200) <= 3  # one after the other
    assert statuses.count(200) + statuses.count(429) == 80
