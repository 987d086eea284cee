"""`sparekey-agent run`: the daemon, in the foreground until SIGTERM or SIGINT."""

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from types import FrameType

from sparekey.agent.local_server import LocalServer
from sparekey.agent.platform_posix import keep_memory_together, listen
from sparekey.agent.refiller import Refiller
from sparekey.cli.agent.commands import opened, socket_path
from sparekey.cli.agent.output import Output


class _Stopped(Exception):
    """A signal asked the daemon to end."""


def run(options: argparse.Namespace, _: Output) -> int:
    """Serves the local socket and refills; 0 when asked to stop."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    keep_memory_together()
    path = socket_path(options)
    with opened(options, wait=5) as device, contextlib.closing(listen(path, backlog=16)) as listener:
        refiller = Refiller(device)
        background = threading.Thread(target=refiller.run, name="refiller", daemon=True)
        background.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop)
        logging.getLogger("sparekey.agent").info("listening on %s", path)
        with contextlib.suppress(_Stopped):
            LocalServer(device, refiller, listener).run()
        refiller.stop()
        path.unlink(missing_ok=True)
        # A refill in the middle of a download is left: what is not committed does not count.
        background.join(timeout=2)
    return 0


def _stop(_: int, __: FrameType | None) -> None:
    raise _Stopped
