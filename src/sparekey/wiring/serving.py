"""Runs the server: the processes of granian, each with its own application, and the certificate of them all.

Rules: everything is checked before the first process starts, so that a server with a fault does not answer (S66); a
renewed certificate starts new processes, which take over before the old ones end. Each process has its own queue
(SO_REUSEPORT). When an old process ends, connections in its queue, or just being set up, are closed unanswered. No
request was read from them, and the next connection of the client is answered.
"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
from starlette.applications import Starlette

from sparekey import clock
from sparekey.app.audit_log.sequencer import chain
from sparekey.app.instance import Instance, log
from sparekey.app.ports import CheckpointStore, KeystoreError
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import Conflict
from sparekey.keystore import local_ca
from sparekey.server.application import Lifespan, create_application
from sparekey.server.errors import log_unforeseen
from sparekey.server.logs import configure, logging_config
from sparekey.server.service import Service
from sparekey.server.settings import Settings, read_settings
from sparekey.wiring.certificate_signer import CertificateSigner
from sparekey.wiring.couriers import Courier, couriers, stop
from sparekey.wiring.server import KEYS, certificate_names, checkpoint_store, incidental_names, open_instance
from sparekey.wiring.watching import WatchSteps

DATA_VARIABLE: Final = "SPAREKEY_DATA"
LISTEN_VARIABLE: Final = "SPAREKEY_LISTEN"
_RENEWAL_CHECK: Final = 3_600.0  # seconds
_BODY_LIMIT: Final = 1 << 16  # of a request's head
_OVERLAP: Final = 10.0  # seconds for which an old process still answers while a new one starts
_log: Final = structlog.get_logger()


@dataclass(frozen=True)
class Certificate:
    """The files that TLS uses."""

    certificate: Path
    key: Path


def asgi() -> Starlette:
    """Return the application for the data directory in SPAREKEY_DATA. Each process of granian calls this."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # granian sets its own handlers once the application exists. Until then, inherited handlers would swallow
        # signals.
        signal.signal(number, signal.SIG_DFL)
    directory = Path(os.environ[DATA_VARIABLE])
    settings = read_settings(directory, os.environ)
    configure(settings.log_level)
    instance = open_instance(directory, settings)
    service = Service.of(instance, settings, hosts=certificate_names(settings))
    return create_application(service, _beside(service, directory, settings))


def serve(
    directory: Path,
    settings: Settings,
    announce: Callable[[list[str]], None],
    signer: CertificateSigner | None = None,
) -> None:
    """Serve until a signal stops it. `signer`: holds the CA's key, which this process then does not read.

    Raises the errors of `open_instance`, KeystoreError, or Conflict.
    """
    open_instance(directory, settings).database.close()
    certificate = prepare_certificate(directory, settings, clock.now(), signer)
    host, port = settings.address
    _verify_free(host, port)
    os.environ |= {DATA_VARIABLE: str(directory.resolve()), LISTEN_VARIABLE: settings.listen}
    configure(settings.log_level)
    server = _granian(settings, certificate)
    server.on_startup(lambda: announce([settings.listening_url]))
    renew = partial(prepare_certificate, directory, settings, signer=signer)
    with _WatchedCertificate(renew, certificate, server):
        server.serve()


def hold_ca_key(directory: Path, settings: Settings, key: int) -> CertificateSigner:
    """Return a process that reads the CA's key from this descriptor. Call this before `serve`."""
    os.environ[LISTEN_VARIABLE] = settings.listen  # a name of the certificate; that process reads the settings again
    return CertificateSigner(directory, key)


def prepare_certificate(
    directory: Path, settings: Settings, now: int, signer: CertificateSigner | None = None
) -> Certificate | None:
    """Return the certificate to serve, renewed if that is due; None: no TLS. Raises KeystoreError."""
    if settings.tls == "off":
        return None
    if settings.tls == "own":
        own = Certificate(Path(settings.certificate), Path(settings.key))
        local_ca.verify_own(own.certificate, own.key, Path(settings.ca))
        return own
    if signer is not None:
        signer.renew()
    else:
        names, incidental = certificate_names(settings), incidental_names(settings)
        local_ca.renew_server_certificate(directory / KEYS, names, now, incidental)
    both = certificate_file(directory, settings)
    return Certificate(both, both)


