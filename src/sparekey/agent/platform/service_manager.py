"""What the daemon tells whoever started it: a service manager (sd_notify(3)) and the journal (sd-daemon(3)).

By the standard library alone. Where there is neither, nothing is told and nothing fails: the daemon runs without
systemd, too.
"""

import contextlib
import logging
import os
import socket
import stat
from collections.abc import Mapping
from typing import Final

_PRIORITIES: Final = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_NOTICE: Final = 5  # of a level that has no name of its own
_FORMAT: Final = "%(levelname)s %(name)s: %(message)s"


class ServiceManager:
    """The manager that waits to hear from this process; none: `address` is empty."""

    def __init__(self, address: str) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "ServiceManager":
        """As the manager has put it there."""
        return cls(environment.get("NOTIFY_SOCKET", ""))

    def ready(self, status: str) -> None:
        """The daemon answers from now on: what was ordered after it begins."""
        self._tell("READY=1", f"STATUS={status}")

    def status(self, words: str) -> None:
        """One line for `systemctl status`."""
        self._tell(f"STATUS={words}")

    def stopping(self) -> None:
        """The daemon is about to end."""
        self._tell("STOPPING=1", "STATUS=")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        message = "\n".join(line.replace("\n", " ") for line in lines)
        # A manager that does not listen is no reason to let nobody in.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(message.encode(), self._address)


def log_handler(environment: Mapping[str, str], descriptor: int = 2) -> logging.Handler:
    """Writes to standard error; where that is the journal, each line says how urgent it is."""
    handler = logging.StreamHandler(os.fdopen(descriptor, "w", buffering=1, closefd=False))
    into_journal = is_journal(environment.get("JOURNAL_STREAM", ""), os.fstat(descriptor))
    handler.setFormatter(_ForTheJournal("%(name)s: %(message)s") if into_journal else logging.Formatter(_FORMAT))
    return handler


def is_journal(stream: str, status: os.stat_result) -> bool:
    """Whether that is the stream that the service manager has connected to the journal, and not one that took its
    place."""
    return stream == f"{status.st_dev}:{status.st_ino}" and stat.S_ISSOCK(status.st_mode)


class _ForTheJournal(logging.Formatter):
    """`<4>words`, on every line: the journal takes each line for an entry."""

    def format(self, record: logging.LogRecord) -> str:
        urgency = f"<{_PRIORITIES.get(record.levelno, _NOTICE)}>"
        return "\n".join(urgency + line for line in super().format(record).splitlines())
