"""The service that every handler uses: the instance, the clock, the thread pools, and the floor under refusals."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from sparekey import clock
from sparekey.app.instance import Instance
from sparekey.server.admission.known import KnownCredentials, KnownDevices
from sparekey.server.agent_api.device_limits import DeviceLimits
from sparekey.server.floor import Floor
from sparekey.server.origins import expected_origins, names_of
from sparekey.server.settings import Settings
from sparekey.server.work import WorkPool

_WAITING_SIGN_INS = 512
_CONTACT_THREADS, _WAITING_CONTACTS = 6, 256
_WAITING_BODIES = 64
_UNIT_THREADS, _WAITING_UNITS = 4, 64
_ADMINISTRATION_THREADS, _WAITING_ADMINISTRATION = 4, 64
_SESSION_THREADS, _WAITING_SESSIONS = 2, 32
_SELF_SERVICE_THREADS, _WAITING_SELF_SERVICE = 4, 128
_PASSKEY_THREADS, _WAITING_PASSKEYS = 2, 64


@dataclass(frozen=True)
class Service:
    """One server process."""

    instance: Instance
    floor: Floor
    sign_ins: WorkPool
    contacts: WorkPool
    bodies: WorkPool  # one thread: each thread that parsed a body of 8 MiB keeps as much memory for good
    units: WorkPool
    administration: WorkPool  # a pool of its own, so that devices do not wait for a long report
    sessions: WorkPool  # open to all callers: a flood here must not delay the other pools
    passkeys: WorkPool  # open to all callers; quick, so that they do not wait behind slow hashes
    self_service: WorkPool  # for users, for the same reason as sessions
    readiness: WorkPool  # the check of the database, which waits for no other work
    known: KnownCredentials
    known_devices: KnownDevices
    sync_interval: int
    settings: Settings
    hosts: frozenset[str]  # names of the server under which pages are served
    origins: tuple[str, ...] = ()  # of the consoles in browsers
    admin_networks: tuple[str, ...] = ()  # empty: administrators come from anywhere
    devices: DeviceLimits = field(default_factory=DeviceLimits)
    now: Callable[[], int] = field(default=clock.now)  # read once for each request

    @classmethod
    def of(
        cls,
        instance: Instance,
        settings: Settings,
        now: Callable[[], int] = clock.now,
        hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1", "::1"}),
    ) -> Self:
        """Return the service for these settings. `hosts`: the names in the certificate of the server."""
        return cls(
            instance=instance,
            floor=Floor(settings.refusal_floor_ms / 1000),
            sign_ins=WorkPool("sign-in", settings.sign_in_threads, _WAITING_SIGN_INS),
            contacts=WorkPool("contact", _CONTACT_THREADS, _WAITING_CONTACTS),
            bodies=WorkPool("body", 1, _WAITING_BODIES),
            units=WorkPool("unit", _UNIT_THREADS, _WAITING_UNITS),
            administration=WorkPool(
                "administration",
                _ADMINISTRATION_THREADS,
                _WAITING_ADMINISTRATION,
                most_of_one=_ADMINISTRATION_THREADS - 1,  # a report can take seconds
            ),
            sessions=WorkPool("session", _SESSION_THREADS, _WAITING_SESSIONS),
            passkeys=WorkPool("passkey", _PASSKEY_THREADS, _WAITING_PASSKEYS),
            readiness=WorkPool("readiness", 1, 1),
            known=KnownCredentials(),
            known_devices=KnownDevices(),
            self_service=WorkPool("self-service", _SELF_SERVICE_THREADS, _WAITING_SELF_SERVICE),
            sync_interval=settings.sync_interval,
            settings=settings,
            hosts=hosts | names_of(settings.origins),
            origins=expected_origins(settings, hosts),
            admin_networks=settings.admin_networks,
            now=now,
        )

    def close(self) -> None:
        """Wait for running work, then close the database."""
        self.end_work()
        self.instance.database.close()

    def end_work(self) -> None:
        """Wait for running work, and accept no more."""
        for pool in (
            self.sign_ins,
            self.contacts,
            self.bodies,
            self.units,
            self.administration,
            self.sessions,
            self.passkeys,
            self.self_service,
            self.readiness,
        ):
            pool.close()
