"""Runs the server: its listening sockets, its processes, and the tasks beside each application.

Rules: everything is checked before the first process starts, so that a server with a fault does not answer (S66); each
process has its own socket and queue (SO_REUSEPORT); one process answers without a parent.
"""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from sparekey.app.audit_log.sequencer import chain
from sparekey.app.instance import Instance, log
from sparekey.app.ports import CheckpointStore
from sparekey.app.sign_in.anonymous import log_refusals, whole_minutes
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import Conflict
from sparekey.heap import release_memory
from sparekey.server.application import Lifespan, create_application
from sparekey.server.errors import log_unforeseen
from sparekey.server.logs import configure
from sparekey.server.service import Service
from sparekey.server.settings import Settings, read_settings
from sparekey.server.transport.process import answer
from sparekey.wiring.certificate_signer import CertificateSigner
from sparekey.wiring.couriers import Courier, couriers, stop
from sparekey.wiring.processes import supervise
from sparekey.wiring.server import certificate_names, checkpoint_store, open_instance
from sparekey.wiring.serving_certificate import RENEWAL_CHECK, RenewedCertificate, certificate_files, renewing
from sparekey.wiring.watching import WatchSteps

LISTEN_VARIABLE: Final = "SPAREKEY_LISTEN"
_BACKLOG: Final = 4_096  # connections that wait to be accepted
_RELEASE_SECONDS: Final = 5


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
    certificate = renewing(directory, settings, signer)
    listening = _listen(settings)
    configure(settings.log_level)
    announced = partial(announce, [settings.listening_url])
    if len(listening) == 1:
        _answer(directory, settings, listening[0], certificate, announced)
    else:
        os.environ[LISTEN_VARIABLE] = settings.listen
        supervise(directory, listening, certificate, answer_in_process, announced)


def hold_ca_key(directory: Path, settings: Settings, key: int) -> CertificateSigner:
    """Return a process that reads the CA's key from this descriptor. Call this before `serve`."""
    os.environ[LISTEN_VARIABLE] = settings.listen  # a name of the certificate; that process reads the settings again
    return CertificateSigner(directory, key)


def answer_in_process(directory: Path, listening: socket.socket) -> None:
    """Answer the requests of one socket in a process of several."""
    settings = read_settings(directory, os.environ)
    configure(settings.log_level)
    _answer(directory, settings, listening, RenewedCertificate(certificate_files(directory, settings)))


def _answer(
    directory: Path,
    settings: Settings,
    listening: socket.socket,
    certificate: RenewedCertificate,
    ready: Callable[[], object] = lambda: None,
) -> None:
    instance = open_instance(directory, settings)
    service = Service.of(instance, settings, hosts=certificate_names(settings))
    application = create_application(service, _beside(service, directory, settings, certificate))
    answer(application, settings, listening, certificate.served, ready=ready, on_hangup=certificate.look)


def _listen(settings: Settings) -> list[socket.socket]:
    """Return a listening socket for each process. Raises Conflict if the address cannot be used."""
    host, port = settings.address
    several = settings.workers > 1
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    try:
        if several:  # with SO_REUSEPORT, the system would allow another server there
            socket.create_server(address[:2], family=family).close()
        return [
            socket.create_server(
                address[:2],
                family=family,
                backlog=_BACKLOG,
                reuse_port=several,
                dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
            )
            for _ in range(settings.workers)
        ]
    except OSError as error:
        raise Conflict(
            f"cannot listen on {host}:{port}: {error.strerror}", "stop what listens there, or give another --listen"
        ) from error


def _beside(service: Service, directory: Path, settings: Settings, certificate: RenewedCertificate) -> Lifespan:
    @asynccontextmanager
    async def beside() -> AsyncIterator[None]:
        instance = service.instance
        with instance.database.write() as connection:
            log(connection, service.now(), "system", Action.SERVER_STARTED, instance=instance.name)
        sequencer = asyncio.create_task(_chain_each_second(service, checkpoint_store(directory)))
        renewal = asyncio.create_task(_renew_each_hour(certificate))
        releasing = asyncio.create_task(_release_memory())
        watch = WatchSteps(directory, instance)
        watching = Courier("watch", watch, service.now)
        sending = couriers(instance.database, settings, instance.name, service.now)
        running = [courier.start() for courier in (*sending, watching)]
        try:
            yield
        finally:
            renewal.cancel()
            releasing.cancel()
            sequencer.cancel()
            with suppress(asyncio.CancelledError):
                await sequencer
            await asyncio.to_thread(stop, running)
            watch.close()
            service.close()

    return beside


async def _renew_each_hour(certificate: RenewedCertificate) -> None:
    while True:
        await asyncio.sleep(RENEWAL_CHECK)
        await asyncio.to_thread(certificate.look)


async def _release_memory() -> None:
    """Return to the system, every few seconds, the memory that requests needed (S46).

    Under load, cycles of objects would keep MiB of it until Python looks for them, which can take minutes. The objects
    of the start are not looked at again, so that this takes some ten milliseconds.
    """
    gc.collect()
    gc.freeze()
    while True:
        await asyncio.sleep(_RELEASE_SECONDS)
        gc.collect()
        await asyncio.to_thread(release_memory)


async def _chain_each_second(service: Service, store: CheckpointStore) -> None:
    """Log the refusals of unknown names of each minute that is over, and chain new events, each second.

    Do both once more at the end, for the present minute, too, so that a stopped server leaves no event unchained.
    """
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "sequencer") as thread:
        try:
            while True:
                now = service.now()
                await loop.run_in_executor(thread, _chain, service.instance, store, now, whole_minutes(now))
                await asyncio.sleep(1)
        finally:
            # on the same thread, after the current call
            now = service.now()
            thread.submit(_chain, service.instance, store, now, now + 1)


def _chain(instance: Instance, store: CheckpointStore, now: int, refusals_until: int) -> None:
    steps: tuple[Callable[[], object], ...] = (
        lambda: log_refusals(instance.database, refusals_until),
        lambda: chain(instance.database, instance.keystore, store, now),
    )
    for step in steps:
        try:
            step()
        except Exception as error:  # noqa: BLE001 -- the next second tries again
            log_unforeseen(error)
