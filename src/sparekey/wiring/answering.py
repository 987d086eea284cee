"""One of the processes that answer: the application over a data directory, and what runs beside it."""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI

from sparekey.app.instance import Instance, log
from sparekey.app.ports import CheckpointStore
from sparekey.app.sequencer import chain
from sparekey.core.events import Action
from sparekey.server.application import Lifespan, create_application
from sparekey.server.logs import configure
from sparekey.server.replies import log_unforeseen
from sparekey.server.service import Service
from sparekey.server.settings import Settings, read_settings
from sparekey.wiring.couriers import couriers, stop
from sparekey.wiring.server import certificate_names, checkpoint_store, open_instance
from sparekey.wiring.serving import DATA_VARIABLE


def asgi() -> FastAPI:
    """What each of granian's processes calls: the application over the data directory in SPAREKEY_DATA."""
    directory = Path(os.environ[DATA_VARIABLE])
    settings = read_settings(directory, os.environ)
    configure(settings.log_level)
    instance = open_instance(directory, settings)
    service = Service.of(instance, settings, hosts=certificate_names(settings))
    return create_application(service, _beside(service, checkpoint_store(directory), settings))


def _beside(service: Service, store: CheckpointStore, settings: Settings) -> Lifespan:
    @asynccontextmanager
    async def beside() -> AsyncIterator[None]:
        instance = service.instance
        with instance.database.write() as connection:
            log(connection, service.now(), "system", Action.SERVER_STARTED, instance=instance.name)
        sequencer = asyncio.create_task(_chain_each_second(service, store))
        outside = [each.start() for each in couriers(instance.database, settings, instance.name, service.now)]
        try:
            yield
        finally:
            sequencer.cancel()
            with suppress(asyncio.CancelledError):
                await sequencer
            await asyncio.to_thread(stop, outside)
            service.close()

    return beside


async def _chain_each_second(service: Service, store: CheckpointStore) -> None:
    """Chains what is new; once more at the end, so that a stopped server leaves nothing unchained."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "sequencer") as thread:
        try:
            while True:
                await loop.run_in_executor(thread, _chain, service.instance, store, service.now())
                await asyncio.sleep(1)
        finally:
            # after whatever was under way, on the same thread
            thread.submit(_chain, service.instance, store, service.now())


def _chain(instance: Instance, store: CheckpointStore, now: int) -> None:
    try:
        chain(instance.database, instance.keystore, store, now)
    except Exception as error:  # noqa: BLE001 -- the next second tries again
        log_unforeseen(error)
