"""The share of this process that one device can take: one request at a time, and a rate that no honest agent reaches.

Rules (S46):
- A device counts only after its signature is verified. A stranger who knows the id of a device takes nothing from it.
- Requests of one device run one after the other. A unit has a lane of its own, because sealing takes seconds and a
  sign-in must not wait for it.
- A refusal says when to try again. The agent waits that long, and longer each time.
- The connection of a refused request rests, which means that nothing is read from it for a while: the longer, the more
  refusals the device has had. So going on at once costs the server little.
- The state is bounded by the number of enrolled devices; devices that were quiet for a while are forgotten.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from math import ceil
from typing import Final, TypeVar

from sparekey import clock
from sparekey.server.errors import RequestRejected

R = TypeVar("R")

TOO_MANY: Final = 429  # the status of each refusal
MOST_WAITING: Final = 4  # requests of one device that wait for the one before them
LONGEST_WAIT: Final = 5.0  # seconds
LARGE: Final = 1 << 20  # bytes: only a device with many users sends more
MOST_LARGE: Final = 2  # larger bodies in memory at once, of all devices together
COST_BYTES: Final = 16_384  # a body of this size costs as much as one request, unless its share says another size
REST_SECONDS: Final = 0.1  # for each refusal, over all connections of the device
LONGEST_REST: Final = 60.0  # seconds
_QUIET: Final = 300.0  # seconds after which every bucket is full again
_MOST_REMEMBERED: Final = 4_096  # devices, before those that are quiet are forgotten


class Lane(Enum):
    """A queue in which one request of a device is in work at a time."""

    SHORT = "short"  # sign-ins, events, syncs and acknowledgements
    UNITS = "units"


class Rate(Enum):
    """A token bucket: the requests at once, and the requests a second after that.

    Signing in has its own, so that no amount of syncs keeps a user out. A whole contact of a device with fifty users
    fits into the other one.
    """

    SIGN_INS = (60, 2.0)
    CONTACTS = (300, 10.0)


@dataclass(frozen=True)
class Share:
    """The part of a device's share that a kind of request takes.

    `cost`: requests of the bucket, for a small body. `bytes_each`: bytes of the body that cost one request more.
    """

    lane: Lane
    rate: Rate
    cost: int = 1
    bytes_each: int = COST_BYTES


@dataclass
class _Bucket:
    """The requests that are left, at a moment of the monotonic clock."""

    left: float
    at: float


@dataclass
class _Device:
    """The state of one device."""

    seen: float
    busy: dict[Lane, deque[asyncio.Future[None]]] = field(default_factory=dict)  # a lane in use, with its queue
    buckets: dict[Rate, _Bucket] = field(default_factory=dict)
    rests_until: float = 0.0


class DeviceLimits:
    """The limits of all devices in one process. Used by the event loop alone, so it needs no lock."""

    def __init__(self, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._monotonic: Final = monotonic
        self._devices: Final[dict[str, _Device]] = {}
        self._large = 0

    def pay(self, device_id: str, share: Share, length: int) -> None:
        """Take one request with a body of this length from the bucket. Raises RequestRejected (429)."""
        device = self._device(device_id)
        size, per_second = share.rate.value
        bucket = device.buckets.setdefault(share.rate, _Bucket(size, device.seen))
        left = min(size, bucket.left + (device.seen - bucket.at) * per_second)
        # A list that costs more than the whole bucket may pass when the bucket is full.
        cost = min(share.cost + length // share.bytes_each, size)
        if left < cost:
            device.buckets[share.rate] = _Bucket(left, device.seen)
            raise too_many("this device sends requests too fast", ceil((cost - left) / per_second))
        device.buckets[share.rate] = _Bucket(left - cost, device.seen)

    def rest_after_refusal(self, device_id: str) -> float:
        """Return the seconds for which the connection of a refused request rests."""
        device = self._device(device_id)
        until = max(device.rests_until, device.seen) + REST_SECONDS
        device.rests_until = min(until, device.seen + LONGEST_REST)
        return device.rests_until - device.seen

    @asynccontextmanager
    async def one(self, device_id: str, share: Share, length: int) -> AsyncIterator[None]:
        """Reserve the lane for one request with a body of this length. Raises RequestRejected (429)."""
        device = self._device(device_id)
        is_large = length > LARGE
        if is_large and self._large >= MOST_LARGE:
            raise too_many("several devices are sending long lists to the server", MOST_LARGE)
        self._large += is_large
        try:
            await _enter(device, share.lane)
            try:
                yield
            finally:
                _leave(device, share.lane)
        finally:
            self._large -= is_large

    def _device(self, device_id: str) -> _Device:
        now = self._monotonic()
        if device_id not in self._devices:
            if len(self._devices) >= _MOST_REMEMBERED:
                self._forget_quiet(now)
            self._devices[device_id] = _Device(now)
        device = self._devices[device_id]
        device.seen = now
        return device

    def _forget_quiet(self, now: float) -> None:
        quiet = [name for name, device in self._devices.items() if not device.busy and now - device.seen > _QUIET]
        for name in quiet:
            del self._devices[name]


def too_many(message: str, seconds: int) -> RequestRejected:
    """Return the refusal of a request that the device may send again after this time."""
    seconds = max(seconds, 1)
    do = f"try again in {seconds} second{'s' if seconds > 1 else ''}"
    return RequestRejected(TOO_MANY, "busy", message, do, retry_after=seconds)


async def finished(work: Awaitable[R]) -> R:
    """Return the result of work in a thread. If the caller is cancelled meanwhile, it ends after the work.

    Otherwise a device that hangs up could start the next work while the last one still takes a thread.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _enter(device: _Device, lane: Lane) -> None:
    waiting = device.busy.get(lane)
    if waiting is None:
        device.busy[lane] = deque()
        return
    if len(waiting) >= MOST_WAITING or lane is Lane.UNITS:
        raise too_many("the request before this one is still in work", 1 if lane is Lane.SHORT else 5)
    place = asyncio.get_running_loop().create_future()
    waiting.append(place)
    try:
        async with asyncio.timeout(LONGEST_WAIT):
            await place
    except BaseException as error:
        if place.done() and not place.cancelled():
            _leave(device, lane)  # the lane was handed over in the same moment
        elif place in waiting:
            waiting.remove(place)
        if isinstance(error, TimeoutError):
            raise too_many("the request before this one is still in work", 1) from None
        raise


def _leave(device: _Device, lane: Lane) -> None:
    """Hand the lane to the next request that waits."""
    waiting = device.busy[lane]
    while waiting:
        place = waiting.popleft()
        if not place.done():
            place.set_result(None)
            return
    del device.busy[lane]
