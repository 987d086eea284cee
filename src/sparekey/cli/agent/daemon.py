"""The command `sparekey-agent run`: the daemon in the foreground until SIGTERM or SIGINT, with or without systemd."""

import argparse
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Final

from sparekey.agent.contact.scheduler import ContactScheduler
from sparekey.agent.local_socket.server import LocalSocketServer
from sparekey.agent.platform.posix import listen, wait_for_network
from sparekey.agent.platform.service_manager import ServiceManager, log_handler
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.store.notices import keep_message, message_of_the_day
from sparekey.agent.store.status import summary_of
from sparekey.cli.agent.arguments import Commands
from sparekey.cli.agent.commands import opened, socket_path
from sparekey.cli.agent.output import Output
from sparekey.heap import keep_memory_together, release_memory

_ENDING: Final = (signal.SIGTERM, signal.SIGINT)


def add_commands(to: Commands) -> None:
    """Add the command of this module."""
    to.add("run", run, "Run the daemon in the foreground. The other commands ask it while it runs.")


def run(options: argparse.Namespace, _: Output) -> int:
    """Serve the local socket and keep the offline data fresh. Return 0 after a signal to stop."""
    logging.basicConfig(level=logging.INFO, handlers=[log_handler(os.environ)])
    os.umask(0o077)
    keep_memory_together()
    manager = ServiceManager.of(os.environ)
    path = socket_path(options)
    # Signals are awaited by a thread of their own: a handler would miss one that comes just before the next `accept`.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    with opened(options, wait=5) as device, contextlib.closing(listen(path, backlog=16)) as listener:
        scheduler = ContactScheduler(device, _telling(device, manager, options), wait_for_network)
        background = threading.Thread(target=scheduler.run, name="scheduler", daemon=True)
        background.start()
        # A directory service can be slow, and no sign-in should wait for it.
        threading.Thread(target=device.exempt.look, name="exempt", daemon=True).start()
        threading.Thread(target=_end_when_asked, args=(listener,), name="signals", daemon=True).start()
        logging.getLogger("sparekey.agent").info("listening on %s", path)
        manager.ready(summary_of(device))
        LocalSocketServer(device, scheduler, listener).run()
        manager.stopping()
        scheduler.stop()
        path.unlink(missing_ok=True)
        # A contact in progress is abandoned: units that are not committed do not count.
        background.join(timeout=2)
    return 0


def _telling(device: ThisDevice, manager: ServiceManager, options: argparse.Namespace) -> Callable[[], None]:
    """Return a function that updates the status line of the service manager and the message of the day."""
    motd = options.configuration.motd

    def tell() -> None:
        manager.status(summary_of(device))
        if motd is not None:
            keep_message(motd, message_of_the_day(device.state, device.store.trusted_time().time))
        release_memory()  # used by the start, or by a contact

    return tell


def _end_when_asked(listener: socket.socket) -> None:
    signal.sigwait(_ENDING)
    listener.shutdown(socket.SHUT_RDWR)