def certificate_file(directory: Path, settings: Settings) -> Path:
    """Return the path of the server's certificate."""
    return Path(settings.certificate) if settings.tls == "own" else directory / KEYS / local_ca.SERVER_FILE


def _granian(settings: Settings, certificate: Certificate | None) -> Any:
    # Imported late: no other command needs it.
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415 -- see above
    from granian.http import HTTP1Settings  # noqa: PLC0415 -- see above
    from granian.log import LogLevels  # noqa: PLC0415 -- see above
    from granian.server import Server  # noqa: PLC0415 -- see above

    host, port = settings.address
    return Server(
        "sparekey.wiring.serving:asgi",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=_BODY_LIMIT),
        websockets=False,
        log_level=LogLevels(settings.log_level),
        log_dictconfig=logging_config(settings.log_level),
        ssl_cert=certificate.certificate if certificate else None,
        ssl_key=certificate.key if certificate else None,
        respawn_failed_workers=True,
        respawn_interval=_OVERLAP,
        workers_kill_timeout=10,
    )


def _verify_free(host: str, port: int) -> None:
    """Raise Conflict if another server listens there. Processes share the port, so the system would allow it."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise Conflict(
                f"cannot listen on {host}:{port}: {error.strerror}", "stop what listens there, or give another --listen"
            ) from error


class _WatchedCertificate:
    """A context that renews the certificate when it is due, checks every hour if it changed, and then reloads."""

    def __init__(self, renew: Callable[[int], object], certificate: Certificate | None, server: Any) -> None:
        self._renew: Callable[[], object] = lambda: renew(clock.now())
        self._certificate = certificate
        self._server = server
        self._end = threading.Event()

    def __enter__(self) -> None:
        if self._certificate is not None:
            # Also at SIGHUP, before the new processes read the certificate.
            self._server.on_reload(self._look)
            self._seen = self._stamp()
            threading.Thread(target=self._watch, name="certificate", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._end.set()

    def _watch(self) -> None:
        while not self._end.wait(_RENEWAL_CHECK):
            if self._look():
                self._server.signal_handler_reload()

    def _look(self) -> bool:
        """Return True if the certificate has changed. A bad one is logged, and the old one stays in use."""
        try:
            self._renew()
            before, self._seen = self._seen, self._stamp()
        except (KeystoreError, OSError) as error:
            _log.error("the certificate cannot be renewed", why=str(error))
            return False
        return self._seen != before

    def _stamp(self) -> int:
        return self._certificate.certificate.stat().st_mtime_ns if self._certificate else 0


def _beside(service: Service, directory: Path, settings: Settings) -> Lifespan:
    @asynccontextmanager
    async def beside() -> AsyncIterator[None]:
        instance = service.instance
        with instance.database.write() as connection:
            log(connection, service.now(), "system", Action.SERVER_STARTED, instance=instance.name)
        sequencer = asyncio.create_task(_chain_each_second(service, checkpoint_store(directory)))
        watch = WatchSteps(directory, instance)
        watching = Courier("watch", watch, service.now)
        sending = couriers(instance.database, settings, instance.name, service.now)
        running = [courier.start() for courier in (*sending, watching)]
        try:
            yield
        finally:
            sequencer.cancel()
            with suppress(asyncio.CancelledError):
                await sequencer
            await asyncio.to_thread(stop, running)
            watch.close()
            service.close()

    return beside


async def _chain_each_second(service: Service, store: CheckpointStore) -> None:
    """Chain new events each second, and once more at the end, so that a stopped server leaves no event unchained."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "sequencer") as thread:
        try:
            while True:
                await loop.run_in_executor(thread, _chain, service.instance, store, service.now())
                await asyncio.sleep(1)
        finally:
            # on the same thread, after the current call
            thread.submit(_chain, service.instance, store, service.now())


def _chain(instance: Instance, store: CheckpointStore, now: int) -> None:
    try:
        chain(instance.database, instance.keystore, store, now)
    except Exception as error:  # noqa: BLE001 -- the next second tries again
        log_unforeseen(error)
