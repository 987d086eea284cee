"""`sparekey-agent run`: the daemon, in the foreground until SIGTERM or SIGINT; under systemd or without."""

import argparse
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from sparekey.agent.device import Device
from sparekey.agent.local_server import LocalServer
from sparekey.agent.notices import keep_message, message_of_the_day
from sparekey.agent.platform_posix import keep_memory_together, listen, wait_for_network
from sparekey.agent.refiller import Refiller
from sparekey.agent.service import ServiceManager, log_handler
from sparekey.agent.status import summary_of
from sparekey.cli.agent.commands import opened, socket_path
from sparekey.cli.agent.output import Output


class _Stopped(Exception):
    """A signal asked the daemon to end."""


def run(options: argparse.Namespace, _: Output) -> int:
    """Serves the local socket and refills; 0 when asked to stop."""
    logging.basicConfig(level=logging.INFO, handlers=[log_handler(os.environ)])
    os.umask(0o077)
    keep_memory_together()
    manager = ServiceManager.of(os.environ)
    path = socket_path(options)
    with opened(options, wait=5) as device, contextlib.closing(listen(path, backlog=16)) as listener:
        refiller = Refiller(device, _telling(device, manager, options), wait_for_network)
        background = threading.Thread(target=refiller.run, name="refiller", daemon=True)
        background.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop)
        logging.getLogger("sparekey.agent").info("listening on %s", path)
        manager.ready(summary_of(device))
        with contextlib.suppress(_Stopped):
            LocalServer(device, refiller, listener).run()
        manager.stopping()
        refiller.stop()
        path.unlink(missing_ok=True)
        # A refill in the middle of a download is left: what is not committed does not count.
        background.join(timeout=2)
    return 0


def _telling(device: Device, manager: ServiceManager, options: argparse.Namespace) -> Callable[[], None]:
    """Tells how things stand: the service manager, and whoever signs in."""
    motd = options.configuration.motd

    def tell() -> None:
        manager.status(summary_of(device))
        if motd is not None:
            keep_message(motd, message_of_the_day(device.state, device.store.judged().time))

    return tell


def _stop(_: int, __: FrameType | None) -> None:
    raise _Stopped
