"""What every handler is given: the instance, the clock, the pools, and the floor under refusals."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from sparekey import clock
from sparekey.app.instance import Instance
from sparekey.server.floor import Floor
from sparekey.server.settings import Settings
from sparekey.server.work import WorkPool

_WAITING_SIGN_INS = 512
_CONTACT_THREADS, _WAITING_CONTACTS = 6, 256
_UNIT_THREADS, _WAITING_UNITS = 4, 64


@dataclass(frozen=True)
class Service:
    """One process that answers."""

    instance: Instance
    floor: Floor
    sign_ins: WorkPool
    contacts: WorkPool
    units: WorkPool
    sync_interval: int
    now: Callable[[], int] = field(default=clock.now)  # read once for each request

    @classmethod
    def of(cls, instance: Instance, settings: Settings, now: Callable[[], int] = clock.now) -> Self:
        """As the settings say."""
        return cls(
            instance=instance,
            floor=Floor(settings.refusal_floor_ms / 1000),
            sign_ins=WorkPool("sign-in", settings.sign_in_threads, _WAITING_SIGN_INS),
            contacts=WorkPool("contact", _CONTACT_THREADS, _WAITING_CONTACTS),
            units=WorkPool("unit", _UNIT_THREADS, _WAITING_UNITS),
            sync_interval=settings.sync_interval,
            now=now,
        )

    def close(self) -> None:
        """Waits for the work that has begun, then closes the database."""
        for pool in (self.sign_ins, self.contacts, self.units):
            pool.close()
        self.instance.database.close()
