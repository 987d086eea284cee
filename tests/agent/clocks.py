"""A clock that stands until a test moves it."""

from sparekey.agent.ground.device_time import ClockReading

NOON = 20454 * 86400 + 43200  # 2026-01-01, UTC


class FakeClock:
    """`ports.Clock`: time passes on both clocks, the wall clock alone can be set, a reboot begins a new boot."""

    def __init__(self, wall: int = NOON) -> None:
        self.wall = wall
        self.monotonic = 1000
        self.boot = "boot-1"
        self.synchronised = False

    def reading(self) -> ClockReading:
        return ClockReading(self.wall, self.monotonic, self.boot, self.synchronised)

    def advance(self, seconds: int) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def reboot(self, off_for: int = 60) -> None:
        self.wall += off_for
        self.monotonic = 5
        self.boot += "+"
